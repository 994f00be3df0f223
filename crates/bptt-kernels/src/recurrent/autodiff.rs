//! The node on the tape.

use crate::operation::operands::{Cotangents, Operand, Operands, Results};
use crate::operation::plan::Sizes;
use crate::recurrent::rtrl;
use crate::recurrent::run::SequenceRun;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;
use std::sync::{Arc, Mutex, PoisonError};

/// Runs a sequence on a backend with autodiff, as one node on its tape.
pub(super) fn recurrent<B: Backend, S: CheckpointStrategy>(
    operands: Operands<FloatTensor<Autodiff<B, S>>>,
    run: Box<dyn SequenceRun<B>>,
) -> Results<FloatTensor<Autodiff<B, S>>> {
    // A node's number of parents is part of its type.
    match operands.iter().count() {
        3 => node::<3, B, S>(operands, run),
        4 => node::<4, B, S>(operands, run),
        5 => node::<5, B, S>(operands, run),
        6 => node::<6, B, S>(operands, run),
        7 => node::<7, B, S>(operands, run),
        8 => node::<8, B, S>(operands, run),
        9 => node::<9, B, S>(operands, run),
        10 => node::<10, B, S>(operands, run),
        count => panic!("the recurrent operation takes 3 to 10 operands, and got {count}"),
    }
}

/// Back-propagation through time, as a step of Burn's backward pass.
#[derive(Debug)]
struct Bptt;

/// What the node keeps for its backward pass.
#[derive(Clone, Debug)]
struct Saved<B: Backend> {
    operands: Operands<FloatTensor<B>>,
    run: Box<dyn SequenceRun<B>>,
    state: FinalState<B>,
}

/// dLoss/d(final state). The nodes of the final state write it, and the sequence's node reads it.
pub(super) type FinalState<B> = Arc<Mutex<Cotangents<FloatTensor<B>>>>;

/// The node of a part of the final state, the hidden state or the memory. Its parent is the sequence's node.
///
/// A node has one output, and the output of the sequence's node is the layer's outputs. If the state were packed
/// together with them, a slice would have to unpack it. But the gradient of a slice is a tensor of zeros as large as
/// the outputs.
#[derive(Debug)]
struct StateNode;

/// Where a node of the final state stores its gradient.
#[derive(Clone, Debug)]
pub(super) struct StateSlot<B: Backend> {
    pub(super) is_hidden: bool,
    pub(super) state: FinalState<B>,
}

impl<B: Backend> StateSlot<B> {
    /// A part of the final state as a node, whose parent is the sequence's node.
    pub(super) fn node<S: CheckpointStrategy>(
        self,
        sequence: &FloatTensor<Autodiff<B, S>>,
        value: FloatTensor<B>,
    ) -> FloatTensor<Autodiff<B, S>> {
        match StateNode.prepare::<S>([sequence.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(self, value),
            OpsKind::UnTracked(prepared) => prepared.finish(value),
        }
    }
}

/// The gradient that the nodes of the final state have written. Burn runs them before the sequence's node, because it is
/// their parent.
pub(super) fn taken<B: Backend>(state: &FinalState<B>) -> Cotangents<FloatTensor<B>> {
    std::mem::take(&mut *state.lock().unwrap_or_else(PoisonError::into_inner))
}

impl<B: Backend> Backward<B, 1> for StateNode {
    type State = StateSlot<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let d = grads.consume::<B>(&ops.node);
        let [sequence] = ops.parents;
        let Some(sequence) = sequence else { return };
        // The sequence's node needs a gradient of the outputs, even if the loss does not depend on them. A
        // single zero is enough, because Burn's sum broadcasts it.
        let zero = B::float_zeros(Shape::new([1, 1, 1]), &d.device(), d.dtype().into());
        grads.register::<B>(sequence.id, zero);
        let StateSlot { is_hidden, state } = ops.state;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        *(if is_hidden { &mut state.hidden } else { &mut state.memory }) = Some(d);
    }
}

impl<B: Backend, const N: usize> Backward<B, N> for Bptt {
    type State = Saved<B>;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let d_outputs = grads.consume::<B>(&ops.node);
        let Saved { operands, mut run, state } = ops.state;
        let mut d_results = taken::<B>(&state);
        // The gradient has the outputs' shape, unless it is the single zero of a node of the final state.
        let sizes = Sizes::of(&run.layout(), |operand| operands.need(operand).shape());
        let is_there = d_outputs.shape() == run.options().outputs_shape(&sizes);
        d_results.outputs = is_there.then_some(d_outputs);

        // The parents are the operands that are given, in order; `None` for one that is not tracked.
        let mut parents = Operands::<NodeId>::new();
        let mut wanted = Operands::new();
        let present: Vec<Operand> = operands.iter().map(|(operand, _)| operand).collect();
        for (operand, parent) in present.into_iter().zip(ops.parents) {
            if let Some(parent) = parent {
                parents = parents.with(operand, parent.id);
                wanted = wanted.with(operand, ());
            }
        }
        let mut gradients = match run.options().real_time {
            true => run.in_real_time(operands, d_results, &wanted),
            false => run.backward(&operands, d_results, &wanted),
        };
        for (operand, &parent) in parents.iter() {
            let d = gradients.take(operand).expect("every wanted gradient is there");
            grads.register::<B>(parent, d);
        }
    }
}

fn node<const N: usize, B: Backend, S: CheckpointStrategy>(
    operands: Operands<FloatTensor<Autodiff<B, S>>>,
    mut run: Box<dyn SequenceRun<B>>,
) -> Results<FloatTensor<Autodiff<B, S>>> {
    let mut wanted = Operands::new();
    for (operand, tensor) in operands.iter() {
        wanted.set(operand, tensor.is_tracked().then_some(()));
    }
    let guards: Vec<_> = operands.iter().map(|(_, tensor)| tensor.node()).collect();
    let guards: [_; N] = guards.try_into().expect("as many guards as operands");
    let inner = operands.map(|tensor| tensor.into_primitive());
    let prepared = Bptt.prepare::<S>(guards).compute_bound().stateful();
    let (results, outputs, state) = match prepared {
        OpsKind::Tracked(prepared) => {
            let real_time = run.options().real_time;
            if real_time {
                let available = |need| run.available_memory(need);
                rtrl::refuse_what_cannot_fit::<B>(&run.layout(), &inner, &wanted, available);
            }
            let results = run.forward(&inner, !real_time);
            let state = FinalState::<B>::default();
            let saved = Saved { operands: inner, run, state: state.clone() };
            let outputs = prepared.finish(saved, results.outputs.clone());
            (results, outputs, state)
        }
        OpsKind::UnTracked(prepared) => {
            let results = run.forward(&inner, false);
            let outputs = prepared.finish(results.outputs.clone());
            (results, outputs, FinalState::<B>::default())
        }
    };
    let part = |value: FloatTensor<B>, is_hidden: bool| {
        StateSlot { is_hidden, state: state.clone() }.node::<S>(&outputs, value)
    };
    let hidden = part(results.hidden, true);
    let memory = results.memory.map(|memory| part(memory, false));
    Results { outputs, hidden, memory }
}
