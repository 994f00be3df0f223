//! The text of a character model as tokens, in two parts.

use crate::error::Error;
use crate::folder_files::TextInfo;
use crate::text::Text;
use crate::tokenizer::{Tokenizer, TokenizerKind};

/// A text as tokens, for training and for validation. Where the validation begins depends on the text alone, and not on
/// the tokenizer.
#[derive(Clone, Debug)]
pub(crate) struct Corpus {
    pub(crate) tokenizer: Tokenizer,
    /// What was changed when the text was read.
    pub(crate) notes: Vec<String>,
    train: Vec<u32>,
    valid: Vec<u32>,
    characters: usize,
    fingerprint: u64,
}

impl Corpus {
    /// Makes tokens of a text. Characters are those of the whole text. The other tokenizers learn from the training part.
    pub(crate) fn new(kind: TokenizerKind, size: Option<usize>, text: Text) -> Result<Self, Error> {
        let characters = text.numbers.len();
        let (train, valid) = text.split();
        let parts =
            (kind != TokenizerKind::Chars).then(|| [train, valid].map(|part| text.written(part)));
        let at = train.len();
        let Text { vocabulary, mut numbers, fingerprint, notes } = text;
        let (tokenizer, train, valid) = match parts {
            None => {
                let valid = numbers.split_off(at);
                (Tokenizer::chars(vocabulary), numbers, valid)
            }
            Some([train, valid]) => {
                let tokenizer = Tokenizer::learned(kind, &train, size)?;
                let numbers = [train, valid].map(|part| tokenizer.encode(&part).numbers);
                let [train, valid] = numbers;
                (tokenizer, train, valid)
            }
        };
        Ok(Self { tokenizer, notes, train, valid, characters, fingerprint })
    }

    /// The tokens for training, and those for validation.
    pub(crate) fn split(&self) -> (&[u32], &[u32]) {
        (&self.train, &self.valid)
    }

    /// A token, as a word.
    pub(crate) fn unit(&self) -> &'static str {
        match self.tokenizer.kind() {
            TokenizerKind::Chars => "characters",
            TokenizerKind::Bytes => "bytes",
            TokenizerKind::Words | TokenizerKind::Bpe => "tokens",
        }
    }

    /// The text in a few words.
    pub(crate) fn describe(&self) -> String {
        let (characters, size) = (self.characters, self.tokenizer.size());
        let tokens = self.train.len() + self.valid.len();
        match self.tokenizer.kind() {
            TokenizerKind::Chars => format!("{characters} characters, {size} different"),
            TokenizerKind::Bytes => format!("{characters} characters, {tokens} bytes"),
            kind => format!(
                "{characters} characters in {tokens} tokens, {size} different ({})",
                kind.name()
            ),
        }
    }

    /// What a run folder has to store.
    pub(crate) fn info(&self) -> TextInfo {
        let (vocabulary, tokenizer) = self.tokenizer.to_stored();
        TextInfo {
            characters: self.characters,
            fingerprint: format!("{:016x}", self.fingerprint),
            vocabulary,
            tokenizer,
        }
    }
}
