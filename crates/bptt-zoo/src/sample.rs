//! Writes text with a trained character model, and scores texts with it.

mod choice;
mod model;
mod score;
mod written;

pub use choice::Choice;
pub use score::{TextScore, score};

use crate::any_char_model::AnyCharModel;
use crate::error::Error;
use crate::folder::RunFolder;
use crate::random::{Purpose, generator};
use crate::tokenizer::{Encoded, Tokenizer, TokenizerKind};
use bptt::AnyState;
use burn::tensor::{Device, Int, Tensor};
use model::{open, unknown_note};
use rand::RngExt;
pub use written::SampledText;
use written::Written;

/// What to write.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleOptions {
    /// What the texts begin with; may be empty. Characters that the model never saw are left out, with a note.
    pub prompt: String,
    /// How many tokens to write after it, in each text. The tokens are characters, unless the model was trained with
    /// another tokenizer.
    pub length: usize,
    /// How each token is chosen.
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
    /// What was left out of the prompt or replaced in the texts, for the user.
    pub notes: Vec<String>,
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
    let (model, tokenizer) = open(folder, device)?;
    options.stop.iter().try_for_each(|stop| check_stop(stop, &tokenizer))?;
    let Encoded { numbers: prompt, unknown } = tokenizer.encode(&options.prompt);
    let mut notes: Vec<String> = prompt_notes(&options.prompt, &unknown, tokenizer.kind());

    let mut stream = Stream { model, state: None, device };
    // Without a prompt the text begins after the end of a line.
    let start = tokenizer.number(b"\n").unwrap_or(0);
    let (&last, before) = prompt.split_last().unwrap_or((&start, &[]));
    for &number in before {
        stream.next(number);
    }
    let state = stream.state.clone();
    let mut texts = Vec::with_capacity(options.samples);
    let mut replaced = 0;
    for index in 0..options.samples {
        stream.state = state.clone();
        let random = generator(options.seed, Purpose::Sampling, index as u64);
        let (text, broken) = write(&mut stream, last, options, &tokenizer, random).finished();
        replaced += broken;
        texts.push(text);
    }
    if replaced > 0 {
        notes.push(format!(
            "{replaced} times the model wrote bytes that are no character; U+FFFD stands in their place"
        ));
    }
    Ok(Sampled { texts, notes })
}

/// What the user has to know about the prompt.
fn prompt_notes(prompt: &str, unknown: &[(char, usize)], kind: TokenizerKind) -> Vec<String> {
    let unknown = unknown_note(unknown).map(|note| format!("--prompt: {note}"));
    let spaced = matches!(kind, TokenizerKind::Words | TokenizerKind::Bpe) && prompt.ends_with(' ');
    let spaced = spaced.then(|| {
        "--prompt: it ends with a space, and the model's words begin with theirs; the text is better without it"
            .to_string()
    });
    unknown.into_iter().chain(spaced).collect()
}

/// Writes one text, from the state of the stream before the token `last`.
fn write(
    stream: &mut Stream<'_>,
    last: u32,
    options: &SampleOptions,
    tokenizer: &Tokenizer,
    mut random: impl RngExt,
) -> Written {
    let mut number = last;
    let mut text = Written::default();
    for _ in 0..options.length {
        let scores = stream.next(number);
        number = options.choice.choose(&scores, random.random()) as u32;
        if text.push(tokenizer.token(number), &options.stop) {
            break;
        }
    }
    text
}

/// Refuses a stop string that no text can have.
fn check_stop(stop: &str, tokenizer: &Tokenizer) -> Result<(), Error> {
    if stop.is_empty() {
        return Err(Error::input("--stop: the string is empty".to_string()));
    }
    let Some((character, _)) = tokenizer.encode(stop).unknown.first().copied() else {
        return Ok(());
    };
    let hint = match character {
        '\\' => "; for the end of a line, most shells have $'\\n'",
        _ => "",
    };
    Err(Error::input(format!(
        "--stop {stop:?}: the model never writes {character:?}, which does not occur in the text that it learned{hint}"
    )))
}

/// A model that reads one token at a time, without a tape.
struct Stream<'a> {
    model: AnyCharModel,
    state: Option<AnyState>,
    device: &'a Device,
}

impl Stream<'_> {
    /// Reads a token, and returns the scores of the next one.
    fn next(&mut self, number: u32) -> Vec<f64> {
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
        let letters = Tokenizer::chars(vec!['a', 'b']);
        assert!(check_stop("ab", &letters).is_ok());
        let message = |stop| check_stop(stop, &letters).unwrap_err().to_string();
        assert!(message("a\u{e9}").contains("'\u{e9}'"));
        assert!(message("\\n").ends_with("$'\\n'"));
        assert!(check_stop("", &letters).is_err());
        assert!(check_stop("\u{e9}", &Tokenizer::bytes()).is_ok());
    }

    #[test]
    fn a_space_at_the_end_of_a_prompt_is_noticed() {
        assert_eq!(prompt_notes("The ", &[], TokenizerKind::Words).len(), 1);
        assert_eq!(prompt_notes("The", &[], TokenizerKind::Words).len(), 0);
        assert_eq!(prompt_notes("The ", &[('x', 2)], TokenizerKind::Chars).len(), 1);
        assert_eq!(prompt_notes("The ", &[], TokenizerKind::Bytes).len(), 0);
    }
}
