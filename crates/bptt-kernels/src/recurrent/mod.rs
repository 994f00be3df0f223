//! The operation: one recurrent layer in one direction over a whole sequence. A backend runs it by the reference body,
//! by the kernels for host memory, or by a kernel of your own. With autodiff it is a node on the tape.

mod autodiff;
pub(crate) mod backends;
pub(crate) mod both;
#[cfg(feature = "cube")]
mod cube;
pub(crate) mod dispatch;
pub(crate) mod duals;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "host")]
pub(crate) mod half;
#[cfg(feature = "host")]
pub(crate) mod host;
#[cfg(feature = "host")]
pub(crate) mod host_memory;
#[cfg(feature = "host")]
pub(crate) mod kept_cell;
#[cfg(feature = "host")]
mod kept_weights;
pub(crate) mod kernel;
#[cfg(feature = "ndarray")]
mod ndarray;
pub(crate) mod pair;
pub(crate) mod rtrl;
mod run;
pub(crate) mod stack;
#[cfg(feature = "host")]
mod trace;
#[cfg(feature = "host")]
mod trace_cost;

use crate::operation::any_tensor::AnyTensor;
use crate::operation::operands::{Operands, Results};
use crate::operation::plan::Plan;
use crate::recurrent::dispatch::DispatchBackend;
use crate::recurrent::kernel::SequenceKernel;
use bptt_cells::Cell;
use burn::Tensor;
use burn::backend::DispatchTensor;

/// What [`recurrent`] returns.
#[derive(Clone, Debug)]
pub struct SequenceResult {
    /// As [`Results::outputs`](crate::Results::outputs).
    pub outputs: Tensor<3>,
    /// As [`Results::hidden`](crate::Results::hidden).
    pub hidden: Tensor<2>,
    /// As [`Results::memory`](crate::Results::memory).
    pub memory: Option<Tensor<3>>,
}

impl SequenceResult {
    fn of(results: Results<DispatchTensor>) -> Self {
        Self {
            outputs: Tensor::from_dispatch(results.outputs),
            hidden: Tensor::from_dispatch(results.hidden),
            memory: results.memory.map(Tensor::from_dispatch),
        }
    }
}

/// Runs one layer in one direction over a whole sequence: the manual engine's operation.
///
/// On a device with autodiff, this makes one node on the tape, and a small node for each part of the final state, which
/// passes its gradient on. Back-propagation through time, derived by hand, gives the gradient of each tracked operand.
///
/// # Panics
///
/// If the operands do not fit each other, as [`Plan::check`] says, or if they are on a backend whose
/// feature of this crate is off.
pub fn recurrent<C: Cell>(operands: Operands<AnyTensor>, plan: Plan<C>) -> SequenceResult {
    plan.check(&operands);
    SequenceResult::of(backends::run(operands.map(AnyTensor::into_dispatch), plan))
}

/// As [`recurrent`], by a kernel of your own for the backend `B`.
///
/// # Panics
///
/// If the operands do not fit each other, as [`Plan::check`] says, or if they are not on the backend `B`.
pub fn recurrent_by<B: DispatchBackend, K: SequenceKernel<B>, C: Cell>(
    kernel: K,
    operands: Operands<AnyTensor>,
    plan: Plan<C>,
) -> SequenceResult {
    plan.check(&operands);
    let operands = operands.map(AnyTensor::into_dispatch);
    SequenceResult::of(dispatch::run_on::<B, K, C>(kernel, operands, plan, B::differentiated))
}
