//! The manual engine: the whole sequence as one operation with a hand-written backward; and that of
//! real-time recurrent learning, the same operation whose gradients are carried forwards.

use super::{Sequence, Sequenced};
use bptt_cells::Cell;
use bptt_kernels::{AnyTensor, Operand, Operands, Plan, recurrent};

/// The sequence by [`bptt_kernels::recurrent`]: forward now, back-propagation through time in one
/// step when Burn's backward pass comes by; or in `real_time`, then, forwards once more.
pub(crate) fn run<C: Cell>(cell: C, sequence: Sequence, real_time: bool) -> Sequenced {
    let operands = Operands::<AnyTensor>::new()
        .with(Operand::Input, sequence.input)
        .with(Operand::WeightIh, sequence.weight_ih)
        .with(Operand::WeightHh, sequence.weight_hh)
        .with_optional(Operand::BiasIh, sequence.bias_ih)
        .with_optional(Operand::BiasHh, sequence.bias_hh)
        .with_optional(Operand::WeightHr, sequence.weight_hr)
        .with(Operand::Hidden, sequence.hidden)
        .with_optional(Operand::Memory, sequence.memory);
    let plan = Plan::new(cell)
        .with_reverse(sequence.reverse)
        .with_presence(sequence.presence)
        .with_skipped(sequence.skipped)
        .with_kernel(sequence.kernel)
        .with_batch_first(sequence.batch_first)
        .with_trace_budget(sequence.trace_budget)
        .with_real_time(real_time);
    let done = recurrent(operands, plan);
    Sequenced { outputs: done.outputs, hidden: done.hidden, memory: done.memory }
}
