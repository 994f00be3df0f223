//! The operation: one recurrent layer in one direction over a whole sequence. A backend runs it by the reference
//! body or by the kernels for host memory; with autodiff it is a node on the tape.

mod autodiff;
pub(crate) mod backends;
pub(crate) mod duals;
#[cfg(feature = "host")]
mod host;
#[cfg(feature = "host")]
mod host_memory;
pub(crate) mod kernel;
pub(crate) mod rtrl;
pub(crate) mod trace;
#[cfg(feature = "host")]
mod trace_cost;

use crate::operation::any_tensor::AnyTensor;
use crate::operation::operands::{Operands, RecurrentOperands, RecurrentResults};
use crate::operation::plan::Plan;
use crate::recurrent::backends::RecurrentBackend;
use bptt_cells::Cell;
use burn::Tensor;
use burn::backend::Dispatch;

/// What [`recurrent`] returns.
#[derive(Clone, Debug)]
pub struct RecurrentOutput {
    /// As [`Results::outputs`](crate::Results::outputs).
    pub outputs: Tensor<3>,
    /// As [`Results::hidden`](crate::Results::hidden).
    pub hidden: Tensor<2>,
    /// As [`Results::memory`](crate::Results::memory).
    pub memory: Option<Tensor<3>>,
}

/// Runs one layer in one direction over a whole sequence: the manual engine's operation.
///
/// On a device with autodiff this makes one node on the tape, and a small one for each part of the final state,
/// which passes its gradient on. Back-propagation through time, derived by hand, gives the gradient of each
/// tracked operand.
///
/// # Panics
///
/// If the operands do not fit each other, as [`Plan::check`] says, or if they are on a backend whose
/// feature of this crate is off.
pub fn recurrent<C: Cell>(operands: Operands<AnyTensor>, plan: Plan<C>) -> RecurrentOutput {
    plan.check(&operands);
    let operands = RecurrentOperands(operands.map(AnyTensor::into_dispatch));
    let RecurrentResults(results) = <Dispatch as RecurrentBackend>::recurrent(operands, plan);
    RecurrentOutput {
        outputs: Tensor::from_dispatch(results.outputs),
        hidden: Tensor::from_dispatch(results.hidden),
        memory: results.memory.map(Tensor::from_dispatch),
    }
}
