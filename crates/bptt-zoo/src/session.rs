//! What a run is given besides its settings, and what comes out of it.

use burn::tensor::Device;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// What a run needs besides its settings.
pub struct Session<'a> {
    /// Where it runs, without autodiff.
    pub device: Device,
    /// The run folder.
    pub out: PathBuf,
    /// Whether to continue the run in the folder.
    pub resume: bool,
    /// Set by somebody else, ends the run cleanly after the step.
    pub stop: &'a AtomicBool,
    /// Called once, before anything is written into the folder. From here on whoever wants the end sets
    /// `stop`, and the run is saved; until here there is nothing to be saved, and the process may end.
    pub begun: &'a mut dyn FnMut(),
    /// Gets the lines for a person, the check of the gradients first.
    pub say: &'a mut dyn FnMut(&str),
}

/// What came out of a run. Serialises to the fields of `bptt train --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunResult {
    /// The task's name.
    pub task: &'static str,
    /// The cell's name.
    pub cell: &'static str,
    /// The engine's name.
    pub engine: &'static str,
    /// The device's name.
    pub device: String,
    /// Steps done, from the very beginning.
    pub steps: u64,
    /// Seconds that took.
    pub seconds: f64,
    /// The mean training loss of the last 100 steps.
    pub train_loss: f64,
    /// The lowest validation loss, that of `model.bpk`.
    pub valid_loss: f64,
    /// The metric of `model.bpk` on the validation data.
    pub metric: f64,
    /// What the metric is.
    pub metric_name: &'static str,
    /// How many numbers are learned.
    pub parameters: usize,
    /// After which step `model.bpk` was.
    pub best_step: u64,
    /// The run folder.
    pub out: String,
}
