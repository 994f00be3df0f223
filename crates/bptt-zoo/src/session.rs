//! What a run needs besides its settings, and its result.

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
    /// Another thread sets it to end the run cleanly after the current step.
    pub stop: &'a AtomicBool,
    /// Called once, before anything is written into the folder. Until this call there is nothing to save, and the
    /// process may simply end. After it, `stop` is the way to end the run, so that it is saved.
    pub begun: &'a mut dyn FnMut(),
    /// Gets the lines for a person, the check of the gradients first.
    pub say: &'a mut dyn FnMut(&str),
}

/// The result of a run. It serialises to the fields of `bptt train --json`.
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
    /// Steps done, counted from the very beginning.
    pub steps: u64,
    /// How many seconds they took.
    pub seconds: f64,
    /// The mean training loss of the last 100 steps.
    pub train_loss: f64,
    /// The lowest validation loss, which is that of `model.bpk`.
    pub valid_loss: f64,
    /// The metric of `model.bpk` on the validation data.
    pub metric: f64,
    /// What the metric is.
    pub metric_name: &'static str,
    /// How many numbers are learned.
    pub parameters: usize,
    /// The step after which `model.bpk` was written.
    pub best_step: u64,
    /// The run folder.
    pub out: String,
}
