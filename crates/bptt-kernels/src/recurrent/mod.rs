//! One recurrent layer, in one direction, over a whole sequence.

mod autodiff;
mod backends;
#[cfg(feature = "host")]
mod host;
mod operands;
mod plan;
pub(crate) mod reference;
mod trace;

pub use backends::RecurrentBackend;
pub use operands::{Operand, Operands, RecurrentOperands};
pub(crate) use plan::Sizes;
pub use plan::{Kernel, Plan};
pub use trace::{StepTrace, Trace};

#[cfg(feature = "host")]
pub use trace::HostTrace;

use bptt_cells::Cell;
use burn::Tensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch};

/// How a plain backend runs a whole sequence. The default is the reference body.
pub trait SequenceKernel: Backend {
    /// Forward; with `keep`, also what [`sequence_backward`](Self::sequence_backward) needs.
    ///
    /// Returns what [`RecurrentBackend::recurrent`] returns.
    fn sequence_forward<C: Cell>(
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<Self>>,
        keep: bool,
    ) -> (FloatTensor<Self>, Option<Trace<FloatTensor<Self>>>) {
        reference::forward::<Self, C>(plan, operands, keep)
    }

    /// Backward: dLoss/d(operand) for each operand that is `wanted`, from dLoss/d(packed output).
    fn sequence_backward<C: Cell>(
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<Self>>,
        trace: Trace<FloatTensor<Self>>,
        d_packed: FloatTensor<Self>,
        wanted: &Operands<()>,
    ) -> Operands<FloatTensor<Self>> {
        match trace {
            Trace::Steps(steps) => {
                reference::backward::<Self, C>(plan, operands, steps, d_packed, wanted)
            }
            #[cfg(feature = "host")]
            Trace::Host(_) => unreachable!("only host kernels make such a trace, and take it back"),
        }
    }
}

/// What [`recurrent`] returns.
#[derive(Clone, Debug)]
pub struct Recurred {
    /// The hidden state after each step, `[T, B, P]`, or `[B, T, P]` if the plan is batch first; zero
    /// past a row's length.
    pub outputs: Tensor<3>,
    /// The hidden state after each row's last step, `[B, P]`.
    pub hidden: Tensor<2>,
    /// The memory after each row's last step, `[M, B, H]`; `None` for a cell without memory.
    pub memory: Option<Tensor<3>>,
}

/// Runs one layer in one direction over a whole sequence: the manual engine's operation.
///
/// On a device with autodiff this is one node on the tape, and the gradient of each tracked
/// operand comes from back-propagation through time derived by hand.
///
/// # Panics
///
/// If the operands do not fit each other (the message names the operand and both shapes), or if
/// they are on a backend whose feature of this crate is off.
pub fn recurrent<C: Cell>(operands: Operands<AnyTensor>, plan: Plan<C>) -> Recurred {
    let sizes = plan.check(&operands);
    let batch_first = plan.batch_first;
    let operands = RecurrentOperands(operands.map(AnyTensor::into_dispatch));
    let packed = <Dispatch as RecurrentBackend>::recurrent(operands, plan);
    let packed: Tensor<1> = Tensor::from_dispatch(packed);
    let plan::Sizes { time, batch, hidden, output, memories, .. } = sizes;
    let (a, b) = (time * batch * output, batch * output);
    let part = |from: usize, to: usize| packed.clone().slice([from..to]);
    Recurred {
        outputs: part(0, a).reshape(match batch_first {
            true => [batch, time, output],
            false => [time, batch, output],
        }),
        hidden: part(a, a + b).reshape([batch, output]),
        memory: (memories > 0).then(|| {
            part(a + b, a + b + memories * batch * hidden).reshape([memories, batch, hidden])
        }),
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
    fn shape(&self) -> Vec<usize> {
        match self {
            Self::Vector(x) => x.dims().to_vec(),
            Self::Matrix(x) => x.dims().to_vec(),
            Self::Cube(x) => x.dims().to_vec(),
        }
    }

    fn into_dispatch(self) -> FloatTensor<Dispatch> {
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
