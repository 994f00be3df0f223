//! What the backward pass needs of some steps.

use crate::host::memory::buffer::Buffer;
use crate::host::simd::real::Real;
use std::ops::Range;

/// How much is kept for the backward pass.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep {
    Nothing,
    All,
    /// At most this many bytes. The backward pass computes the rest again.
    Within(usize),
}

/// The trace of some steps: all that the backward pass needs of them.
#[derive(Clone, Debug)]
pub(crate) struct TraceSegment<T> {
    /// The steps, counted in the order in which they were computed. Together they have `N` valid rows. Each has a row
    /// here, step after step.
    pub(super) steps: Range<usize>,
    /// `[N, K, Hp]`
    pub(super) saved: Buffer<T>,
    /// The memories of the whole batch before the steps; if there are resets, those that they set; and then those of
    /// each valid row after its step, `[B + N, M, Hp]` or `[2·B + N, M, Hp]`. Diagonal weights are not among them.
    pub(super) memory: Buffer<T>,
    /// `h` before the projection or zoneout, `[N, Hp]`.
    pub(super) own: Option<Buffer<T>>,
    /// The memories before zoneout, `[N, M, Hp]`.
    pub(super) own_memory: Option<Box<Buffer<T>>>,
}

impl<T: Real> TraceSegment<T> {
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let owns = [self.own.as_ref(), self.own_memory.as_deref()];
        let owns = owns.into_iter().flatten().map(Buffer::bytes).sum::<usize>();
        self.saved.bytes() + self.memory.bytes() + owns
    }
}
