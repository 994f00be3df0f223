//! What the backward pass needs of some steps, and how much of it is kept.

use crate::host::memory::buffer::Buffer;
use crate::host::simd::real::Real;
use std::ops::Range;

/// What is to be kept for the backward pass.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep {
    Nothing,
    All,
    /// At most so many bytes; what is missing will be computed again.
    Within(usize),
}

/// The trace of some steps: all that the backward pass needs of them.
#[derive(Clone, Debug)]
pub(crate) struct TraceSegment<T> {
    /// Counted as they were worked. They have `N` valid rows, all steps together, and each has a row
    /// here, one step's behind the other's.
    pub(super) steps: Range<usize>,
    /// `[N, K, Hp]`
    pub(super) saved: Buffer<T>,
    /// The memories before the steps, of the whole batch; and those that each row was left with,
    /// `[B + N, M, Hp]`.
    pub(super) memory: Buffer<T>,
    /// `h` in front of the projection, `[N, Hp]`.
    pub(super) own: Option<Buffer<T>>,
}

impl<T: Real> TraceSegment<T> {
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.saved.bytes() + self.memory.bytes() + self.own.as_ref().map_or(0, Buffer::bytes)
    }
}
