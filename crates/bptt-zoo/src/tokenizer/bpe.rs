//! Byte pair encoding, by the library tokenizers.

use std::collections::HashMap;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::Split;
use tokenizers::{
    DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    SplitDelimiterBehavior, TokenizerImpl,
};

type Library = TokenizerImpl<
    BPE,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// What is done to a text before and after the model.
fn around(model: BPE) -> tokenizers::Result<Library> {
    let lines = Split::new("\n", SplitDelimiterBehavior::MergedWithPrevious, false)?;
    let bytes = ByteLevel::new(false, false, true);
    let mut library = Library::new(model);
    library
        .with_pre_tokenizer(Some(Sequence::new(vec![lines.into(), bytes.into()])))
        .with_decoder(Some(bytes));
    Ok(library)
}

/// How many lines are encoded at once, by all threads.
const LINES: usize = 1 << 14;

/// Byte pair encoding as in GPT-2, line by line: no token goes over the end of a line.
#[derive(Clone, Debug)]
pub(super) struct Bpe(Library);

impl Bpe {
    /// Learns which pairs to merge.
    ///
    /// # Arguments
    ///
    /// - `size`: how many tokens there are at most, the 256 bytes among them
    pub(super) fn learned(text: &str, size: usize) -> Result<Self, String> {
        let failed = |why: tokenizers::Error| format!("--tokenizer bpe: {why}");
        let mut library = around(BPE::default()).map_err(failed)?;
        let mut trainer = BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(size)
            .min_frequency(2)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        library.train(&mut trainer, text.split_inclusive('\n')).map_err(failed)?;
        Ok(Self(library))
    }

    /// Reads the content of a `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// If it is not what [`to_json`](Self::to_json) makes. So nothing else that the library can do with a text comes in
    /// by a file.
    pub(super) fn stored(json: &serde_json::Value) -> Result<Self, String> {
        let library: Library =
            serde_json::from_str(&json.to_string()).map_err(|why| why.to_string())?;
        let library = around(library.get_model().clone()).map_err(|why| why.to_string())?;
        let stored = Self(library);
        match stored.to_json() == *json {
            true => Ok(stored),
            false => Err("a bpe of another form than `bptt train` writes".to_string()),
        }
    }

    /// The content of a `tokenizer.json`.
    pub(super) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(&self.0).expect("a tokenizer is plain data")
    }

    /// The bytes of each token, by its number.
    ///
    /// # Errors
    ///
    /// If the numbers are not 0, 1, 2 …, or if not every byte is a token.
    pub(super) fn tokens(&self) -> Result<Vec<Vec<u8>>, String> {
        let byte_of: HashMap<char, u8> = shown_bytes().map(|(byte, shown)| (shown, byte)).collect();
        let token = |number: usize| {
            let shown = self.0.id_to_token(number as u32)?;
            shown.chars().map(|character| byte_of.get(&character).copied()).collect()
        };
        let tokens: Option<Vec<Vec<u8>>> = (0..self.0.get_vocab_size(false)).map(token).collect();
        let tokens =
            tokens.ok_or("the tokens of the bpe are not those of bytes, numbered from 0")?;
        let has = |byte: u8| self.0.token_to_id(&shown_byte(byte).to_string()).is_some();
        match (0..=u8::MAX).all(has) {
            true => Ok(tokens),
            false => Err("not every byte is a token of the bpe".to_string()),
        }
    }

    /// A text as numbers.
    pub(super) fn encoded(&self, text: &str) -> Vec<u32> {
        let mut numbers = Vec::new();
        let mut lines = text.split_inclusive('\n').peekable();
        while lines.peek().is_some() {
            let some: Vec<_> = lines.by_ref().take(LINES).collect();
            let encoded = self.0.encode_batch_fast(some, false);
            // Every byte is a token, so nothing is unknown.
            let encoded = encoded.expect("a text in bytes can be encoded");
            encoded.iter().for_each(|line| numbers.extend_from_slice(line.get_ids()));
        }
        numbers
    }
}

/// The characters that stand for bytes in such a tokenizer: printable ones for themselves, the others for characters from
/// U+0100 on.
fn shown_bytes() -> impl Iterator<Item = (u8, char)> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..=u8::MAX).filter(move |byte| !printable(byte)).zip('\u{100}'..);
    (0..=u8::MAX).filter(printable).map(|byte| (byte, char::from(byte))).chain(others)
}

fn shown_byte(byte: u8) -> char {
    shown_bytes().find(|(other, _)| *other == byte).map_or('\0', |(_, shown)| shown)
}
