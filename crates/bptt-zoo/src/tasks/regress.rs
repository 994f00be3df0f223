//! Regression on sequences of one's own: a number for each sequence.
//!
//! The number is standardised by the mean and the deviation of the training part. So a model that always says the mean has a
//! loss of about 1.

use crate::error::Error;
use crate::figure::figure;
use crate::folder_files::FolderInfo;
use crate::labelled::prepared::Prepared;
use crate::labelled::score::valid_batches;
use crate::labelled::sequence::Kind;
use crate::labelled::source::LabelledSource;
use crate::model_config::ModelConfig;
use crate::option::TaskOption;
use crate::settings::Settings;
use crate::task::{Scores, SequenceSize, Task, TestScores};
use crate::tasks::flip_flop::{Regressor, RegressorConfig};
use crate::tasks::parts::{readout, with_notes};
use bptt::{AnyCell, AnyLayer, AnyState, RaggedBatch};
use bptt_probe::readout::{Batch, Input, Readout, Reads, Target};
use burn::Tensor;
use burn::tensor::{Device, TensorData};

/// Regression on a user's own sequences.
#[derive(Debug)]
pub struct Regress {
    settings: Settings,
    source: LabelledSource,
    data: Prepared,
}

impl Regress {
    /// The config of the model: one number, said after the last step.
    pub fn config(&self) -> RegressorConfig {
        RegressorConfig::new(self.settings.layer_config(self.data.width), 1)
    }

    /// The scaled numbers of some sequences, `[B]`.
    fn numbers(&self, indices: &[usize]) -> Vec<f32> {
        indices.iter().map(|&index| self.data.rows[index].number).collect()
    }

    /// The numbers that should be said, `[B, 1]`.
    fn target(&self, indices: &[usize], device: &Device) -> Tensor<2> {
        let shape = [indices.len(), 1];
        Tensor::from_data(TensorData::new(self.numbers(indices), shape), device)
    }

    /// The mean squared error on some sequences.
    fn error(&self, model: &Regressor<AnyLayer>, indices: &[usize], device: &Device) -> f64 {
        let mut sum = 0.0;
        for batch in self.data.in_batches(indices) {
            let RaggedBatch { input, lengths, .. } = self.data.input(&batch, device);
            let said = model.forward_last(input, Some(&lengths)).into_data();
            let right = self.numbers(&batch);
            let errors = said.iter::<f64>().zip(right).map(|(a, b)| a - f64::from(b));
            sum += errors.map(|error| error * error).sum::<f64>();
        }
        sum / indices.len() as f64
    }

    fn readout_batch(&self, indices: &[usize], device: &Device) -> Batch {
        let RaggedBatch { input, lengths, .. } = self.data.input(indices, device);
        let target = Target::Values(self.target(indices, device));
        Batch { lengths: Some(lengths), ..Batch::new(Input::Values(input), target) }
    }

    /// The error of always saying the mean of training, which is 0 once it is scaled.
    fn of_the_mean(&self, indices: &[usize]) -> f64 {
        let numbers = self.numbers(indices);
        let squares = numbers.iter().map(|&number| f64::from(number).powi(2)).sum::<f64>();
        (squares / numbers.len() as f64).sqrt() * self.data.unit()
    }
}

impl Task for Regress {
    const NAME: &'static str = "regress";
    const ABOUT: &'static str = "Say the number that belongs to sequences of your own";
    const LOSS: &'static str = "mean squared error in units of the deviation";
    const METRIC: &'static str = "rmse";
    const OPTIONS: &'static [TaskOption] = &LabelledSource::OPTIONS;
    const HAS_TEST: bool = true;

    type Options = LabelledSource;
    type Model = Regressor<AnyLayer>;

    fn check(_settings: &Settings, options: &LabelledSource) -> Result<(), Error> {
        options.check()
    }

    fn new(settings: &Settings) -> Result<Self, Error> {
        let source: LabelledSource = settings.options()?;
        let data = Prepared::new(settings, source.read(Kind::Number)?, Kind::Number, false)?;
        Ok(Self { settings: settings.clone(), source, data })
    }

    fn sequence_size(_options: &LabelledSource) -> SequenceSize {
        // The sizes of the data are not known before it is read; they are checked then.
        SequenceSize { time: 1, input: 1, input_has_gradients: false }
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
        let indices = self.data.trained(step);
        let RaggedBatch { input, lengths, .. } = self.data.input(&indices, device);
        let error = model.forward_last(input, Some(&lengths)) - self.target(&indices, device);
        (error.clone().mul(error).mean(), None)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        let loss = self.error(model, &self.data.parts.valid, device);
        Scores { loss, metric: loss.sqrt() * self.data.unit() }
    }

    fn test(&self, model: &Self::Model, device: &Device) -> Option<TestScores> {
        let test = &self.data.parts.test;
        let loss = self.error(model, test, device);
        let scores = Scores { loss, metric: loss.sqrt() * self.data.unit() };
        let baseline = Some(self.of_the_mean(test));
        Some(TestScores { test_baseline: baseline, ..TestScores::new(test.len(), scores) })
    }

    fn readout(
        &self,
        model: &Self::Model,
        device: &Device,
    ) -> Option<(Readout<AnyCell>, Vec<Batch>)> {
        let model = readout(&model.recurrent, &model.head, Reads::LastHidden)?;
        let batches = valid_batches(&self.data, <[usize]>::len, |indices| {
            self.readout_batch(indices, device)
        });
        Some((model, batches))
    }

    fn training_batch(&self, device: &Device) -> Option<Batch> {
        Some(self.readout_batch(&self.data.trained(0), device))
    }

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "sequences")
    }

    fn describe(&self) -> String {
        let rmse = self.of_the_mean(&self.data.parts.valid);
        let line = format!(
            "{}; always saying the mean of training has rmse {} on the validation part",
            self.data.describe(),
            figure(rmse),
        );
        with_notes(line, &self.data.notes, self.source.data.as_deref())
    }

    fn info(&self) -> FolderInfo {
        let labelled = Some(self.data.info());
        FolderInfo { labelled, ..FolderInfo::of_model(&self.config()) }
    }
}
