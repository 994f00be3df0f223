//! One recurrent layer, in one direction, over a whole sequence.

mod autodiff;
mod backends;
mod duals;
#[cfg(feature = "host")]
mod host;
mod operands;
mod plan;
pub(crate) mod reference;
mod rtrl;
mod trace;
mod weight_cache;

pub use backends::{RecurrentBackend, in_host_memory};
pub use duals::{DualRun, in_duals};
pub use operands::{Cotangents, Operand, Operands, RecurrentOperands, RecurrentResults, Results};
pub(crate) use plan::Sizes;
pub use plan::{Kernel, Plan, Presence, Skipped};
pub use rtrl::{Influenced, rtrl_bytes};
pub use trace::{StepTrace, Trace};
pub use weight_cache::WeightCache;

#[cfg(feature = "host")]
pub use trace::HostTrace;

use bptt_cells::Cell;
use burn::Tensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch};
use burn::tensor::{DType, Shape};

/// How a plain backend runs a whole sequence. The default is the reference body.
pub trait SequenceKernel: Backend {
    /// How many bytes can be had by who needs so many, if that is known.
    fn available_memory(_need: u128) -> Option<usize> {
        None
    }

    /// Forward; with `keep`, also what [`sequence_backward`](Self::sequence_backward) needs.
    ///
    /// Returns what [`RecurrentBackend::recurrent`] returns, and the trace.
    fn sequence_forward<C: Cell>(
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<Self>>,
        keep: bool,
    ) -> (Results<FloatTensor<Self>>, Option<Trace<FloatTensor<Self>>>) {
        reference::forward::<Self, C>(plan, operands, keep)
    }

    /// Backward: dLoss/d(operand) for each operand that is `wanted`, from dLoss/d(result).
    fn sequence_backward<C: Cell>(
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<Self>>,
        trace: Trace<FloatTensor<Self>>,
        d_results: Cotangents<FloatTensor<Self>>,
        wanted: &Operands<()>,
    ) -> Operands<FloatTensor<Self>> {
        match trace {
            Trace::Steps(steps) => {
                reference::backward::<Self, C>(plan, operands, steps, d_results, wanted)
            }
            #[cfg(feature = "host")]
            Trace::Host(_) => unreachable!("only host kernels make such a trace, and take it back"),
        }
    }
}

/// What [`recurrent`] returns.
#[derive(Clone, Debug)]
pub struct Recurred {
    /// As [`Results::outputs`].
    pub outputs: Tensor<3>,
    /// As [`Results::hidden`].
    pub hidden: Tensor<2>,
    /// As [`Results::memory`].
    pub memory: Option<Tensor<3>>,
}

/// Runs one layer in one direction over a whole sequence: the manual engine's operation.
///
/// On a device with autodiff this is one node on the tape (and a small one for each part of the
/// final state, which hands its gradient on), and the gradient of each tracked operand comes from back-propagation through time derived by hand.
///
/// # Panics
///
/// If the operands do not fit each other, as [`Plan::check`] says, or if they are on a backend whose
/// feature of this crate is off.
pub fn recurrent<C: Cell>(operands: Operands<AnyTensor>, plan: Plan<C>) -> Recurred {
    plan.check(&operands);
    let operands = RecurrentOperands(operands.map(AnyTensor::into_dispatch));
    let RecurrentResults(results) = <Dispatch as RecurrentBackend>::recurrent(operands, plan);
    Recurred {
        outputs: Tensor::from_dispatch(results.outputs),
        hidden: Tensor::from_dispatch(results.hidden),
        memory: results.memory.map(Tensor::from_dispatch),
    }
}

/// A tensor of the rank that its operand has.
#[derive(Clone, Debug)]
pub enum AnyTensor {
    /// A bias.
    Vector(Tensor<1>),
    /// A weight or a hidden state.
    Matrix(Tensor<2>),
    /// A sequence or a memory.
    Cube(Tensor<3>),
}

impl AnyTensor {
    fn shape(&self) -> Shape {
        match self {
            Self::Vector(x) => x.shape(),
            Self::Matrix(x) => x.shape(),
            Self::Cube(x) => x.shape(),
        }
    }

    fn dtype(&self) -> DType {
        match self {
            Self::Vector(x) => x.dtype(),
            Self::Matrix(x) => x.dtype(),
            Self::Cube(x) => x.dtype(),
        }
    }

    /// How many numbers it has.
    pub fn len(&self) -> usize {
        self.shape().num_elements()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As Burn's dispatch carries it.
    pub fn into_dispatch(self) -> FloatTensor<Dispatch> {
        match self {
            Self::Vector(x) => x.into_dispatch(),
            Self::Matrix(x) => x.into_dispatch(),
            Self::Cube(x) => x.into_dispatch(),
        }
    }
}

impl From<Tensor<1>> for AnyTensor {
    fn from(x: Tensor<1>) -> Self {
        Self::Vector(x)
    }
}

impl From<Tensor<2>> for AnyTensor {
    fn from(x: Tensor<2>) -> Self {
        Self::Matrix(x)
    }
}

impl From<Tensor<3>> for AnyTensor {
    fn from(x: Tensor<3>) -> Self {
        Self::Cube(x)
    }
}
