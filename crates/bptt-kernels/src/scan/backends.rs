//! Which backends run a scan, and how.
#![allow(deprecated, reason = "burn-ndarray is deprecated in Burn 0.22 and gone in 0.23")]
#![cfg_attr(
    not(any(feature = "host", feature = "cube")),
    allow(
        unused_imports,
        unused_variables,
        dead_code,
        unreachable_code,
        reason = "without a backend nothing runs a scan"
    )
)]

#[cfg(feature = "host")]
use crate::operation::plan::Kernel;
#[cfg(feature = "host")]
use crate::recurrent::backends::in_host_memory;
use crate::recurrent::backends::missing_feature;
use crate::recurrent::dispatch::{DispatchBackend, differentiable, into_dispatch};
#[cfg(feature = "host")]
use crate::recurrent::half;
use crate::scan::autodiff;
#[cfg(feature = "host")]
use crate::scan::host::HostRun;
#[cfg(feature = "host")]
use crate::scan::input::InputRun;
use crate::scan::plan::{Checked, InputOperands, ScanOperands};
use crate::scan::run::{ScanRun, TensorRun};
use bptt_cells::scanned::ScannedCell;
use burn::Tensor;
use burn::backend::autodiff::checkpoint::strategy::{BalancedCheckpointing, NoCheckpointing};
use burn::backend::{
    Autodiff, DispatchAutodiffContext, DispatchKindConversion, DispatchTensor, DispatchTensorKind,
    GradientCheckpointingStrategy, TensorMetadata,
};
#[cfg(feature = "host")]
use burn::tensor::DType;
use std::sync::Arc;

/// A backend that Burn dispatches to, with and without autodiff.
trait ScanBackend: DispatchBackend {
    /// Runs a scan with autodiff.
    fn scan_differentiated<const N: usize>(
        operands: [DispatchTensor; N],
        run: Arc<dyn ScanRun<Self, N>>,
        strategy: GradientCheckpointingStrategy,
    ) -> DispatchTensor;
}

impl<B: DispatchBackend> ScanBackend for B
where
    DispatchTensor: DispatchKindConversion<B>
        + DispatchKindConversion<Autodiff<B, NoCheckpointing>>
        + DispatchKindConversion<Autodiff<B, BalancedCheckpointing>>,
{
    fn scan_differentiated<const N: usize>(
        operands: [DispatchTensor; N],
        run: Arc<dyn ScanRun<B, N>>,
        strategy: GradientCheckpointingStrategy,
    ) -> DispatchTensor {
        match strategy {
            GradientCheckpointingStrategy::Balanced => {
                let operands = operands.map(differentiable::<B, BalancedCheckpointing>);
                let states = autodiff::scan::<N, B, BalancedCheckpointing>(operands, run);
                into_dispatch::<B, BalancedCheckpointing>(states)
            }
            GradientCheckpointingStrategy::Disabled => {
                let operands = operands.map(differentiable::<B, NoCheckpointing>);
                let states = autodiff::scan::<N, B, NoCheckpointing>(operands, run);
                into_dispatch::<B, NoCheckpointing>(states)
            }
        }
    }
}

/// Runs a scan on the backend of its operands.
///
/// # Panics
///
/// If the feature of the backend is off.
pub(super) fn run<C: ScannedCell>(cell: C, operands: ScanOperands, plan: Checked) -> Tensor<3> {
    let ScanOperands { gates, constants, initial, reset } = operands;
    let dtype = gates.dtype();
    let options = (&gates.device(), dtype);
    let operands = [
        gates.clone().into_dispatch(),
        constants.unwrap_or_else(|| Tensor::zeros([1], options)).into_dispatch(),
        initial.into_dispatch(),
        reset.unwrap_or_else(|| Tensor::zeros([1, 1], options)).into_dispatch(),
    ];
    drop(gates);
    let kind = match &operands[0].kind {
        DispatchTensorKind::Autodiff(inner) => inner.as_ref(),
        kind => kind,
    };
    #[cfg(feature = "host")]
    let by_kernel = plan.kernel == Kernel::Auto && half::has_kernel(dtype);
    let states = match kind {
        #[cfg(feature = "flex")]
        DispatchTensorKind::Flex(_) if by_kernel => {
            on::<burn::backend::Flex, 4>(operands, Arc::new(HostRun { cell, plan }))
        }
        #[cfg(feature = "flex")]
        DispatchTensorKind::Flex(_) => {
            on::<burn::backend::Flex, 4>(operands, Arc::new(TensorRun { cell, plan }))
        }
        #[cfg(feature = "ndarray")]
        DispatchTensorKind::NdArray(_) if by_kernel => {
            on::<burn::backend::NdArray, 4>(operands, Arc::new(HostRun { cell, plan }))
        }
        #[cfg(feature = "ndarray")]
        DispatchTensorKind::NdArray(_) => {
            on::<burn::backend::NdArray, 4>(operands, Arc::new(TensorRun { cell, plan }))
        }
        #[cfg(feature = "cube")]
        DispatchTensorKind::Cube(_) => {
            on::<burn::backend::Cube, 4>(operands, Arc::new(TensorRun { cell, plan }))
        }
        #[allow(unreachable_patterns, reason = "depends on the backends that there are")]
        other => panic!("{}", missing_feature(&format!("{:?}", other.device()))),
    };
    Tensor::from_dispatch(states)
}

/// Whether product and scan are one pass, for this many rows of all steps together and a weight of this many numbers. With
/// few rows, packing a large weight takes longer than the product.
#[cfg(feature = "host")]
fn is_fused(rows: usize, weight: usize) -> bool {
    rows >= if weight > 1 << 14 { 64 } else { 8 }
}

/// Runs a scan whose gates are a product of its input, on the backend of its operands: in host memory as one operation,
/// elsewhere as a product and a scan. So it is in 16 bits, whose product is Burn's.
///
/// # Panics
///
/// If the feature of the backend is off.
pub(super) fn run_of_input<C: ScannedCell>(
    cell: C,
    operands: InputOperands,
    plan: Checked,
) -> Tensor<3> {
    #[cfg(feature = "host")]
    {
        let dtype = operands.input.dtype();
        let by_kernel = plan.kernel == Kernel::Auto
            && matches!(dtype, DType::F32 | DType::F64)
            && is_fused(plan.time * plan.batch, operands.weight.shape().num_elements());
        if by_kernel && in_host_memory(&operands.input) {
            return Tensor::from_dispatch(fused(cell, operands, plan));
        }
    }
    let width = C::GATES * plan.hidden;
    run(cell, operands.with_gates(width), plan)
}

/// The same as one operation, in host memory.
#[cfg(feature = "host")]
fn fused<C: ScannedCell>(cell: C, operands: InputOperands, plan: Checked) -> DispatchTensor {
    let InputOperands { input, weight, constants, initial, reset } = operands;
    let options = (&input.device(), input.dtype());
    let operands = [
        input.clone().into_dispatch(),
        weight.into_dispatch(),
        constants.unwrap_or_else(|| Tensor::zeros([1], options)).into_dispatch(),
        initial.into_dispatch(),
        reset.unwrap_or_else(|| Tensor::zeros([1, 1], options)).into_dispatch(),
    ];
    drop(input);
    let kind = match &operands[0].kind {
        DispatchTensorKind::Autodiff(inner) => inner.as_ref(),
        kind => kind,
    };
    match kind {
        #[cfg(feature = "flex")]
        DispatchTensorKind::Flex(_) => {
            on::<burn::backend::Flex, 5>(operands, Arc::new(InputRun { cell, plan }))
        }
        #[cfg(feature = "ndarray")]
        DispatchTensorKind::NdArray(_) => {
            on::<burn::backend::NdArray, 5>(operands, Arc::new(InputRun { cell, plan }))
        }
        #[allow(unreachable_patterns, reason = "depends on the backends that there are")]
        other => panic!("{}", missing_feature(&format!("{:?}", other.device()))),
    }
}

/// Runs a scan on the backend `B`.
fn on<B: ScanBackend, const N: usize>(
    operands: [DispatchTensor; N],
    run: Arc<dyn ScanRun<B, N>>,
) -> DispatchTensor {
    let merged = |all: DispatchAutodiffContext, tensor: &DispatchTensor| all.merge(tensor.autodiff);
    match operands.iter().fold(DispatchAutodiffContext::Disabled, merged) {
        DispatchAutodiffContext::Disabled => {
            let done = run.forward(&operands.map(B::from_dispatch), false);
            B::into_dispatch(done.states)
        }
        DispatchAutodiffContext::Enabled(strategy) => {
            B::scan_differentiated(operands, run, strategy)
        }
    }
}
