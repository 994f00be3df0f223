//! Matrix products on packed matrices: `C = A B`, or `C += A B`.
//!
//! `B` is packed in panels of [`NR`] SIMD vectors, so that the innermost loop
//! reads it in one stream. A tile of `C` (some rows times one panel, or few rows times several)
//! stays in registers while the loop runs over the inner dimension, which is cut into blocks of
//! [`KC`] so that a panel's block stays in the first-level cache.
//!
//! Each element of `C` is the sum of its products in order, block by block, whatever tile it is
//! in: the bits do not depend on how rows and panels are shared out among threads.

use crate::host::gemm::microkernel::{Cut, Microkernel, mr, mr_of_three};
use crate::host::gemm::panels::{NR, Packed};
use crate::host::gemm::rows::Rows;
use crate::host::simd::real::Real;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// How much of the inner dimension one pass takes, so that a panel's part of it stays in the first-level cache.
pub(crate) const KC: usize = 256;

/// How many rows one pass takes, in tiles of `mr` rows: their part of `A` stays in the second-level cache.
const MC: usize = 8;

/// A product `C = A B` or `C += A B`, on some panels of `B`.
///
/// In dual numbers the rows of `A` and `C` are values and tangents in turn, and the product is that of
/// dual numbers: what the tangent of `B` makes of `A`'s values is added to the tangents of `C`.
pub(crate) struct Product<'a, T> {
    /// The rows of `A` begin here, contiguous along the inner dimension,
    pub(crate) a: *const T,
    pub(crate) a_rows: Rows<'a>,
    pub(crate) b: Packed<'a, T>,
    pub(crate) panels: Range<usize>,
    /// Those of `C` here; its columns are as `B` says.
    pub(crate) c: *mut T,
    pub(crate) c_rows: Rows<'a>,
    /// Which rows, counted from those beginnings.
    pub(crate) rows: Range<usize>,
    /// Add to what is there.
    pub(crate) add: bool,
}

impl<T: Real> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let b = self.b.value;
        let (panels, mr) = (b.data.as_slice(), mr::<S>());
        let mut k = 0;
        // One pass at least: a product of no depth is zero.
        loop {
            let (skip, left) = b.inner.from(k);
            let depth = left.min(KC);
            let mut rows = self.rows.clone();
            while !rows.is_empty() {
                // As many tiles as keep their part of `A` in the second-level cache, while all panels
                // pass over it.
                let some = rows.start..rows.end.min(rows.start + MC * mr);
                self.block::<S>(simd, panels, [k, skip, depth], some.clone());
                rows.start = some.end;
            }
            k += depth;
            if k >= b.depth {
                return;
            }
        }
    }
}

impl<T: Real> Product<'_, T> {
    /// Some rows, over a block of the inner dimension: its first index, where that is in `A`, and how many
    /// there are.
    #[inline(always)]
    fn block<S: Simd>(
        &self,
        simd: S,
        panels: &[T],
        [k, skip, depth]: [usize; 3],
        rows: Range<usize>,
    ) {
        let b = self.b.value;
        let lanes = T::lanes::<S>();
        let wide = NR * lanes;
        let next = b.depth * wide;
        let in_one = Cut::new(rows.len(), mr::<S>());
        let in_both = Cut::new(rows.len(), mr_of_three::<S>());
        let mut panel = self.panels.start;
        while panel < self.panels.end {
            let (column, left) = b.result.from(panel * wide);
            let panels_left = self.panels.end - panel;
            // With few rows, several whole panels side by side keep the registers busy.
            let whole = (left / wide).min(panels_left);
            // A last register alone would wait for its elements of `A`: it is worked with the panel before.
            let has_last = panels_left == 2 && (wide + 1..=wide + lanes).contains(&left);
            let (together, cut) = match rows.len() {
                1 if whole >= 4 => (4, in_one),
                2 if whole >= 3 => (3, in_one),
                1..=3 if whole >= 2 => (2, in_one),
                4.. if has_last => (2, in_both),
                _ => (1, in_one),
            };
            let mut microkernel = Microkernel::<T, false> {
                a: self.a,
                a_rows: self.a_rows,
                row: rows.start,
                skip,
                depth,
                b: panels[panel * next + k * wide..].as_ptr(),
                next,
                c: self.c.wrapping_add(column),
                c_rows: self.c_rows,
                add: self.add || k > 0,
                columns: if b.result.padded { left.next_multiple_of(lanes) } else { left },
            };
            for index in 0..cut.tiles {
                let count = cut.rows_of(index);
                // SAFETY: the caller of `run` promises that the rows are there; the panels
                // from this one on are in `b`, whose slice was checked.
                unsafe {
                    match together {
                        4 => microkernel.exactly::<S, 1, 4>(simd),
                        3 => microkernel.exactly::<S, 2, 3>(simd),
                        2 if has_last => microkernel.with_last::<S>(simd, count),
                        2 => microkernel.up_to_3::<S>(simd, count),
                        _ => microkernel.any::<S>(simd, count),
                    }
                }
                microkernel.row += count;
            }
            panel += together;
        }
    }
}
