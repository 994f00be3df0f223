//! What a task is.

use crate::error::Error;
use crate::folder_files::FolderInfo;
use crate::option::TaskOption;
use crate::settings::Settings;
use bptt::{AnyState, Engine};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::Device;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A model around recurrent layers.
pub trait SequenceModel: Module {
    /// The same model with the same parameters, whose recurrent layers run by another engine.
    fn with_engine(self, engine: Engine) -> Self;
}

/// How good a model is on the validation data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// The loss, the same that is trained on.
    pub loss: f64,
    /// The number that people compare, [`Task::METRIC`].
    pub metric: f64,
}

/// How large the sequences of a task are. From this a run estimates how much memory it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceSize {
    /// Steps in the longest sequence, `T`.
    pub time: usize,
    /// The input size of the first recurrent layer, `I`.
    pub input: usize,
    /// Whether the input itself has gradients: it is the output of a layer with parameters.
    pub input_has_gradients: bool,
}

/// Something to learn: it makes a model, batches and losses. The trainer does the rest
/// ([`AnyTask::train`](crate::AnyTask::train)).
///
/// The data of a step depends on the settings and on the number of the step, and on nothing else. So a resumed
/// run goes on as it would have without the interruption. [`generator`](crate::generator) makes random numbers of
/// this kind.
pub trait Task: Sized {
    /// The name on the command line and in run folders.
    const NAME: &'static str;

    /// What is learned, in one line, for help texts.
    const ABOUT: &'static str;

    /// What the loss is, with its unit.
    const LOSS: &'static str;

    /// What [`Scores::metric`] is.
    const METRIC: &'static str;

    /// The options of this task alone: one for each field of [`Options`](Self::Options).
    const OPTIONS: &'static [TaskOption];

    /// Why the layers may not have a backward direction; `None`: they may.
    const ONE_DIRECTION: Option<&'static str> = None;

    /// Whether a plot of the loss reads better on a logarithmic axis.
    const LOGARITHMIC: bool = true;

    /// The values of those options. They lie among the other settings in JSON; [`Default`] has their defaults.
    type Options: Default + Serialize + DeserializeOwned;

    /// What learns it.
    type Model: SequenceModel;

    /// The settings of a run where nothing else is asked for.
    fn defaults() -> Settings {
        Settings::new(Self::NAME, &Self::Options::default())
    }

    /// The task for some settings, with its data.
    ///
    /// # Errors
    ///
    /// If there is no such data, or the settings do not fit it.
    fn new(settings: &Settings) -> Result<Self, Error>;

    /// How large the sequences are.
    fn sequence_size(options: &Self::Options) -> SequenceSize;

    /// A new model. Its random values are drawn from the device.
    ///
    /// # Errors
    ///
    /// If the settings do not make one.
    fn model(&self, device: &Device) -> Result<Self::Model, Error>;

    /// The training loss of a step, and the state to carry to the next step (not detached yet).
    fn loss(
        &self,
        model: &Self::Model,
        step: u64,
        state: Option<AnyState>,
        device: &Device,
    ) -> (Tensor<1>, Option<AnyState>);

    /// The validation scores. The model has no tape.
    fn validate(&self, model: &Self::Model, device: &Device) -> Scores;

    /// What a step processes: how many, and of what.
    fn units(&self) -> (usize, &'static str);

    /// The data in a few words.
    fn describe(&self) -> String;

    /// What the run folder has to remember besides the settings.
    fn info(&self) -> FolderInfo {
        FolderInfo::default()
    }
}
