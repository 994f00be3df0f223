//! Configs of models: how a model is made, saved and loaded.

use crate::error::Error;
use bptt::{AnyRecurrent, AnyRecurrentConfig};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;

/// The config of a model that is recurrent layers and a linear one: [`ClassifierConfig`],
/// [`ForecasterConfig`], [`TaggerConfig`].
///
/// [`RunFolder::save`] and [`RunFolder::load`] write and read such a model, whether the zoo's loop has trained it or
/// another program.
///
/// [`RunFolder::save`]: crate::RunFolder::save
/// [`RunFolder::load`]: crate::RunFolder::load
/// [`ClassifierConfig`]: crate::ClassifierConfig
/// [`ForecasterConfig`]: crate::ForecasterConfig
/// [`TaggerConfig`]: crate::TaggerConfig
pub trait ModelConfig: burn::config::Config {
    /// What it makes.
    type Model: Module;

    /// The name of this kind of model in folders.
    const KIND: &'static str;

    /// What the recurrent layers are made of.
    fn recurrent(&self) -> &AnyRecurrentConfig;

    /// How many outputs the linear layer has.
    fn outputs(&self) -> usize;

    /// Puts the model together of its layers.
    fn model(&self, recurrent: AnyRecurrent, head: Linear) -> Self::Model;

    /// Checks what this kind of model asks of its config besides what all do.
    ///
    /// # Errors
    ///
    /// The first option that is wrong.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Makes the model. Its random values are drawn from the device.
    ///
    /// # Errors
    ///
    /// If the options do not go together.
    fn try_init(&self, device: &Device) -> Result<Self::Model, Error> {
        if self.outputs() == 0 {
            return Err(Error::input(format!("a {} without an answer to give", Self::KIND)));
        }
        self.check()?;
        let (recurrent, head) = with_head(self.recurrent(), self.outputs(), device)?;
        Ok(self.model(recurrent, head))
    }
}

/// Recurrent layers, and a linear one that reads their outputs.
pub(crate) fn with_head(
    config: &AnyRecurrentConfig,
    outputs: usize,
    device: &Device,
) -> Result<(AnyRecurrent, Linear), Error> {
    if !config.batch_first {
        return Err(Error::input("batch_first is false, and inputs here are [B, T, I]"));
    }
    let recurrent = config.try_init(device).map_err(|error| Error::input(error.to_string()))?;
    let head = LinearConfig::new(recurrent.d_output(), outputs).init(device);
    Ok((recurrent, head))
}
