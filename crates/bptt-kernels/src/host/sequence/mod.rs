//! The whole sequence, forward and backward: the steps in their order, the large products, and the trace. It does not
//! know tensors, backends or the tape.

pub(crate) mod backward;
mod backward_memory;
pub(crate) mod backward_shared;
pub(crate) mod backward_steps;
pub(crate) mod both;
pub(crate) mod forward;
pub(crate) mod forward_steps;
pub(crate) mod heads;
pub(crate) mod limits;
pub(crate) mod noise;
pub(crate) mod packed_weights;
pub(crate) mod pair;
pub(crate) mod passes;
pub(crate) mod phase;
pub(crate) mod recompute;
pub(crate) mod stack;
pub(crate) mod sums;
pub(crate) mod trace;
pub(crate) mod trace_segment;
pub(crate) mod weights;
