//! The run folder: what a run leaves behind, and what it continues from.
//!
//! | file | what |
//! | --- | --- |
//! | `.bptt-run` | that it is a run folder, and of which format |
//! | `config.json` | the settings, what has to be known of the data, and what the model is made of |
//! | `metrics.jsonl` | one line for each point of the curves |
//! | `model.bpk` | the model with the lowest validation loss (burnpack) |
//! | `learning-curve.svg` | training and validation loss against the step |
//! | `checkpoint.json` | where the run is, and which of the folders below belongs to that |
//! | `checkpoint-N/` | model, optimizer and carried state at step N |
//!
//! Every file but the marker is written under another name first and then renamed: whoever looks,
//! whenever, sees a whole file. `checkpoint.json` comes last of all, so that it always names a whole
//! checkpoint.
//!
//! A folder that is not empty and no run folder is refused. In a run folder, the files above are the
//! run's, and all others are left alone, also those in a folder `checkpoint-N`.

use crate::marker::Claim;
use crate::whole::{is_unfinished, write_whole};
use crate::{Error, ModelConfig, Settings};
use burn::tensor::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

/// What `config.json` says.
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

    /// Whether it is the same data.
    pub(crate) fn is_of_same_data(&self, other: &Self) -> bool {
        (&self.text, &self.series) == (&other.text, &other.series)
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

/// What has to be known of a series to continue with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesInfo {
    /// How many values there are.
    pub values: usize,
    /// A hash of them.
    pub fingerprint: String,
}

/// What has to be known of a text to continue with it, and to sample without it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextInfo {
    /// How long it is.
    pub characters: usize,
    /// A hash of it.
    pub fingerprint: String,
    /// The characters that occur, in order.
    pub vocabulary: String,
}

/// A point of the learning curve: a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// After that many steps.
    pub step: u64,
    /// Seconds of training until then.
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

/// What `checkpoint.json` says.
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

pub(crate) const CONFIG: &str = "config.json";
const METRICS: &str = "metrics.jsonl";
const CHECKPOINT: &str = "checkpoint.json";
const MODEL: &str = "model.bpk";
pub(crate) const CURVE: &str = "learning-curve.svg";

/// What a run writes besides its config and its checkpoints; in this order it is removed, so that what is
/// left of a run on the way is never taken for a whole one.
const FILES: [&str; 4] = [CHECKPOINT, METRICS, MODEL, CURVE];

/// What is in a checkpoint's folder.
const PARTS: [&str; 3] = [MODEL, "optimizer.bpk", "state.bpk"];

impl RunFolder {
    /// The folder at a path, there or not.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The best model.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// The settings of the run in it.
    ///
    /// # Errors
    ///
    /// If there is no run, or its `config.json` cannot be read.
    pub fn settings(&self) -> Result<Settings, Error> {
        self.config()?.settings.ok_or_else(|| {
            let path = self.path.display();
            Error::input(format!("{path}: a model that no run of `bptt train` has left"))
        })
    }

    /// Whether there is a run in it.
    pub fn holds_run(&self) -> bool {
        self.path.join(CONFIG).is_file()
    }

    pub(crate) fn config(&self) -> Result<Config, Error> {
        let none = |why: &str| {
            Err(Error::input(format!(
                "{}: no run here ({why}); give the folder that `bptt train` wrote",
                self.path.display()
            )))
        };
        let marked = self.is_marked()?;
        if !self.holds_run() {
            return none("no config.json");
        }
        let foreign = "config.json is another program's";
        if !marked && !self.config_is_of_run() {
            return none(foreign);
        }
        let config: Config = self.read_json(CONFIG)?;
        if config.is_of_run() { Ok(config) } else { none(foreign) }
    }

    /// Makes it an empty folder for a new run; a run that was in it is gone, and nothing else.
    pub(crate) fn begin(&self, _claim: &Claim, config: &Config) -> Result<(), Error> {
        // All that would be in the way, before anything is removed.
        if self.holds_run() && !self.config_is_of_run() {
            return Err(Error::input(format!(
                "{}: {CONFIG} is not that of a run: nothing was touched; move it away, or give another \
                 folder",
                self.path.display()
            )));
        }
        for name in FILES.into_iter().chain([CONFIG]) {
            let path = self.path.join(name);
            if path.is_dir() {
                return Err(Error::file("write", &path, "it is a folder; move it away"));
            }
        }
        for name in FILES {
            remove_file(&self.path.join(name))?;
        }
        self.remove_checkpoints(None)?;
        remove_unfinished(&self.path)?;
        self.write_json(CONFIG, config)
    }

    /// Goes on with the run in it.
    pub(crate) fn resume(&self, _claim: &Claim, config: &Config) -> Result<(), Error> {
        remove_unfinished(&self.path)?;
        self.write_json(CONFIG, config)
    }

    pub(crate) fn checkpoint(&self) -> Result<Checkpoint, Error> {
        if !self.path.join(CHECKPOINT).is_file() {
            return Err(Error::input(format!(
                "{}: nothing to resume, the run ended before its first checkpoint; start it again \
                 without --resume",
                self.path.display()
            )));
        }
        self.read_json(CHECKPOINT)
    }

    /// Where the parts of a checkpoint are.
    pub(crate) fn checkpoint_part(&self, step: u64, name: &str) -> PathBuf {
        self.path.join(checkpoint_name(step)).join(name)
    }

    /// Writes a checkpoint, its parts first, and drops the one before.
    pub(crate) fn write_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        parts: Vec<(&str, Bytes)>,
    ) -> Result<(), Error> {
        let folder = self.path.join(checkpoint_name(checkpoint.step));
        std::fs::create_dir_all(&folder)
            .map_err(|error| Error::file("make the folder", &folder, error))?;
        for (name, bytes) in parts {
            write_whole(&folder.join(name), &bytes)?;
        }
        self.write_json(CHECKPOINT, checkpoint)?;
        self.remove_checkpoints(Some(checkpoint.step))
    }

    /// Removes what runs wrote into the folders of checkpoints, and the folders where that was all.
    fn remove_checkpoints(&self, except: Option<u64>) -> Result<(), Error> {
        for (name, path) in entries(&self.path)? {
            let step = name.strip_prefix("checkpoint-").and_then(|step| step.parse::<u64>().ok());
            let Some(step) = step.filter(|step| name == checkpoint_name(*step)) else { continue };
            // A link to a folder is somebody's arrangement, and no checkpoint.
            if Some(step) == except || path.is_symlink() || !path.is_dir() {
                continue;
            }
            for part in PARTS {
                remove_file(&path.join(part))?;
            }
            remove_unfinished(&path)?;
            if entries(&path)?.is_empty() {
                std::fs::remove_dir(&path).map_err(|error| Error::file("remove", &path, error))?;
            }
        }
        Ok(())
    }

    pub(crate) fn write_metrics(&self, points: &[Point]) -> Result<(), Error> {
        let mut lines = String::new();
        for point in points {
            lines += &to_json(point, false)?;
            lines.push('\n');
        }
        write_whole(&self.path.join(METRICS), lines.as_bytes())
    }

    pub(crate) fn metrics(&self) -> Result<Vec<Point>, Error> {
        let path = self.path.join(METRICS);
        let text = std::fs::read_to_string(&path).map_err(|e| Error::file("read", &path, e))?;
        let parse = |line| serde_json::from_str(line).map_err(|e| Error::file("read", &path, e));
        text.lines().map(parse).collect()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        write_whole(&self.path.join(name), bytes)
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        self.write(name, (to_json(value, true)? + "\n").as_bytes())
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let path = self.path.join(name);
        let bytes = std::fs::read(&path).map_err(|e| Error::file("read", &path, e))?;
        serde_json::from_slice(&bytes).map_err(|e| Error::file("read", &path, e))
    }
}

fn to_json(value: &impl Serialize, pretty: bool) -> Result<String, Error> {
    let json = match pretty {
        true => serde_json::to_string_pretty(value),
        false => serde_json::to_string(value),
    };
    json.map_err(|error| Error::input(format!("cannot write JSON: {error}")))
}

fn checkpoint_name(step: u64) -> String {
    format!("checkpoint-{step}")
}

/// What is in a folder: names, as far as they are text, and paths.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let failed = |error| Error::file("read", folder, error);
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let named = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
    };
    entries.map(named).collect::<Result<_, _>>().map_err(failed)
}

/// Removes a file, if it is there.
fn remove_file(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::file("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Removes what a run left that ended while it wrote. Whoever calls this has the folder to himself.
fn remove_unfinished(folder: &Path) -> Result<(), Error> {
    entries(folder)?
        .into_iter()
        .filter(|(name, path)| is_unfinished(name) && !path.is_dir())
        .try_for_each(|(_, path)| remove_file(&path))
}
