//! Models in folders: `config.json` says what to make, and `model.bpk` has the weights.

use crate::any_char_model::AnyCharModel;
use crate::error::Error;
use crate::folder::RunFolder;
use crate::folder_files::{Config, FolderInfo, StoredModel, TextInfo};
#[cfg(feature = "scanned-cells")]
use crate::hybrid::Hybrid;
use crate::model_config::{ModelConfig, with_defaults};
use crate::settings::Settings;
use crate::store::{bytes, load_model, numbered};
use crate::task::Task;
use crate::task_settings::stored;
use crate::tasks::adding::{Adder, Adding};
use crate::tasks::char_lm::{CharLm, CharModel};
use crate::tasks::char_lm_options::{CharLmOptions, ModelKind};
use crate::tokenizer::Tokenizer;
use bptt::AnyLayer;
use burn::module::Module;
use burn::tensor::Device;

impl RunFolder {
    /// Loads the model in the folder, for inference or for more training.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), bptt_zoo::Error> {
    /// # let device = burn::tensor::Device::default();
    /// use bptt_zoo::{ForecasterConfig, RunFolder};
    ///
    /// let forecaster = RunFolder::new("runs/co2").load::<ForecasterConfig>(&device)?;
    /// let next = forecaster.forecast(&[[371.3, 371.5, 371.5]], &device);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the folder holds another kind of model, or if its files cannot be read or do not fit each other.
    pub fn load<C: ModelConfig>(&self, device: &Device) -> Result<C::Model, Error> {
        let Config { settings, info } = self.config()?;
        let other = |what: String| {
            let path = self.path().display();
            Err(Error::input(format!("{path}: {what}, expected a {}", C::KIND)))
        };
        let stored = match (info.model, settings) {
            (Some(stored), _) => stored,
            (None, Some(settings)) => {
                return other(format!("a run of `{}`", settings.task.escape_debug()));
            }
            (None, None) => return other("no model".to_string()),
        };
        if stored.kind != C::KIND {
            return other(format!("a {}", stored.kind.escape_debug()));
        }
        let config = self.sound_model::<C>(&stored)?;
        self.with_weights(config.try_init(device).map_err(|why| self.in_config(why))?)
    }

    /// Writes a model and its config. Any program may have trained the model. The files of a run in the folder are
    /// removed, and no others.
    ///
    /// # Errors
    ///
    /// If the folder is neither empty nor a run folder, if a run is active in it, or if it cannot be written.
    pub fn save<C: ModelConfig>(&self, config: &C, model: C::Model) -> Result<(), Error> {
        self.save_with(Config { settings: None, info: FolderInfo::of_model(config) }, model)
    }

    /// Loads the character model in the folder, and its tokenizer.
    ///
    /// # Errors
    ///
    /// If the folder holds no run of `char-lm`, or its files cannot be read or do not fit each other.
    pub fn char_model(&self, device: &Device) -> Result<(CharModel<AnyLayer>, Tokenizer), Error> {
        let (settings, tokenizer) = self.char_settings(ModelKind::Recurrent)?;
        let model = CharModel::new(&settings, tokenizer.size(), device)?;
        Ok((self.with_weights(model)?, tokenizer))
    }

    /// Loads the character model in the folder if it is a hybrid (`--model hybrid`), and its tokenizer.
    ///
    /// # Errors
    ///
    /// As [`char_model`](Self::char_model), and if the run has another model.
    #[cfg(feature = "scanned-cells")]
    pub fn hybrid_char_model(
        &self,
        device: &Device,
    ) -> Result<(CharModel<Hybrid>, Tokenizer), Error> {
        let (settings, tokenizer) = self.char_settings(ModelKind::Hybrid)?;
        let model = CharModel::hybrid(&settings, tokenizer.size(), device)?;
        Ok((self.with_weights(model)?, tokenizer))
    }

    /// Loads the character model in the folder, whichever it is, and its tokenizer.
    ///
    /// # Errors
    ///
    /// As [`char_model`](Self::char_model).
    pub fn any_char_model(&self, device: &Device) -> Result<(AnyCharModel, Tokenizer), Error> {
        #[cfg(feature = "scanned-cells")]
        if stored::<CharLm>(self)?.options::<CharLmOptions>()?.model == ModelKind::Hybrid {
            let (model, tokenizer) = self.hybrid_char_model(device)?;
            return Ok((AnyCharModel::Hybrid(model), tokenizer));
        }
        let (model, tokenizer) = self.char_model(device)?;
        Ok((AnyCharModel::Recurrent(model), tokenizer))
    }

    /// The settings of a run of `char-lm` with this model, and its tokenizer.
    fn char_settings(&self, expected: ModelKind) -> Result<(Settings, Tokenizer), Error> {
        let settings = stored::<CharLm>(self)?;
        let CharLmOptions { model, .. } = settings.options()?;
        if model != expected {
            return Err(self.in_config(format!("the model is {model:?}, expected {expected:?}")));
        }
        let Some(text) = self.config()?.info.text else {
            return Err(self.in_config("no `text`"));
        };
        Ok((
            settings,
            Tokenizer::stored(&text.vocabulary, text.tokenizer.as_ref())
                .map_err(|why| self.in_config(why))?,
        ))
    }

    /// Loads the model of the adding problem in the folder.
    ///
    /// # Errors
    ///
    /// If the folder holds no run of `adding`, or its files cannot be read or do not fit each other.
    pub fn adder(&self, device: &Device) -> Result<Adder<AnyLayer>, Error> {
        let settings = stored::<Adding>(self)?;
        self.with_weights(Adding::new(&settings)?.model(device)?)
    }

    /// Writes a model of `char-lm` or `adding` with its settings, as training does. This is for models that were
    /// trained elsewhere.
    ///
    /// # Arguments
    ///
    /// - `text`: what a model has to know about its text, for `char-lm`
    ///
    /// # Errors
    ///
    /// If the settings do not make sense, and as [`RunFolder::save`].
    pub fn save_model<M: Module>(
        &self,
        settings: &Settings,
        text: Option<TextInfo>,
        model: M,
    ) -> Result<(), Error> {
        settings.check()?;
        let info = FolderInfo { text, ..FolderInfo::default() };
        self.save_with(Config { settings: Some(settings.clone()), info }, model)
    }

    fn save_with<M: Module>(&self, config: Config, model: M) -> Result<(), Error> {
        let claim = self.claim()?;
        self.begin(&claim, &config)?;
        self.write("model.bpk", &bytes(numbered(model).into_record())?)
    }

    /// The config of a model. It may come from a stranger. So it is refused if its model has more numbers than the file
    /// of the weights can hold.
    fn sound_model<C: ModelConfig>(&self, stored: &StoredModel) -> Result<C, Error> {
        let mut config = stored.config.clone();
        if let Some(layers) = config.get_mut("recurrent") {
            with_defaults(layers);
        }
        let config: C = serde_json::from_value(config).map_err(|why| self.in_config(why))?;
        let path = self.has_weights()?;
        let file = std::fs::metadata(&path).map_err(|error| Error::file("read", &path, error))?;
        let layers = config.recurrent();
        // Each layer has at least the recurrent weights of one gate, or if it runs as a scan one number a unit; the
        // linear layer is counted in full.
        let (hidden, output) = (layers.d_hidden(), layers.d_output());
        let is_stepped = layers.kind().cell().is_some();
        let product = |a: usize, b: usize| a as u128 * b as u128;
        let width = if is_stepped { output / layers.num_heads().max(1) } else { 1 };
        let least = product(hidden, width)
            .saturating_mul(layers.num_layers() as u128)
            .saturating_add(product(hidden, layers.d_input()))
            .saturating_add(product(output, config.outputs()));
        if least > u128::from(file.len()) {
            return Err(self.in_config(format!(
                "sizes of {least} numbers and more, and model.bpk has {} bytes",
                file.len()
            )));
        }
        Ok(config)
    }

    fn has_weights(&self) -> Result<std::path::PathBuf, Error> {
        let path = self.model();
        if !path.is_file() {
            return Err(Error::input(format!(
                "{}: no model yet, the run ended before its first validation",
                self.path().display()
            )));
        }
        Ok(path)
    }

    /// A model with the weights of the folder.
    pub(crate) fn with_weights<M: Module>(&self, model: M) -> Result<M, Error> {
        load_model(model, &self.has_weights()?)
    }
}
