//! Writes text with a trained character model, and scores texts with it.

mod choice;
mod model;
mod score;

pub use choice::Choice;
pub use score::{TextScore, score};

use crate::any_char_model::AnyCharModel;
use crate::error::Error;
use crate::folder::RunFolder;
use crate::random::{Purpose, generator};
use bptt::AnyState;
use burn::tensor::{Device, Int, Tensor};
use model::{known, open, unknown_note};
use rand::RngExt;
use serde::Serialize;

/// What to write.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleOptions {
    /// What the texts begin with; may be empty. Characters that the model never saw are left out, with a note.
    pub prompt: String,
    /// How many characters to write after it, in each text.
    pub length: usize,
    /// How each character is chosen.
    pub choice: Choice,
    /// How many texts to write. Each has random choices of its own.
    pub samples: usize,
    /// A text ends before the first of these that it would have.
    pub stop: Vec<String>,
    /// The seed of the random choices.
    pub seed: u64,
}

/// Texts that a model wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// The texts after the prompt.
    pub texts: Vec<SampledText>,
    /// What was left out of the prompt, for the user.
    pub notes: Vec<String>,
}

/// A text that a model wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SampledText {
    /// The text after the prompt.
    pub text: String,
    /// Whether it ended at a stop string, which is not in the text.
    pub stopped: bool,
}

/// Writes texts with the model in a run folder.
///
/// # Errors
///
/// If the folder holds no run of `char-lm`, if its files cannot be read, or if the options make no sense, such as a
/// negative temperature, or a stop string with a character that the model cannot write.
pub fn sample(
    folder: &RunFolder,
    options: &SampleOptions,
    device: &Device,
) -> Result<Sampled, Error> {
    options.choice.check()?;
    let (model, vocabulary) = open(folder, device)?;
    options.stop.iter().try_for_each(|stop| check_stop(stop, &vocabulary))?;
    let (prompt, unknown) = known(options.prompt.chars(), &vocabulary);
    let notes = unknown_note(&unknown).map(|note| format!("--prompt: {note}"));

    let mut stream = Stream { model, state: None, device };
    // Without a prompt the text begins after the end of a line.
    let start = vocabulary.binary_search(&'\n').unwrap_or(0);
    let (&last, before) = prompt.split_last().unwrap_or((&start, &[]));
    for &number in before {
        stream.next(number);
    }
    let state = stream.state.clone();
    let mut texts = Vec::with_capacity(options.samples);
    for index in 0..options.samples {
        stream.state = state.clone();
        let random = generator(options.seed, Purpose::Sampling, index as u64);
        texts.push(write(&mut stream, last, options, &vocabulary, random));
    }
    Ok(Sampled { texts, notes: notes.into_iter().collect() })
}

/// Writes one text, from the state of the stream before the character `last`.
fn write(
    stream: &mut Stream<'_>,
    last: usize,
    options: &SampleOptions,
    vocabulary: &[char],
    mut random: impl RngExt,
) -> SampledText {
    let mut number = last;
    let mut text = String::new();
    for _ in 0..options.length {
        let scores = stream.next(number);
        number = options.choice.choose(&scores, random.random());
        text.push(vocabulary[number]);
        if let Some(stop) = options.stop.iter().find(|stop| text.ends_with(stop.as_str())) {
            text.truncate(text.len() - stop.len());
            return SampledText { text, stopped: true };
        }
    }
    SampledText { text, stopped: false }
}

/// Refuses a stop string that no text can have.
fn check_stop(stop: &str, vocabulary: &[char]) -> Result<(), Error> {
    if stop.is_empty() {
        return Err(Error::input("--stop: the string is empty".to_string()));
    }
    match stop.chars().find(|character| vocabulary.binary_search(character).is_err()) {
        None => Ok(()),
        Some(character) => Err(Error::input(format!(
            "--stop {stop:?}: the model never writes {character:?}, which does not occur in the text \
             that it learned"
        ))),
    }
}

/// A model that reads one character at a time, without a tape.
struct Stream<'a> {
    model: AnyCharModel,
    state: Option<AnyState>,
    device: &'a Device,
}

impl Stream<'_> {
    /// Reads a character, and returns the scores of the next one.
    fn next(&mut self, number: usize) -> Vec<f64> {
        let input = Tensor::<1, Int>::from_data([number as i32], self.device);
        let (scores, state) = self.model.step(input, self.state.take());
        self.state = Some(state);
        scores.into_data().iter::<f64>().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_strings_that_cannot_come_are_refused() {
        assert!(check_stop("ab", &['a', 'b']).is_ok());
        let message = check_stop("a\u{e9}", &['a', 'b']).unwrap_err().to_string();
        assert!(message.contains("'\u{e9}'"), "{message}");
        assert!(check_stop("", &['a', 'b']).is_err());
    }
}
