//! What a task is.

use crate::error::Error;
use crate::folder_files::FolderInfo;
use crate::labelled::confusion::Confusion;
use crate::option::TaskOption;
use crate::settings::Settings;
use crate::tasks::control::score::ControlScores;
use crate::tasks::forecast::score::ForecastScores;
use crate::tasks::translate::score::TranslateScores;
use bptt::{AnyCell, AnyLayer, AnyRecurrent, AnyState, Engine, GradientProbe, Kernel};
use bptt_probe::readout::{Batch, Input, Readout};
use burn::Tensor;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{DType, Device};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A model around recurrent layers.
pub trait SequenceModel: Module {
    /// The same model with the same parameters, whose recurrent layers run by another engine.
    fn with_engine(self, engine: Engine) -> Self;

    /// The same model, whose recurrent layers have this kernel for the manual engine. By itself the same model: one whose
    /// layers have no such choice.
    fn with_kernel(self, kernel: Kernel) -> Self {
        let _ = kernel;
        self
    }

    /// The same model, whose recurrent layers compute in another type ([`bptt::cast`]). The rest of the model keeps its
    /// type, and the model converts what goes into its recurrent layers and what comes out.
    fn with_dtype(self, dtype: DType) -> Self;

    /// The same model, whose recurrent layers have this probe ([`bptt::GradientProbe`]).
    fn with_gradient_probe(self, probe: Option<GradientProbe>) -> Self;

    /// The same model, whose recurrent layers draw their noise from this seed, from the next sequence on
    /// ([`bptt::Recurrent::with_noise_seed`]).
    fn with_noise_seed(self, seed: u64) -> Self;

    /// The layers, and the linear layer that reads their outputs, if the model is made of these.
    fn parts(&self) -> Option<(&AnyLayer, &Linear)> {
        None
    }

    /// What the layers read of some sequences, `[B, T, I]`, if the model can read them.
    fn reads(&self, _input: &Input) -> Option<Tensor<3>> {
        None
    }

    /// The recurrent layers, and what they read of some sequences, `[B, T, I]`. `None`: the model
    /// is made of something else, or its layers run as a scan, and it has no Jacobians to look at.
    fn driven(&self, _input: &Input) -> Option<(&AnyRecurrent, Tensor<3>)> {
        None
    }
}

/// How good a model is on the validation data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// The loss, the same function as in training.
    pub loss: f64,
    /// The metric, [`Task::METRIC`], which is easier to interpret than the loss.
    pub metric: f64,
}

/// How good the best model of a run is on data that the run has not used before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestScores {
    /// How many sequences the test part has.
    pub test_sequences: usize,
    /// The loss, the same function as in training.
    pub test_loss: f64,
    /// The metric, [`Task::METRIC`].
    pub test_metric: f64,
    /// The metric of an answer that is always the same, the best one on the training part, where tasks have such a one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_baseline: Option<f64>,
    /// The mean F1 of the labels, where labels are learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_macro_f1: Option<f64>,
    /// Which label the model says where which one is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
    /// The errors of forecasts beside those of others. In JSON they are in the same object.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastScores>,
    /// The returns of others, where a policy is learned. In JSON they are in the same object.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlScores>,
    /// More about translations. In JSON it is in the same object.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub translate: Option<TranslateScores>,
}

impl TestScores {
    /// Loss and metric of so many sequences, and nothing else.
    pub(crate) fn new(test_sequences: usize, Scores { loss, metric }: Scores) -> Self {
        Self {
            test_sequences,
            test_loss: loss,
            test_metric: metric,
            test_baseline: None,
            test_macro_f1: None,
            confusion: None,
            forecast: None,
            control: None,
            translate: None,
        }
    }
}

/// How large the sequences of a task are. A run uses this to estimate how much memory it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceSize {
    /// Steps in the longest sequence, `T`.
    pub time: usize,
    /// The input size of the first recurrent layer, `I`.
    pub input: usize,
    /// Whether the gradient of the input is needed, because the input is the output of a layer with parameters.
    pub input_has_gradients: bool,
}

/// The loss of a training step, and the state to carry to the next one, if there is any.
pub type StepLoss = (Tensor<1>, Option<AnyState>);

/// A task to learn. It makes a model, batches and losses, and the trainer does the rest
/// ([`AnyTask::train`](crate::AnyTask::train)).
///
/// The data of a step depends on the settings and on the number of the step, and on nothing else. So a resumed run
/// continues as if it had not been interrupted. [`generator`](crate::generator) makes random numbers that follow this
/// rule.
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
    const OPTIONS: &'static [TaskOption] = &[];

    /// Why the layers must not have a backward direction; `None` if they may have one.
    const ONE_DIRECTION: Option<&'static str> = None;

    /// Whether the plot of the loss has a logarithmic axis.
    const LOGARITHMIC: bool = true;

    /// Whether the plot shows the metric in the validation, and no losses.
    const CURVE_OF_METRIC: bool = false;

    /// Whether labels are learned by their cross entropy, so that they can be smoothed
    /// ([`Recipe::label_smoothing`](crate::Recipe::label_smoothing)).
    const LEARNS_LABELS: bool = false;

    /// Whether there is a test part, for [`test`](Self::test).
    const HAS_TEST: bool = false;

    /// The values of those options. In JSON they are in the same object as the other settings. [`Default`] gives their
    /// defaults.
    type Options: Default + Serialize + DeserializeOwned;

    /// The model that learns the task.
    type Model: SequenceModel;

    /// The default settings of the task.
    fn defaults() -> Settings {
        Settings::new(Self::NAME, &Self::Options::default())
    }

    /// Changes the defaults that depend on the task's own options, on the cell or on the engine. The settings are the defaults of all
    /// others.
    fn adapted(settings: Settings) -> Settings {
        settings
    }

    /// Checks what only this task knows about its settings. Their ranges are checked before.
    ///
    /// # Errors
    ///
    /// The first setting that is wrong, by the name of its option.
    fn check(_settings: &Settings, _options: &Self::Options) -> Result<(), Error> {
        Ok(())
    }

    /// What the loss is, if it depends on the options: another one than [`LOSS`](Self::LOSS).
    fn loss_name(_options: &Self::Options) -> &'static str {
        Self::LOSS
    }

    /// The name of the model, if it is not made of layers of [`Settings::cell`].
    fn model_name(_options: &Self::Options) -> Option<&'static str> {
        None
    }

    /// Makes the task for these settings, with its data.
    ///
    /// # Errors
    ///
    /// If the data does not exist, or if the settings do not fit it.
    fn new(settings: &Settings) -> Result<Self, Error>;

    /// Takes over what a model of another run needs so that it goes on with this task's data, such as how numbers are scaled.
    ///
    /// # Arguments
    ///
    /// - `from`: what the folder of that run has stored
    /// - `_settings`: the settings of that run
    ///
    /// # Errors
    ///
    /// If the model cannot go on: if it knows other characters, tokens, labels or columns.
    fn adopt(&mut self, from: &FolderInfo, _settings: &Settings) -> Result<(), Error> {
        let own = self.info();
        let differs =
            |what: &str| Err(Error::input(format!("its model has other {what}: start without it")));
        let characters = |info: &FolderInfo| info.text.as_ref().map(|text| text.vocabulary.clone());
        let tokens = |info: &FolderInfo| info.text.as_ref().map(|text| text.tokenizer.clone());
        let labels = |info: &FolderInfo| info.labelled.as_ref().map(|data| data.labels.clone());
        let features = |info: &FolderInfo| info.labelled.as_ref().map(|data| data.features.clone());
        if characters(&own) != characters(from) {
            return differs("characters");
        }
        if tokens(&own) != tokens(from) {
            return differs("tokens");
        }
        if labels(&own) != labels(from) {
            return differs("labels");
        }
        if features(&own) != features(from) {
            return differs("columns");
        }
        Ok(())
    }

    /// How large the sequences are.
    fn sequence_size(options: &Self::Options) -> SequenceSize;

    /// A new model. Its random values are drawn from the device.
    ///
    /// # Errors
    ///
    /// If the settings do not make a model.
    fn model(&self, device: &Device) -> Result<Self::Model, Error>;

    /// The training loss of a step, and the state to carry to the next step (not detached yet).
    fn loss(
        &self,
        model: &Self::Model,
        step: u64,
        state: Option<AnyState>,
        device: &Device,
    ) -> (Tensor<1>, Option<AnyState>);

    /// What the task itself carries from batch to batch, beside the state of the layers: where its environments are. It goes into the
    /// checkpoint. `None`: nothing.
    ///
    /// # Arguments
    ///
    /// - `batch`: the number of the batch that goes on from there
    fn carried(&self, _batch: u64) -> Option<String> {
        None
    }

    /// Goes on from what [`carried`](Self::carried) returned.
    ///
    /// # Errors
    ///
    /// If it does not fit the task.
    fn carry_on(&self, _carried: &str) -> Result<(), Error> {
        Ok(())
    }

    /// The validation scores. The model is on a device without autodiff.
    fn validate(&self, model: &Self::Model, device: &Device) -> Scores;

    /// The scores on the test part, which neither training nor validation uses. This is called once, when a run is complete,
    /// with the best model, on a device without autodiff.
    fn test(&self, _model: &Self::Model, _device: &Device) -> Option<TestScores> {
        None
    }

    /// The model and the validation data in the form that second derivatives need. The loss has to be that of
    /// [`validate`](Self::validate). `None`: the model is not recurrent layers with one linear layer, or the loss is
    /// neither the mean squared error nor the cross entropy.
    fn readout(
        &self,
        _model: &Self::Model,
        _device: &Device,
    ) -> Option<(Readout<AnyCell>, Vec<Batch>)> {
        None
    }

    /// The data of the first training step, in the same form: where the sharpness is measured while a run is trained.
    /// `None`: the first batch of the validation takes its place.
    fn training_batch(&self, _device: &Device) -> Option<Batch> {
        None
    }

    /// What a step processes: a count and its unit.
    fn units(&self) -> (usize, &'static str);

    /// The data in a few words.
    fn describe(&self) -> String;

    /// What the run folder has to store besides the settings.
    fn info(&self) -> FolderInfo {
        FolderInfo::default()
    }
}
