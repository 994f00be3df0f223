//! Both directions as one node on the tape.

use crate::operation::operands::{BothResults, Operand, Operands};
use crate::operation::plan::{PlanOptions, Sizes};
use crate::recurrent::autodiff::{FinalState, StateSlot, taken};
use crate::recurrent::both::host::{self, Traces};
use crate::recurrent::host_memory::HostMemory;
use crate::recurrent::kept_cell::KeptCell;
use burn::backend::TensorMetadata;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;
use std::sync::Arc;

/// How many parents the node has: at most as many as both directions have operands. Those that are left are constants.
const PARENTS: usize = 2 * Operand::COUNT;

/// Back-propagation through time in both directions, as a step of Burn's backward pass.
#[derive(Debug)]
struct BothBptt;

/// What the node keeps for its backward pass.
#[derive(Clone, Debug)]
struct Saved<B: HostMemory> {
    operands: [Operands<FloatTensor<B>>; 2],
    options: [PlanOptions; 2],
    cell: Arc<dyn KeptCell>,
    traces: Traces<B>,
    states: [FinalState<B>; 2],
}

impl<B: HostMemory> Backward<B, PARENTS> for BothBptt {
    type State = Saved<B>;

    fn backward(
        self,
        ops: Ops<Self::State, PARENTS>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let d_outputs = grads.consume::<B>(&ops.node);
        let Saved { operands, options, cell, traces, states } = ops.state;
        let mut parents = ops.parents.into_iter();
        let nodes = operands.each_ref().map(|operands| {
            let mut nodes = Operands::<NodeId>::new();
            for ((operand, _), parent) in operands.iter().zip(&mut parents) {
                nodes.set(operand, parent.map(|parent| parent.id));
            }
            nodes
        });
        let wanted = nodes.each_ref().map(|nodes| nodes.map_ref(|_| ()));
        // As for one direction: a single zero stands for all outputs.
        let d_states = states.each_ref().map(taken::<B>);
        let mut gradients = None;
        let (mut traces, mut d_states) = (Some(traces), Some(d_states));
        cell.with(&mut |cell| {
            let layout = cell.layout();
            let sizes = Sizes::of(&layout, |operand| operands[0].need(operand).shape());
            let is_there = d_outputs.shape() == options[0].outputs_shape(&sizes);
            let d_outputs = is_there.then(|| d_outputs.clone());
            let (traces, d_states) = (traces.take().expect("once"), d_states.take().expect("once"));
            let d = (d_outputs, d_states);
            gradients = Some(host::backward::<B>(&options, cell, &operands, traces, d, &wanted));
        });
        let gradients = gradients.expect("it ran");
        for (nodes, mut gradients) in nodes.into_iter().zip(gradients) {
            for (operand, &node) in nodes.iter() {
                let d = gradients.take(operand).expect("every wanted gradient is there");
                grads.register::<B>(node, d);
            }
        }
    }
}

/// Runs both directions on a backend with autodiff, as one node on its tape.
pub(super) fn recurrent<B: HostMemory, S: CheckpointStrategy>(
    operands: [Operands<FloatTensor<Autodiff<B, S>>>; 2],
    options: [PlanOptions; 2],
    cell: Arc<dyn KeptCell>,
) -> BothResults<FloatTensor<Autodiff<B, S>>> {
    // Only these have a trace.
    let keep = operands.each_ref().map(|operands| operands.iter().any(|(_, x)| x.is_tracked()));
    let input = operands[0].need(Operand::Input);
    let constant = B::float_zeros(Shape::new([1]), &input.device(), input.dtype().into());
    let constant = FloatTensor::<Autodiff<B, S>>::new(constant);
    let given = operands.iter().flat_map(|operands| operands.iter()).map(|(_, x)| x.node());
    let guards = given.chain(std::iter::repeat_with(|| constant.node()));
    let guards: Vec<_> = guards.take(PARENTS).collect();
    let guards: [_; PARENTS] = guards.try_into().expect("as many as there are");
    let operands = operands.map(|operands| operands.map(|tensor| tensor.into_primitive()));
    let mut done = None;
    cell.with(&mut |cell| done = Some(host::forward::<B>(&options, cell, &operands, keep)));
    let (BothResults { outputs, hidden, memory }, traces) = done.expect("it ran");
    let states = [FinalState::<B>::default(), FinalState::<B>::default()];
    let outputs = match BothBptt.prepare::<S>(guards).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let states = states.clone();
            prepared.finish(Saved { operands, options, cell, traces, states }, outputs)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(outputs),
    };
    let part = |value: FloatTensor<B>, side: usize, is_hidden: bool| {
        StateSlot { is_hidden, state: states[side].clone() }.node::<S>(&outputs, value)
    };
    let [forward, backward] = hidden;
    let [of_forward, of_backward] = memory;
    let hidden = [part(forward, 0, true), part(backward, 1, true)];
    let memory = [
        of_forward.map(|memory| part(memory, 0, false)),
        of_backward.map(|memory| part(memory, 1, false)),
    ];
    BothResults { outputs, hidden, memory }
}
