//! Products with matrices that are not worth packing.

use super::isa::Isa;
use super::panels::Source;
use super::product::Rows;
use super::real::Real;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// A product `C += A B` of few rows with a matrix that is used once, and so is not worth packing:
/// it is read as it is, column after column of `B`, which are rows in memory.
pub(crate) struct Rowwise<'a, T> {
    pub(crate) a: *const T,
    pub(crate) a_rows: Rows<'a>,
    pub(crate) b: &'a Source<'a, T>,
    /// How many columns a plane of `B` has.
    pub(crate) width: usize,
    /// From one plane's first column to the next plane's, in `C`.
    pub(crate) pitch: usize,
    pub(crate) c: *mut T,
    pub(crate) c_rows: Rows<'a>,
    pub(crate) rows: Range<usize>,
}

impl<T: Real> Rowwise<'_, T> {
    /// # Safety
    ///
    /// As for [`Product::run`](super::product::Product::run).
    #[inline]
    pub(crate) unsafe fn run(self, isa: Isa) {
        T::rowwise(isa, self);
    }

    /// Adds `R` neighbouring elements of a row of `C`.
    ///
    /// # Safety
    ///
    /// As for [`Product::run`](super::product::Product::run); `from` is where the first column of `B` begins.
    #[inline(always)]
    unsafe fn some<S: Simd, const R: usize>(&self, simd: S, a: &[T], from: usize, c: *mut T) {
        let lanes = T::lanes::<S>();
        let columns: [&[T]; R] =
            std::array::from_fn(|r| &self.b.data[from + r * self.b.column..][..a.len()]);
        let mut sums = [T::splat(simd, T::ZERO); R];
        let whole = a.len() / lanes * lanes;
        // SAFETY: `whole` registers are in `a` and in the columns, which are as long; the caller
        // promises `c`.
        unsafe {
            for k in (0..whole).step_by(lanes) {
                let x = T::load(simd, a.as_ptr().add(k));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = T::mul_add(simd, x, T::load(simd, column.as_ptr().add(k)), *sum);
                }
            }
            if whole < a.len() {
                let x = T::load_partial(simd, &a[whole..]);
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = T::mul_add(simd, x, T::load_partial(simd, &column[whole..]), *sum);
                }
            }
            for (r, sum) in sums.into_iter().enumerate() {
                *c.add(r) = T::plus(*c.add(r), T::sum(simd, sum));
            }
        }
    }
}

impl<T: Real> WithSimd for Rowwise<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        /// Columns that are worked together, for as many sums that do not wait for each other.
        const TOGETHER: usize = 8;
        for (p, &plane) in self.b.planes.iter().enumerate() {
            for j in (0..self.width).step_by(TOGETHER) {
                for row in self.rows.clone() {
                    // SAFETY: the caller of `run` promises these rows, and the columns of `c`.
                    unsafe {
                        let a = self.a.offset(self.a_rows.offset(row));
                        let a = std::slice::from_raw_parts(a, self.b.rows);
                        let c = self.c.offset(self.c_rows.offset(row)).add(p * self.pitch + j);
                        let from = plane + j * self.b.column;
                        if j + TOGETHER <= self.width {
                            self.some::<S, TOGETHER>(simd, a, from, c);
                        } else {
                            for r in 0..self.width - j {
                                self.some::<S, 1>(simd, a, from + r * self.b.column, c.add(r));
                            }
                        }
                    }
                }
            }
        }
    }
}
