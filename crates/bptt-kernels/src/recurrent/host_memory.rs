//! Backends whose tensors lie in host memory, and the float types that there are kernels for.

use crate::host::gemm::dispatch::Gemm;
use crate::host::sequence::trace as host_trace;
use crate::host::simd::real::Real;
use crate::recurrent::trace::Numbers;
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Element;

/// A backend whose tensors lie in host memory.
pub(crate) trait HostMemory: Backend<FloatTensorPrimitive: Sync> {
    /// The same tensor, row after row without a gap.
    fn contiguous<T: Real + Element>(tensor: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The numbers of a tensor whose type is `T`, if it is such a one.
    fn numbers_of<T: Real + Element>(tensor: &FloatTensor<Self>) -> Option<&[T]>;

    /// The numbers of a tensor that is.
    fn numbers<T: Real + Element>(tensor: &FloatTensor<Self>) -> &[T] {
        Self::numbers_of(tensor).expect("a contiguous tensor of this type")
    }

    /// Whether two tensors are the same memory, seen in the same way: shape, strides and type. If one of
    /// them has been held all the time, they have the same numbers.
    fn is_same(a: &FloatTensor<Self>, b: &FloatTensor<Self>) -> bool;

    /// The numbers of a sequence `[T, B, I]` whose rows have no gap, from its first one on, and how
    /// far it is from one step to the next and from one row to the next; `None` if its rows are
    /// not like that.
    fn rows<T: Real + Element>(tensor: &FloatTensor<Self>) -> Option<(&[T], [usize; 2])>;
}

/// Strides in elements, if they are those of such a sequence.
pub(crate) fn row_strides(shape: &[usize], strides: &[isize]) -> Option<[usize; 2]> {
    let [time, batch, element] = *<&[isize; 3]>::try_from(strides).ok()?;
    let whole = shape.iter().all(|&size| size > 0) && (element == 1 || shape[2] == 1);
    Some([usize::try_from(time).ok()?, usize::try_from(batch).ok()?]).filter(|_| whole)
}

/// A float type of the kernels, and its variant of the trace.
pub(crate) trait Float: Gemm + Element {
    fn wrap(trace: host_trace::Trace<Self>) -> Numbers;
    fn unwrap(numbers: &mut Numbers) -> &mut host_trace::Trace<Self>;
}

macro_rules! float {
    ($($T:ty, $Variant:ident;)*) => {$(
        impl Float for $T {
            fn wrap(trace: host_trace::Trace<Self>) -> Numbers {
                Numbers::$Variant(trace)
            }

            fn unwrap(numbers: &mut Numbers) -> &mut host_trace::Trace<Self> {
                match numbers {
                    Numbers::$Variant(trace) => trace,
                    _ => unreachable!("forward and backward are of one type"),
                }
            }
        }
    )*};
}
float! {
    f32, F32;
    f64, F64;
}
