//! What the forward pass keeps for the backward pass.

use crate::host::memory::buffer::Buffer;
use crate::host::sequence::recompute::Walk;
use crate::host::simd::real::Real;
use std::ops::Range;

/// What the forward pass keeps for the backward pass, beside the outputs. How much that is:
/// [`HostTrace`](crate::HostTrace).
#[derive(Clone, Debug)]
pub(crate) struct Trace<T> {
    /// The last steps; all of them without a budget.
    pub(super) window: Option<Window<T>>,
    /// What there is of the steps before.
    pub(super) walk: Option<Walk<T>>,
}

/// All that the backward pass needs of some steps.
#[derive(Clone, Debug)]
pub(crate) struct Window<T> {
    /// Counted as they were worked. `N` rows took part in them, all steps together, and each has a row
    /// here, one step's behind the other's.
    pub(super) steps: Range<usize>,
    /// `[N, K, Hp]`
    pub(super) kept: Buffer<T>,
    /// The memories before the steps, of the whole batch; and those that each row was left with,
    /// `[B + N, M, Hp]`.
    pub(super) memory: Buffer<T>,
    /// `h` in front of the projection, `[N, Hp]`.
    pub(super) own: Option<Buffer<T>>,
}

impl<T: Real> Trace<T> {
    /// How much memory it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.window.as_ref().map_or(0, Window::bytes) + self.walk.as_ref().map_or(0, Walk::bytes)
    }
}

impl<T: Real> Window<T> {
    fn bytes(&self) -> usize {
        self.kept.bytes() + self.memory.bytes() + self.own.as_ref().map_or(0, Buffer::bytes)
    }
}
