//! The contents of the files in a run folder.

use crate::frame::step::Grid;
use crate::labelled::scaling::Scaling;
use crate::learning_rates::{Lowered, Waiting};
use crate::loss_scale::LossScale;
use crate::model_config::ModelConfig;
use crate::series::Standardization;
use crate::settings::Settings;
use crate::tasks::forecast::calendar::CalendarFeature;
use crate::tokenizer::StoredTokenizer;
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

/// What a run folder has to store besides the settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FolderInfo {
    /// About the text, for `char-lm`.
    pub text: Option<TextInfo>,
    /// About the series, for `forecast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SeriesInfo>,
    /// How the series are read, for `forecast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastInfo>,
    /// About labelled sequences, for `classify`, `tag` and `regress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labelled: Option<LabelledInfo>,
    /// The kind and config of the model, if it has a [`ModelConfig`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<StoredModel>,
}

impl Config {
    /// Whether this is the config of a run or of a saved model, and not of another program.
    pub(crate) fn is_of_run(&self) -> bool {
        self.settings.is_some() || self.info.model.is_some()
    }
}

impl FolderInfo {
    /// The kind and config of a model, and nothing else.
    pub fn of_model<C: ModelConfig>(config: &C) -> Self {
        let config = serde_json::to_value(config).expect("a config is plain data");
        Self { model: Some(StoredModel { kind: C::KIND.to_string(), config }), ..Self::default() }
    }

    /// The name of the data, if the two are about different data.
    pub(crate) fn other_data(&self, other: &Self) -> Option<&'static str> {
        if self.text != other.text {
            Some("text")
        } else if self.series != other.series {
            Some("series")
        } else if self.labelled != other.labelled {
            Some("data")
        } else {
            None
        }
    }
}

/// The kind and config of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredModel {
    /// [`ModelConfig::KIND`]
    pub kind: String,
    /// The config.
    pub config: serde_json::Value,
}

/// What a resumed run needs to know about its series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesInfo {
    /// How many values there are.
    pub values: usize,
    /// A hash of the values.
    pub fingerprint: String,
}

/// What a model needs to read new values of its series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastInfo {
    /// The names of the series; one that is empty, if there is only one.
    pub names: Vec<String>,
    /// How the targets of each series are scaled.
    pub scales: Vec<Vec<Standardization>>,
    /// How the covariates are scaled: those known up to now, then those known ahead.
    pub covariates: Scaling,
    /// The steps of the times, if there are times.
    pub(crate) grid: Option<Grid>,
    /// How many steps a season has; 1 for none.
    pub season: usize,
    /// What of the time the model reads. `None`: what the options say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) calendar: Option<Vec<CalendarFeature>>,
    /// With dates, the place of the first step after what the run learned from, the training and the validation part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) learned_until: Option<i64>,
    /// How many values a window has. `None`: what the options say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) length: Option<usize>,
}

impl ForecastInfo {
    /// Whether it fits so many targets and covariates, and its numbers can be used.
    pub(crate) fn is_sound(&self, targets: usize, covariates: usize) -> bool {
        self.names.len() == self.scales.len()
            && !self.scales.is_empty()
            && self.scales.iter().all(|scales| {
                scales.len() == targets && scales.iter().all(Standardization::is_sound)
            })
            && self.covariates.is_sound(covariates)
    }
}

/// What a resumed run needs to know about its labelled sequences, and what a model needs to read others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelledInfo {
    /// How many sequences there are.
    pub sequences: usize,
    /// A hash of the sequences and their labels.
    pub fingerprint: String,
    /// The names of the numbers of each step, if they came from a table.
    pub features: Option<Vec<String>>,
    /// The labels, in the order of the model's scores; none if a number was learned.
    pub labels: Vec<String>,
    /// How the numbers of the steps are scaled.
    pub scaling: Scaling,
    /// How the number that is learned is scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Scaling>,
}

/// What a resumed run needs to know about its text, and what a model needs to write text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextInfo {
    /// How many characters it has.
    pub characters: usize,
    /// A hash of the text.
    pub fingerprint: String,
    /// The characters that occur, in order; empty, if the tokens are not characters.
    pub vocabulary: String,
    /// The tokenizer, if its tokens are not characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<StoredTokenizer>,
}

/// A point of the learning curve: a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The number of steps before this point.
    pub step: u64,
    /// Seconds of training until this step.
    pub seconds: f64,
    /// The learning rate of the last step.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lr: Option<f64>,
    /// The mean training loss since the previous point.
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
    /// For recurrent layers in `f16`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) loss_scale: Option<LossScale>,
    /// How many validations have not been better than the best one before.
    #[serde(default)]
    pub(crate) waiting: Waiting,
    /// For the schedule plateau.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lowered: Option<Lowered>,
}

/// The best validation so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    pub(crate) step: u64,
    pub(crate) loss: f64,
    pub(crate) metric: f64,
}
