//! What was found.

use crate::readout::Batch;
use crate::truncation::compare::Comparison;
use crate::truncation::windows::sizes;
use serde::Serialize;

/// The bias from which on a window counts as enough: 1 %.
pub const ENOUGH: f64 = 0.01;

/// The truncated gradients of a model against its whole gradient. It serialises to fields of `bptt dynamics --json`.
/// Numbers that are not finite are `null` there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truncation {
    /// Steps in a sequence: the longest window.
    pub truncation_steps: usize,
    /// How many batches there were.
    pub truncation_batches: usize,
    /// The mean loss of these.
    pub truncation_loss: f64,
    /// The smallest of the windows from which on the bias is at most 1 %.
    pub window_within_1_percent: Option<usize>,
    /// For each window, in ascending order.
    pub truncation: Vec<WindowComparison>,
}

/// A window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WindowComparison {
    /// Its steps.
    pub window: usize,
    /// All parameters.
    #[serde(flatten)]
    pub figures: Comparison,
    /// Groups of them.
    pub groups: Vec<GroupComparison>,
}

/// A group of parameters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupComparison {
    /// `embedding`, `weight_ih_l0`, `weight_hh_l0`, `bias_l0`, …, `readout`.
    pub group: String,
    /// How many parameters it has.
    pub parameters: usize,
    /// Those of its parameters.
    #[serde(flatten)]
    pub figures: Comparison,
}

impl Truncation {
    pub(super) fn new(batches: &[Batch], loss: f64, truncation: Vec<WindowComparison>) -> Self {
        let is_enough = |of: &&WindowComparison| of.figures.bias <= ENOUGH;
        let enough = truncation.iter().rev().take_while(is_enough).last();
        Self {
            truncation_steps: batches.iter().map(|batch| sizes(batch)[1]).max().unwrap_or(0),
            truncation_batches: batches.len(),
            truncation_loss: loss,
            window_within_1_percent: enough.map(|of| of.window),
            truncation,
        }
    }
}
