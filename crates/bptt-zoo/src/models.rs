//! The zoo's models as their run folders hold them: the config says what to make, `model.bpk` has
//! the weights.

use crate::folder::Config;
use crate::store::{bytes, load_model, numbered};
use crate::tasks::char_lm::CharModel;
use crate::{Adder, Adding, Error, RunFolder, Settings, Task, TaskKind, TextInfo};
use bptt::AnyRecurrent;
use burn::module::Module;
use burn::tensor::Device;

impl RunFolder {
    /// The character model in the folder, and its vocabulary: the character of each number.
    ///
    /// # Errors
    ///
    /// If the folder holds no run of `char-lm`, or its files cannot be read or do not fit each other.
    pub fn char_model(
        &self,
        device: &Device,
    ) -> Result<(CharModel<AnyRecurrent>, Vec<char>), Error> {
        let config = self.sound_config()?;
        let (TaskKind::CharLm, Some(text)) = (config.settings.task, &config.text) else {
            return Err(self.other_task(&config.settings, TaskKind::CharLm));
        };
        let vocabulary: Vec<char> = text.vocabulary.chars().collect();
        let model = CharModel::new(&config.settings, vocabulary.len(), device)?;
        Ok((self.with_weights(model)?, vocabulary))
    }

    /// The model of the adding problem in the folder.
    ///
    /// # Errors
    ///
    /// If the folder holds no run of `adding`, or its files cannot be read or do not fit each other.
    pub fn adder(&self, device: &Device) -> Result<Adder<AnyRecurrent>, Error> {
        let config = self.sound_config()?;
        if config.settings.task != TaskKind::Adding {
            return Err(self.other_task(&config.settings, TaskKind::Adding));
        }
        self.with_weights(Adding::new(&config.settings).model(device)?)
    }

    /// Writes a model with its config, as training does: for models that were trained elsewhere.
    ///
    /// # Arguments
    ///
    /// - `text`: what has to be known of the text, for `char-lm`
    ///
    /// # Errors
    ///
    /// If the settings do not make sense, or the folder cannot be written.
    pub fn save_model<M: Module>(
        &self,
        settings: &Settings,
        text: Option<TextInfo>,
        model: M,
    ) -> Result<(), Error> {
        settings.check()?;
        self.begin(&Config { settings: settings.clone(), text })?;
        self.write("model.bpk", &bytes(numbered(model).into_record())?)
    }

    /// The config, which may come from a stranger: its sizes are checked before anything is made.
    fn sound_config(&self) -> Result<Config, Error> {
        let config = self.config()?;
        config.settings.check().map_err(|why| {
            Error::input(format!("{}: in config.json, {why}", self.path().display()))
        })?;
        Ok(config)
    }

    fn other_task(&self, settings: &Settings, wanted: TaskKind) -> Error {
        Error::input(format!(
            "{}: a run of `{}`, expected one of `{}`",
            self.path().display(),
            settings.task.name(),
            wanted.name(),
        ))
    }

    fn with_weights<M: Module>(&self, model: M) -> Result<M, Error> {
        let path = self.model();
        if !path.is_file() {
            return Err(Error::input(format!(
                "{}: no model yet, the run ended before its first validation",
                self.path().display()
            )));
        }
        load_model(model, &path)
    }
}
