//! The ndarray backend: its tensors in host memory. The backend is deprecated, but stays as long as Burn 0.22 is
//! supported.
#![allow(deprecated, reason = "burn-ndarray is deprecated in Burn 0.22 and gone in 0.23")]

use crate::host::simd::real::Real;
use crate::operation::operands::{BothResults, StackResults};
use crate::recurrent::both::run::{Call, run_both};
use crate::recurrent::dispatch::differentiated;
use crate::recurrent::host::host_backend;
use crate::recurrent::host_memory::HostMemory;
use crate::recurrent::pair::run::run_pair;
use crate::recurrent::stack::run::{StackCall, run_stack};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{BackendTensor, DispatchTensor, NdArray, TensorMetadata};
use burn::tensor::{DType, Element, TensorData};
use burn_ndarray::{NdArrayDevice, NdArrayTensor};
use bytemuck::Pod;

/// See [`owned`](crate::owned).
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
fn slice<T: Pod + Element>(tensor: &FloatTensor<NdArray>) -> Option<&[T]> {
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
        let shape = tensor.shape();
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

    fn numbers_of<T: Pod + Element>(tensor: &FloatTensor<Self>) -> Option<&[T]> {
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
        // If an array is not in the order of its memory, its memory cannot be reused.
        let shape = tensor.shape();
        let [_, batch, input] = shape.dims();
        Some((slice(tensor)?, [batch * input, input]))
    }
}
host_backend!(NdArray);
differentiated!(NdArray);

/// A stack of layers, compiled here and once.
#[inline(never)]
pub(super) fn stack(call: StackCall<'_>) -> StackResults<DispatchTensor> {
    run_stack::<NdArray>(call)
}

/// Both directions of a layer, compiled here and once.
#[inline(never)]
pub(super) fn both(call: Call) -> BothResults<DispatchTensor> {
    run_both::<NdArray>(call)
}

/// Two layers on the tape, compiled here and once.
#[inline(never)]
pub(super) fn pair(call: Call) -> BothResults<DispatchTensor> {
    run_pair::<NdArray>(call)
}
