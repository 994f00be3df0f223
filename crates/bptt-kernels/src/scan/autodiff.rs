//! The node on the tape.

use crate::scan::run::{Done, ScanRun};
use burn::backend::Backend;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use std::sync::Arc;

/// A scan, as a step of Burn's backward pass.
#[derive(Debug)]
struct Scan;

/// What the node keeps for its backward pass: the operands, the states, and gates that are no operand.
#[derive(Clone, Debug)]
struct Saved<B: Backend, const N: usize> {
    operands: [FloatTensor<B>; N],
    kept: Vec<FloatTensor<B>>,
    run: Arc<dyn ScanRun<B, N>>,
}

impl<B: Backend, const N: usize> Backward<B, N> for Scan {
    type State = Saved<B, N>;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let d_states = grads.consume::<B>(&ops.node);
        let Saved { operands, kept, run } = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = run.backward(&operands, kept, d_states, wanted);
        for (parent, d) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(d)) = (parent, d) {
                grads.register::<B>(parent.id, d);
            }
        }
    }
}

/// Runs a scan on a backend with autodiff, as one node on its tape.
pub(super) fn scan<const N: usize, B: Backend, S: CheckpointStrategy>(
    operands: [FloatTensor<Autodiff<B, S>>; N],
    run: Arc<dyn ScanRun<B, N>>,
) -> FloatTensor<Autodiff<B, S>> {
    let nodes = operands.each_ref().map(|tensor| tensor.node());
    let operands = operands.map(|tensor| tensor.into_primitive());
    match Scan.prepare::<S>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let Done { states, kept } = run.forward(&operands, true);
            prepared.finish(Saved { operands, kept, run }, states)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(run.forward(&operands, false).states),
    }
}
