//! Types of 16 bits on the kernels for host memory: `bf16` and `f16`.
//!
//! The kernels compute in `f32`. Operands and cotangents are widened where they come in, which is exact. Each result
//! and each gradient is rounded once where it goes out. In between everything is `f32`: the arithmetic, the state from
//! step to step, the sums, and the trace. The trace also holds the outputs in `f32`, because the backward pass reads
//! the hidden states from them, and rounded ones would be other states.
//!
//! The backward pass widens the operands a second time. Copies that are kept would take twice their memory, and a
//! conversion takes little time beside the products.

use crate::host::memory::values::Values;
use crate::host::simd::half::{narrow_bf16, narrow_f16, widen_bf16, widen_f16};
use crate::host::simd::real::Real;
use crate::recurrent::host_memory::HostMemory;
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Element, TensorData, bf16, f16};
use burn_std::Bytes;
use bytemuck::cast_slice;

/// Whether the kernels run operands of this type: in the type itself, or in `f32`.
pub(crate) fn has_kernel(dtype: DType) -> bool {
    matches!(dtype, DType::F64 | DType::F32 | DType::BF16 | DType::F16)
}

/// The numbers of a tensor in the type of the kernels, in row-major order without gaps.
pub(crate) fn widened<B: HostMemory, T: Real + Element>(tensor: FloatTensor<B>) -> FloatTensor<B> {
    let tensor = B::contiguous::<T>(tensor);
    let widen: fn(&[u16], &mut [f32]) = match tensor.dtype() {
        DType::BF16 => widen_bf16,
        DType::F16 => widen_f16,
        _ => return tensor,
    };
    let (shape, device) = (tensor.shape(), tensor.device());
    let mut values = Values::<f32>::new(&shape, true);
    widen(bits::<B>(&tensor), &mut values);
    B::float_from_data(TensorData::from_bytes(values.into_bytes(), shape, DType::F32), &device)
}

/// The bits of a tensor with 16 bits, without gaps.
fn bits<B: HostMemory>(tensor: &FloatTensor<B>) -> &[u16] {
    match tensor.dtype() {
        DType::BF16 => cast_slice(B::numbers::<bf16>(tensor)),
        _ => cast_slice(B::numbers::<f16>(tensor)),
    }
}

/// A result in the type of the operands, rounded to nearest, ties to even.
pub(crate) fn narrowed<B: HostMemory>(tensor: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    let narrow: fn(&[f32], &mut [u16]) = match dtype {
        DType::BF16 => narrow_bf16,
        DType::F16 => narrow_f16,
        _ => return tensor,
    };
    let (shape, device) = (tensor.shape(), tensor.device());
    let mut bits = vec![0; shape.num_elements()];
    narrow(B::numbers::<f32>(&tensor), &mut bits);
    B::float_from_data(TensorData::from_bytes(Bytes::from_elems(bits), shape, dtype), &device)
}

/// How many bytes a number takes: in the outputs, and in the trace. The outputs are there in both types.
pub(crate) fn bytes<T>(dtype: DType) -> [usize; 2] {
    let (own, computed) = (dtype.size(), size_of::<T>());
    [if own == computed { own } else { own + computed }, computed]
}
