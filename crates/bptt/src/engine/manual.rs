//! The manual engine: the whole sequence as one operation with a hand-written backward; and that of
//! real-time recurrent learning, the same operation whose gradients are carried forwards.

use super::{Sequence, Sequenced};
use bptt_cells::Cell;
use bptt_kernels::{AnyTensor, Operand, Operands, Plan, recurrent};

/// The sequence by [`bptt_kernels::recurrent`]: forward now, back-propagation through time in one
/// step when Burn's backward pass comes by; or in `real_time`, then, forwards once more.
pub(crate) fn run<C: Cell>(cell: C, sequence: Sequence, real_time: bool) -> Sequenced {
    let mut operands = Operands::<AnyTensor>::new();
    operands.set(Operand::Input, Some(sequence.input.into()));
    operands.set(Operand::WeightIh, Some(sequence.weight_ih.into()));
    operands.set(Operand::WeightHh, Some(sequence.weight_hh.into()));
    operands.set(Operand::BiasIh, sequence.bias_ih.map(Into::into));
    operands.set(Operand::BiasHh, sequence.bias_hh.map(Into::into));
    operands.set(Operand::WeightHr, sequence.weight_hr.map(Into::into));
    operands.set(Operand::Hidden, Some(sequence.hidden.into()));
    operands.set(Operand::Memory, sequence.memory.map(Into::into));
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
