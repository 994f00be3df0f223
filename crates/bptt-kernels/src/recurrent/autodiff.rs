//! The node on the tape.

use super::{Operand, Operands, Plan, RecurrentBackend, RecurrentOperands, SequenceKernel, Trace};
use bptt_cells::Cell;
use burn::backend::Backend;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use std::marker::PhantomData;

impl<B: SequenceKernel, S: CheckpointStrategy> RecurrentBackend for Autodiff<B, S> {
    fn recurrent<C: Cell>(operands: RecurrentOperands<Self>, plan: Plan<C>) -> FloatTensor<Self> {
        let operands = operands.0;
        // A node's number of parents is part of its type.
        match operands.iter().count() {
            4 => node::<4, B, S, C>(operands, plan),
            5 => node::<5, B, S, C>(operands, plan),
            6 => node::<6, B, S, C>(operands, plan),
            7 => node::<7, B, S, C>(operands, plan),
            8 => node::<8, B, S, C>(operands, plan),
            count => panic!("the recurrent operation takes 4 to 8 operands, and got {count}"),
        }
    }
}

/// Back-propagation through time, as a step of Burn's backward pass.
#[derive(Debug)]
struct Bptt<C>(PhantomData<C>);

/// What the backward pass finds when its turn comes.
#[derive(Clone, Debug)]
struct Saved<B: Backend, C> {
    plan: Plan<C>,
    operands: Operands<FloatTensor<B>>,
    trace: Trace<FloatTensor<B>>,
}

impl<B: SequenceKernel, C: Cell, const N: usize> Backward<B, N> for Bptt<C> {
    type State = Saved<B, C>;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let d_packed = grads.consume::<B>(&ops.node);
        let Saved { plan, operands, trace } = ops.state;

        // The parents are the operands that are there, in order; `None` where nothing is tracked.
        let mut parents = Operands::<NodeId>::new();
        let mut wanted = Operands::new();
        let present: Vec<Operand> = operands.iter().map(|(operand, _)| operand).collect();
        for (operand, parent) in present.into_iter().zip(ops.parents) {
            if let Some(parent) = parent {
                parents = parents.with(operand, parent.id);
                wanted = wanted.with(operand, ());
            }
        }
        let mut gradients = B::sequence_backward::<C>(&plan, &operands, trace, d_packed, &wanted);
        for (operand, &parent) in parents.iter() {
            let d = gradients.take(operand).expect("every wanted gradient is there");
            grads.register::<B>(parent, d);
        }
    }
}

fn node<const N: usize, B: SequenceKernel, S: CheckpointStrategy, C: Cell>(
    operands: Operands<FloatTensor<Autodiff<B, S>>>,
    plan: Plan<C>,
) -> FloatTensor<Autodiff<B, S>> {
    let guards: Vec<_> = operands.iter().map(|(_, tensor)| tensor.node()).collect();
    let guards: [_; N] = guards.try_into().expect("as many guards as operands");
    let inner = operands.map(|tensor| tensor.into_primitive());
    let prepared = Bptt::<C>(PhantomData).prepare::<S>(guards).compute_bound().stateful();
    match prepared {
        OpsKind::Tracked(prepared) => {
            let (packed, trace) = B::sequence_forward::<C>(&plan, &inner, true);
            let trace = trace.expect("the trace was asked for");
            prepared.finish(Saved { plan, operands: inner, trace }, packed)
        }
        OpsKind::UnTracked(prepared) => {
            prepared.finish(B::sequence_forward::<C>(&plan, &inner, false).0)
        }
    }
}
