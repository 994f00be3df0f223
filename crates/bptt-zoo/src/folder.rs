//! The run folder: the files that a run writes, and from which it can be resumed.
//!
//! | file | what |
//! | --- | --- |
//! | `.bptt-run` | the marker of a run folder, with its format |
//! | `config.json` | the settings, what has to be known about the data, and the config of the model |
//! | `metrics.jsonl` | one line for each point of the curves |
//! | `metrics.csv` | the same as a table |
//! | `model.bpk` | the model with the lowest validation loss (burnpack) |
//! | `gradients.jsonl` | with a probe: the norms of the gradient of the state, by training step and layer |
//! | `jacobians.jsonl` | with a probe: how large the Jacobians are, by training step and layer |
//! | `sharpness.jsonl` | with a probe: the largest eigenvalue of the Hessian, by training step |
//! | `test.json` | for tasks with a test part: the scores of the best model, once the run is complete |
//! | `learning-curve.svg` | training and validation loss against the step |
//! | `checkpoint.json` | how far the run is, and which of the folders below belongs to it |
//! | `checkpoint-N/` | model, average of its weights, optimizer and what is carried on at step N |
//!
//! Every file but the marker is written under another name first and then renamed, so that a reader always sees a
//! whole file. `checkpoint.json` is written last, so that it always names a whole checkpoint.
//!
//! A folder that is neither empty nor a run folder is refused. In a run folder, the files above belong to the run. All
//! other files are not touched, even in a folder `checkpoint-N`.

use crate::error::Error;
use crate::folder_files::{CONFIG, Checkpoint, Config, Point};
use crate::gradient_log::GradientPoint;
use crate::jacobian_log::JacobianPoint;
use crate::marker::{self, Claim, Found};
use crate::read;
use crate::settings::Settings;
use crate::sharpness_log::SharpnessPoint;
use crate::task::TestScores;
use crate::tasks::forecast::combination::Combination;
use crate::tasks::forecast::score::Calibration;
use crate::whole::{is_unfinished, write_whole};
use burn::tensor::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

const METRICS: &str = "metrics.jsonl";
const METRICS_TABLE: &str = "metrics.csv";
const CHECKPOINT: &str = "checkpoint.json";
pub(crate) const MODEL: &str = "model.bpk";
pub(crate) const AVERAGE: &str = "average.bpk";
pub(crate) const CARRIED: &str = "carried.json";
const GRADIENTS: &str = "gradients.jsonl";
const JACOBIANS: &str = "jacobians.jsonl";
const SHARPNESS: &str = "sharpness.jsonl";
const TEST: &str = "test.json";
pub(crate) const CURVE: &str = "learning-curve.svg";

/// The files that a run writes besides its checkpoints. They are removed in this order, so that a run
/// that is removed only in part is never taken for a whole one.
const FILES: [&str; 10] = [
    CHECKPOINT,
    CONFIG,
    METRICS,
    METRICS_TABLE,
    MODEL,
    GRADIENTS,
    JACOBIANS,
    SHARPNESS,
    TEST,
    CURVE,
];

/// What is in a checkpoint's folder.
const PARTS: [&str; 5] = [MODEL, AVERAGE, "optimizer.bpk", "state.bpk", CARRIED];

impl RunFolder {
    /// The folder at this path. It need not exist.
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
    /// If there is no run in the folder, or its `config.json` cannot be read.
    pub fn settings(&self) -> Result<Settings, Error> {
        self.config()?.settings.ok_or_else(|| {
            let path = self.path.display();
            Error::input(format!("{path}: a model that no run of `bptt train` has left"))
        })
    }

    /// An error about its `config.json`.
    pub(crate) fn in_config(&self, why: impl std::fmt::Display) -> Error {
        Error::file("read", &self.path.join(CONFIG), why)
    }

    /// Whether there is a run in it.
    pub fn holds_run(&self) -> bool {
        self.path.join(CONFIG).is_file()
    }

    /// What kind of folder it is; see [`marker::find`].
    pub(crate) fn find(&self) -> Result<Found, Error> {
        marker::find(&self.path)
    }

    /// Claims the folder if it already holds a run; see [`marker::claim_existing`].
    pub(crate) fn claim_existing(&self) -> Result<Option<Claim>, Error> {
        marker::claim_existing(&self.path)
    }

    /// Makes it a run folder and claims it; see [`marker::claim`].
    pub(crate) fn claim(&self) -> Result<Claim, Error> {
        marker::claim(&self.path)
    }

    pub(crate) fn config(&self) -> Result<Config, Error> {
        let none = |why: &str| {
            Err(Error::input(format!(
                "{}: no run here ({why}); give the folder that `bptt train` wrote",
                self.path.display()
            )))
        };
        let marked = marker::is_marked(&self.path)?;
        if !self.holds_run() {
            return none("no config.json");
        }
        let foreign = "config.json is another program's";
        if !marked && !marker::config_is_of_run(&self.path) {
            return none(foreign);
        }
        let config: Config = self.read_json(CONFIG)?;
        if config.is_of_run() { Ok(config) } else { none(foreign) }
    }

    /// Makes it the empty folder of a new run. The files of an older run in it are removed, and no others.
    pub(crate) fn begin(&self, _claim: &Claim, config: &Config) -> Result<(), Error> {
        // All obstacles are checked before anything is removed.
        if self.holds_run() && !marker::config_is_of_run(&self.path) {
            return Err(Error::input(format!(
                "{}: {CONFIG} is not that of a run: nothing was touched; move it away, or give another \
                 folder",
                self.path.display()
            )));
        }
        for name in FILES {
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

    /// Continues the run in it.
    pub(crate) fn resume(&self, _claim: &Claim, config: &Config) -> Result<(), Error> {
        remove_unfinished(&self.path)?;
        self.write_json(CONFIG, config)
    }

    /// How far the run in it is; `None` before the first checkpoint.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or if there is a model without a checkpoint, which no run of `bptt train` has left.
    pub(crate) fn checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        if self.path.join(CHECKPOINT).is_file() {
            return self.read_json(CHECKPOINT).map(Some);
        }
        match self.model().is_file() {
            true => Err(Error::input(format!(
                "{}: nothing to resume, there is a model without a checkpoint; start a run without --resume",
                self.path.display()
            ))),
            false => Ok(None),
        }
    }

    /// Makes the model of a checkpoint the best one. `part` is the part that has it.
    pub(crate) fn write_best(&self, step: u64, part: &str) -> Result<(), Error> {
        let bytes = read::file(&self.checkpoint_part(step, part), read::LONGEST_DATA)?;
        self.write(MODEL, &bytes)
    }

    /// Whether the best model is there. If it is that of the checkpoint, it has the bytes of this part.
    pub(crate) fn holds_best(&self, checkpoint: &Checkpoint, part: &str) -> bool {
        let is_last = checkpoint.best.is_some_and(|best| best.step == checkpoint.step);
        let last = self.checkpoint_part(checkpoint.step, part);
        match (std::fs::read(self.model()), is_last) {
            (Ok(best), true) => std::fs::read(last).is_ok_and(|last| last == best),
            (best, _) => best.is_ok(),
        }
    }

    /// Whether the scores of the test part are there.
    pub(crate) fn holds_test(&self) -> bool {
        self.path.join(TEST).is_file()
    }

    /// Where the parts of a checkpoint are.
    pub(crate) fn checkpoint_part(&self, step: u64, name: &str) -> PathBuf {
        self.path.join(checkpoint_name(step)).join(name)
    }

    /// Writes a checkpoint, its parts first, and removes the previous one.
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

    /// Removes the files of runs from the folders of checkpoints. A folder that is empty then is removed too.
    fn remove_checkpoints(&self, except: Option<u64>) -> Result<(), Error> {
        for (name, path) in entries(&self.path)? {
            let step = name.strip_prefix("checkpoint-").and_then(|step| step.parse::<u64>().ok());
            let Some(step) = step.filter(|step| name == checkpoint_name(*step)) else { continue };
            // No run makes a link to a folder, so a link belongs to another program.
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
        self.write(METRICS_TABLE, table(points).as_bytes())?;
        self.write_lines(METRICS, points)
    }

    /// The points of the learning curve.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn metrics(&self) -> Result<Vec<Point>, Error> {
        self.lines(METRICS)
    }

    pub(crate) fn write_test(&self, scores: &TestScores) -> Result<(), Error> {
        self.write_json(TEST, scores)
    }

    /// What the validation part of a forecast has corrected, and what is said together with the network; `None`, if the run
    /// is not complete or has no test part, or the network is alone.
    pub(crate) fn corrections(&self) -> Result<(Option<Calibration>, Option<Combination>), Error> {
        #[derive(serde::Deserialize)]
        struct Stored {
            calibration: Option<Calibration>,
            combination: Option<Combination>,
        }
        match self.path.join(TEST).exists() {
            true => {
                let Stored { calibration, combination } = self.read_json(TEST)?;
                Ok((calibration, combination))
            }
            false => Ok((None, None)),
        }
    }

    pub(crate) fn write_gradients(&self, points: &[GradientPoint]) -> Result<(), Error> {
        self.write_lines(GRADIENTS, points)
    }

    /// The lines of `gradients.jsonl`; none, if the run had no probe.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn gradients(&self) -> Result<Vec<GradientPoint>, Error> {
        self.lines_if_there(GRADIENTS)
    }

    pub(crate) fn write_sharpness(&self, points: &[SharpnessPoint]) -> Result<(), Error> {
        self.write_lines(SHARPNESS, points)
    }

    /// The lines of `sharpness.jsonl`; none, if the run had no such probe.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn sharpness(&self) -> Result<Vec<SharpnessPoint>, Error> {
        self.lines_if_there(SHARPNESS)
    }

    fn lines_if_there<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, Error> {
        match self.path.join(name).exists() {
            true => self.lines(name),
            false => Ok(Vec::new()),
        }
    }

    pub(crate) fn write_jacobians(&self, points: &[JacobianPoint]) -> Result<(), Error> {
        self.write_lines(JACOBIANS, points)
    }

    /// The lines of `jacobians.jsonl`; none, if the run had no such probe.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn jacobians(&self) -> Result<Vec<JacobianPoint>, Error> {
        self.lines_if_there(JACOBIANS)
    }

    fn write_lines(&self, name: &str, points: &[impl Serialize]) -> Result<(), Error> {
        let mut lines = String::new();
        for point in points {
            lines += &to_json(point, false)?;
            lines.push('\n');
        }
        self.write(name, lines.as_bytes())
    }

    fn lines<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, Error> {
        let path = self.path.join(name);
        let failed = |error| Error::file("read", &path, error);
        let bytes = read::file(&path, read::LONGEST_DATA)?;
        let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(failed)).collect()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        write_whole(&self.path.join(name), bytes)
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        self.write(name, (to_json(value, true)? + "\n").as_bytes())
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let path = self.path.join(name);
        let bytes = read::file(&path, read::LONGEST_JSON)?;
        serde_json::from_slice(&bytes).map_err(|e| Error::file("read", &path, e))
    }
}

/// The points of the curves as a table. A field without a value is empty.
fn table(points: &[Point]) -> String {
    let field = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let row = |point: &Point| {
        let Point { step, seconds, lr, train_loss, valid_loss, metric } = point;
        let [lr, train, valid, metric] = [*lr, *train_loss, *valid_loss, *metric].map(field);
        format!("{step},{seconds},{lr},{train},{valid},{metric}\n")
    };
    let rows = points.iter().map(row);
    ["step,seconds,lr,train_loss,valid_loss,metric\n".to_string()].into_iter().chain(rows).collect()
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

/// The entries of a folder: their names, as text, and their paths.
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

/// Removes the unfinished files of a process that ended while it wrote. The caller holds the claim, so no other
/// process is writing.
fn remove_unfinished(folder: &Path) -> Result<(), Error> {
    entries(folder)?
        .into_iter()
        .filter(|(name, path)| is_unfinished(name) && !path.is_dir())
        .try_for_each(|(_, path)| remove_file(&path))
}
