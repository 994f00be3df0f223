//! The model of a run, whichever it is.

use crate::error::Error;
use crate::folder::RunFolder;
use crate::folder_files::LabelledInfo;
use crate::labelled::score::log_probabilities;
use crate::labelled::sequence::Kind;
use crate::tasks::copy::{Tagger, TaggerConfig};
use crate::tasks::flip_flop::{Regressor, RegressorConfig};
use crate::tasks::parity::{Classifier, ClassifierConfig};
use bptt::{AnyLayer, RaggedBatch, RecurrentLayer};
use burn::tensor::Device;

/// The model of a run.
pub(super) enum Model {
    Class(Classifier<AnyLayer>),
    Tags(Tagger<AnyLayer>),
    Number(Regressor<AnyLayer>),
}

impl Model {
    pub(super) fn load(folder: &RunFolder, kind: Kind, device: &Device) -> Result<Self, Error> {
        Ok(match kind {
            Kind::Class => Self::Class(folder.load::<ClassifierConfig>(device)?),
            Kind::Tags => Self::Tags(folder.load::<TaggerConfig>(device)?),
            Kind::Number => Self::Number(folder.load::<RegressorConfig>(device)?),
        })
    }

    /// Whether what the folder says about its data fits the model.
    pub(super) fn fits(&self, info: &LabelledInfo) -> bool {
        let (layer, head) = match self {
            Self::Class(model) => (&model.recurrent, &model.head),
            Self::Tags(model) => (&model.recurrent, &model.head),
            Self::Number(model) => (&model.recurrent, &model.head),
        };
        let outputs = match self {
            Self::Number(_) => 1,
            _ => info.labels.len(),
        };
        let has_answers = info.answers.as_ref().is_some_and(|answers| answers.is_sound(1));
        let is_sorted = info.labels.windows(2).all(|pair| pair[0] < pair[1]);
        let width = layer.d_input();
        info.scaling.is_sound(width)
            && info.features.as_ref().is_none_or(|names| names.len() == width)
            && head.weight.dims()[1] == outputs
            && is_sorted
            && has_answers == matches!(self, Self::Number(_))
    }

    /// The answers to some sequences: for each step, or for the whole of the sequence, the probabilities of all labels; or
    /// the number, scaled back.
    pub(super) fn answers(
        &self,
        rows: &[&[f32]],
        info: &LabelledInfo,
        device: &Device,
    ) -> Vec<Vec<Vec<f64>>> {
        let width = info.scaling.mean.len();
        let RaggedBatch { input, lengths, .. } = RaggedBatch::pad(rows, width, device);
        let scores = match self {
            Self::Class(model) => model.forward(input, Some(&lengths)).unsqueeze_dim::<3>(1),
            Self::Tags(model) => model.forward(input, Some(&lengths)),
            Self::Number(model) => {
                let said = model.forward_last(input, Some(&lengths)).into_data();
                let back = |number: f64| match &info.answers {
                    Some(answers) => answers.mean[0] + answers.deviation[0] * number,
                    None => number,
                };
                return said.iter::<f64>().map(|number| vec![vec![back(number)]]).collect();
            }
        };
        let probabilities = |row: Vec<f64>| {
            let steps = row.chunks(info.labels.len());
            steps.map(|step| step.iter().map(|log| log.exp()).collect()).collect()
        };
        log_probabilities(scores, &lengths).into_iter().map(probabilities).collect()
    }
}
