//! What the forward pass keeps for the backward pass.

use crate::host::sequence::recompute::Recompute;
use crate::host::sequence::trace_segment::TraceSegment;
use crate::host::simd::real::Real;

/// What the forward pass keeps for the backward pass besides the outputs. [`HostTrace`](crate::HostTrace) says how much
/// that is.
#[derive(Clone, Debug)]
pub(crate) struct Trace<T> {
    /// The trace of the last steps; without a budget, of all steps. It is in one piece, or in chunks of steps in their order
    /// if a layer below or above ran at the same time.
    pub(super) segments: Vec<TraceSegment<T>>,
    /// How the earlier steps are computed again.
    pub(super) recompute: Option<Recompute<T>>,
}

impl<T: Real> Trace<T> {
    /// How much memory it takes, in bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.segments.iter().map(TraceSegment::bytes).sum::<usize>()
            + self.recompute.as_ref().map_or(0, Recompute::bytes)
    }
}
