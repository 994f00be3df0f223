//! Parity: is the number of ones in a sequence odd?
//!
//! Y. Bengio, P. Simard and P. Frasconi, "Learning long-term dependencies with gradient descent is difficult", IEEE
//! Transactions on Neural Networks 5 (1994). No part of a sequence gives information about the answer: a model has to
//! read all of it, and to remember one bit all the time. Lengths are uniform from 1 to `--length`, because long
//! sequences alone are too hard to begin with. A model that guesses has a loss of ln 2 = 0.6931 nats, and is right half
//! of the time.

use crate::error::Error;
use crate::folder_files::FolderInfo;
use crate::model_config::ModelConfig;
use crate::option::{LONGEST, TaskOption};
use crate::random::{Purpose, generator};
use crate::settings::Settings;
use crate::task::{Scores, SequenceSize, Task, TestScores};
use crate::tasks::parts::{
    VALIDATION, cross_entropy, drawn_batches, last_hidden, sequence_model, share_right,
    smoothed_cross_entropy, validated,
};
use bptt::{AnyLayer, AnyLayerConfig, AnyState, RaggedBatch, RecurrentLayer};
use bptt_probe::readout::{Batch, Input, Reads, Target};
use burn::Tensor;
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Int};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// The config of a [`Classifier`].
#[derive(Config, Debug)]
pub struct ClassifierConfig {
    /// The recurrent layers.
    pub recurrent: AnyLayerConfig,
    /// How many classes there are, `C`.
    pub classes: usize,
}

/// Reads whole sequences and scores the classes of each: recurrent layers, and a linear layer on the hidden state after
/// the last step of the sequence.
#[derive(Module, Debug)]
pub struct Classifier<R: Module> {
    /// Any recurrent layer, in one direction or both.
    pub recurrent: R,
    /// `D·P -> C`
    pub head: Linear,
}

impl ModelConfig for ClassifierConfig {
    type Model = Classifier<AnyLayer>;
    const KIND: &'static str = "classifier";

    fn recurrent(&self) -> &AnyLayerConfig {
        &self.recurrent
    }

    fn outputs(&self) -> usize {
        self.classes
    }

    fn model(&self, recurrent: AnyLayer, head: Linear) -> Self::Model {
        Classifier { recurrent, head }
    }
}

impl<R: RecurrentLayer> Classifier<R> {
    /// The scores of the classes, `[B, C]`.
    ///
    /// # Arguments
    ///
    /// - `input`: `[B, T, I]`
    /// - `lengths`: how many steps of each row belong to the sequence; `None`: all
    ///
    /// # Panics
    ///
    /// If shapes or lengths do not fit.
    pub fn forward(&self, input: Tensor<3>, lengths: Option<&[usize]>) -> Tensor<2> {
        self.head.forward(last_hidden(&self.recurrent, input, lengths))
    }

    /// The mean cross entropy in nats of scores `[B, C]` for classes `[B]`.
    pub fn loss(&self, scores: Tensor<2>, classes: Tensor<1, Int>) -> Tensor<1> {
        cross_entropy(scores, classes).mean()
    }
}

sequence_model!(Classifier);

/// The options of [`Parity`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParityOptions {
    /// Bits in the longest sequence, `T`.
    pub length: usize,
    /// Bits in each sequence of the test.
    pub test_length: usize,
}

impl Default for ParityOptions {
    fn default() -> Self {
        Self { length: 40, test_length: 256 }
    }
}

/// The parity problem.
#[derive(Clone, Debug)]
pub struct Parity {
    settings: Settings,
    options: ParityOptions,
}

impl Parity {
    /// The config of the model: one bit at each step, two classes.
    pub fn config(&self) -> ClassifierConfig {
        ClassifierConfig::new(self.settings.layer_config(1), 2)
    }

    /// Sequences of 1 and -1, and for each sequence whether it has an odd number of ones.
    fn draw(&self, purpose: Purpose, index: u64, batch: usize) -> (Vec<Vec<f32>>, Vec<i32>) {
        let mut random = generator(self.settings.seed, purpose, index);
        let ParityOptions { length, test_length } = self.options;
        let lengths = if purpose == Purpose::Test { test_length..=test_length } else { 1..=length };
        let mut draw = || {
            let length = random.random_range(lengths.clone());
            let bits: Vec<bool> = (0..length).map(|_| random.random()).collect();
            let ones = bits.iter().filter(|&&bit| bit).count();
            let signs = bits.into_iter().map(|bit| if bit { 1.0 } else { -1.0 });
            (signs.collect(), (ones % 2) as i32)
        };
        (0..batch).map(|_| draw()).unzip()
    }

    /// Scores and classes of a batch.
    fn batch(
        &self,
        model: &Classifier<AnyLayer>,
        (rows, classes): (Vec<Vec<f32>>, Vec<i32>),
        device: &Device,
    ) -> (Tensor<2>, Tensor<1, Int>) {
        let RaggedBatch { input, lengths, .. } = RaggedBatch::pad(&rows, 1, device);
        let scores = model.forward(input, Some(&lengths));
        (scores, Tensor::from_data(&classes[..], device))
    }

    /// The scores on all sequences of a validation or a test.
    fn scores(&self, model: &Classifier<AnyLayer>, purpose: Purpose, device: &Device) -> Scores {
        validated(&self.settings, |index, batch| {
            let (scores, classes) = self.batch(model, self.draw(purpose, index, batch), device);
            let metric = share_right(scores.clone(), classes.clone());
            let loss = model.loss(scores, classes).into_scalar::<f32>();
            Scores { loss: loss.into(), metric }
        })
    }

    fn readout_batch(&self, purpose: Purpose, index: u64, batch: usize, device: &Device) -> Batch {
        let (rows, classes) = self.draw(purpose, index, batch);
        let RaggedBatch { input, lengths, .. } = RaggedBatch::pad(&rows, 1, device);
        let target = Target::Classes(Tensor::from_data(&classes[..], device));
        Batch { lengths: Some(lengths), ..Batch::new(Input::Values(input), target) }
    }
}

impl Task for Parity {
    const NAME: &'static str = "parity";
    const ABOUT: &'static str = "Say whether there is an odd number of ones: a classifier";
    const LOSS: &'static str = "nats per sequence";
    const METRIC: &'static str = "accuracy";
    const LEARNS_LABELS: bool = true;
    const HAS_TEST: bool = true;
    const OPTIONS: &'static [TaskOption] = &[
        TaskOption::size("length", "T", "bits in the longest sequence", 2, LONGEST),
        TaskOption::size("test_length", "T", "bits in each sequence of the test", 1, LONGEST),
    ];

    type Options = ParityOptions;
    type Model = Classifier<AnyLayer>;

    fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self { settings: settings.clone(), options: settings.options()? })
    }

    fn sequence_size(options: &ParityOptions) -> SequenceSize {
        // The test keeps nothing for a backward pass.
        SequenceSize { time: options.length, input: 1, input_has_gradients: false }
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
        let (scores, classes) = self.batch(model, drawn, device);
        let smoothing = self.settings.recipe.label_smoothing;
        (smoothed_cross_entropy(scores, classes, smoothing).mean(), None)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        self.scores(model, Purpose::Validation, device)
    }

    fn test(&self, model: &Self::Model, device: &Device) -> Option<TestScores> {
        let batch = self.settings.batch.min(VALIDATION);
        let sequences = VALIDATION.div_ceil(batch) * batch;
        Some(TestScores::new(sequences, self.scores(model, Purpose::Test, device)))
    }

    drawn_batches!(Reads::LastHidden);

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "sequences")
    }

    fn describe(&self) -> String {
        let ParityOptions { length, test_length } = self.options;
        format!(
            "sequences of 1 to {length} bits, and of {test_length} in the test; guessing has loss 0.6931 (accuracy 0.5)"
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
    fn the_class_is_the_parity_of_the_ones() {
        let task = Parity::new(&Parity::defaults().with_option("length", 9)).unwrap();
        let (rows, classes) = task.draw(Purpose::Training, 3, 400);
        for (row, class) in rows.iter().zip(&classes) {
            // A factor -1 for each one: the product is -1 if their number is odd.
            let product: f32 = row.iter().map(|sign| -sign).product();
            assert_eq!(product, [1.0, -1.0][*class as usize]);
        }
        for length in 1..=9 {
            assert!(rows.iter().any(|row| row.len() == length), "{length}");
        }
        assert!(rows.iter().all(|row| row.len() <= 9));
        assert!((150..250).contains(&classes.iter().sum::<i32>()));
        assert_eq!((rows, classes), task.draw(Purpose::Training, 3, 400));
        let (rows, _) = task.draw(Purpose::Test, 0, 10);
        assert!(rows.iter().all(|row| row.len() == 256));
    }
}
