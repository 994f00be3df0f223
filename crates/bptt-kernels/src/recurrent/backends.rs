//! Which backends run the operation, and how.
#![allow(deprecated, reason = "burn-ndarray is deprecated in Burn 0.22 and gone in 0.23")]
#![cfg_attr(
    not(feature = "host"),
    allow(
        unused_imports,
        unused_variables,
        reason = "without a backend in host memory nothing runs two layers as one operation"
    )
)]

use crate::operation::any_tensor::AnyTensor;
use crate::operation::operands::{BothResults, Operand, Operands, Results, StackResults};
use crate::operation::plan::{Kernel, Plan};
#[cfg(feature = "host")]
use crate::recurrent::both::run::Call;
#[cfg(feature = "cube")]
use crate::recurrent::cube;
#[cfg(any(feature = "host", feature = "cube"))]
use crate::recurrent::dispatch::run_on;
#[cfg(feature = "flex")]
use crate::recurrent::flex;
#[cfg(feature = "host")]
use crate::recurrent::half;
#[cfg(feature = "host")]
use crate::recurrent::host::HostKernel;
#[cfg(feature = "host")]
use crate::recurrent::host_memory::{Float, HostMemory};
#[cfg(feature = "ndarray")]
use crate::recurrent::ndarray;
#[cfg(feature = "host")]
use crate::recurrent::stack::run::StackCall;
use bptt_cells::Cell;
use burn::Tensor;
#[cfg(feature = "host")]
use burn::backend::Dispatch;
#[cfg(feature = "host")]
use burn::backend::tensor::FloatTensor;
use burn::backend::{DispatchTensor, DispatchTensorKind, TensorMetadata};
#[cfg(feature = "host")]
use std::sync::Arc;

/// Runs a sequence on the backend of its operands, with the kernel that this crate has for this backend.
///
/// # Panics
///
/// If the feature of the backend is off, so that there is no kernel.
pub(super) fn run<C: Cell>(
    operands: Operands<DispatchTensor>,
    plan: Plan<C>,
) -> Results<DispatchTensor> {
    let input = operands.need(Operand::Input);
    let kind = match &input.kind {
        DispatchTensorKind::Autodiff(inner) => inner.as_ref(),
        kind => kind,
    };
    #[cfg(feature = "cube")]
    let on_gpu = matches!(kind, DispatchTensorKind::Cube(_));
    #[cfg(not(feature = "cube"))]
    let on_gpu = false;
    assert!(
        on_gpu || !plan.options.kernel.is_for_gpus(),
        "{}: the kernel {} is for GPUs, and the tensors are on {:?}: expected `Kernel::Auto` or `Kernel::Reference`",
        C::NAME,
        plan.options.kernel.name(),
        kind.device(),
    );
    match kind {
        #[cfg(feature = "flex")]
        DispatchTensorKind::Flex(_) => {
            run_on::<burn::backend::Flex, _, _>(HostKernel, operands, plan, flex::differentiated)
        }
        #[cfg(feature = "ndarray")]
        DispatchTensorKind::NdArray(_) => {
            let differentiated = ndarray::differentiated;
            run_on::<burn::backend::NdArray, _, _>(HostKernel, operands, plan, differentiated)
        }
        #[cfg(feature = "cube")]
        DispatchTensorKind::Cube(_) => {
            let differentiated = cube::differentiated;
            run_on::<burn::backend::Cube, _, _>(cube::CubeKernel, operands, plan, differentiated)
        }
        #[allow(unreachable_patterns, reason = "depends on the backends that there are")]
        other => panic!("{}", missing_feature(&format!("{:?}", other.device()))),
    }
}

/// Whether there is a kernel that runs both directions of a layer as one operation.
pub(super) fn run_both_together<C: Cell>(
    operands: &[Operands<AnyTensor>; 2],
    plans: &[Plan<C>; 2],
) -> bool {
    #[cfg(feature = "host")]
    {
        let is_kernel =
            |plan: &Plan<C>| plan.options.kernel == Kernel::Auto && !plan.options.real_time;
        let of_host = |operands: &Operands<AnyTensor>| {
            matches!(operands.need(Operand::Input), AnyTensor::Cube(input)
                if half::has_kernel(input.dtype()) && in_host_memory(input))
        };
        plans.iter().all(is_kernel) && operands.iter().all(of_host)
    }
    #[cfg(not(feature = "host"))]
    false
}

/// Runs both directions as one operation, if [`run_both_together`].
pub(super) fn run_both<C: Cell>(
    operands: [Operands<DispatchTensor>; 2],
    plans: [Plan<C>; 2],
) -> BothResults<DispatchTensor> {
    #[cfg(feature = "host")]
    {
        let [first, second] = plans;
        let cell = Arc::new(first.cell);
        let options = [first.options, second.options];
        let call = Call { operands, options, cell };
        let kind = match &call.operands[0].need(Operand::Input).kind {
            DispatchTensorKind::Autodiff(inner) => inner.as_ref(),
            kind => kind,
        };
        match kind {
            #[cfg(feature = "flex")]
            DispatchTensorKind::Flex(_) => return flex::both(call),
            #[cfg(feature = "ndarray")]
            DispatchTensorKind::NdArray(_) => return ndarray::both(call),
            #[allow(unreachable_patterns, reason = "depends on the backends that there are")]
            _ => {}
        }
    }
    unreachable!("{}: no kernel for both directions", C::NAME)
}

/// Runs two layers on the tape as one operation, if they [run as a pair](crate::runs_as_pair).
pub(super) fn run_pair<C: Cell>(
    operands: [Operands<DispatchTensor>; 2],
    plans: [Plan<C>; 2],
) -> BothResults<DispatchTensor> {
    #[cfg(feature = "host")]
    {
        let [first, second] = plans;
        let cell = Arc::new(first.cell);
        let call = Call { operands, options: [first.options, second.options], cell };
        let kind = match &call.operands[0].need(Operand::Input).kind {
            DispatchTensorKind::Autodiff(inner) => inner.as_ref(),
            kind => kind,
        };
        match kind {
            #[cfg(feature = "flex")]
            DispatchTensorKind::Flex(_) => return flex::pair(call),
            #[cfg(feature = "ndarray")]
            DispatchTensorKind::NdArray(_) => return ndarray::pair(call),
            #[allow(unreachable_patterns, reason = "depends on the backends that there are")]
            _ => {}
        }
    }
    unreachable!("{}: no kernel for a pair of layers", C::NAME)
}

/// Runs a stack of layers as one operation, if [`runs_as_stack`](crate::runs_as_stack).
pub(super) fn run_stack<C: Cell>(
    layers: Vec<(Operands<AnyTensor>, Plan<C>)>,
) -> StackResults<DispatchTensor> {
    #[cfg(feature = "host")]
    {
        let cell = layers[0].1.cell;
        let (operands, options): (Vec<_>, Vec<_>) = layers
            .into_iter()
            .map(|(operands, plan)| (operands.map(AnyTensor::into_dispatch), plan.options))
            .unzip();
        let call = StackCall { operands, options, cell: &cell };
        match &call.operands[0].need(Operand::Input).kind {
            #[cfg(feature = "flex")]
            DispatchTensorKind::Flex(_) => return flex::stack(call),
            #[cfg(feature = "ndarray")]
            DispatchTensorKind::NdArray(_) => return ndarray::stack(call),
            #[allow(unreachable_patterns, reason = "depends on the backends that there are")]
            _ => {}
        }
    }
    unreachable!("{}: no kernel for a stack", C::NAME)
}

/// Why the operation is not implemented for a device. The `Debug` output of the device begins with the name of its
/// backend.
pub(crate) fn missing_feature(device: &str) -> String {
    let backend = device.split('(').next().unwrap_or_default();
    let (feature, others) = match backend {
        "Flex" => ("flex", ""),
        "NdArray" => ("ndarray", ""),
        "Cube" => ("wgpu", " (or vulkan, metal, cuda, rocm, cpu)"),
        _ => {
            return format!(
                "the manual engine does not run on Burn's backend {backend}: expected `Engine::Autograd`"
            );
        }
    };
    format!(
        "the feature `{feature}`{others} is on for burn and off for bptt: expected `bptt = {{ version = \
         \"{}\", features = [\"{feature}\"] }}` in Cargo.toml",
        env!("CARGO_PKG_VERSION"),
    )
}

/// A copy of a tensor in its own memory, if the tensor is in the memory of the file that it was loaded from; `None` for
/// all other tensors. Burn's ndarray backend copies such a tensor whenever it is read. A tensor on the tape is not
/// copied.
pub fn owned<const D: usize>(tensor: &Tensor<D>) -> Option<Tensor<D>> {
    #[cfg(feature = "ndarray")]
    {
        let mut tensor = tensor.clone().into_dispatch();
        #[allow(irrefutable_let_patterns, reason = "depends on the backends that there are")]
        let DispatchTensorKind::NdArray(numbers) = tensor.kind else { return None };
        tensor.kind = DispatchTensorKind::NdArray(ndarray::owned(numbers)?);
        Some(Tensor::from_dispatch(tensor))
    }
    #[cfg(not(feature = "ndarray"))]
    {
        let _ = tensor;
        None
    }
}

/// Whether a tensor lies in host memory, on a backend that this crate has kernels for.
pub fn in_host_memory<const D: usize>(tensor: &Tensor<D>) -> bool {
    fn of(kind: &DispatchTensorKind) -> bool {
        match kind {
            #[cfg(feature = "flex")]
            DispatchTensorKind::Flex(_) => true,
            #[cfg(feature = "ndarray")]
            DispatchTensorKind::NdArray(_) => true,
            DispatchTensorKind::Autodiff(inner) => of(inner),
            #[allow(unreachable_patterns, reason = "depends on the backends that there are")]
            _ => false,
        }
    }
    of(&tensor.clone().into_dispatch().kind)
}

/// A float tensor in host memory, in row-major order without gaps, so that its numbers can be read in place.
#[cfg(feature = "host")]
pub(crate) enum InHost {
    #[cfg(feature = "flex")]
    Flex(FloatTensor<burn::backend::Flex>),
    #[cfg(feature = "ndarray")]
    NdArray(FloatTensor<burn::backend::NdArray>),
}

#[cfg(feature = "host")]
impl InHost {
    /// A tensor that is on no tape and of type `T`; `None` if it is not in host memory.
    pub(crate) fn of<T: Float>(tensor: FloatTensor<Dispatch>) -> Option<Self> {
        match tensor.kind {
            #[cfg(feature = "flex")]
            DispatchTensorKind::Flex(tensor) => {
                Some(Self::Flex(<burn::backend::Flex>::contiguous::<T>(tensor.float())))
            }
            #[cfg(feature = "ndarray")]
            DispatchTensorKind::NdArray(tensor) => {
                Some(Self::NdArray(<burn::backend::NdArray>::contiguous::<T>(tensor.float())))
            }
            #[allow(unreachable_patterns, reason = "depends on the backends that there are")]
            _ => None,
        }
    }

    pub(crate) fn numbers<T: Float>(&self) -> &[T] {
        match self {
            #[cfg(feature = "flex")]
            Self::Flex(tensor) => <burn::backend::Flex>::numbers(tensor),
            #[cfg(feature = "ndarray")]
            Self::NdArray(tensor) => <burn::backend::NdArray>::numbers(tensor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_feature_is_named_with_the_line_that_turns_it_on() {
        let flex = missing_feature("Flex(FlexDevice)");
        assert!(flex.starts_with("the feature `flex` is on for burn and off for bptt"), "{flex}");
        assert!(flex.contains("features = [\"flex\"]"), "{flex}");
        assert!(missing_feature("Cube(Wgpu(DefaultDevice))").contains("cuda"));
        assert!(missing_feature("LibTorch(Cpu)").contains("`Engine::Autograd`"));
    }
}
