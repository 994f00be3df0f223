//! Both directions of a layer as one operation. In host memory they run at the same time where that is faster, and write
//! their outputs side by side. With autodiff they are one node on the tape, so that they also run backward at the same
//! time.

#[cfg(feature = "host")]
mod autodiff;
#[cfg(feature = "host")]
mod host;
#[cfg(feature = "host")]
pub(super) mod run;

use crate::operation::any_tensor::AnyTensor;
use crate::operation::operands::{BothResults, Operands};
use crate::operation::plan::Plan;
use crate::recurrent::{SequenceResult, backends, recurrent};
use bptt_cells::Cell;
use burn::Tensor;

/// What [`recurrent_both`] returns.
pub type BothDirections = BothResults<Tensor<3>, Tensor<2>, Tensor<3>>;

/// Runs one layer in both directions over a whole sequence: each direction with its own operands and its own plan, which
/// says what runs in reverse. The results are the same bits as those of [`recurrent`](crate::recurrent) for each
/// direction.
///
/// # Panics
///
/// As [`recurrent`](crate::recurrent); also if the outputs of one plan are batch first and those of the other are not.
pub fn recurrent_both<C: Cell>(
    operands: [Operands<AnyTensor>; 2],
    plans: [Plan<C>; 2],
) -> BothDirections {
    for (plan, operands) in plans.iter().zip(&operands) {
        plan.check(operands);
    }
    let is_batch_first = plans.each_ref().map(|plan| plan.options.batch_first);
    assert_eq!(is_batch_first[0], is_batch_first[1], "{}: one order of the outputs", C::NAME);
    if backends::run_both_together(&operands, &plans) {
        let operands = operands.map(|operands| operands.map(AnyTensor::into_dispatch));
        let BothResults { outputs, hidden, memory } = backends::run_both(operands, plans);
        return BothResults {
            outputs: Tensor::from_dispatch(outputs),
            hidden: hidden.map(Tensor::from_dispatch),
            memory: memory.map(|memory| memory.map(Tensor::from_dispatch)),
        };
    }
    let [of_first, of_second] = operands;
    let [first, second] = plans;
    BothDirections::of([recurrent(of_first, first), recurrent(of_second, second)])
}

impl BothDirections {
    /// The results of two directions that ran by themselves.
    pub fn of(results: [SequenceResult; 2]) -> Self {
        let [forward, backward] = results;
        Self {
            outputs: Tensor::cat(vec![forward.outputs, backward.outputs], 2),
            hidden: [forward.hidden, backward.hidden],
            memory: [forward.memory, backward.memory],
        }
    }
}
