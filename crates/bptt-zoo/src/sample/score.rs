//! How well a trained character model predicts a given text.

use super::model::{known, open, unknown_note};
use crate::error::Error;
use crate::folder::RunFolder;
use crate::text::Text;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Serialize;

/// How many characters are read at once.
const CHUNK: usize = 512;

/// How well a model predicts a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextScore {
    /// How many characters have a score: all that the model knows but the first, which has none before it.
    pub characters: usize,
    /// How many characters the model does not know. They are left out.
    pub unknown: usize,
    /// The mean cross entropy, in nats per character.
    pub nats_per_character: f64,
    /// The same in bits.
    pub bits_per_character: f64,
    /// `e` to the mean cross entropy: among how many equally likely characters the model is in doubt.
    pub perplexity: f64,
    /// What was changed or left out, for the user.
    pub notes: Vec<String>,
}

/// Reads a text with the model in a run folder, and scores each character from those before it.
///
/// # Errors
///
/// If the folder holds no run of `char-lm`, if its files cannot be read, or if the text has fewer than two characters
/// that the model knows.
pub fn score(folder: &RunFolder, text: &Text, device: &Device) -> Result<TextScore, Error> {
    let (model, vocabulary) = open(folder, device)?;
    let characters = text.numbers.iter().map(|&number| text.vocabulary[number as usize]);
    let (numbers, unknown) = known(characters, &vocabulary);
    let numbers: Vec<i32> = numbers.into_iter().map(|number| number as i32).collect();
    if numbers.len() < 2 {
        return Err(Error::input(format!(
            "the text has {} characters that the model knows: a score needs 2 at least",
            numbers.len()
        )));
    }
    let tensor = |numbers: &[i32]| {
        let shape = [1, numbers.len()];
        Tensor::<2, Int>::from_data(TensorData::new(numbers.to_vec(), shape), device)
    };
    let count = numbers.len() - 1;
    let (mut sum, mut state) = (0.0, None);
    for start in (0..count).step_by(CHUNK) {
        let end = count.min(start + CHUNK);
        let (input, target) = (tensor(&numbers[start..end]), tensor(&numbers[start + 1..end + 1]));
        let (loss, next) = model.loss(input, target, state.take());
        sum += f64::from(loss.into_scalar::<f32>()) * (end - start) as f64;
        state = Some(next);
    }
    let nats = sum / count as f64;
    let left_out: usize = unknown.iter().map(|(_, count)| count).sum();
    let mut notes = text.notes.clone();
    notes.extend(unknown_note(&unknown));
    Ok(TextScore {
        characters: count,
        unknown: left_out,
        nats_per_character: nats,
        bits_per_character: nats / std::f64::consts::LN_2,
        perplexity: nats.exp(),
        notes,
    })
}
