//! Types of 16 bits on the kernels for host memory: `bf16` and `f16`.
//!
//! The kernels compute in `f32`. Operands and cotangents are widened where they come in, which is exact. Each result
//! and each gradient is rounded once where it goes out. In between everything is `f32`: the arithmetic, the state from
//! step to step, the sums, and the trace. The trace also holds the outputs in `f32`, because the backward pass reads
//! the hidden states from them, and rounded ones would be other states.
//!
//! The backward pass widens the operands a second time. Copies that are kept would take twice their memory, and a
//! conversion takes little time beside the products.

use crate::host::simd::real::Real;
use crate::recurrent::host_memory::HostMemory;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, Element};

/// Whether the kernels run operands of this type: in the type itself, or in `f32`.
pub(super) fn has_kernel(dtype: DType) -> bool {
    matches!(dtype, DType::F64 | DType::F32 | DType::BF16 | DType::F16)
}

/// The numbers of a tensor in the type of the kernels, in row-major order without gaps.
pub(super) fn widened<B: HostMemory, T: Real + Element>(tensor: FloatTensor<B>) -> FloatTensor<B> {
    B::contiguous::<T>(cast::<B>(tensor, T::dtype()))
}

/// A result in the type of the operands, rounded to nearest, ties to even.
pub(super) fn narrowed<B: Backend>(tensor: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    cast::<B>(tensor, dtype)
}

fn cast<B: Backend>(tensor: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    match tensor.dtype() == dtype {
        true => tensor,
        false => B::float_cast(tensor, dtype.into()),
    }
}

/// How many bytes a number takes: in the outputs, and in the trace. The outputs are there in both types.
pub(super) fn bytes<T>(dtype: DType) -> [usize; 2] {
    let (own, computed) = (dtype.size(), size_of::<T>());
    [if own == computed { own } else { own + computed }, computed]
}
