//! The adding problem: a sequence of numbers, of which two are marked; the answer is the sum of these two.
//!
//! S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997). One
//! mark is in the first half and one in the second, as later papers have it. Numbers are uniform in [0, 1). A model
//! that always answers 1, the mean, has a mean squared error of 1/6 = 0.1667, the variance of the sum of two such
//! numbers.

use crate::error::Error;
use crate::model_config::with_head;
use crate::option::{LONGEST, TaskOption};
use crate::random::{Purpose, generator};
use crate::settings::Settings;
use crate::task::{Scores, SequenceSize, Task};
use crate::tasks::parts::{
    SHORT, drawn_batches, last_hidden, sequence_model, validated, with_chrono,
};
use bptt::{AnyLayer, AnyState, RecurrentLayer};
use bptt_probe::readout::{Batch, Input, Reads, Target};
use burn::Tensor;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, TensorData};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// An answer with an error below this counts as right, as in the paper.
const RIGHT: f32 = 0.04;

/// Reads a sequence and answers with one number: recurrent layers, and a linear layer on the last hidden state.
#[derive(Module, Debug)]
pub struct Adder<R: Module> {
    /// Any recurrent layer over inputs of size 2.
    pub recurrent: R,
    /// `D·P -> 1`
    pub head: Linear,
}

impl<R: RecurrentLayer> Adder<R> {
    /// `[B, T, 2]` -> `[B]`
    pub fn forward(&self, input: Tensor<3>) -> Tensor<1> {
        let batch = input.dims()[0];
        self.head.forward(last_hidden(&self.recurrent, input, None)).reshape([batch])
    }
}

sequence_model!(Adder);

/// The options of [`Adding`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddingOptions {
    /// Numbers in a sequence, `T`.
    pub length: usize,
}

impl Default for AddingOptions {
    fn default() -> Self {
        Self { length: 50 }
    }
}

/// The adding problem.
#[derive(Clone, Debug)]
pub struct Adding {
    settings: Settings,
    /// Numbers in a sequence, `T`.
    time: usize,
}

/// Sequences with their answers.
#[derive(Clone, Debug, PartialEq)]
struct Sums {
    /// `[B, T, 2]`: value and mark
    input: Vec<f32>,
    /// `[B]`
    target: Vec<f32>,
}

impl Adding {
    fn draw(&self, purpose: Purpose, index: u64, batch: usize) -> Sums {
        let mut random = generator(self.settings.seed, purpose, index);
        let time = self.time;
        let mut input = vec![0.0; batch * time * 2];
        let mut target = Vec::with_capacity(batch);
        for row in input.chunks_mut(time * 2) {
            for value in row.iter_mut().step_by(2) {
                *value = random.random_range(0.0..1.0);
            }
            let marks = [random.random_range(0..time / 2), random.random_range(time / 2..time)];
            for mark in marks {
                row[2 * mark + 1] = 1.0;
            }
            target.push(row[2 * marks[0]] + row[2 * marks[1]]);
        }
        Sums { input, target }
    }

    fn tensors(&self, sums: Sums, device: &Device) -> (Tensor<3>, Tensor<1>) {
        let batch = sums.target.len();
        let input = TensorData::new(sums.input, [batch, self.time, 2]);
        let target = TensorData::new(sums.target, [batch]);
        (Tensor::from_data(input, device), Tensor::from_data(target, device))
    }

    fn readout_batch(&self, purpose: Purpose, index: u64, batch: usize, device: &Device) -> Batch {
        let (input, target) = self.tensors(self.draw(purpose, index, batch), device);
        Batch::new(Input::Values(input), Target::Values(target.reshape([batch, 1])))
    }
}

impl Task for Adding {
    const NAME: &'static str = "adding";
    const ABOUT: &'static str = "Remember two marked numbers of a sequence and add them";
    const LOSS: &'static str = "mean squared error";
    const METRIC: &'static str = "within_0.04";
    const OPTIONS: &'static [TaskOption] =
        &[TaskOption::size("length", "T", "numbers in a sequence", 2, LONGEST)];

    type Options = AddingOptions;
    type Model = Adder<AnyLayer>;

    fn adapted(settings: Settings) -> Settings {
        let length = settings.options().map_or(0, |AddingOptions { length }| length);
        match length > SHORT {
            true => with_chrono(settings, length),
            false => settings,
        }
    }

    fn new(settings: &Settings) -> Result<Self, Error> {
        let AddingOptions { length } = settings.options()?;
        Ok(Self { settings: settings.clone(), time: length })
    }

    fn sequence_size(options: &AddingOptions) -> SequenceSize {
        SequenceSize { time: options.length, input: 2, input_has_gradients: false }
    }

    fn model(&self, device: &Device) -> Result<Self::Model, Error> {
        let (recurrent, head) = with_head(&self.settings.layer_config(2), 1, device)?;
        Ok(Adder { recurrent, head })
    }

    fn loss(
        &self,
        model: &Self::Model,
        step: u64,
        _state: Option<AnyState>,
        device: &Device,
    ) -> (Tensor<1>, Option<AnyState>) {
        let sums = self.draw(Purpose::Training, step, self.settings.batch);
        let (input, target) = self.tensors(sums, device);
        let error = model.forward(input) - target;
        (error.clone().mul(error).mean(), None)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        validated(&self.settings, |index, batch| {
            let sums = self.draw(Purpose::Validation, index, batch);
            let (input, target) = self.tensors(sums, device);
            let errors: Vec<f32> = (model.forward(input) - target).into_data().iter().collect();
            let squares = errors.iter().map(|&error| f64::from(error).powi(2)).sum::<f64>();
            let right = errors.iter().filter(|error| error.abs() < RIGHT).count();
            let mean = |sum: f64| sum / batch as f64;
            Scores { loss: mean(squares), metric: mean(right as f64) }
        })
    }

    drawn_batches!(Reads::LastHidden);

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "sequences")
    }

    fn describe(&self) -> String {
        format!("sequences of {} numbers; always saying 1 has loss 0.1667", self.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bptt::CellKind;

    fn task(length: usize) -> Adding {
        Adding::new(&Adding::defaults().with_option("length", length)).unwrap()
    }

    #[test]
    fn the_target_is_the_sum_of_the_two_marked_values() {
        for length in [2, 7, 50] {
            let sums = task(length).draw(Purpose::Training, 3, 40);
            assert_eq!(sums.target.len(), 40);
            for (row, target) in sums.input.chunks(2 * length).zip(&sums.target) {
                let marks: Vec<usize> = (0..length).filter(|t| row[2 * t + 1] == 1.0).collect();
                assert_eq!(marks.len(), 2);
                assert!(marks[0] < length / 2 && marks[1] >= length / 2);
                assert_eq!(row[2 * marks[0]] + row[2 * marks[1]], *target);
            }
        }
    }

    #[test]
    fn cells_with_gates_begin_with_long_memories_if_sequences_are_long() {
        let of = |cell: CellKind, length: usize| {
            let settings = Settings { cell: cell.into(), ..Adding::defaults() };
            Adding::adapted(settings.with_option("length", length)).bias_init.to_string()
        };
        let found = [
            (CellKind::Lstm, 100),
            (CellKind::Lstm, 101),
            (CellKind::Gru, 600),
            (CellKind::Rnn, 600),
        ]
        .map(|(cell, length)| of(cell, length));
        assert_eq!(found, ["torch", "chrono:101", "chrono:600", "torch"]);
    }

    #[test]
    fn the_mean_is_worth_a_sixth() {
        let sums = task(10).draw(Purpose::Training, 0, 20_000);
        let error = sums.target.iter().map(|t| (t - 1.0) * (t - 1.0)).sum::<f32>() / 20_000.0;
        assert!((error - 1.0 / 6.0).abs() < 0.005, "{error}");
    }

    #[test]
    fn data_depends_on_seed_purpose_and_step_alone() {
        let task = task(20);
        let sums = task.draw(Purpose::Training, 5, 4);
        assert_eq!(sums, task.draw(Purpose::Training, 5, 4));
        assert_ne!(sums, task.draw(Purpose::Training, 6, 4));
        assert_ne!(sums, task.draw(Purpose::Validation, 5, 4));
        let other = Adding::new(&Settings { seed: 2, ..task.settings }).unwrap();
        assert_ne!(sums, other.draw(Purpose::Training, 5, 4));
    }
}
