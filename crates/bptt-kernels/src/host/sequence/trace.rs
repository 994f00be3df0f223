//! What the forward pass keeps for the backward pass.

use crate::host::sequence::recompute::Recompute;
use crate::host::sequence::trace_segment::TraceSegment;
use crate::host::simd::real::Real;

/// What the forward pass keeps for the backward pass, beside the outputs. How much that is:
/// [`HostTrace`](crate::HostTrace).
#[derive(Clone, Debug)]
pub(crate) struct Trace<T> {
    /// The trace of the last steps; of all of them without a budget.
    pub(super) segment: Option<TraceSegment<T>>,
    /// How the steps before are computed again.
    pub(super) recompute: Option<Recompute<T>>,
}

impl<T: Real> Trace<T> {
    /// How much memory it takes, in bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.segment.as_ref().map_or(0, TraceSegment::bytes)
            + self.recompute.as_ref().map_or(0, Recompute::bytes)
    }
}
