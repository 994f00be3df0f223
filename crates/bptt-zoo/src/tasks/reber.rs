//! The embedded Reber grammar: which letter comes next in a string?
//!
//! A. Cleeremans, D. Servan-Schreiber and J. L. McClelland, "Finite state automata and simple recurrent networks", Neural
//! Computation 1 (1989); S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), task 1.
//! A string is `B`, `T` or `P`, a string of the Reber grammar, the same letter `T` or `P` again, and `E`. Most letters
//! follow from the two before them, and the last but one from the second alone: it has to be remembered over the whole
//! inner string. Where the grammar has two ways, both have the same probability, so the loss of who knows the grammar is
//! the entropy of these choices. Who forgets the second letter has `ln 2` nats more a string.

use crate::error::Error;
use crate::folder_files::FolderInfo;
use crate::model_config::ModelConfig;
use crate::option::TaskOption;
use crate::random::{Purpose, generator};
use crate::settings::Settings;
use crate::task::{Scores, SequenceSize, Task};
use crate::tasks::copy::{Tagger, TaggerConfig};
use crate::tasks::parts::{drawn_batches, smoothed_cross_entropy, validated};
use bptt::{AnyLayer, AnyState, RaggedBatch};
use bptt_probe::readout::{Batch, Input, Reads, Target};
use burn::Tensor;
use burn::tensor::{Device, Int, TensorData};
use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

/// The letters, by their numbers.
const LETTERS: [char; 7] = ['B', 'T', 'P', 'S', 'X', 'V', 'E'];
const B: usize = 0;
const T: usize = 1;
const P: usize = 2;
const S: usize = 3;
const X: usize = 4;
const V: usize = 5;
const E: usize = 6;

/// The ways out of each state of the grammar, after the first letter: a letter and the next state. State 6 is the end.
const WAYS: [[Option<(usize, usize)>; 2]; 6] = [
    [Some((T, 1)), Some((P, 2))],
    [Some((S, 1)), Some((X, 3))],
    [Some((T, 2)), Some((V, 4))],
    [Some((X, 2)), Some((S, 5))],
    [Some((P, 3)), Some((V, 5))],
    [Some((E, 6)), None],
];
const END: usize = 6;

/// The longest string that is drawn. Longer ones are very rare, and are drawn again.
const MOST: usize = 60;

/// [`Reber`] has no options of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReberOptions {}

/// A string with the number of places at which its grammar has two ways.
#[derive(Clone, Debug, PartialEq)]
struct Drawn {
    letters: Vec<usize>,
    choices: usize,
}

/// The embedded Reber grammar.
#[derive(Clone, Debug)]
pub struct Reber {
    settings: Settings,
}

impl Reber {
    /// The config of the model: a letter (one-hot) at each step, and the next one.
    pub fn config(&self) -> TaggerConfig {
        TaggerConfig::new(self.settings.layer_config(LETTERS.len()), LETTERS.len())
    }

    fn draw(&self, purpose: Purpose, index: u64, batch: usize) -> Vec<Drawn> {
        let mut random = generator(self.settings.seed, purpose, index);
        (0..batch).map(|_| string(&mut random)).collect()
    }

    /// Inputs `[B, L, 7]`, the next letters `[B, L]` and the lengths, one less than those of the strings.
    fn tensors(
        &self,
        strings: &[Drawn],
        device: &Device,
    ) -> (Tensor<3>, Tensor<2, Int>, Vec<usize>) {
        let one_hot = |letter: usize| (0..LETTERS.len()).map(move |k| f32::from(k == letter));
        let row = |drawn: &Drawn| -> Vec<f32> {
            let read = &drawn.letters[..drawn.letters.len() - 1];
            read.iter().flat_map(|letter| one_hot(*letter)).collect()
        };
        let rows: Vec<_> = strings.iter().map(row).collect();
        let RaggedBatch { input, lengths, .. } = RaggedBatch::pad(&rows, LETTERS.len(), device);
        let time = input.dims()[1];
        let mut next = vec![0i32; strings.len() * time];
        for (row, drawn) in next.chunks_mut(time).zip(strings) {
            row.iter_mut().zip(&drawn.letters[1..]).for_each(|(to, letter)| *to = *letter as i32);
        }
        let next = TensorData::new(next, [strings.len(), time]);
        (input, Tensor::from_data(next, device), lengths)
    }

    fn readout_batch(&self, purpose: Purpose, index: u64, batch: usize, device: &Device) -> Batch {
        let (input, next, lengths) = self.tensors(&self.draw(purpose, index, batch), device);
        let target = Target::Classes(next.flatten(0, 1));
        Batch { lengths: Some(lengths), ..Batch::new(Input::Values(input), target) }
    }

    /// The scores of a batch: the mean loss of its letters, and for how many strings the last letter but one is right.
    fn judged(&self, model: &Tagger<AnyLayer>, strings: &[Drawn], device: &Device) -> Scores {
        let (input, next, lengths) = self.tensors(strings, device);
        let scores = model.forward(input, Some(&lengths));
        let [_, time, count] = scores.dims();
        let said: Vec<f32> = scores.clone().into_data().iter().collect();
        let right = |(row, drawn): (usize, &Drawn)| {
            let length = drawn.letters.len();
            let at = (row * time + length - 3) * count;
            let letter = drawn.letters[length - 2];
            said[at + letter] > said[at + T + P - letter]
        };
        let right = strings.iter().enumerate().filter(|each| right(*each)).count();
        let loss = model.loss(scores, next, Some(&lengths)).into_scalar::<f32>();
        Scores { loss: loss.into(), metric: right as f64 / strings.len() as f64 }
    }
}

/// A string of the embedded grammar.
fn string(random: &mut StdRng) -> Drawn {
    loop {
        let outer = [T, P][usize::from(random.random::<bool>())];
        let (mut letters, mut choices, mut state) = (vec![B, outer, B], 1, 0);
        while state != END && letters.len() < MOST {
            let [Some(first), second] = WAYS[state] else { unreachable!("each state has a way") };
            let way = match second {
                Some(second) => {
                    choices += 1;
                    if random.random() { second } else { first }
                }
                None => first,
            };
            letters.push(way.0);
            state = way.1;
        }
        if state == END {
            letters.extend([outer, E]);
            return Drawn { letters, choices };
        }
    }
}

impl Task for Reber {
    const NAME: &'static str = "reber";
    const ABOUT: &'static str =
        "Say the next letter of strings of the embedded Reber grammar: a tagger";
    const LOSS: &'static str = "nats per letter";
    const METRIC: &'static str = "embedded_right";
    const LEARNS_LABELS: bool = true;
    const ONE_DIRECTION: Option<&'static str> =
        Some("the backward direction would read the letters that are to be said");
    const LOGARITHMIC: bool = false;
    const OPTIONS: &'static [TaskOption] = &[];

    type Options = ReberOptions;
    type Model = Tagger<AnyLayer>;

    fn defaults() -> Settings {
        let common = Settings::new(Self::NAME, &ReberOptions::default());
        Settings { hidden: 32, batch: 32, steps: Some(1000), validate_every: 100, ..common }
    }

    fn new(settings: &Settings) -> Result<Self, Error> {
        settings.options::<ReberOptions>()?;
        Ok(Self { settings: settings.clone() })
    }

    fn sequence_size(_options: &ReberOptions) -> SequenceSize {
        SequenceSize { time: MOST, input: LETTERS.len(), input_has_gradients: false }
    }

    fn model(&self, device: &Device) -> Result<Self::Model, Error> {
        self.config().try_init(device)
    }

    fn loss(
        &self,
        model: &Self::Model,
        step: u64,
        _state: Option<AnyState>,
        device: &Device,
    ) -> (Tensor<1>, Option<AnyState>) {
        let strings = self.draw(Purpose::Training, step, self.settings.batch);
        let (input, next, lengths) = self.tensors(&strings, device);
        let scores = model.forward(input, Some(&lengths));
        let [batch, time, count] = scores.dims();
        let smoothing = self.settings.recipe.label_smoothing;
        let losses = smoothed_cross_entropy(
            scores.reshape([batch * time, count]),
            next.reshape([batch * time]),
            smoothing,
        );
        let letters = lengths.iter().sum::<usize>();
        let weight = 1.0 / letters as f32;
        let within =
            |&length: &usize| (0..time).map(move |t| if t < length { weight } else { 0.0 });
        let weights: Vec<f32> = lengths.iter().flat_map(within).collect();
        ((losses * Tensor::<1>::from_data(&weights[..], device)).sum(), None)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        validated(&self.settings, |index, batch| {
            self.judged(model, &self.draw(Purpose::Validation, index, batch), device)
        })
    }

    drawn_batches!(Reads::EveryStep);

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "strings")
    }

    fn describe(&self) -> String {
        let strings = self.draw(Purpose::Validation, 0, 1024);
        let letters: usize = strings.iter().map(|drawn| drawn.letters.len() - 1).sum();
        let choices: usize = strings.iter().map(|drawn| drawn.choices).sum();
        let nats = |choices: usize| choices as f64 * std::f64::consts::LN_2 / letters as f64;
        format!(
            "strings of 9 letters and more; who knows the grammar has loss {:.4}, who forgets the second letter {:.4} \
             (embedded_right 0.5)",
            nats(choices),
            nats(choices + strings.len()),
        )
    }

    fn info(&self) -> FolderInfo {
        FolderInfo::of_model(&self.config())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_those_of_the_grammar_and_remember_their_second_letter() {
        let task = Reber::new(&Reber::defaults()).unwrap();
        let strings = task.draw(Purpose::Training, 3, 2000);
        assert_eq!(strings, task.draw(Purpose::Training, 3, 2000));
        let text = |drawn: &Drawn| drawn.letters.iter().map(|&k| LETTERS[k]).collect::<String>();
        // The inner strings, by a regular expression of the grammar's two halves.
        let follows = |inner: &str| {
            let mut states = vec![0];
            for letter in inner.chars() {
                let ways =
                    states.iter().flat_map(|&state: &usize| WAYS[state].into_iter().flatten());
                states = ways.filter(|(k, _)| LETTERS[*k] == letter).map(|(_, to)| to).collect();
            }
            states == [END]
        };
        for drawn in &strings {
            let text = text(drawn);
            let (head, tail) = (&text[..3], &text[text.len() - 2..]);
            assert!(head == "BTB" || head == "BPB", "{text}");
            assert_eq!((&head[1..2], &tail[1..]), (&tail[..1], "E"), "{text}");
            assert!(follows(&text[3..text.len() - 2]), "{text}");
        }
        // Published strings of the grammar, and one that is none.
        for inner in ["TXXVPXVPXVPSE", "TSSXXTVVE", "PVVE", "PTVPSE"] {
            assert!(follows(inner), "{inner}");
        }
        assert!(!follows("TSSTVVE"));
        assert_eq!(strings.iter().map(|drawn| drawn.letters.len()).min(), Some(9));
        let halves = strings.iter().filter(|drawn| drawn.letters[1] == T).count();
        assert!((900..1100).contains(&halves), "{halves}");
    }

    /// Each of the two ways halves the probability of a string.
    #[test]
    fn choices_are_counted() {
        let task = Reber::new(&Reber::defaults()).unwrap();
        let strings = task.draw(Purpose::Training, 0, 20_000);
        let shortest: Vec<_> = strings.iter().filter(|drawn| drawn.letters.len() == 9).collect();
        // BPVVE: P of two, V of two, V of two, and the outer letter.
        assert!(shortest.iter().any(|drawn| drawn.choices == 4));
        let of = |choices: usize| {
            let some = shortest.iter().filter(|drawn| drawn.choices == choices);
            let first = some.clone().next().map(|drawn| drawn.letters.clone());
            some.filter(|drawn| Some(&drawn.letters) == first.as_ref()).count() as f64 / 20_000.0
        };
        assert!((of(4) - 1.0 / 16.0).abs() < 0.01, "{}", of(4));
    }
}
