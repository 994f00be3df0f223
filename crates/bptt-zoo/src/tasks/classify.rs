//! Classification of sequences of one's own: a label for each sequence.

use crate::error::Error;
use crate::folder_files::FolderInfo;
use crate::labelled::confusion::Confusion;
use crate::labelled::prepared::Prepared;
use crate::labelled::score::{baseline, judged, scores, test_scores, valid_batches, weighted_mean};
use crate::labelled::sequence::Kind;
use crate::model_config::ModelConfig;
use crate::option::TaskOption;
use crate::settings::Settings;
use crate::task::{Scores, SequenceSize, Task, TestScores};
use crate::tasks::labelled_options::LabelledOptions;
use crate::tasks::parity::{Classifier, ClassifierConfig};
use crate::tasks::parts::{readout, smoothed_cross_entropy, with_notes};
use bptt::{AnyCell, AnyLayer, AnyState, RaggedBatch};
use bptt_probe::readout::{Batch, Input, Readout, Reads, Target};
use burn::Tensor;
use burn::tensor::{Device, Int};

/// Classification of a user's own sequences.
#[derive(Debug)]
pub struct Classify {
    settings: Settings,
    options: LabelledOptions,
    data: Prepared,
}

impl Classify {
    /// The config of the model: an output for each label.
    pub fn config(&self) -> ClassifierConfig {
        let recurrent = self.settings.layer_config(self.data.width);
        ClassifierConfig::new(recurrent, self.data.labels.len())
    }

    /// The labels of some sequences, `[B]`.
    fn classes(&self, indices: &[usize], device: &Device) -> Tensor<1, Int> {
        let classes = indices.iter().map(|&index| self.data.rows[index].classes[0]);
        let classes: Vec<i32> = classes.collect();
        Tensor::from_data(&classes[..], device)
    }

    /// The loss and the confusion matrix on some sequences.
    fn judged(
        &self,
        model: &Classifier<AnyLayer>,
        indices: &[usize],
        device: &Device,
    ) -> (f64, Confusion) {
        judged(&self.data, indices, device, |input, lengths| {
            model.forward(input, Some(lengths)).unsqueeze_dim::<3>(1)
        })
    }

    fn readout_batch(&self, indices: &[usize], device: &Device) -> Batch {
        let RaggedBatch { input, lengths, .. } = self.data.input(indices, device);
        let target = Target::Classes(self.classes(indices, device));
        Batch { lengths: Some(lengths), ..Batch::new(Input::Values(input), target) }
    }
}

impl Task for Classify {
    const NAME: &'static str = "classify";
    const ABOUT: &'static str = "Say the label of sequences of your own: a classifier";
    const LOSS: &'static str = "nats per sequence";
    const METRIC: &'static str = "accuracy";
    const LEARNS_LABELS: bool = true;
    const OPTIONS: &'static [TaskOption] = &LabelledOptions::OPTIONS;
    const HAS_TEST: bool = true;

    type Options = LabelledOptions;
    type Model = Classifier<AnyLayer>;

    fn check(_settings: &Settings, options: &LabelledOptions) -> Result<(), Error> {
        options.source.check()
    }

    fn new(settings: &Settings) -> Result<Self, Error> {
        let options: LabelledOptions = settings.options()?;
        let sequences = options.source.read(Kind::Class)?;
        let data = Prepared::new(settings, sequences, Kind::Class, options.is_balanced())?;
        Ok(Self { settings: settings.clone(), options, data })
    }

    fn sequence_size(_options: &LabelledOptions) -> SequenceSize {
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
        let scores = model.forward(input, Some(&lengths));
        let smoothing = self.settings.recipe.label_smoothing;
        let losses = smoothed_cross_entropy(scores, self.classes(&indices, device), smoothing);
        let weight = |&index: &usize| self.data.weights[self.data.rows[index].classes[0] as usize];
        let weights: Vec<f32> = indices.iter().map(weight).collect();
        (weighted_mean(losses, &weights), None)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        scores(self.judged(model, &self.data.parts.valid, device))
    }

    fn test(&self, model: &Self::Model, device: &Device) -> Option<TestScores> {
        let test = &self.data.parts.test;
        Some(test_scores(&self.data, self.judged(model, test, device)))
    }

    fn readout(
        &self,
        model: &Self::Model,
        device: &Device,
    ) -> Option<(Readout<AnyCell>, Vec<Batch>)> {
        if self.options.is_balanced() {
            return None;
        }
        let model = readout(&model.recurrent, &model.head, Reads::LastHidden)?;
        let batches = valid_batches(&self.data, <[usize]>::len, |indices| {
            self.readout_batch(indices, device)
        });
        Some((model, batches))
    }

    fn training_batch(&self, device: &Device) -> Option<Batch> {
        (!self.options.is_balanced()).then(|| self.readout_batch(&self.data.trained(0), device))
    }

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "sequences")
    }

    fn describe(&self) -> String {
        let line = format!("{}; {}", self.data.describe(), baseline(&self.data));
        with_notes(line, &self.data.notes, self.options.source.data.as_deref())
    }

    fn info(&self) -> FolderInfo {
        let labelled = Some(self.data.info());
        FolderInfo { labelled, ..FolderInfo::of_model(&self.config()) }
    }
}
