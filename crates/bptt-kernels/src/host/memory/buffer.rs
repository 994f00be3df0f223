//! Memory that the threads of one sequence share.

use crate::host::memory::pool::Pool;
use crate::host::simd::real::Real;
use bytemuck::{Pod, Zeroable};
use std::marker::PhantomData;

/// A unit of memory. It is no larger, because of its alignment. The system gives memory of this alignment page by page,
/// as zeros, when it is touched. Memory of a larger alignment would be filled with zeros at once, all of it.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Piece([u8; 16]);

impl Piece {
    const BYTES: usize = 16;
}

// SAFETY: an array of bytes; zeros are a valid value of it.
unsafe impl Zeroable for Piece {}
// SAFETY: an array of bytes without padding (its size is its alignment); every bit pattern is valid.
unsafe impl Pod for Piece {}

/// The alignment of the first number: a cache line, so that no SIMD vector of a row lies in two lines.
const LINE: usize = 64;

/// Numbers in memory that starts at a cache line.
///
/// When a buffer is dropped, its memory is kept for the next one.
pub(crate) struct Buffer<T> {
    /// Enough for `len` numbers from the first cache line on.
    memory: Vec<Piece>,
    len: usize,
    of: PhantomData<T>,
}

/// From how many units on memory is kept. An allocator keeps smaller pieces itself.
const POOLED: usize = 1024 / Piece::BYTES;

/// Memory that waits for its next buffer.
static POOL: Pool<Piece> = Pool::new();

/// Gives all memory that waits for its next buffer back to the system.
pub(crate) fn release_kept() {
    POOL.release();
}

/// Where in it the first cache line starts.
fn first_line(memory: &[Piece]) -> usize {
    let start = memory.as_ptr() as usize;
    (start.next_multiple_of(LINE) - start) / Piece::BYTES
}

/// Memory of that size, and whether it was used before. If not, it is zero.
///
/// # Panics
///
/// If the system cannot give so much memory.
fn allocate(bytes: usize) -> (Vec<Piece>, bool) {
    let count = bytes.div_ceil(Piece::BYTES) + LINE / Piece::BYTES - 1;
    let fresh = || {
        let memory = bytemuck::allocation::try_zeroed_vec(count);
        memory.unwrap_or_else(|()| panic!("no memory for {bytes} bytes"))
    };
    if count < POOLED { (fresh(), false) } else { POOL.take(count, fresh) }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        if self.memory.len() >= POOLED {
            POOL.keep(std::mem::take(&mut self.memory));
        }
    }
}

impl<T> Buffer<T> {
    /// How many bytes its numbers take.
    pub(crate) fn bytes(&self) -> usize {
        self.len * size_of::<T>()
    }
}

impl<T> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        let bytes = self.bytes();
        let (mut memory, _) = allocate(bytes);
        let count = bytes.div_ceil(Piece::BYTES);
        let to = first_line(&memory);
        memory[to..][..count].copy_from_slice(&self.memory[first_line(&self.memory)..][..count]);
        Self { memory, len: self.len, of: PhantomData }
    }
}

impl<T> std::fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} numbers)", self.len)
    }
}

impl<T: Real> Buffer<T> {
    /// Zeros.
    ///
    /// # Panics
    ///
    /// If the system cannot give so much memory, or if the product of the sizes overflows.
    pub(crate) fn zeros(sizes: &[usize]) -> Self {
        let (mut buffer, old) = Self::new(sizes);
        if old {
            buffer.as_mut_slice().fill(T::ZERO);
        }
        buffer
    }

    /// With any numbers in it, for a caller that writes each number before it reads it.
    ///
    /// # Panics
    ///
    /// As [`zeros`](Self::zeros).
    pub(crate) fn scratch(sizes: &[usize]) -> Self {
        Self::new(sizes).0
    }

    /// A buffer for the time block that is computed, and a second one if another block is computed at the same time.
    ///
    /// # Panics
    ///
    /// As [`zeros`](Self::zeros).
    pub(crate) fn one_or_two(two: bool, sizes: &[usize]) -> [Self; 2] {
        [Self::scratch(sizes), Self::scratch(if two { sizes } else { &[0] })]
    }

    /// With zeros behind the first columns of each row, which no thread writes.
    pub(crate) fn with_padding(mut self, row: usize, columns: usize) -> Self {
        for row in self.as_mut_slice().chunks_exact_mut(row.max(1)) {
            row[columns..].fill(T::ZERO);
        }
        self
    }

    /// Also tells whether the memory was used before; if not, it is zero.
    fn new(sizes: &[usize]) -> (Self, bool) {
        let len = volume(sizes);
        let bytes = len.checked_mul(size_of::<T>()).expect("a size overflows");
        let (memory, old) = allocate(bytes);
        (Self { memory, len, of: PhantomData }, old)
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &bytemuck::cast_slice(&self.memory[first_line(&self.memory)..])[..self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        let first = first_line(&self.memory);
        &mut bytemuck::cast_slice_mut(&mut self.memory[first..])[..self.len]
    }

    /// For several threads to write to.
    pub(crate) fn shared(&mut self) -> Shared<'_, T> {
        Shared::new(self.as_mut_slice())
    }
}

/// The product of sizes.
///
/// # Panics
///
/// If it overflows.
pub(crate) fn volume(sizes: &[usize]) -> usize {
    let product = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    product.unwrap_or_else(|| panic!("the product of the sizes {sizes:?} overflows"))
}

/// A slice that several threads read and write, each in its own part.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    of: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

// SAFETY: access is by `unsafe` functions only, whose callers promise that there is no data race.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), of: PhantomData }
    }

    /// For reading only: nobody writes to it.
    pub(crate) fn read_only(slice: &'a [T]) -> Self {
        Self { start: slice.as_ptr().cast_mut(), len: slice.len(), of: PhantomData }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A part of it.
    pub(crate) fn part(&self, from: usize, len: usize) -> Self {
        Self { start: self.at(from, len), len, of: PhantomData }
    }

    /// A pointer to `len` elements from `from` on, which are checked to be inside.
    #[inline(always)]
    pub(crate) fn at(&self, from: usize, len: usize) -> *mut T {
        assert!(from <= self.len && len <= self.len - from, "outside of a buffer");
        // SAFETY: the check shows that it is not beyond the end of the slice.
        unsafe { self.start.add(from) }
    }

    /// # Safety
    ///
    /// No other thread writes to these elements while the slice lives.
    #[inline(always)]
    pub(crate) unsafe fn slice(&self, from: usize, len: usize) -> &'a [T] {
        // SAFETY: `at` checks that it is inside; the caller promises that nothing writes to it meanwhile.
        unsafe { std::slice::from_raw_parts(self.at(from, len), len) }
    }

    /// # Safety
    ///
    /// Nothing else reads or writes these elements while the slice lives.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the caller promises that there is no other")]
    pub(crate) unsafe fn slice_mut(&self, from: usize, len: usize) -> &'a mut [T] {
        // SAFETY: `at` checks that it is inside; the caller promises that the access is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.at(from, len), len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_start_at_a_line() {
        for len in [1, 3, 17, 1000, 1 << 20] {
            let mut buffer = Buffer::<f32>::zeros(&[len]);
            assert!(buffer.as_slice().iter().all(|&x| x == 0.0));
            buffer.as_mut_slice().fill(2.0);
            let other = buffer.clone();
            for buffer in [&buffer, &other] {
                assert_eq!(buffer.as_slice().as_ptr() as usize % LINE, 0);
                assert_eq!(buffer.as_slice(), vec![2.0; len]);
            }
        }
    }
}
