//! What an observer of a backward pass reads: the gradient of the state at every step.

use std::fmt::Debug;

/// Reads the gradient of the state at every step of a sequence, as the backward pass computes it.
///
/// The kernels of this crate call it once for each backward pass of a layer in one direction. Without an observer,
/// nothing is computed for it.
pub trait GradientObserver: Debug + Send + Sync {
    /// Takes the norms of one backward pass.
    fn observe(&self, norms: StateGradientNorms);
}

/// The norms of the gradient of the state, by step and by path. Each list is in the order of time, `[T]`. A norm is the
/// Euclidean one over all units of all rows that are valid at the step.
///
/// dLoss/d`h_t` has two parts: what the loss says about the output of step `t`, and what comes back from the step after
/// it, through the gates. What comes back to `c_t` comes along the memory. To the last step, dLoss/d(final state) comes
/// back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateGradientNorms {
    /// dLoss/d(`h_t` as an output).
    pub output: Vec<f64>,
    /// What comes back to `h_t` from the step after it, through the gates.
    pub gates: Vec<f64>,
    /// dLoss/d`h_t`, the sum of both.
    pub hidden: Vec<f64>,
    /// What comes back to `c_t` from the step after it, along the memory. Empty for a cell without memory.
    pub memory: Vec<f64>,
}

/// The sums of squares of one step, in the order of the fields of [`StateGradientNorms`].
pub(crate) const PATHS: usize = 4;

impl StateGradientNorms {
    /// From the sums of squares of each step, `[T, PATHS]`.
    pub(crate) fn of_squares(squares: &[f64], has_memory: bool) -> Self {
        let path = |n: usize| squares.iter().skip(n).step_by(PATHS).map(|sum| sum.sqrt()).collect();
        let memory = if has_memory { path(3) } else { Vec::new() };
        Self { output: path(0), gates: path(1), hidden: path(2), memory }
    }
}
