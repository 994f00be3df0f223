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
use crate::recurrent::backends::missing_feature;
use crate::recurrent::dispatch::{DispatchBackend, differentiable, into_dispatch};
#[cfg(feature = "host")]
use crate::recurrent::half;
use crate::scan::autodiff;
#[cfg(feature = "host")]
use crate::scan::host::HostRun;
use crate::scan::plan::{Checked, ScanOperands};
use crate::scan::run::{Four, ScanRun, TensorRun};
use bptt_cells::scanned::ScannedCell;
use burn::Tensor;
use burn::backend::autodiff::checkpoint::strategy::{BalancedCheckpointing, NoCheckpointing};
use burn::backend::{
    Autodiff, DispatchAutodiffContext, DispatchKindConversion, DispatchTensor, DispatchTensorKind,
    GradientCheckpointingStrategy, TensorMetadata,
};
use std::sync::Arc;

/// A backend that Burn dispatches to, with and without autodiff.
trait ScanBackend: DispatchBackend {
    /// Runs a scan with autodiff.
    fn scan_differentiated(
        operands: Four<DispatchTensor>,
        run: Arc<dyn ScanRun<Self>>,
        strategy: GradientCheckpointingStrategy,
    ) -> DispatchTensor;
}

impl<B: DispatchBackend> ScanBackend for B
where
    DispatchTensor: DispatchKindConversion<B>
        + DispatchKindConversion<Autodiff<B, NoCheckpointing>>
        + DispatchKindConversion<Autodiff<B, BalancedCheckpointing>>,
{
    fn scan_differentiated(
        operands: Four<DispatchTensor>,
        run: Arc<dyn ScanRun<B>>,
        strategy: GradientCheckpointingStrategy,
    ) -> DispatchTensor {
        match strategy {
            GradientCheckpointingStrategy::Balanced => {
                let operands = operands.map(differentiable::<B, BalancedCheckpointing>);
                let states = autodiff::scan::<B, BalancedCheckpointing>(operands, run);
                into_dispatch::<B, BalancedCheckpointing>(states)
            }
            GradientCheckpointingStrategy::Disabled => {
                let operands = operands.map(differentiable::<B, NoCheckpointing>);
                let states = autodiff::scan::<B, NoCheckpointing>(operands, run);
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
            on::<burn::backend::Flex>(operands, Arc::new(HostRun { cell, plan }))
        }
        #[cfg(feature = "flex")]
        DispatchTensorKind::Flex(_) => {
            on::<burn::backend::Flex>(operands, Arc::new(TensorRun { cell, plan }))
        }
        #[cfg(feature = "ndarray")]
        DispatchTensorKind::NdArray(_) if by_kernel => {
            on::<burn::backend::NdArray>(operands, Arc::new(HostRun { cell, plan }))
        }
        #[cfg(feature = "ndarray")]
        DispatchTensorKind::NdArray(_) => {
            on::<burn::backend::NdArray>(operands, Arc::new(TensorRun { cell, plan }))
        }
        #[cfg(feature = "cube")]
        DispatchTensorKind::Cube(_) => {
            on::<burn::backend::Cube>(operands, Arc::new(TensorRun { cell, plan }))
        }
        #[allow(unreachable_patterns, reason = "depends on the backends that there are")]
        other => panic!("{}", missing_feature(&format!("{:?}", other.device()))),
    };
    Tensor::from_dispatch(states)
}

/// Runs a scan on the backend `B`.
fn on<B: ScanBackend>(operands: Four<DispatchTensor>, run: Arc<dyn ScanRun<B>>) -> DispatchTensor {
    let merged = |all: DispatchAutodiffContext, tensor: &DispatchTensor| all.merge(tensor.autodiff);
    match operands.iter().fold(DispatchAutodiffContext::Disabled, merged) {
        DispatchAutodiffContext::Disabled => {
            let (states, _) = run.forward(&operands.map(B::from_dispatch));
            B::into_dispatch(states)
        }
        DispatchAutodiffContext::Enabled(strategy) => {
            B::scan_differentiated(operands, run, strategy)
        }
    }
}
