//! What the forward pass keeps for the backward pass.

use crate::host::sequence::recompute::Walk;
use crate::host::sequence::window::Window;
use crate::host::simd::real::Real;

/// What the forward pass keeps for the backward pass, beside the outputs. How much that is:
/// [`HostTrace`](crate::HostTrace).
#[derive(Clone, Debug)]
pub(crate) struct Trace<T> {
    /// The last steps; all of them without a budget.
    pub(super) window: Option<Window<T>>,
    /// What there is of the steps before.
    pub(super) walk: Option<Walk<T>>,
}

impl<T: Real> Trace<T> {
    /// How much memory it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.window.as_ref().map_or(0, Window::bytes) + self.walk.as_ref().map_or(0, Walk::bytes)
    }
}
