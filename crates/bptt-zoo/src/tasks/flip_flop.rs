//! The flip-flop task: some bits, each of which keeps the sign of the last pulse on its own input.
//!
//! D. Sussillo and O. Barak, "Opening the black box: low-dimensional dynamics in high-dimensional recurrent neural
//! networks", Neural Computation 25 (2013). There are as many inputs as bits. At each step, an input has a pulse with a
//! probability of 0.1: 1 or -1, either as likely. Otherwise it is 0. Each output has to be the last pulse of its input,
//! the one of the same step included. All inputs have a pulse at the first step, so that every output is known. A model
//! that always answers 0 has a mean squared error of 1, and one that guesses is right half of the time.
//!
//! A network that has learned it has a stable fixed point for each of the `2^K` combinations of `K` bits.

use crate::error::Error;
use crate::folder_files::FolderInfo;
use crate::model_config::ModelConfig;
use crate::option::{LONGEST, TaskOption};
use crate::random::{Purpose, generator};
use crate::settings::Settings;
use crate::task::{Scores, SequenceSize, Task};
use crate::tasks::parts::{drawn_batches, last_hidden, run, sequence_model, validated};
use bptt::{AnyLayer, AnyLayerConfig, AnyState, RecurrentLayer};
use bptt_probe::readout::{Batch, Input, Reads, Target};
use burn::Tensor;
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, TensorData};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// The probability of a pulse, at each step after the first one and for each input.
const PULSE: f64 = 0.1;

/// The config of a [`Regressor`].
#[derive(Config, Debug)]
pub struct RegressorConfig {
    /// The recurrent layers.
    pub recurrent: AnyLayerConfig,
    /// How many numbers are answered at each step, `O`.
    pub outputs: usize,
}

/// Answers with some numbers at each step: recurrent layers, and a linear layer on each output.
#[derive(Module, Debug)]
pub struct Regressor<R: Module> {
    /// Any recurrent layer. With both directions, the answers of a step also depend on the steps after it.
    pub recurrent: R,
    /// `D·P -> O`
    pub head: Linear,
}

impl ModelConfig for RegressorConfig {
    type Model = Regressor<AnyLayer>;
    const KIND: &'static str = "regressor";

    fn recurrent(&self) -> &AnyLayerConfig {
        &self.recurrent
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn model(&self, recurrent: AnyLayer, head: Linear) -> Self::Model {
        Regressor { recurrent, head }
    }
}

impl<R: RecurrentLayer> Regressor<R> {
    /// The answers at each step, `[B, T, O]`. Those past a row's length have no meaning.
    ///
    /// # Arguments
    ///
    /// - `input`: `[B, T, I]`
    /// - `lengths`: how many steps of each row belong to the sequence; `None`: all
    ///
    /// # Panics
    ///
    /// If shapes or lengths do not fit.
    pub fn forward(&self, input: Tensor<3>, lengths: Option<&[usize]>) -> Tensor<3> {
        self.head.forward(run(&self.recurrent, input, lengths).0)
    }

    /// The answers after the last step of each row, `[B, O]`. For a backward direction, the last step is the first one of the
    /// sequence.
    ///
    /// # Arguments
    ///
    /// As for [`forward`](Self::forward).
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    pub fn forward_last(&self, input: Tensor<3>, lengths: Option<&[usize]>) -> Tensor<2> {
        self.head.forward(last_hidden(&self.recurrent, input, lengths))
    }
}

sequence_model!(Regressor);

/// The options of [`FlipFlop`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlipFlopOptions {
    /// How many bits there are to remember, `K`.
    pub bits: usize,
    /// Steps in a sequence, `T`.
    pub length: usize,
}

impl Default for FlipFlopOptions {
    fn default() -> Self {
        Self { bits: 3, length: 50 }
    }
}

/// The flip-flop task.
#[derive(Clone, Debug)]
pub struct FlipFlop {
    settings: Settings,
    options: FlipFlopOptions,
}

impl FlipFlop {
    /// The config of the model: an input and an output for each bit.
    pub fn config(&self) -> RegressorConfig {
        let FlipFlopOptions { bits, .. } = self.options;
        RegressorConfig::new(self.settings.layer_config(bits), bits)
    }

    /// Pulses and answers, `[B, T, K]` each.
    fn draw(&self, purpose: Purpose, index: u64, batch: usize) -> (Vec<f32>, Vec<f32>) {
        let mut random = generator(self.settings.seed, purpose, index);
        let FlipFlopOptions { bits, length } = self.options;
        let mut pulses = Vec::with_capacity(batch * length * bits);
        let mut answers = Vec::with_capacity(batch * length * bits);
        for _ in 0..batch {
            let mut last = vec![0.0; bits];
            for step in 0..length {
                for last in &mut last {
                    let sign = if random.random() { 1.0 } else { -1.0 };
                    let pulse = step == 0 || random.random_bool(PULSE);
                    pulses.push(if pulse { sign } else { 0.0 });
                    *last = if pulse { sign } else { *last };
                    answers.push(*last);
                }
            }
        }
        (pulses, answers)
    }

    /// The tensors of both.
    fn tensors(
        &self,
        (pulses, answers): (Vec<f32>, Vec<f32>),
        device: &Device,
    ) -> (Tensor<3>, Tensor<3>) {
        let FlipFlopOptions { bits, length } = self.options;
        let shape = [pulses.len() / (length * bits), length, bits];
        let tensor = |values| Tensor::from_data(TensorData::new(values, shape), device);
        (tensor(pulses), tensor(answers))
    }

    fn readout_batch(&self, purpose: Purpose, index: u64, batch: usize, device: &Device) -> Batch {
        let (input, target) = self.tensors(self.draw(purpose, index, batch), device);
        let FlipFlopOptions { bits, length } = self.options;
        let target = target.reshape([batch * length, bits]);
        Batch::new(Input::Values(input), Target::Values(target))
    }
}

impl Task for FlipFlop {
    const NAME: &'static str = "flip-flop";
    const ABOUT: &'static str = "Remember the sign of the last pulse on each of some inputs";
    const LOSS: &'static str = "mean squared error";
    const METRIC: &'static str = "accuracy";
    const OPTIONS: &'static [TaskOption] = &[
        TaskOption::size("bits", "K", "bits to remember, each with an input and an output", 1, 256),
        TaskOption::size("length", "T", "steps in a sequence", 2, LONGEST),
    ];

    type Options = FlipFlopOptions;
    type Model = Regressor<AnyLayer>;

    fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self { settings: settings.clone(), options: settings.options()? })
    }

    fn sequence_size(options: &FlipFlopOptions) -> SequenceSize {
        SequenceSize { time: options.length, input: options.bits, input_has_gradients: false }
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
        let drawn = self.draw(Purpose::Training, step, self.settings.batch);
        let (input, target) = self.tensors(drawn, device);
        let error = model.forward(input, None) - target;
        (error.clone().mul(error).mean(), None)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        validated(&self.settings, |index, batch| {
            let drawn = self.draw(Purpose::Validation, index, batch);
            let expected = drawn.1.clone();
            let (input, _) = self.tensors(drawn, device);
            let answers: Vec<f32> = model.forward(input, None).into_data().iter().collect();
            let both = || answers.iter().zip(&expected);
            let squares = both().map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
            // An answer counts as right if it has the right sign.
            let right = both().filter(|(a, b)| **a * **b > 0.0).count();
            let mean = |sum: f64| sum / expected.len() as f64;
            Scores { loss: mean(squares), metric: mean(right as f64) }
        })
    }

    drawn_batches!(Reads::EveryStep);

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "sequences")
    }

    fn describe(&self) -> String {
        let FlipFlopOptions { bits, length } = self.options;
        format!(
            "{bits} bits over {length} steps, a pulse every {:.0} steps; always saying 0 has loss 1 \
             (guessing: accuracy 0.5)",
            1.0 / PULSE,
        )
    }

    fn info(&self) -> FolderInfo {
        FolderInfo::of_model(&self.config())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(bits: usize, length: usize) -> FlipFlop {
        let settings = FlipFlop::defaults().with_option("bits", bits);
        FlipFlop::new(&settings.with_option("length", length)).unwrap()
    }

    #[test]
    fn the_answer_is_the_last_pulse_of_the_same_input() {
        for (bits, length) in [(1, 2), (3, 50), (5, 7)] {
            let (pulses, answers) = task(bits, length).draw(Purpose::Training, 3, 40);
            assert_eq!((pulses.len(), answers.len()), (40 * length * bits, 40 * length * bits));
            let sequences = pulses.chunks(length * bits).zip(answers.chunks(length * bits));
            for (pulses, answers) in sequences {
                for (at, answer) in answers.iter().enumerate() {
                    // From this step back to the first one.
                    let mut earlier = (0..=at / bits).rev().map(|t| pulses[t * bits + at % bits]);
                    assert_eq!(earlier.find(|pulse| *pulse != 0.0), Some(*answer));
                }
                assert!(pulses.iter().all(|pulse| [-1.0, 0.0, 1.0].contains(pulse)));
            }
        }
    }

    /// The shares of 60,000 draws, within five standard errors: 0.006 for pulses, 0.033 for the signs of some 6000.
    #[test]
    fn a_tenth_of_the_later_steps_has_a_pulse_of_either_sign() {
        let (pulses, _) = task(3, 101).draw(Purpose::Validation, 0, 200);
        let later = || pulses.chunks(303).flat_map(|sequence| &sequence[3..]);
        let share = |of: f32| later().filter(|pulse| **pulse == of).count() as f64 / 60_000.0;
        let (up, down) = (share(1.0), share(-1.0));
        assert!((up + down - 0.1).abs() < 0.006, "{up} {down}");
        assert!((up / (up + down) - 0.5).abs() < 0.033, "{up} {down}");
    }

    #[test]
    fn data_depends_on_seed_purpose_and_step_alone() {
        let task = task(2, 20);
        let drawn = task.draw(Purpose::Training, 5, 4);
        assert_eq!(drawn, task.draw(Purpose::Training, 5, 4));
        assert_ne!(drawn, task.draw(Purpose::Training, 6, 4));
        assert_ne!(drawn, task.draw(Purpose::Validation, 5, 4));
        let other = FlipFlop::new(&Settings { seed: 2, ..task.settings }).unwrap();
        assert_ne!(drawn, other.draw(Purpose::Training, 5, 4));
    }
}
