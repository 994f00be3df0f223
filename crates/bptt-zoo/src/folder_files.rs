//! The contents of the files in a run folder.

use crate::model_config::ModelConfig;
use crate::settings::Settings;
use serde::{Deserialize, Serialize};

/// The file of the settings.
pub(crate) const CONFIG: &str = "config.json";

/// The content of `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Config {
    /// `None`: the model was not trained by a run.
    pub(crate) settings: Option<Settings>,
    #[serde(flatten)]
    pub(crate) info: FolderInfo,
}

/// What a run folder has to remember besides the settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FolderInfo {
    /// Of the text, for `char-lm`.
    pub text: Option<TextInfo>,
    /// Of the series, for `forecast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SeriesInfo>,
    /// What the model is made of, where it has a [`ModelConfig`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<StoredModel>,
}

impl Config {
    /// Whether a run or a saved model has one like this.
    pub(crate) fn is_of_run(&self) -> bool {
        self.settings.is_some() || self.info.model.is_some()
    }
}

impl FolderInfo {
    /// What a model is made of, and nothing else.
    pub fn of_model<C: ModelConfig>(config: &C) -> Self {
        let config = serde_json::to_value(config).expect("a config is plain data");
        Self { model: Some(StoredModel { kind: C::KIND.to_string(), config }), ..Self::default() }
    }

    /// What the data is, if it is not the same.
    pub(crate) fn other_data(&self, other: &Self) -> Option<&'static str> {
        match (self.text == other.text, self.series == other.series) {
            (true, true) => None,
            (false, _) => Some("text"),
            (true, false) => Some("series"),
        }
    }
}

/// What a model is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredModel {
    /// [`ModelConfig::KIND`]
    pub kind: String,
    /// The config.
    pub config: serde_json::Value,
}

/// What has to be known about a series to continue with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesInfo {
    /// How many values there are.
    pub values: usize,
    /// A hash of them.
    pub fingerprint: String,
}

/// What has to be known about a text to continue with it, and to write text without it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextInfo {
    /// How many characters it has.
    pub characters: usize,
    /// A hash of it.
    pub fingerprint: String,
    /// The characters that occur, in order.
    pub vocabulary: String,
}

/// A point of the learning curve: a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// After how many steps.
    pub step: u64,
    /// Seconds of training until this step.
    pub seconds: f64,
    /// The mean training loss since the point before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub train_loss: Option<f64>,
    /// The validation loss.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub valid_loss: Option<f64>,
    /// The task's metric on the validation data.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metric: Option<f64>,
}

/// The content of `checkpoint.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) step: u64,
    pub(crate) seconds: f64,
    /// The last training losses, the newest last.
    pub(crate) recent: Vec<f32>,
    /// The step, loss and metric of `model.bpk`.
    pub(crate) best: Option<Best>,
}

/// The best validation so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    pub(crate) step: u64,
    pub(crate) loss: f64,
    pub(crate) metric: f64,
}
