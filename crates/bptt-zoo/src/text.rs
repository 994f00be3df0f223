//! Texts, and characters as numbers.

use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::read;
use std::borrow::Cow;
use std::path::Path;

/// The text that is used if no other text is given: an introduction to BPTT, written for this crate.
const SHIPPED: &str = include_str!("../text/bptt.txt");

/// A text as numbers.
#[derive(Clone, Debug)]
pub struct Text {
    /// The characters that occur, in the order of their code points; a character's number is its
    /// index here.
    pub vocabulary: Vec<char>,
    /// The text, as indices into the vocabulary.
    pub numbers: Vec<u32>,
    /// A hash of the text (FNV-1a), by which a resumed run recognises it.
    pub fingerprint: u64,
    /// Notes for the user on what was changed when the text was read.
    pub notes: Vec<String>,
}

impl Text {
    /// Reads a UTF-8 file, or standard input for `-`; `None`: the text that the crate ships.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not a regular file, is empty, has more than 4 GiB (1 GiB from standard input), or
    /// is not UTF-8.
    pub fn load(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else { return Self::parse(SHIPPED.as_bytes(), "the shipped text") };
        let bytes = read::data(path)?;
        Self::parse(&bytes, read::data_name(&path.display().to_string()))
    }

    /// A text from bytes that have to be UTF-8; `name` is for messages.
    ///
    /// A byte order mark at the beginning is left out. Lines end with `\n`: `\r\n`, as Windows writes it, and a `\r`
    /// alone are read as `\n`. Otherwise a model would have to learn which editor wrote the text.
    ///
    /// # Errors
    ///
    /// If the bytes are not UTF-8, if one of them is zero, or if there are none.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self, Error> {
        let wrong = |why: String| Error::input(format!("{name}: {why}"));
        read::no_text(bytes, 0).map_err(wrong)?;
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            wrong(format!("not UTF-8 at byte {at}; convert the text to UTF-8"))
        })?;
        let marked = text.strip_prefix('\u{feff}');
        let (text, lines) = plain_lines(marked.unwrap_or(text));
        let mark = marked.map(|_| read::BYTE_ORDER_MARK.to_string());
        let notes = mark.into_iter().chain(lines).collect();
        if text.is_empty() {
            return Err(wrong("the text is empty".to_string()));
        }
        let fingerprint = Fingerprint::of(text.bytes());
        let (vocabulary, numbers) = numbered(&text);
        Ok(Self { vocabulary, numbers, fingerprint, notes })
    }

    /// The first 90 % of the characters, for training, and the rest, for validation.
    pub fn split(&self) -> (&[u32], &[u32]) {
        self.numbers.split_at(self.numbers.len() / 10 * 9 + self.numbers.len() % 10 * 9 / 10)
    }

    /// The text itself.
    pub fn content(&self) -> String {
        self.written(&self.numbers)
    }

    /// Some of its numbers as a text again.
    pub(crate) fn written(&self, numbers: &[u32]) -> String {
        numbers.iter().map(|&number| self.vocabulary[number as usize]).collect()
    }
}

/// The text with `\n` as its only line end, and notes on what was changed.
fn plain_lines(text: &str) -> (Cow<'_, str>, Vec<String>) {
    let all = text.bytes().filter(|&byte| byte == b'\r').count();
    if all == 0 {
        return (text.into(), Vec::new());
    }
    let pairs = text.matches("\r\n").count();
    let kinds = [(pairs, "`\\r\\n`"), (all - pairs, "`\\r`")];
    let notes = kinds.iter().filter(|(count, _)| *count > 0);
    let notes = notes.map(|(count, what)| {
        let ends = if *count == 1 { "line end" } else { "line ends" };
        format!("{count} {ends} {what} read as `\\n`")
    });
    let notes = notes.collect();
    (text.replace("\r\n", "\n").replace('\r', "\n").into(), notes)
}

/// The characters of a text, in the order of their code points, and the text by their numbers.
fn numbered(text: &str) -> (Vec<char>, Vec<u32>) {
    // A table by code point, so that no search is needed for each character of a long text.
    let mut number = vec![u32::MAX; char::MAX as usize + 1];
    for character in text.chars() {
        number[character as usize] = 0;
    }
    let occurs = |&character: &char| number[character as usize] == 0;
    let vocabulary: Vec<char> = ('\0'..=char::MAX).filter(occurs).collect();
    for (place, &character) in vocabulary.iter().enumerate() {
        number[character as usize] = place as u32;
    }
    (vocabulary, text.chars().map(|character| number[character as usize]).collect())
}

/// Parallel streams through a text: `B` parts of the text are read in parallel, chunk after chunk.
///
/// Stream `s` reads the characters from `s · length` on. The target of each character is the next one, so
/// `streams · length + 1` characters are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Streams {
    /// `B`
    pub(crate) streams: usize,
    /// Characters that each stream reads.
    pub(crate) length: usize,
    /// Characters in a chunk, `T`.
    pub(crate) time: usize,
}

impl Streams {
    /// `batch` streams, or fewer, so that each of them has at least one chunk. `None` if the text is shorter than a
    /// chunk.
    pub(crate) fn over(characters: usize, batch: usize, time: usize) -> Option<Self> {
        let room = characters.checked_sub(1)?;
        let streams = batch.min(room / time);
        (streams > 0).then(|| Self { streams, length: room / streams, time })
    }

    /// Chunks of full length in a stream.
    pub(crate) fn chunks(&self) -> usize {
        self.length / self.time
    }

    /// Inputs and targets from `start` on, `[B, time]` each, row by row.
    pub(crate) fn read(&self, text: &[u32], start: usize, time: usize) -> (Vec<i32>, Vec<i32>) {
        let row = |stream: usize, shift: usize| {
            let from = stream * self.length + start + shift;
            text[from..from + time].iter().map(|&number| number as i32)
        };
        let all = |shift| (0..self.streams).flat_map(|stream| row(stream, shift)).collect();
        (all(0), all(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_numbered_by_code_point() {
        let text = Text::parse("bäca".as_bytes(), "t").unwrap();
        assert_eq!(text.vocabulary, ['a', 'b', 'c', 'ä']);
        assert_eq!(text.numbers, [1, 3, 2, 0]);
    }

    #[test]
    fn bad_texts_are_one_line() {
        let message = |bytes: &[u8]| Text::parse(bytes, "t").unwrap_err().to_string();
        assert_eq!(message(b"ab\xffc"), "t: not UTF-8 at byte 2; convert the text to UTF-8");
        assert_eq!(message(b""), "t: the text is empty");
        assert_eq!(message(b"\xef\xbb\xbf"), "t: the text is empty");
        let utf16 = message(b"\xff\xfea\0b\0");
        assert_eq!(utf16, "t: not UTF-8 at byte 0, UTF-16 by its looks; convert the text to UTF-8");
        assert_eq!(message(b"ab\0cdefgh"), "t: a zero byte at byte 2; give a text");
    }

    #[test]
    fn a_byte_order_mark_and_carriage_returns_are_no_characters() {
        let plain = Text::parse("one\ntwo\n".as_bytes(), "t").unwrap();
        assert_eq!(plain.notes, [""; 0]);
        for (bytes, notes) in [
            ("\u{feff}one\ntwo\n", 1),
            ("one\r\ntwo\r\n", 1),
            ("one\rtwo\r", 1),
            ("\u{feff}one\r\ntwo\n", 2),
        ] {
            let text = Text::parse(bytes.as_bytes(), "t").unwrap();
            assert_eq!(text.vocabulary, plain.vocabulary, "{bytes:?}");
            assert_eq!(text.numbers, plain.numbers, "{bytes:?}");
            // So a run that began with one of the texts can continue with the other.
            assert_eq!(text.fingerprint, plain.fingerprint, "{bytes:?}");
            assert_eq!(text.notes.len(), notes, "{bytes:?}");
        }
        let mixed = Text::parse(b"a\r\nb\r\nc\rd\n", "t").unwrap();
        assert_eq!(
            mixed.notes,
            ["2 line ends `\\r\\n` read as `\\n`", "1 line end `\\r` read as `\\n`"]
        );
    }

    /// Run folders hold fingerprints, so the fingerprints of plain texts must not change.
    #[test]
    fn fingerprints_of_plain_texts_stay() {
        let fingerprint = |text: &str| Text::parse(text.as_bytes(), "t").unwrap().fingerprint;
        assert_eq!(fingerprint("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fingerprint("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_shipped_text_is_plain_and_long_enough() {
        let text = Text::load(None).unwrap();
        assert!(SHIPPED.is_ascii());
        assert!(text.numbers.len() > 15_000, "{}", text.numbers.len());
        assert!(text.vocabulary.len() < 100);
    }

    #[test]
    fn nine_tenths_are_for_training() {
        for (length, train) in [(10, 9), (19, 17), (1000, 900), (2, 1)] {
            let text = Text::parse(&vec![b'x'; length], "t").unwrap();
            assert_eq!(text.split().0.len(), train, "{length}");
        }
    }

    #[test]
    fn streams_follow_the_text() {
        let text: Vec<u32> = (0..21).collect();
        let streams = Streams::over(21, 2, 4).unwrap();
        assert_eq!(streams, Streams { streams: 2, length: 10, time: 4 });
        assert_eq!(streams.chunks(), 2);
        let (inputs, targets) = streams.read(&text, 4, 4);
        assert_eq!(inputs, [4, 5, 6, 7, 14, 15, 16, 17]);
        assert_eq!(targets, [5, 6, 7, 8, 15, 16, 17, 18]);
        // The last target of the last stream is the last character.
        assert_eq!(streams.read(&text, 8, 2).1, [9, 10, 19, 20]);
    }

    #[test]
    fn short_texts_have_fewer_streams_or_none() {
        assert_eq!(Streams::over(9, 8, 4).unwrap().streams, 2);
        assert_eq!(Streams::over(5, 8, 4).unwrap().streams, 1);
        assert_eq!(Streams::over(4, 8, 4), None);
        assert_eq!(Streams::over(0, 8, 4), None);
    }
}
