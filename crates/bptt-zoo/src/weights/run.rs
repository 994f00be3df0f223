//! The options of the recurrent layers in the `model.bpk` of a run folder.

use crate::error::Error;
use crate::folder_files::StoredModel;
use crate::model_config::with_defaults;
use crate::read;
use crate::settings::Settings;
use crate::weights::burnpack::BURNPACK;
use crate::weights::format::Format;
use crate::weights::layer::{LayerOptions, kind_to_say};
use crate::weights::said::Said;
#[cfg(feature = "scanned-cells")]
use crate::weights::scanned::found::ScannedOptions;
use bptt::{AnyLayerConfig, AnyRecurrentConfig};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The prefix of the recurrent layers in all models of the zoo.
const LAYERS: &str = "recurrent.";

/// The options of the layers, by prefix, from the `config.json` beside a `model.bpk`.
///
/// # Errors
///
/// One line, if the `config.json` belongs to a run but cannot be read.
pub(super) fn said(path: &Path, format: Format) -> Result<BTreeMap<String, Said>, Error> {
    // The `model.bpk` of a checkpoint is one folder deeper.
    let in_checkpoint = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let config = match in_checkpoint.is_some_and(|name| name.starts_with("checkpoint-")) {
        true => path.with_file_name("../config.json"),
        false => path.with_file_name("config.json"),
    };
    let is_model = path.file_name().is_some_and(|name| name == "model.bpk");
    if format != BURNPACK || !is_model || !config.is_file() {
        return Ok(BTreeMap::new());
    }
    let failed = |why: &dyn std::fmt::Display| Error::file("read", &config, why);
    let bytes = read::file(&config, read::LONGEST_JSON)?;
    // Many programs write a file with this name. The `config.json` of a run has one of two keys.
    let Ok(Value::Object(mut whole)) = serde_json::from_slice(&bytes) else {
        return Ok(BTreeMap::new());
    };
    let mut part = |key: &str| whole.remove(key).filter(|value| !value.is_null());
    let layers = match (part("model"), part("settings")) {
        (Some(model), _) => {
            let Ok(model) = serde_json::from_value::<StoredModel>(model) else {
                return Ok(BTreeMap::new());
            };
            // A model that another program saved may have its layers under another name.
            let Some(layers) = model.config.get("recurrent") else { return Ok(BTreeMap::new()) };
            let mut layers = layers.clone();
            with_defaults(&mut layers);
            AnyLayerConfig::deserialize(layers).map_err(|why| failed(&why))?
        }
        (None, Some(settings)) if settings.get("task").is_some() => {
            let settings: Settings =
                serde_json::from_value(settings).map_err(|why| failed(&why))?;
            if settings.options.get("model").is_some_and(|model| model == "hybrid") {
                let why = "a hybrid, which is not made of RNN, LSTM or GRU: its weights stay in the run folder";
                return Err(failed(&why));
            }
            settings.layer_config(1)
        }
        (None, _) => return Ok(BTreeMap::new()),
    };
    let said = match layers {
        AnyLayerConfig::Recurrent(config) => Said::Cell(options(&config)),
        #[cfg(feature = "scanned-cells")]
        AnyLayerConfig::Scanned(config) => Said::Scanned(ScannedOptions::of(&config)),
        other => return Err(failed(&format!("its layers are {}", other.kind().name()))),
    };
    Ok(BTreeMap::from([(LAYERS.to_string(), said)]))
}

fn options(config: &AnyRecurrentConfig) -> LayerOptions {
    LayerOptions {
        kind: kind_to_say(config.kind),
        nonlinearity: config.nonlinearity,
        reset_after: config.reset_after,
        input_forget: config.input_forget,
        clip: config.clip,
        batch_first: config.batch_first,
        reverse: config.reverse,
        dropout: config.dropout,
        noise: config.noise.filter(|noise| !noise.is_none()),
        oscillator: None,
        time_step: None,
    }
}
