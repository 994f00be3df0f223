//! The manual engine: the whole sequence is one operation with a hand-written backward. Real-time recurrent learning is
//! the same operation, but gradients are carried forwards.

use crate::engine::sequence::Sequence;
use bptt_cells::Cell;
use bptt_kernels::{
    BothDirections, Operand, SequenceResult, StackResult, recurrent, recurrent_both,
    recurrent_pair, recurrent_stack,
};

/// Runs the sequence forward by [`bptt_kernels::recurrent`]. When Burn's backward pass reaches the node, it runs
/// back-propagation through time in one go; with `real_time`, it runs forward once more instead.
pub(crate) fn run<C: Cell>(cell: C, sequence: Sequence, real_time: bool) -> SequenceResult {
    let (operands, plan) = sequence.into_operands(cell);
    recurrent(operands, plan.with_real_time(real_time))
}

/// Runs both directions of a layer by [`bptt_kernels::recurrent_both`], as one operation.
pub(crate) fn run_both<C: Cell>(cell: C, sequences: [Sequence; 2]) -> BothDirections {
    let [first, second] = sequences.map(|sequence| sequence.into_operands(cell));
    recurrent_both([first.0, second.0], [first.1, second.1])
}

/// Runs two layers of a stack on the tape by [`bptt_kernels::recurrent_pair`], as one operation.
pub(crate) fn run_pair<C: Cell>(cell: C, sequences: [Sequence; 2]) -> BothDirections {
    let [lower, mut upper] = sequences.map(|sequence| sequence.into_operands(cell));
    // It reads the outputs of the lower layer.
    upper.0.set(Operand::Input, None);
    recurrent_pair([lower.0, upper.0], [lower.1, upper.1])
}

/// Runs a stack of layers without a tape, by [`bptt_kernels::recurrent_stack`].
pub(crate) fn run_stack<C: Cell>(cell: C, sequences: Vec<Sequence>) -> StackResult {
    let layer = |(index, sequence): (usize, Sequence)| {
        let (mut operands, plan) = sequence.into_operands(cell);
        if index > 0 {
            // It reads the outputs of the layer below.
            operands.set(Operand::Input, None);
        }
        (operands, plan)
    };
    recurrent_stack(sequences.into_iter().enumerate().map(layer).collect())
}
