//! What was found.

use crate::readout::Batch;
use crate::truncation::compare::Comparison;
use crate::truncation::windows::sizes;
use serde::Serialize;

/// The bias from which on a window counts as enough: 1 %.
pub const ENOUGH: f64 = 0.01;

/// The group of the parameters of all recurrent layers.
pub(super) const RECURRENT: &str = "recurrent";

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
    /// The same for the parameters of the recurrent layers alone. The linear layer's gradient is not cut, and may be much
    /// the longer one.
    pub window_within_1_percent_recurrent: Option<usize>,
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
    /// `recurrent`, the first, for all recurrent layers together; `embedding`, `weight_ih_l0`, `weight_hh_l0`, `bias_l0`, …, `readout`.
    pub group: String,
    /// How many parameters it has.
    pub parameters: usize,
    /// Those of its parameters.
    #[serde(flatten)]
    pub figures: Comparison,
}

impl WindowComparison {
    /// The parameters of the recurrent layers, which are what truncation is about.
    pub fn recurrent(&self) -> &Comparison {
        &self.groups[0].figures
    }
}

impl Truncation {
    pub(super) fn new(batches: &[Batch], loss: f64, truncation: Vec<WindowComparison>) -> Self {
        let enough = |of: fn(&WindowComparison) -> &Comparison| {
            let is_enough = |window: &&WindowComparison| of(window).bias <= ENOUGH;
            truncation.iter().rev().take_while(is_enough).last().map(|window| window.window)
        };
        let [all, recurrent] = [enough(|w| &w.figures), enough(WindowComparison::recurrent)];
        Self {
            truncation_steps: batches.iter().map(|batch| sizes(batch)[1]).max().unwrap_or(0),
            truncation_batches: batches.len(),
            truncation_loss: loss,
            window_within_1_percent: all,
            window_within_1_percent_recurrent: recurrent,
            truncation,
        }
    }
}
