//! `gradients.jsonl`: how large the gradient of the state is at every step of a sequence, while a run is trained.

use bptt::{GradientProbe, StateGradientNorms, StateGradients};
use serde::{Deserialize, Serialize};

/// The norms of the gradient of the state in one training step, of one layer in one direction: a line of
/// `gradients.jsonl`. Each list is in the order of time. See [`StateGradientNorms`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GradientPoint {
    /// The number of training steps before this one.
    pub step: u64,
    /// The layer, counted from the input.
    pub layer: usize,
    /// The direction: 0, and 1 for a backward direction beside a forward one.
    pub direction: usize,
    /// dLoss/d(`h_t` as an output).
    pub output: Vec<f64>,
    /// What comes back to `h_t` through the gates of the step after it.
    pub gates: Vec<f64>,
    /// dLoss/d`h_t`.
    pub hidden: Vec<f64>,
    /// What comes back to `c_t` along the memory; empty for a cell without one.
    pub memory: Vec<f64>,
}

/// Collects these points while a run is trained.
#[derive(Debug)]
pub(crate) struct GradientLog {
    every: u64,
    probe: GradientProbe,
    points: Vec<GradientPoint>,
}

impl GradientLog {
    /// A log of each training step whose number is a multiple of `every`. `before`: the points of the run so far.
    pub(crate) fn new(every: u64, before: Vec<GradientPoint>) -> Self {
        Self { every, probe: GradientProbe::default(), points: before }
    }

    /// The probe for a training step, if the step is one of those.
    pub(crate) fn probe(&self, step: u64) -> Option<GradientProbe> {
        step.is_multiple_of(self.every).then(|| self.probe.clone())
    }

    /// Takes what the probe has read in a training step. `scale` is the factor of the loss.
    pub(crate) fn take(&mut self, step: u64, scale: f64) {
        // The backward pass begins with the last layer.
        for StateGradients { layer, direction, norms, .. } in self.probe.take().into_iter().rev() {
            let StateGradientNorms { output, gates, hidden, memory } = norms;
            let [output, gates, hidden, memory] = [output, gates, hidden, memory]
                .map(|norms| norms.iter().map(|norm| rounded(norm / scale)).collect());
            self.points.push(GradientPoint {
                step,
                layer,
                direction,
                output,
                gates,
                hidden,
                memory,
            });
        }
    }

    pub(crate) fn points(&self) -> &[GradientPoint] {
        &self.points
    }
}

/// Five digits are enough for a picture, and make the file a third as long. The order in which threads add up squares
/// does not show in them.
pub(crate) fn rounded(norm: f64) -> f64 {
    format!("{norm:.4e}").parse().expect("it was a number")
}
