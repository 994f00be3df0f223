//! The character model of `char-lm` with a [`Hybrid`] in place of recurrent layers: `--model hybrid`.

use crate::error::Error;
use crate::folder_files::FolderInfo;
use crate::hybrid::{Hybrid, HybridConfig};
use crate::option::TaskOption;
use crate::session::{RunResult, Session};
use crate::settings::Settings;
use crate::task::{Scores, SequenceModel, SequenceSize, Task};
use crate::tasks::char_lm::{CharLm, CharModel, char_model};
use crate::tasks::char_lm_options::{CharLmOptions, ModelKind};
use crate::trainer;
use bptt::{AnyState, Engine, GradientProbe};
use burn::Tensor;
use burn::tensor::{DType, Device};

/// The window of a run that gives none, in steps.
const WINDOW: usize = 64;

/// `char-lm` with [`ModelKind::Hybrid`]. Its data, its loss and its options are those of [`CharLm`].
pub(crate) struct HybridLm(CharLm);

/// Trains `char-lm` with the model that the settings choose.
pub(crate) fn train_either(settings: &Settings, session: Session<'_>) -> Result<RunResult, Error> {
    match settings.options::<CharLmOptions>() {
        Ok(CharLmOptions { model: ModelKind::Hybrid, .. }) => {
            trainer::train::<HybridLm>(settings, session)
        }
        // Either trainer says which option it is that cannot be read.
        _ => trainer::train::<CharLm>(settings, session),
    }
}

/// The config of the hybrid of a run.
pub(crate) fn hybrid_config(settings: &Settings, options: &CharLmOptions) -> HybridConfig {
    HybridConfig::new(options.embedding, settings.hidden)
        .with_num_blocks(settings.layers)
        .with_window(options.window.unwrap_or(WINDOW))
        .with_dropout(settings.dropout)
        .with_engine(settings.engine)
}

impl CharModel<Hybrid> {
    /// Makes a model for these settings and a vocabulary of this size.
    ///
    /// # Errors
    ///
    /// If the settings do not make such a model.
    pub fn hybrid(settings: &Settings, vocabulary: usize, device: &Device) -> Result<Self, Error> {
        let options: CharLmOptions = settings.options()?;
        let hybrid = hybrid_config(settings, &options).try_init(device)?;
        Ok(char_model(hybrid, &options, vocabulary, device))
    }
}

impl SequenceModel for CharModel<Hybrid> {
    fn with_engine(self, engine: Engine) -> Self {
        Self { recurrent: self.recurrent.with_engine(engine), ..self }
    }

    fn with_dtype(self, dtype: DType) -> Self {
        unreachable!("settings with {dtype:?} are refused")
    }

    fn with_gradient_probe(self, _: Option<GradientProbe>) -> Self {
        unreachable!("probes are refused")
    }

    /// A hybrid has no noise inside of its layers; settings with some are refused.
    fn with_noise_seed(self, _: u64) -> Self {
        self
    }
}

impl Task for HybridLm {
    const NAME: &'static str = CharLm::NAME;
    const ABOUT: &'static str = CharLm::ABOUT;
    const LOSS: &'static str = CharLm::LOSS;
    const METRIC: &'static str = CharLm::METRIC;
    const LEARNS_LABELS: bool = CharLm::LEARNS_LABELS;
    const OPTIONS: &'static [TaskOption] = CharLm::OPTIONS;
    const ONE_DIRECTION: Option<&'static str> = CharLm::ONE_DIRECTION;
    const LOGARITHMIC: bool = CharLm::LOGARITHMIC;

    type Options = CharLmOptions;
    type Model = CharModel<Hybrid>;

    fn defaults() -> Settings {
        CharLm::defaults()
    }

    fn check(settings: &Settings, options: &CharLmOptions) -> Result<(), Error> {
        CharLm::check(settings, options)
    }

    fn loss_name(options: &CharLmOptions) -> &'static str {
        CharLm::loss_name(options)
    }

    fn model_name(options: &CharLmOptions) -> Option<&'static str> {
        CharLm::model_name(options)
    }

    fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self(CharLm::new(settings)?))
    }

    fn sequence_size(options: &CharLmOptions) -> SequenceSize {
        CharLm::sequence_size(options)
    }

    fn model(&self, device: &Device) -> Result<Self::Model, Error> {
        CharModel::hybrid(&self.0.settings, self.0.vocabulary(), device)
    }

    fn loss(
        &self,
        model: &Self::Model,
        step: u64,
        state: Option<AnyState>,
        device: &Device,
    ) -> (Tensor<1>, Option<AnyState>) {
        self.0.loss_of(model, step, state, device)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        self.0.scores_of(model, device)
    }

    fn units(&self) -> (usize, &'static str) {
        self.0.units()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }

    fn info(&self) -> FolderInfo {
        self.0.info()
    }
}
