//! Texts as sequences: a step for each character, with a one where the character is in the vocabulary.

use crate::error::Error;
use crate::labelled::sequence::{Answer, Sequence, Sequences};
use std::collections::{BTreeMap, BTreeSet};

/// The most numbers that all steps may have together: a gigabyte in double precision.
const MOST: usize = 1 << 27;

/// What the sequences of a file may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected<'a> {
    /// Numbers or texts, but not both.
    Either,
    /// Numbers, since a model learned from such.
    Numbers,
    /// Texts, for a model that knows these characters.
    Texts(&'a [String]),
}

/// A text with its label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) answer: Option<Answer>,
}

/// The sequences of texts.
///
/// # Arguments
///
/// - `file`: the name for messages
///
/// # Errors
///
/// If a model learned from numbers, or if the texts are too long to be held in memory.
pub(crate) fn encode(
    texts: Vec<Text>,
    file: &str,
    expected: Expected<'_>,
) -> Result<Sequences, Error> {
    let all = || texts.iter().flat_map(|text| text.text.chars());
    let characters: Vec<char> = match expected {
        Expected::Either => all().collect::<BTreeSet<_>>().into_iter().collect(),
        Expected::Texts(known) => known.iter().flat_map(|name| name.chars()).collect(),
        Expected::Numbers => {
            let line = texts.first().map_or(1, |text| text.line);
            return Err(Error::input(format!(
                "{file}, line {line}: a text, and the model learned from numbers"
            )));
        }
    };
    let width = characters.len();
    let count = all().count();
    if count.saturating_mul(width) > MOST {
        return Err(Error::input(format!(
            "{file}: {count} characters of {width} kinds are too many to be held in memory: take fewer texts"
        )));
    }
    let places: BTreeMap<char, usize> = characters.iter().copied().zip(0..).collect();
    let unknown = all().filter(|character| !places.contains_key(character)).count();
    let note = format!("{unknown} characters that the model never saw are read as nothing");
    let sequence = |Text { name, line, text, answer }: Text| {
        let mut values = Vec::new();
        for character in text.chars() {
            let start = values.len();
            values.resize(start + width, 0.0);
            if let Some(place) = places.get(&character) {
                values[start + place] = 1.0;
            }
        }
        Sequence { name, line, values, answer }
    };
    Ok(Sequences {
        file: file.to_string(),
        width,
        features: Some(characters.iter().map(char::to_string).collect()),
        is_text: true,
        notes: (unknown > 0).then_some(note).into_iter().collect(),
        all: texts.into_iter().map(sequence).collect(),
    })
}

/// Reads a file with a label, a tab and a text on each line. Without a tab, a line is a text without a label.
///
/// # Errors
///
/// The first line that is wrong.
pub(crate) fn parse_lines(
    bytes: &[u8],
    file: &str,
    is_labelled: bool,
    answer: &dyn Fn(&str) -> Result<Answer, String>,
    expected: Expected<'_>,
) -> Result<Sequences, Error> {
    crate::read::no_text(bytes, 0).map_err(|why| Error::input(format!("{file}: {why}")))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut texts = Vec::new();
    for (index, bytes) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = index + 1;
        let wrong = |why: &str| Error::input(format!("{file}, line {line}: {why}"));
        let text = std::str::from_utf8(bytes)
            .map_err(|_| wrong("not UTF-8: convert the file to UTF-8"))?
            .trim_end_matches('\r');
        if text.is_empty() {
            continue;
        }
        let (label, text) = match text.split_once('\t') {
            Some((label, text)) => (Some(label), text),
            None if is_labelled => {
                return Err(wrong("no tab: expected a label, a tab and the text"));
            }
            None => (None, text),
        };
        if text.is_empty() || text.contains('\t') {
            return Err(wrong("expected a label, one tab and the text"));
        }
        let answer = label.map(answer).transpose().map_err(|why| wrong(&why))?;
        texts.push(Text { name: line.to_string(), line, text: text.to_string(), answer });
    }
    match texts.is_empty() {
        true => Err(Error::input(format!("{file}: no text; expected a label, a tab and a text"))),
        false => encode(texts, file, expected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> Result<Answer, String> {
        Ok(Answer::Labels(vec![text.to_string()]))
    }

    fn parse(text: &str, expected: Expected<'_>) -> Result<Sequences, Error> {
        let is_labelled = matches!(expected, Expected::Either);
        parse_lines(text.as_bytes(), "f.txt", is_labelled, &label, expected)
    }

    #[test]
    fn a_step_is_a_character() {
        let found = parse("en\tab\r\n\nde\t\u{e4}a\n", Expected::Either).unwrap();
        assert_eq!(found.features.as_deref().unwrap(), ["a", "b", "\u{e4}"]);
        assert!(found.is_text && found.width == 3 && found.notes.is_empty());
        assert_eq!(found.all[0].values, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!((found.all[1].line, &found.all[1].answer), (3, &label("de").ok()));
        // For a model that knows other characters.
        let known = ["a", "z"].map(str::to_string);
        let found = parse("za!\n", Expected::Texts(&known)).unwrap();
        assert_eq!(found.all[0].values, [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!((&found.all[0].answer, found.notes.len()), (&None, 1));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, expected) in [
            ("a\tb\nc\n", "f.txt, line 2: no tab"),
            ("a\t\n", "line 1: expected a label, one tab"),
            ("a\tb\tc\n", "line 1: expected a label, one tab"),
            ("\n", "f.txt: no text"),
        ] {
            let message = parse(text, Expected::Either).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        let message = parse("a\tb\n", Expected::Numbers).unwrap_err().to_string();
        assert_eq!(message, "f.txt, line 1: a text, and the model learned from numbers");
    }
}
