//! Texts, and characters as numbers.

use crate::Error;
use std::path::Path;

/// The text that is used when no other is given: an introduction to BPTT, written for this crate.
const SHIPPED: &str = include_str!("../text/bptt.txt");

/// A text as numbers.
#[derive(Clone, Debug)]
pub struct Text {
    /// The characters that occur, in the order of their code points; a character's number is its
    /// place here.
    pub vocabulary: Vec<char>,
    /// The text, by those numbers.
    pub numbers: Vec<u32>,
    /// A hash of the text (FNV-1a), to know it again.
    pub fingerprint: u64,
}

impl Text {
    /// Reads a UTF-8 file; `None`: the text that the crate ships.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is empty or is not UTF-8.
    pub fn load(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else { return Self::parse(SHIPPED.as_bytes(), "the shipped text") };
        let bytes = std::fs::read(path).map_err(|error| Error::file("read", path, error))?;
        Self::parse(&bytes, &path.display().to_string())
    }

    /// A text from bytes that have to be UTF-8; `name` is for messages.
    ///
    /// # Errors
    ///
    /// If the bytes are not UTF-8, or none.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self, Error> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            Error::input(format!(
                "{name}: not UTF-8 at byte {}; convert the text to UTF-8",
                error.valid_up_to()
            ))
        })?;
        if text.is_empty() {
            return Err(Error::input(format!("{name}: the text is empty")));
        }
        let vocabulary: Vec<char> =
            text.chars().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
        let number =
            |c| vocabulary.binary_search(&c).expect("every character was collected") as u32;
        let numbers = text.chars().map(number).collect();
        let fingerprint = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Ok(Self { vocabulary, numbers, fingerprint })
    }

    /// The first 90 %, to train on, and the rest, to validate on.
    pub fn split(&self) -> (&[u32], &[u32]) {
        self.numbers.split_at(self.numbers.len() / 10 * 9 + self.numbers.len() % 10 * 9 / 10)
    }
}

/// Parallel streams through a text: how `B` places in it are read at once, chunk after chunk.
///
/// Stream `s` reads the stretch `s · stretch ..`, and its target is always the next character, so
/// that `streams · stretch + 1` characters are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Streams {
    /// `B`
    pub(crate) streams: usize,
    /// Characters that each stream reads.
    pub(crate) stretch: usize,
    /// Characters in a chunk, `T`.
    pub(crate) time: usize,
}

impl Streams {
    /// As many streams as asked for, or as have room for a chunk each. `None`: not even one has.
    pub(crate) fn over(characters: usize, batch: usize, time: usize) -> Option<Self> {
        let room = characters.checked_sub(1)?;
        let streams = batch.min(room / time);
        (streams > 0).then(|| Self { streams, stretch: room / streams, time })
    }

    /// Chunks of full length in a stretch.
    pub(crate) fn chunks(&self) -> usize {
        self.stretch / self.time
    }

    /// Inputs and targets from `start` on, `[B, time]` each, row by row.
    pub(crate) fn read(&self, text: &[u32], start: usize, time: usize) -> (Vec<i32>, Vec<i32>) {
        let row = |stream: usize, shift: usize| {
            let from = stream * self.stretch + start + shift;
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
        assert_eq!(streams, Streams { streams: 2, stretch: 10, time: 4 });
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
