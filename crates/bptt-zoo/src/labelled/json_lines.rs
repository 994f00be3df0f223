//! Labelled sequences as JSON lines: `{"x": [[…]…], "y": …}` on each line, or a text as `x`.

use crate::error::Error;
use crate::labelled::characters::{Expected, Text, encode};
use crate::labelled::sequence::{Answer, Kind, Sequence, Sequences};
use crate::read;
use serde::Deserialize;
use serde_json::Value;

/// One line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    x: Value,
    #[serde(default)]
    y: Value,
    #[serde(default)]
    id: Value,
}

/// What a line has.
enum Parsed {
    /// How many numbers the steps have, and the sequence.
    Numbers(usize, Sequence),
    Text(Text),
}

/// Reads sequences.
///
/// # Arguments
///
/// - `file`: the name for messages
/// - `is_labelled`: whether every sequence has to have a label
///
/// # Errors
///
/// The first line that is wrong.
pub(crate) fn parse(
    bytes: &[u8],
    file: &str,
    kind: Kind,
    is_labelled: bool,
    expected: Expected<'_>,
) -> Result<Sequences, Error> {
    read::no_text(bytes, 0).map_err(|why| Error::input(format!("{file}: {why}")))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut all, mut texts): (Vec<Sequence>, Vec<Text>) = (Vec::new(), Vec::new());
    let mut width = 0;
    for (index, text) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let text = text.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let line = index + 1;
        let wrong = |why: String| Error::input(format!("{file}, line {line}: {why}"));
        let parsed = parsed(text, line, kind).map_err(wrong)?;
        let answer = match &parsed {
            Parsed::Numbers(_, sequence) => &sequence.answer,
            Parsed::Text(text) => &text.answer,
        };
        if is_labelled && answer.is_none() {
            return Err(wrong(format!("no `y`: {} is what is learned", right(kind))));
        }
        match parsed {
            Parsed::Text(_) if !all.is_empty() => {
                return Err(wrong("a text, and the lines before have numbers".to_string()));
            }
            Parsed::Numbers(..) if !texts.is_empty() || matches!(expected, Expected::Texts(_)) => {
                return Err(wrong("numbers, where texts are expected".to_string()));
            }
            Parsed::Numbers(wide, sequence) => {
                if let Some(first) = all.first().filter(|_| wide != width) {
                    return Err(wrong(format!(
                        "steps of {wide} numbers, and line {} has steps of {width}: all have to have as many",
                        first.line
                    )));
                }
                width = wide;
                all.push(sequence);
            }
            Parsed::Text(text) => texts.push(text),
        }
    }
    if !texts.is_empty() {
        return encode(texts, file, expected);
    }
    if all.is_empty() {
        return Err(Error::input(format!(
            "{file}: no sequence; expected {{\"x\": [[1.5, 2]], \"y\": …}} on each line"
        )));
    }
    let (file, notes) = (file.to_string(), Vec::new());
    Ok(Sequences { file, width, features: None, is_text: false, all, notes })
}

/// What `y` has to be.
fn right(kind: Kind) -> &'static str {
    match kind {
        Kind::Class => "a label, which is a text, a whole number, true or false,",
        Kind::Tags => "a list with a label for each step",
        Kind::Number => "a number",
    }
}

/// The sequence of a line.
fn parsed(text: &[u8], line: usize, kind: Kind) -> Result<Parsed, String> {
    if text.starts_with(b"[") {
        return Err("a list, expected an object {\"x\": …, \"y\": …} on each line".to_string());
    }
    let Line { x, y, id } = serde_json::from_slice(text).map_err(|error| {
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or(&why);
        let hint = match error.is_syntax() || error.is_eof() {
            true => "; an object {\"x\": …, \"y\": …} has to be whole on its line, and NaN is no number of JSON",
            false => "",
        };
        format!("column {}: {why}{hint}", error.column())
    })?;
    let name = match id {
        Value::Null => line.to_string(),
        Value::String(name) => name,
        Value::Number(number) => number.to_string(),
        other => return Err(format!("`id` is {}, expected a text or a number", shown(&other))),
    };
    let answer = |steps: usize| match &y {
        Value::Null => Ok(None),
        y => answer(y, kind, steps).map(Some),
    };
    match x {
        Value::Array(x) => {
            let (width, values) = values(&x)?;
            let answer = answer(x.len())?;
            Ok(Parsed::Numbers(width, Sequence { name, line, values, answer }))
        }
        Value::String(text) if !text.is_empty() => {
            let answer = answer(text.chars().count())?;
            Ok(Parsed::Text(Text { name, line, text, answer }))
        }
        Value::String(_) => Err("`x` is empty, and a text has at least one character".to_string()),
        other => Err(format!("`x` is {}, expected a list of steps, or a text", shown(&other))),
    }
}

/// The numbers of the steps, and how many each step has.
fn values(x: &[Value]) -> Result<(usize, Vec<f64>), String> {
    if x.is_empty() {
        return Err("`x` is empty, and a sequence has at least one step".to_string());
    }
    let (mut width, mut values) = (0, Vec::with_capacity(x.len()));
    for (index, step) in x.iter().enumerate() {
        let t = index + 1;
        let numbers = match step {
            Value::Array(numbers) => numbers.as_slice(),
            one => std::slice::from_ref(one),
        };
        match (index, numbers.len()) {
            (_, 0) => return Err(format!("step {t} of `x` has no number")),
            (0, count) => width = count,
            (_, count) if count != width => {
                return Err(format!(
                    "step {t} of `x` has {count} numbers, and the first has {width}"
                ));
            }
            _ => {}
        }
        for value in numbers {
            let number = value.as_f64().filter(|number| number.is_finite());
            let wrong = || format!("step {t} of `x` has {}, expected a number", shown(value));
            values.push(number.ok_or_else(wrong)?);
        }
    }
    Ok((width, values))
}

fn answer(y: &Value, kind: Kind, steps: usize) -> Result<Answer, String> {
    match (kind, y) {
        (Kind::Class, Value::Array(_)) => {
            Err("`y` is a list, expected one label; `train tag` learns a label for each step"
                .to_string())
        }
        (Kind::Class, y) => Ok(Answer::Labels(vec![label(y)?])),
        (Kind::Tags, Value::Array(labels)) if labels.len() == steps => {
            Ok(Answer::Labels(labels.iter().map(label).collect::<Result<_, _>>()?))
        }
        (Kind::Tags, Value::Array(labels)) => Err(format!(
            "`y` has {} labels, and `x` has {steps} steps: expected one for each",
            labels.len()
        )),
        (Kind::Tags, y) => {
            Err(format!("`y` is {}, expected a list with a label for each step", shown(y)))
        }
        (Kind::Number, y) => match y.as_f64().filter(|number| number.is_finite()) {
            Some(number) => Ok(Answer::Number(number)),
            None => Err(format!("`y` is {}, expected a number", shown(y))),
        },
    }
}

fn label(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::Bool(_) => Ok(value.to_string()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(value.to_string()),
        Value::Number(_) => Err(format!(
            "`y` has the number {value}, which is no label; `train regress` learns numbers"
        )),
        other => Err(format!(
            "`y` has {}, expected a label: a text, a whole number, true or false",
            shown(other)
        )),
    }
}

/// A value for a message.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_string(),
        Value::Object(_) => "an object".to_string(),
        other => {
            let text: String = other.to_string().chars().take(40).collect();
            format!("`{text}`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str, kind: Kind) -> String {
        parse(text.as_bytes(), "f.jsonl", kind, true, Expected::Either).unwrap_err().to_string()
    }

    #[test]
    fn lines_are_sequences_with_names_and_labels() {
        let text = "\u{feff}{\"x\": [[1, 2.5], [3, 4]], \"y\": \"a\"}\r\n\n\
                    {\"x\": [[-1e3, 0]], \"y\": 7, \"id\": \"s\"}\n";
        let found = parse(text.as_bytes(), "f.jsonl", Kind::Class, true, Expected::Either).unwrap();
        assert_eq!((found.width, found.all.len()), (2, 2));
        assert_eq!(found.all[0].values, [1.0, 2.5, 3.0, 4.0]);
        assert_eq!((found.all[0].steps(2), found.all[0].name.as_str()), (2, "1"));
        assert_eq!((found.all[1].line, found.all[1].name.as_str()), (3, "s"));
        assert_eq!(found.all[1].answer, Some(Answer::Labels(vec!["7".to_string()])));
        // A list of numbers is a sequence with one number at each step.
        let found =
            parse(b"{\"x\": [1, 2, 3], \"y\": 0.5}", "f", Kind::Number, true, Expected::Either)
                .unwrap();
        assert_eq!((found.width, &found.all[0].answer), (1, &Some(Answer::Number(0.5))));
        let found =
            parse(b"{\"x\": [1, 2, 3]}", "f", Kind::Number, false, Expected::Numbers).unwrap();
        assert_eq!(found.all[0].answer, None);
    }

    #[test]
    fn a_text_has_a_step_for_each_character() {
        let text = "{\"x\": \"aba\", \"y\": [1, 2, 1]}\n{\"x\": \"c\", \"y\": [1]}";
        let read = |kind, expected| parse(text.as_bytes(), "f", kind, true, expected);
        let found = read(Kind::Tags, Expected::Either).unwrap();
        assert!(found.is_text && found.width == 3);
        assert_eq!(found.all[1].values, [0.0, 0.0, 1.0]);
        let message = read(Kind::Tags, Expected::Numbers).unwrap_err().to_string();
        assert!(
            message.contains("line 1: a text, and the model learned from numbers"),
            "{message}"
        );
        let known = ["a".to_string()];
        let numbers = b"{\"x\": [1], \"y\": 1}";
        let message = parse(numbers, "f", Kind::Class, true, Expected::Texts(&known)).unwrap_err();
        assert!(message.to_string().contains("numbers, where texts are expected"), "{message}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (kind, text, expected) in [
            (Kind::Class, "{\"x\": [[1]]}", "f.jsonl, line 1: no `y`: a label"),
            (
                Kind::Class,
                "{\"x\": [[1]], \"y\": 1}\n{\"x\": [[1, 2]], \"y\": 1}",
                "line 2: steps of 2",
            ),
            (Kind::Class, "{\"x\": [[1], [1, 2]], \"y\": 1}", "step 2 of `x` has 2 numbers"),
            (Kind::Class, "{\"x\": [], \"y\": 1}", "`x` is empty"),
            (Kind::Class, "{\"x\": [[]], \"y\": 1}", "step 1 of `x` has no number"),
            (Kind::Class, "{\"x\": [[null]], \"y\": 1}", "`null`, expected a number"),
            (Kind::Class, "{\"x\": [[NaN]], \"y\": 1}", "NaN is no number of JSON"),
            (Kind::Class, "{\"x\": [[1]], \"z\": 1}", "unknown field `z`"),
            (Kind::Class, "{\"x\": [[1]], \"y\": 1.5}", "`train regress` learns numbers"),
            (Kind::Class, "{\"x\": [[1]], \"y\": [1]}", "`train tag` learns"),
            (Kind::Class, "[{\"x\": [[1]]}]", "a list, expected an object"),
            (Kind::Class, "\n\n", "f.jsonl: no sequence"),
            (Kind::Class, "{\"x\": \"\", \"y\": 1}", "`x` is empty"),
            (
                Kind::Class,
                "{\"x\": 3, \"y\": 1}",
                "`x` is `3`, expected a list of steps, or a text",
            ),
            (
                Kind::Class,
                "{\"x\": [1], \"y\": 1}\n{\"x\": \"a\", \"y\": 1}",
                "line 2: a text, and",
            ),
            (Kind::Tags, "{\"x\": [[1]], \"y\": [1, 2]}", "`y` has 2 labels, and `x` has 1 steps"),
            (Kind::Tags, "{\"x\": [[1]], \"y\": 2}", "expected a list with a label"),
            (Kind::Number, "{\"x\": [[1]], \"y\": \"a\"}", "`\"a\"`, expected a number"),
        ] {
            let message = wrong(text, kind);
            assert!(message.contains(expected), "{text}: {message}");
            assert_eq!(message.lines().count(), 1);
        }
    }
}
