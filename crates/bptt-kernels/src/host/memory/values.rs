//! The results of the kernels: numbers that become a tensor. Their memory comes back when the tensor is dropped.

use crate::host::memory::buffer::volume;
use crate::host::memory::pool::Pooled;
use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes};
use std::mem::{ManuallyDrop, MaybeUninit, take};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// The numbers of a result.
///
/// A training step makes tensors of the same sizes as the step before, which are dropped in between. Allocators give
/// large memory back to the system, so the next step has fresh pages. Their page faults cost 10 to 20 % of its time. So
/// the memory of large results is kept for the next result of its size.
#[derive(Debug)]
pub(crate) struct Values<T: Pooled>(Vec<T>);

/// From how many bytes on they are large.
const LARGE: usize = 1 << 17;

impl<T: Pooled> Values<T> {
    /// Zeros; or any numbers, for a caller that writes all of them.
    ///
    /// # Panics
    ///
    /// If the product of the sizes overflows.
    pub(crate) fn new(sizes: &[usize], all_written: bool) -> Self {
        let len = volume(sizes);
        if len < LARGE / size_of::<T>() {
            // Not `vec!`: for little memory, it is faster to allocate it and to fill it.
            let mut memory = Vec::with_capacity(len);
            memory.resize(len, T::ZERO);
            return Self(memory);
        }
        let (mut memory, old) = T::results().take(len, || vec![T::ZERO; len]);
        if old && !all_written {
            memory.clear();
        }
        memory.resize(len, T::ZERO);
        Self(memory)
    }

    /// How many bytes there are.
    fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<T>()
    }

    /// The numbers as a tensor's memory, which comes back when the tensor is dropped.
    pub(crate) fn into_bytes(mut self) -> Bytes {
        if self.bytes() < LARGE {
            return Bytes::from_elems(take(&mut self.0));
        }
        let len = size_of_val(&*self.0);
        // SAFETY: the numbers have this many bytes.
        unsafe { Bytes::from_controller(Box::new(self), len) }
    }
}

impl<T: Pooled> From<Vec<T>> for Values<T> {
    fn from(values: Vec<T>) -> Self {
        Self(values)
    }
}

impl<T: Pooled> Deref for Values<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Pooled> DerefMut for Values<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Pooled> Drop for Values<T> {
    fn drop(&mut self) {
        if self.bytes() >= LARGE {
            T::results().keep(take(&mut self.0));
        }
    }
}

impl<T: Pooled> AllocationController for Values<T> {
    fn alloc_align(&self) -> usize {
        align_of::<T>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Native
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        // SAFETY: it is all memory that is allocated; it need not be initialised.
        Ok(unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.bytes()) })
    }

    unsafe fn memory_mut(
        &mut self,
        _: AccessPolicy,
    ) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let bytes = self.bytes();
        // SAFETY: as above. The caller promises to write initialised bytes only, and all others are numbers.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), bytes) })
    }

    /// As a `Vec`, which it is.
    fn try_detach(&mut self) -> Option<NonNull<u8>> {
        let mut memory = ManuallyDrop::new(take(&mut self.0));
        NonNull::new(memory.as_mut_ptr().cast())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A size that no other test uses, because all tests share one pool.
    const LEN: usize = LARGE / 4 + 1237;

    #[test]
    fn large_results_come_back_and_are_zero_if_wanted() {
        let place = |values: &Values<f32>| values.as_ptr().addr();
        let mut values = Values::<f32>::new(&[LEN], false);
        assert!(values.iter().all(|&x| x == 0.0));
        values.fill(3.0);
        let first = place(&values);
        let bytes = values.into_bytes();
        assert_eq!(bytes.len(), 4 * LEN);
        assert!(bytemuck::cast_slice::<u8, f32>(&bytes).iter().all(|&x| x == 3.0));
        drop(bytes);
        let again = Values::<f32>::new(&[LEN], true);
        assert_eq!((place(&again), again.len()), (first, LEN));
        drop(again);
        let again = Values::<f32>::new(&[LEN - 1], false);
        assert_eq!((place(&again), again.len()), (first, LEN - 1));
        assert!(again.iter().all(|&x| x == 0.0));
    }

    #[test]
    fn results_can_be_changed_where_they_are_and_taken_away() {
        for len in [5, LEN + 99] {
            let mut bytes = Values::from(vec![1.5_f64; len]).into_bytes();
            let place = bytes.as_ptr().addr();
            bytemuck::cast_slice_mut::<u8, f64>(&mut bytes)[len - 1] = 2.5;
            let vec = bytes.try_into_vec::<f64>().expect("it is one");
            assert_eq!((vec.as_ptr().addr(), vec.len()), (place, len));
            assert_eq!((vec[0], vec[len - 1]), (1.5, 2.5));
        }
    }
}
