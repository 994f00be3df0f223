//! What is learned. A task is one file: its data, its model, its loss.

pub(crate) mod adding;
pub(crate) mod char_lm;
pub(crate) mod copy;
pub(crate) mod forecast;
pub(crate) mod parity;
mod parts;

use crate::error::Error;
use crate::folder_files::FolderInfo;
use bptt::{AnyState, Engine};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::Device;

/// Sequences that validation looks at, where they are made up or there are more.
const VALIDATION: usize = 1024;

/// A model around recurrent layers.
pub trait SequenceModel: Module {
    /// The same model, the same parameters, its recurrent layers by another engine.
    fn with_engine(self, engine: Engine) -> Self;
}

/// What a model is worth on the validation data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// The loss that is trained on.
    pub loss: f64,
    /// The number that people compare, [`Task::metric_name`].
    pub metric: f64,
}

/// Something to learn: makes a model, batches and losses. The [`trainer`](crate::train_task) does
/// the rest.
///
/// The data of a step depends on the step alone, so that a resumed run goes on as it would have.
pub trait Task {
    /// What learns it.
    type Model: SequenceModel;

    /// A new model, its random values drawn from the device.
    ///
    /// # Errors
    ///
    /// If the settings do not make one.
    fn model(&self, device: &Device) -> Result<Self::Model, Error>;

    /// The training loss of a step, and the state to carry to the next (not detached yet).
    fn loss(
        &self,
        model: &Self::Model,
        step: u64,
        state: Option<AnyState>,
        device: &Device,
    ) -> (Tensor<1>, Option<AnyState>);

    /// The validation scores. Gets a model without a tape.
    fn validate(&self, model: &Self::Model, device: &Device) -> Scores;

    /// What [`Scores::metric`] is.
    fn metric_name(&self) -> &'static str;

    /// What a step processes: how many, and of what.
    fn units(&self) -> (usize, &'static str);

    /// The data in a few words.
    fn describe(&self) -> String;

    /// Whether a picture of the loss reads better on a logarithmic axis.
    fn logarithmic(&self) -> bool;

    /// What the run folder has to remember besides the settings.
    fn info(&self) -> FolderInfo {
        FolderInfo::default()
    }
}
