//! The flex backend: its tensors in host memory.

use crate::host::simd::real::Real;
use crate::operation::operands::{BothResults, StackResults};
use crate::recurrent::both::run::{Call, run_both};
use crate::recurrent::dispatch::differentiated;
use crate::recurrent::host::host_backend;
use crate::recurrent::host_memory::HostMemory;
use crate::recurrent::pair::run::run_pair;
use crate::recurrent::stack::run::{StackCall, run_stack};
use burn::backend::tensor::FloatTensor;
use burn::backend::{DispatchTensor, Flex};
use burn::tensor::Element;
use bytemuck::Pod;

impl HostMemory for Flex {
    fn contiguous<T: Real + Element>(tensor: FloatTensor<Self>) -> FloatTensor<Self> {
        tensor.to_contiguous()
    }

    fn numbers_of<T: Pod + Element>(tensor: &FloatTensor<Self>) -> Option<&[T]> {
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
        if tensor.dtype() != T::dtype() {
            return None;
        }
        let layout = tensor.layout();
        let strides = row_strides(layout.shape().as_slice(), layout.strides())?;
        Some((&tensor.storage()[layout.start_offset()..], strides))
    }
}
host_backend!(Flex);
differentiated!(Flex);

/// A stack of layers, compiled here and once.
#[inline(never)]
pub(super) fn stack(call: StackCall<'_>) -> StackResults<DispatchTensor> {
    run_stack::<Flex>(call)
}

/// Both directions of a layer, compiled here and once.
#[inline(never)]
pub(super) fn both(call: Call) -> BothResults<DispatchTensor> {
    run_both::<Flex>(call)
}

/// Two layers on the tape, compiled here and once.
#[inline(never)]
pub(super) fn pair(call: Call) -> BothResults<DispatchTensor> {
    run_pair::<Flex>(call)
}

/// The strides in elements, if the rows have no gaps.
fn row_strides(shape: &[usize], strides: &[isize]) -> Option<[usize; 2]> {
    let [time, batch, element] = *<&[isize; 3]>::try_from(strides).ok()?;
    let whole = shape.iter().all(|&size| size > 0) && (element == 1 || shape[2] == 1);
    Some([usize::try_from(time).ok()?, usize::try_from(batch).ok()?]).filter(|_| whole)
}
