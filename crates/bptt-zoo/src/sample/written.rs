//! A text that is written token by token.

use serde::Serialize;

/// A text that a model wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SampledText {
    /// The text after the prompt.
    pub text: String,
    /// Whether it ended at a stop string, which is not in the text.
    pub stopped: bool,
}

/// The bytes so far.
#[derive(Debug, Default)]
pub(super) struct Written {
    bytes: Vec<u8>,
    stopped: bool,
}

impl Written {
    /// Adds a token. If the text then has a stop string, it ends before it; of several, before the one whose end comes first.
    /// Returns whether it has one.
    pub(super) fn push(&mut self, token: &[u8], stops: &[String]) -> bool {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(token);
        for end in before + 1..=self.bytes.len() {
            let ends = |stop: &&String| self.bytes[..end].ends_with(stop.as_bytes());
            if let Some(stop) = stops.iter().find(ends) {
                self.bytes.truncate(end - stop.len());
                self.stopped = true;
                return true;
            }
        }
        false
    }

    /// The text, and how often U+FFFD stands for bytes that are no character. At the end of the text, bytes of a character
    /// that is not complete are left out.
    pub(super) fn finished(self) -> (SampledText, usize) {
        let mut text = String::new();
        let mut replaced = 0;
        let mut chunks = self.bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() && (chunks.peek().is_some() || !begun(chunk.invalid())) {
                text.push(char::REPLACEMENT_CHARACTER);
                replaced += 1;
            }
        }
        (SampledText { text, stopped: self.stopped }, replaced)
    }
}

/// Whether these bytes are the beginning of a character, to which bytes are missing.
fn begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(stops: &[&str]) -> Vec<String> {
        stops.iter().map(|stop| stop.to_string()).collect()
    }

    /// The text of some tokens, and whether it stopped.
    fn text(tokens: &[&[u8]], stop: &[&str]) -> (String, bool, usize) {
        let mut written = Written::default();
        for token in tokens {
            if written.push(token, &stops(stop)) {
                break;
            }
        }
        let (SampledText { text, stopped }, replaced) = written.finished();
        (text, stopped, replaced)
    }

    #[test]
    fn a_text_ends_before_a_stop_string_wherever_tokens_end() {
        let of = |stop: &[&str]| text(&[b"one t", b"wo thr", b"ee"], stop);
        assert_eq!(of(&[]), ("one two three".to_string(), false, 0));
        assert_eq!(of(&["two"]), ("one ".to_string(), true, 0));
        assert_eq!(of(&["o t"]), ("one tw".to_string(), true, 0));
        // The first in the text, not the first in the list.
        assert_eq!(of(&["three", "wo"]), ("one t".to_string(), true, 0));
        assert_eq!(of(&["four"]), ("one two three".to_string(), false, 0));
    }

    #[test]
    fn bytes_that_are_no_character_are_counted() {
        assert_eq!(text(&[b"\xc3", b"\xa9"], &[]), ("\u{e9}".to_string(), false, 0));
        assert_eq!(text(&[b"a\xffb\xc3c"], &[]), ("a\u{fffd}b\u{fffd}c".to_string(), false, 2));
        assert_eq!(text(&[b"a", b"\xc3"], &[]), ("a".to_string(), false, 0));
        assert_eq!(text(&[b"a\xff"], &[]), ("a\u{fffd}".to_string(), false, 1));
    }
}
