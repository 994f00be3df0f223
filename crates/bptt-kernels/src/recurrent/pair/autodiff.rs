//! Two layers as one node on the tape.

use crate::operation::operands::{BothResults, Operand, Operands};
use crate::operation::plan::{PlanOptions, Sizes};
use crate::recurrent::autodiff::{FinalState, StateSlot, taken};
use crate::recurrent::host_memory::HostMemory;
use crate::recurrent::kept_cell::KeptCell;
use crate::recurrent::pair::host::{self, Traces};
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

/// How many parents the node has: at most as many as both layers have operands. Those that are left are constants.
const PARENTS: usize = 2 * Operand::COUNT;

/// Back-propagation through time through both layers, as a step of Burn's backward pass.
#[derive(Debug)]
struct PairBptt;

/// What the node keeps for its backward pass.
#[derive(Clone, Debug)]
struct Saved<B: HostMemory> {
    /// The upper layer has no input: that is the outputs of the lower one, which its trace has.
    operands: [Operands<FloatTensor<B>>; 2],
    options: [PlanOptions; 2],
    cell: Arc<dyn KeptCell>,
    traces: Traces<B>,
    states: [FinalState<B>; 2],
}

impl<B: HostMemory> Backward<B, PARENTS> for PairBptt {
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
        // As for one layer: a single zero stands for all outputs.
        let d_states = states.each_ref().map(taken::<B>);
        let mut gradients = None;
        let mut given = Some((operands, traces, d_states));
        cell.with(&mut |cell| {
            let (operands, traces, d_states) = given.take().expect("once");
            let operands = host::with_input::<B>(operands, &traces);
            let sizes = Sizes::of(&cell.layout(), |operand| operands[1].need(operand).shape());
            let is_there = d_outputs.shape() == options[1].outputs_shape(&sizes);
            let d = (is_there.then(|| d_outputs.clone()), d_states);
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

/// Runs both layers on a backend with autodiff, as one node on its tape.
pub(super) fn recurrent<B: HostMemory, S: CheckpointStrategy>(
    operands: [Operands<FloatTensor<Autodiff<B, S>>>; 2],
    options: [PlanOptions; 2],
    cell: Arc<dyn KeptCell>,
) -> BothResults<FloatTensor<Autodiff<B, S>>> {
    let input = operands[0].need(Operand::Input);
    let constant = B::float_zeros(Shape::new([1]), &input.device(), input.dtype().into());
    let constant = FloatTensor::<Autodiff<B, S>>::new(constant);
    let given = operands.iter().flat_map(|operands| operands.iter()).map(|(_, x)| x.node());
    let guards = given.chain(std::iter::repeat_with(|| constant.node()));
    let guards: Vec<_> = guards.take(PARENTS).collect();
    let guards: [_; PARENTS] = guards.try_into().expect("as many as there are");
    let operands = operands.map(|operands| operands.map(|tensor| tensor.into_primitive()));
    let mut done = None;
    cell.with(&mut |cell| done = Some(host::forward::<B>(&options, cell, &operands)));
    let (BothResults { outputs, hidden, memory }, traces) = done.expect("it ran");
    let states = [FinalState::<B>::default(), FinalState::<B>::default()];
    let outputs = match PairBptt.prepare::<S>(guards).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let states = states.clone();
            prepared.finish(Saved { operands, options, cell, traces, states }, outputs)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(outputs),
    };
    let part = |value: FloatTensor<B>, layer: usize, is_hidden: bool| {
        StateSlot { is_hidden, state: states[layer].clone() }.node::<S>(&outputs, value)
    };
    let ([of_lower, of_upper], [in_lower, in_upper]) = (hidden, memory);
    BothResults {
        hidden: [part(of_lower, 0, true), part(of_upper, 1, true)],
        memory: [
            in_lower.map(|memory| part(memory, 0, false)),
            in_upper.map(|memory| part(memory, 1, false)),
        ],
        outputs,
    }
}
