//! Configs of models: how a model is made, saved and loaded.

use crate::error::Error;
use crate::settings::fields;
use bptt::{AnyLayer, AnyLayerConfig, AnyRecurrentConfig, CellKind, LayerKind, RecurrentLayer};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use serde::Deserialize;
use serde_json::Value;

/// Adds the options that a stored config of recurrent layers does not have, because it was written before there were any,
/// with their defaults. Burn's configs ask for each of their fields.
pub(crate) fn with_defaults(layers: &mut Value) {
    const REQUIRED: [&str; 3] = ["kind", "d_input", "d_hidden"];
    let Value::Object(layers) = layers else { return };
    let kind = layers.get("kind").and_then(|kind| LayerKind::deserialize(kind).ok());
    if kind.and_then(LayerKind::cell).is_none() {
        return;
    }
    for (name, value) in fields(&AnyRecurrentConfig::new(CellKind::Rnn, 1, 1)) {
        if !REQUIRED.contains(&name.as_str()) {
            layers.entry(name).or_insert(value);
        }
    }
}

/// The config of a model that consists of recurrent layers and a linear layer: [`ClassifierConfig`],
/// [`ForecasterConfig`], [`RegressorConfig`], [`TaggerConfig`].
///
/// [`RunFolder::save`] and [`RunFolder::load`] write and read such a model, no matter whether the zoo or another
/// program trained it.
///
/// [`RunFolder::save`]: crate::RunFolder::save
/// [`RunFolder::load`]: crate::RunFolder::load
/// [`ClassifierConfig`]: crate::ClassifierConfig
/// [`ForecasterConfig`]: crate::ForecasterConfig
/// [`RegressorConfig`]: crate::RegressorConfig
/// [`TaggerConfig`]: crate::TaggerConfig
pub trait ModelConfig: burn::config::Config {
    /// The model that it makes.
    type Model: Module;

    /// The name of this kind of model in folders.
    const KIND: &'static str;

    /// The config of the recurrent layers.
    fn recurrent(&self) -> &AnyLayerConfig;

    /// How many outputs the linear layer has.
    fn outputs(&self) -> usize;

    /// Makes the model from its layers.
    fn model(&self, recurrent: AnyLayer, head: Linear) -> Self::Model;

    /// Checks the rules that only this kind of model has for its config.
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

/// Makes recurrent layers, and a linear layer that reads their outputs.
pub(crate) fn with_head(
    config: &AnyLayerConfig,
    outputs: usize,
    device: &Device,
) -> Result<(AnyLayer, Linear), Error> {
    if !config.batch_first() {
        return Err(Error::input("batch_first is false, and inputs here are [B, T, I]"));
    }
    let recurrent = config.try_init(device).map_err(|error| Error::input(error.to_string()))?;
    let head = LinearConfig::new(recurrent.d_output(), outputs).init(device);
    Ok((recurrent, head))
}
