//! Which backends run the operation, and how.
//!
//! The only file that names the deprecated ndarray backend: it stays as long as 0.22 is what
//! people run.
#![allow(deprecated, reason = "burn-ndarray is deprecated in Burn 0.22 and gone in 0.23")]

use crate::operation::operands::{RecurrentOperands, RecurrentResults};
use crate::operation::plan::Plan;
#[cfg(feature = "host")]
use crate::recurrent::host_memory::{Float, HostMemory};
use crate::recurrent::kernel::SequenceKernel;
use bptt_cells::Cell;
use burn::Tensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchTensorKind, backend_extension};

/// The operation as Burn dispatches it: on a plain backend the forward pass, on an autodiff
/// backend one node with a hand-written backward.
#[backend_extension(
    Autodiff,
    Cube: cfg(feature = "cube"),
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray")
)]
pub trait RecurrentBackend: Backend {
    /// Runs the sequence.
    fn recurrent<C: Cell>(
        #[extension_type] operands: RecurrentOperands<Self>,
        plan: Plan<C>,
    ) -> RecurrentResults<Self>;
}

/// On a plain backend the operation is the forward pass, and keeps no trace.
#[allow(unused_macros, reason = "without any backend feature there is nothing to implement")]
macro_rules! plain {
    ($Backend:ty $(, $($generics:tt)*)?) => {
        impl $($($generics)*)? RecurrentBackend for $Backend {
            fn recurrent<C: Cell>(
                operands: RecurrentOperands<Self>,
                plan: Plan<C>,
            ) -> RecurrentResults<Self> {
                RecurrentResults(Self::sequence_forward::<C>(&plan, &operands.0, false).0)
            }
        }
    };
}

/// A backend in host memory runs the host kernels.
#[allow(unused_macros, reason = "without any host backend there is nothing to implement")]
macro_rules! host {
    ($Backend:ty) => {
        impl SequenceKernel for $Backend {
            fn available_memory(need: u128) -> Option<usize> {
                crate::host::memory::reclaim::available_for(need)
            }

            fn sequence_forward<C: Cell>(
                plan: &Plan<C>,
                operands: &Operands<FloatTensor<Self>>,
                keep: bool,
            ) -> (Results<FloatTensor<Self>>, Option<Trace<FloatTensor<Self>>>) {
                host::forward::<Self, C>(plan, operands, keep)
            }

            fn sequence_backward<C: Cell>(
                plan: &Plan<C>,
                operands: &Operands<FloatTensor<Self>>,
                trace: Trace<FloatTensor<Self>>,
                d_results: Cotangents<FloatTensor<Self>>,
                wanted: &Operands<()>,
            ) -> Operands<FloatTensor<Self>> {
                host::backward::<Self, C>(plan, operands, trace, d_results, wanted)
            }
        }
        plain!($Backend);
    };
}

/// The same numbers in memory of their own, where a tensor lies in the memory of the file that it was
/// loaded from; `None` for all others. Burn's ndarray backend copies such a tensor whenever it is read. A
/// tensor on the tape is left where it is.
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

/// A float tensor in host memory whose rows lie one after the other without a gap, so that its numbers can be
/// read in place.
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

#[cfg(feature = "flex")]
mod flex {
    use super::*;
    use crate::host::simd::real::Real;
    use crate::operation::operands::{Cotangents, Operands, Results};
    use crate::recurrent::trace::Trace;
    use crate::recurrent::{host, host_memory};
    use burn::backend::Flex;
    use burn::tensor::Element;

    impl HostMemory for Flex {
        fn contiguous<T: Real + Element>(tensor: FloatTensor<Self>) -> FloatTensor<Self> {
            tensor.to_contiguous()
        }

        fn numbers_of<T: Real + Element>(tensor: &FloatTensor<Self>) -> Option<&[T]> {
            tensor.as_slice()
        }

        fn is_same(a: &FloatTensor<Self>, b: &FloatTensor<Self>) -> bool {
            let (of_a, of_b) = (a.layout(), b.layout());
            a.bytes().as_ptr_range() == b.bytes().as_ptr_range()
                && of_a.start_offset() == of_b.start_offset()
                && of_a.shape() == of_b.shape()
                && of_a.strides() == of_b.strides()
                && a.dtype() == b.dtype()
        }

        fn rows<T: Real + Element>(tensor: &FloatTensor<Self>) -> Option<(&[T], [usize; 2])> {
            let layout = tensor.layout();
            let strides = host_memory::row_strides(layout.shape().as_slice(), layout.strides())?;
            Some((&tensor.storage()[layout.start_offset()..], strides))
        }
    }
    host!(Flex);
}

#[cfg(feature = "ndarray")]
mod ndarray {
    use super::*;
    use crate::host::simd::real::Real;
    use crate::operation::operands::{Cotangents, Operands, Results};
    use crate::recurrent::host;
    use crate::recurrent::trace::Trace;
    use burn::backend::ops::FloatTensorOps;
    use burn::backend::{BackendTensor, NdArray};
    use burn::tensor::{DType, Element, TensorData};
    use burn_ndarray::{NdArrayDevice, NdArrayTensor};

    /// See [`owned`](super::owned).
    pub(super) fn owned(tensor: BackendTensor<NdArray>) -> Option<BackendTensor<NdArray>> {
        let BackendTensor::Float(tensor) = tensor else { return None };
        let owned = match tensor {
            NdArrayTensor::F32(storage) if storage.is_borrowed() => {
                NdArrayTensor::F32(storage.into_owned().into())
            }
            NdArrayTensor::F64(storage) if storage.is_borrowed() => {
                NdArrayTensor::F64(storage.into_owned().into())
            }
            _ => return None,
        };
        Some(BackendTensor::Float(owned))
    }

    /// The tensor's numbers in place, if they are of type `T` and without a gap.
    fn slice<T: Real + Element>(tensor: &FloatTensor<NdArray>) -> Option<&[T]> {
        match (tensor, T::dtype()) {
            (NdArrayTensor::F32(storage), DType::F32) => {
                storage.view().to_slice().map(bytemuck::cast_slice)
            }
            (NdArrayTensor::F64(storage), DType::F64) => {
                storage.view().to_slice().map(bytemuck::cast_slice)
            }
            _ => None,
        }
    }

    /// Whether two storages of one type are the same memory with the same shape and strides. (A macro, because
    /// the type of a view belongs to a crate that this one does not depend on.)
    macro_rules! is_same_view {
        ($a:expr, $b:expr) => {{
            let (a, b) = ($a.view(), $b.view());
            a.as_ptr() == b.as_ptr() && a.shape() == b.shape() && a.strides() == b.strides()
        }};
    }

    impl HostMemory for NdArray {
        fn contiguous<T: Real + Element>(tensor: FloatTensor<Self>) -> FloatTensor<Self> {
            if slice::<T>(&tensor).is_some() {
                return tensor;
            }
            let shape = burn::backend::TensorMetadata::shape(&tensor);
            let data = match &tensor {
                NdArrayTensor::F32(storage) => {
                    TensorData::new(storage.view().iter().copied().collect(), shape)
                }
                NdArrayTensor::F64(storage) => {
                    TensorData::new(storage.view().iter().copied().collect(), shape)
                }
                _ => return tensor,
            };
            Self::float_from_data(data, &NdArrayDevice::Cpu)
        }

        fn numbers_of<T: Real + Element>(tensor: &FloatTensor<Self>) -> Option<&[T]> {
            slice(tensor)
        }

        fn is_same(a: &FloatTensor<Self>, b: &FloatTensor<Self>) -> bool {
            match (a, b) {
                (NdArrayTensor::F32(a), NdArrayTensor::F32(b)) => is_same_view!(a, b),
                (NdArrayTensor::F64(a), NdArrayTensor::F64(b)) => is_same_view!(a, b),
                _ => false,
            }
        }

        fn rows<T: Real + Element>(tensor: &FloatTensor<Self>) -> Option<(&[T], [usize; 2])> {
            // An array that is not in the order of its memory cannot give its memory away.
            let shape = burn::backend::TensorMetadata::shape(tensor);
            let [_, batch, input] = shape.dims();
            Some((slice(tensor)?, [batch * input, input]))
        }
    }
    host!(NdArray);
}

#[cfg(feature = "cube")]
mod cube {
    use super::*;
    use burn_cubecl::CubeBackend;
    use burn_fusion::{Fusion, FusionBackend};

    impl SequenceKernel for CubeBackend {}
    plain!(CubeBackend);

    // With fusion the reference body is recorded operation by operation, and fused.
    impl<B: FusionBackend> SequenceKernel for Fusion<B> {}
    plain!(Fusion<B>, <B: FusionBackend>);
}
