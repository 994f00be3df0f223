//! Converts from Burn's dispatch to the backend of the operands, and back.

use crate::operation::operands::{Operand, Operands, Results};
use crate::operation::plan::Plan;
use crate::recurrent::autodiff;
use crate::recurrent::kernel::SequenceKernel;
use crate::recurrent::run::{Run, SequenceRun};
use bptt_cells::Cell;
use burn::backend::autodiff::checkpoint::strategy::{
    BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, BackendTensor, DispatchAutodiffContext,
    DispatchKindConversion, DispatchTensor, GradientCheckpointingStrategy,
};

/// A backend that Burn dispatches to, with and without autodiff. All of Burn's own backends implement it. Users do not
/// implement it.
pub trait DispatchBackend: Backend {
    /// A float tensor of this backend, without autodiff.
    #[doc(hidden)]
    fn from_dispatch(tensor: DispatchTensor) -> FloatTensor<Self>;

    /// The reverse of [`from_dispatch`](Self::from_dispatch).
    #[doc(hidden)]
    fn into_dispatch(tensor: FloatTensor<Self>) -> DispatchTensor;

    /// Runs a sequence with autodiff.
    #[doc(hidden)]
    fn differentiated(
        operands: Operands<DispatchTensor>,
        run: Box<dyn SequenceRun<Self>>,
        strategy: GradientCheckpointingStrategy,
    ) -> Results<DispatchTensor>;
}

impl<B: Backend> DispatchBackend for B
where
    DispatchTensor: DispatchKindConversion<B>
        + DispatchKindConversion<Autodiff<B, NoCheckpointing>>
        + DispatchKindConversion<Autodiff<B, BalancedCheckpointing>>,
{
    fn from_dispatch(tensor: DispatchTensor) -> FloatTensor<B> {
        converted::<B>(tensor)
    }

    fn into_dispatch(tensor: FloatTensor<B>) -> DispatchTensor {
        <DispatchTensor as DispatchKindConversion<B>>::from_backend(BackendTensor::Float(tensor))
    }

    fn differentiated(
        operands: Operands<DispatchTensor>,
        run: Box<dyn SequenceRun<B>>,
        strategy: GradientCheckpointingStrategy,
    ) -> Results<DispatchTensor> {
        match strategy {
            GradientCheckpointingStrategy::Balanced => {
                let operands = operands.map(differentiable::<B, BalancedCheckpointing>);
                autodiff::recurrent::<B, BalancedCheckpointing>(operands, run)
                    .map(into_dispatch::<B, BalancedCheckpointing>)
            }
            GradientCheckpointingStrategy::Disabled => {
                let operands = operands.map(differentiable::<B, NoCheckpointing>);
                autodiff::recurrent::<B, NoCheckpointing>(operands, run)
                    .map(into_dispatch::<B, NoCheckpointing>)
            }
        }
    }
}

fn converted<B: Backend>(tensor: DispatchTensor) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    match <DispatchTensor as DispatchKindConversion<B>>::try_into_backend(tensor) {
        Ok(tensor) => tensor.float(),
        Err(error) => panic!(
            "an operand is not on the backend of the kernel, {}: {error}",
            std::any::type_name::<B>(),
        ),
    }
}

/// A tensor for a backend with autodiff. A tensor without autodiff becomes a constant.
pub(crate) fn differentiable<B: Backend, S: CheckpointStrategy>(
    tensor: DispatchTensor,
) -> FloatTensor<Autodiff<B, S>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B, S>>,
{
    match tensor.autodiff {
        DispatchAutodiffContext::Disabled => Autodiff::<B, S>::from_inner(converted::<B>(tensor)),
        DispatchAutodiffContext::Enabled(_) => converted::<Autodiff<B, S>>(tensor),
    }
}

pub(crate) fn into_dispatch<B: Backend, S: CheckpointStrategy>(
    tensor: FloatTensor<Autodiff<B, S>>,
) -> DispatchTensor
where
    DispatchTensor: DispatchKindConversion<Autodiff<B, S>>,
{
    let tensor = BackendTensor::Float(tensor);
    <DispatchTensor as DispatchKindConversion<Autodiff<B, S>>>::from_backend(tensor)
}

/// [`DispatchBackend::differentiated`] of a backend.
type Differentiated<B> = fn(
    Operands<DispatchTensor>,
    Box<dyn SequenceRun<B>>,
    GradientCheckpointingStrategy,
) -> Results<DispatchTensor>;

/// Compiles the node on the tape for a backend, here and once.
#[cfg(any(feature = "host", feature = "cube"))]
macro_rules! differentiated {
    ($Backend:ty) => {
        #[inline(never)]
        pub(super) fn differentiated(
            operands: crate::operation::operands::Operands<burn::backend::DispatchTensor>,
            run: Box<dyn crate::recurrent::run::SequenceRun<$Backend>>,
            strategy: burn::backend::GradientCheckpointingStrategy,
        ) -> crate::operation::operands::Results<burn::backend::DispatchTensor> {
            <$Backend as crate::recurrent::dispatch::DispatchBackend>::differentiated(
                operands, run, strategy,
            )
        }
    };
}
#[cfg(any(feature = "host", feature = "cube"))]
pub(super) use differentiated;

/// Runs a sequence on the backend `B`, by a kernel for this backend.
pub(super) fn run_on<B: DispatchBackend, K: SequenceKernel<B>, C: Cell>(
    kernel: K,
    operands: Operands<DispatchTensor>,
    plan: Plan<C>,
    differentiated: Differentiated<B>,
) -> Results<DispatchTensor> {
    assert!(
        plan.noise().is_none() || plan.options.real_time || kernel.carries_noise(),
        "{}: zoneout or a mask of the state, and the kernel {} carries neither: expected a kernel of bptt's, or \
         no such noise",
        C::NAME,
        std::any::type_name::<K>(),
    );
    let merged = |all: DispatchAutodiffContext, (_, tensor): (Operand, &DispatchTensor)| {
        all.merge(tensor.autodiff)
    };
    match operands.iter().fold(DispatchAutodiffContext::Disabled, merged) {
        DispatchAutodiffContext::Disabled => {
            let operands = operands.map(B::from_dispatch);
            kernel.forward(&plan, &operands, false).0.map(B::into_dispatch)
        }
        DispatchAutodiffContext::Enabled(strategy) => {
            differentiated(operands, Box::new(Run::new(kernel, plan)), strategy)
        }
    }
}
