//! How well a trained character model predicts a given text.

use super::model::{open, unknown_note};
use crate::error::Error;
use crate::folder::RunFolder;
use crate::text::Text;
use crate::tokenizer::Encoded;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Serialize;

/// How many tokens are read at once.
const CHUNK: usize = 512;

/// How well a model predicts a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextScore {
    /// How many tokens have a score: all but the first, which has none before it.
    pub tokens: usize,
    /// How many characters these tokens have.
    pub characters: usize,
    /// How many bytes they have.
    pub bytes: usize,
    /// How many characters the model does not know. They are left out.
    pub unknown: usize,
    /// The mean cross entropy, in nats per token.
    pub nats_per_token: f64,
    /// The same in nats per character. It can be compared between models whose tokens are different.
    pub nats_per_character: f64,
    /// The same in bits.
    pub bits_per_character: f64,
    /// The same for a byte of the text in UTF-8.
    pub bits_per_byte: f64,
    /// `e` to the mean cross entropy of a token: among how many equally likely tokens the model is in doubt.
    pub perplexity: f64,
    /// What was changed or left out, for the user.
    pub notes: Vec<String>,
}

/// Reads a text with the model in a run folder, and scores each token from those before it.
///
/// # Errors
///
/// If the folder holds no run of `char-lm`, if its files cannot be read, or if the text has fewer than two tokens that
/// the model knows.
pub fn score(folder: &RunFolder, text: &Text, device: &Device) -> Result<TextScore, Error> {
    let (model, tokenizer) = open(folder, device)?;
    let Encoded { numbers, unknown } = tokenizer.encode(&text.content());
    let Some((_, scored @ [_, ..])) = numbers.split_first() else {
        return Err(Error::input(format!(
            "the text has {} {} that the model knows: a score needs 2 at least",
            numbers.len(),
            if tokenizer.vocabulary().is_some() { "characters" } else { "tokens" },
        )));
    };
    let tensor = |numbers: &[u32]| {
        let shape = [1, numbers.len()];
        let numbers: Vec<i32> = numbers.iter().map(|&number| number as i32).collect();
        Tensor::<2, Int>::from_data(TensorData::new(numbers, shape), device)
    };
    let count = scored.len();
    let (mut sum, mut state) = (0.0, None);
    for start in (0..count).step_by(CHUNK) {
        let end = count.min(start + CHUNK);
        let (input, target) = (tensor(&numbers[start..end]), tensor(&scored[start..end]));
        let (loss, next) = model.loss(input, target, state.take());
        sum += f64::from(loss.into_scalar::<f32>()) * (end - start) as f64;
        state = Some(next);
    }
    let left_out: usize = unknown.iter().map(|(_, count)| count).sum();
    let mut notes = text.notes.clone();
    notes.extend(unknown_note(&unknown));
    let (characters, bytes) = tokenizer.lengths(scored);
    let nats = |units: usize| sum / units.max(1) as f64;
    Ok(TextScore {
        tokens: count,
        characters,
        bytes,
        unknown: left_out,
        nats_per_token: nats(count),
        nats_per_character: nats(characters),
        bits_per_character: nats(characters) / std::f64::consts::LN_2,
        bits_per_byte: nats(bytes) / std::f64::consts::LN_2,
        perplexity: nats(count).exp(),
        notes,
    })
}
