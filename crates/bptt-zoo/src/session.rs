//! What a run needs besides its settings, and its result.

use crate::progress::TrainProgress;
use crate::task::TestScores;
use crate::tasks::forecast::score::ErrorScores;
use burn::tensor::Device;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// What a run needs besides its settings.
pub struct Session<'a> {
    /// The device, without autodiff.
    pub device: Device,
    /// The run folder.
    pub out: PathBuf,
    /// Whether to continue the run in the folder.
    pub resume: bool,
    /// The folder of another run, from whose best model a new run goes on. Nothing else is taken from it but how data is
    /// scaled, so that its weights mean the same.
    pub warm_start: Option<PathBuf>,
    /// Another thread sets this to end the run after the current step, so that it is saved.
    pub stop: &'a AtomicBool,
    /// What is read while the run is trained. It changes nothing else.
    pub probes: Probes,
    /// Called once, before anything is written into the folder. Before this call there is nothing to save, and the
    /// process may simply end. After it, end the run by `stop`, so that it is saved.
    pub begun: &'a mut dyn FnMut(),
    /// Is called with each line for the user. The first line is the check of the gradients.
    pub say: &'a mut dyn FnMut(&str),
    /// Is told how far the run is, up to ten times a second, to draw a line that changes. `None`: now and then there is a
    /// line for the user about it.
    pub progress: Option<&'a mut dyn FnMut(&TrainProgress)>,
}

/// What is read while a run is trained, and written into its folder: each every so many training steps, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// The norms of the gradient of the state (`gradients.jsonl`). This needs the manual engine.
    pub gradients: Option<u64>,
    /// How large the Jacobians of each layer are, along a validation sequence (`jacobians.jsonl`).
    pub jacobians: Option<u64>,
    /// The largest eigenvalue of the Hessian of a training batch (`sharpness.jsonl`). A reading takes some dozens of
    /// gradients of this batch.
    pub sharpness: Option<u64>,
}

impl Probes {
    /// Whether nothing is read.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The result of a run. It serialises to the fields of `bptt train --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunResult {
    /// The task's name.
    pub task: &'static str,
    /// The cell's name, or the model's if it is not made of one cell.
    pub cell: &'static str,
    /// The engine's name.
    pub engine: &'static str,
    /// The device's name.
    pub device: String,
    /// The number of steps, counted from the first start of the run.
    pub steps: u64,
    /// How many seconds they took.
    pub seconds: f64,
    /// The mean training loss of the last 100 steps.
    pub train_loss: f64,
    /// The lowest validation loss, which is the loss of `model.bpk`.
    pub valid_loss: f64,
    /// The metric of `model.bpk` on the validation data.
    pub metric: f64,
    /// What the metric is.
    pub metric_name: &'static str,
    /// The number of trained parameters.
    pub parameters: usize,
    /// The step after which `model.bpk` was written.
    pub best_step: u64,
    /// The run folder.
    pub out: String,
    /// The scores of `model.bpk` on the test part, if the task has one and the run is complete. In JSON they are in the same
    /// object as the others.
    #[serde(flatten)]
    pub test: Option<TestScores>,
    /// The tests of earlier origins, the earliest first; none without a backtest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<FoldResult>,
}

/// The test of one fold of a backtest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoldResult {
    /// The run folder.
    pub out: String,
    /// How many test parts after its own were left out.
    pub hold_back: usize,
    /// The errors of the model.
    pub errors: ErrorScores,
    /// The errors of forecasts without a network.
    pub baselines: Vec<ErrorScores>,
    /// The share of the values that lie in the interval of 90 %.
    pub coverage: f64,
}

impl FoldResult {
    /// The fold of a run; `None`, if it is not complete, or is none of `forecast`.
    pub fn of(result: &RunResult, hold_back: usize) -> Option<Self> {
        let forecast = result.test.as_ref()?.forecast.as_ref()?;
        Some(Self {
            out: result.out.clone(),
            hold_back,
            errors: forecast.errors.clone(),
            baselines: forecast.baselines.clone(),
            coverage: forecast.coverage,
        })
    }
}
