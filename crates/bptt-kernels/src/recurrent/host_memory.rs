//! Backends whose tensors are in host memory, and the float types that have kernels.

use crate::host::gemm::dispatch::Gemm;
use crate::host::sequence::trace as host_trace;
use crate::host::simd::real::Real;
use crate::recurrent::trace::Numbers;
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Element;
use bytemuck::Pod;

/// A backend whose tensors are in host memory.
pub(crate) trait HostMemory: Backend<FloatTensorPrimitive: Sync> {
    /// The same tensor in row-major order without gaps.
    fn contiguous<T: Real + Element>(tensor: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The numbers of a tensor of type `T` without gaps; `None` for other tensors.
    fn numbers_of<T: Pod + Element>(tensor: &FloatTensor<Self>) -> Option<&[T]>;

    /// The numbers of a tensor that is known to be of type `T` and without gaps.
    fn numbers<T: Pod + Element>(tensor: &FloatTensor<Self>) -> &[T] {
        Self::numbers_of(tensor).expect("a contiguous tensor of this type")
    }

    /// Whether two tensors have the same memory, shape, strides and type. If one of them has been held all the time,
    /// they also have the same numbers.
    fn is_same(a: &FloatTensor<Self>, b: &FloatTensor<Self>) -> bool;

    /// The numbers of a sequence `[T, B, I]`, and the strides of steps and of rows; `None` if its rows have gaps or
    /// are of another type.
    fn rows<T: Real + Element>(tensor: &FloatTensor<Self>) -> Option<(&[T], [usize; 2])>;
}

/// A float type of the kernels, and its variant of the trace.
pub(crate) trait Float: Gemm + Element {
    fn wrap(trace: host_trace::Trace<Self>) -> Numbers;
}

macro_rules! float {
    ($($T:ty, $Variant:ident;)*) => {$(
        impl Float for $T {
            fn wrap(trace: host_trace::Trace<Self>) -> Numbers {
                Numbers::$Variant(trace)
            }
        }
    )*};
}
float! {
    f32, F32;
    f64, F64;
}
