//! The manual engine: the whole sequence as one operation with a hand-written backward; and that of
//! real-time recurrent learning, the same operation whose gradients are carried forwards.

use crate::engine::sequence::{Sequence, SequenceResult};
use bptt_cells::Cell;
use bptt_kernels::recurrent;

/// The sequence by [`bptt_kernels::recurrent`]: forward now, back-propagation through time in one
/// step when Burn's backward pass comes by; or in `real_time`, then, forwards once more.
pub(crate) fn run<C: Cell>(cell: C, sequence: Sequence, real_time: bool) -> SequenceResult {
    let (operands, plan) = sequence.into_operands(cell);
    let done = recurrent(operands, plan.with_real_time(real_time));
    SequenceResult { outputs: done.outputs, hidden: done.hidden, memory: done.memory }
}
