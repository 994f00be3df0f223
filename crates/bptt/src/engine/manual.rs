//! The manual engine: the whole sequence is one operation with a hand-written backward. Real-time recurrent learning is
//! the same operation, but gradients are carried forwards.

use crate::engine::sequence::Sequence;
use bptt_cells::Cell;
use bptt_kernels::{SequenceResult, recurrent};

/// Runs the sequence forward by [`bptt_kernels::recurrent`]. When Burn's backward pass reaches the node, it runs
/// back-propagation through time in one go; with `real_time`, it runs forward once more instead.
pub(crate) fn run<C: Cell>(cell: C, sequence: Sequence, real_time: bool) -> SequenceResult {
    let (operands, plan) = sequence.into_operands(cell);
    recurrent(operands, plan.with_real_time(real_time))
}
