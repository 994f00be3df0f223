//! What a model with a config is to those who save and load it.

use crate::error::Error;
use bptt::AnyRecurrentConfig;
use burn::module::Module;
use burn::tensor::Device;

/// The config of a model that is recurrent layers and a linear one: [`ClassifierConfig`],
/// [`ForecasterConfig`], [`TaggerConfig`].
///
/// Made by itself or by a task, trained by the zoo's loop or by another, the model is saved and loaded
/// in a line, [`RunFolder::save`] and [`RunFolder::load`].
///
/// [`RunFolder::save`]: crate::RunFolder::save
/// [`RunFolder::load`]: crate::RunFolder::load
/// [`ClassifierConfig`]: crate::ClassifierConfig
/// [`ForecasterConfig`]: crate::ForecasterConfig
/// [`TaggerConfig`]: crate::TaggerConfig
pub trait ModelConfig: burn::config::Config {
    /// What it makes.
    type Model: Module;

    /// What the folder calls that.
    const KIND: &'static str;

    /// What the recurrent layers are made of.
    fn recurrent(&self) -> &AnyRecurrentConfig;

    /// How many numbers the linear layer has for each answer.
    fn outputs(&self) -> usize;

    /// Makes the model, its random values drawn from the device.
    ///
    /// # Errors
    ///
    /// If the options do not go together.
    fn try_init(&self, device: &Device) -> Result<Self::Model, Error>;

    /// What does not need the model.
    #[doc(hidden)]
    fn check(&self) -> Result<(), Error> {
        match self.outputs() {
            0 => Err(Error::input(format!("a {} without an answer to give", Self::KIND))),
            _ => Ok(()),
        }
    }
}
