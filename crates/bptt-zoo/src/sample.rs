//! Writes text with a trained character model.

use crate::any_char_model::AnyCharModel;
use crate::error::Error;
use crate::folder::RunFolder;
use crate::random::{Purpose, generator};
use crate::task::Task;
use crate::tasks::char_lm::CharLm;
use bptt::AnyState;
use burn::tensor::{Device, Int, Tensor};
use rand::RngExt;

/// What to write.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleOptions {
    /// What the text begins with; may be empty.
    pub prompt: String,
    /// How many characters to write after it.
    pub length: usize,
    /// The scores are divided by this number. Below 1, likely characters become more likely. At 0, the most likely
    /// character is always taken.
    pub temperature: f64,
    /// The seed of the random choices.
    pub seed: u64,
}

/// Writes text with the model in a run folder.
///
/// # Returns
///
/// The text after the prompt.
///
/// # Errors
///
/// If the folder holds no run of `char-lm`, if its files cannot be read, or if the options make no sense, such as a
/// prompt with a character that the model has never seen, or a negative temperature.
pub fn sample(
    folder: &RunFolder,
    options: &SampleOptions,
    device: &Device,
) -> Result<String, Error> {
    if !(options.temperature >= 0.0 && options.temperature.is_finite()) {
        return Err(Error::input(format!(
            "--temperature {}: has to be 0 or above",
            options.temperature
        )));
    }
    let settings = folder.settings()?;
    if settings.task != CharLm::NAME {
        return Err(Error::input(format!(
            "{}: a run of `{}`, which writes no text; sample from a run of `char-lm`",
            folder.path().display(),
            settings.task.escape_debug(),
        )));
    }
    let (model, vocabulary) = folder.any_char_model(device)?;
    let prompt = encode(&options.prompt, &vocabulary)?;

    let mut stream = Stream { model, state: None, device };
    // Without a prompt the text begins after the end of a line.
    let start = vocabulary.binary_search(&'\n').unwrap_or(0);
    let (&last, before) = prompt.split_last().unwrap_or((&start, &[]));
    for &number in before {
        stream.next(number);
    }
    let mut random = generator(options.seed, Purpose::Sampling, 0);
    let mut number = last;
    let mut written = String::new();
    for _ in 0..options.length {
        let scores = stream.next(number);
        number = choose(&scores, options.temperature, random.random());
        written.push(vocabulary[number]);
    }
    Ok(written)
}

fn encode(prompt: &str, vocabulary: &[char]) -> Result<Vec<usize>, Error> {
    let number = |c: char| {
        vocabulary.binary_search(&c).map_err(|_| {
            Error::input(format!(
                "--prompt: the character {c:?} does not occur in the text that the model learned"
            ))
        })
    };
    prompt.chars().map(number).collect()
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

/// Draws a character from the softmax of `scores / temperature`, with a uniform random number in [0, 1).
fn choose(scores: &[f64], temperature: f64, uniform: f64) -> usize {
    let best = (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best });
    if temperature == 0.0 {
        return best;
    }
    let weights: Vec<f64> =
        scores.iter().map(|score| ((score - scores[best]) / temperature).exp()).collect();
    let mut left = uniform * weights.iter().sum::<f64>();
    for (number, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return number;
        }
    }
    // This is reached only if rounding made the sum of the weights slightly too small.
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_follow_the_softmax() {
        // Probabilities 1/4 and 3/4.
        let scores = [0.0, 3.0f64.ln()];
        assert_eq!(choose(&scores, 1.0, 0.24), 0);
        assert_eq!(choose(&scores, 1.0, 0.26), 1);
        // At temperature 1/2 they are 1/10 and 9/10.
        assert_eq!(choose(&scores, 0.5, 0.09), 0);
        assert_eq!(choose(&scores, 0.5, 0.11), 1);
        assert_eq!(choose(&scores, 0.0, 0.0), 1);
        assert_eq!(choose(&[5.0, 5.0], 0.0, 0.9), 0);
        // A very small temperature does not overflow.
        assert_eq!(choose(&[-800.0, 900.0], 1e-300, 0.5), 1);
    }

    #[test]
    fn unknown_characters_are_named() {
        assert_eq!(encode("ba", &['a', 'b']).unwrap(), [1, 0]);
        let message = encode("a\u{e9}", &['a', 'b']).unwrap_err().to_string();
        assert!(message.contains("'\u{e9}'"), "{message}");
    }
}
