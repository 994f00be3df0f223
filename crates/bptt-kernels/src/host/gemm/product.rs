//! Matrix products on packed matrices: `C = A B`, or `C += A B`.
//!
//! `B` is packed in panels of [`NR`] SIMD vectors, so that the innermost loop reads it in one stream. A tile of `C`
//! (some rows times one panel, or few rows times several panels) stays in registers while the loop runs over the
//! inner dimension. That is cut into blocks of [`KC`], so that a panel's block stays in the first-level cache.
//!
//! Each element of `C` is the sum of its products in order, block by block, whichever tile it is in. So the bits do not
//! depend on how the threads share rows and panels.

use crate::host::gemm::microkernel::{Cut, Microkernel, mr, mr_of_three};
use crate::host::gemm::panels::{NR, Packed};
use crate::host::gemm::rows::Rows;
use crate::host::simd::real::{Real, is_portable};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// How much of the inner dimension one pass takes: a panel's part of it stays in the first-level cache.
pub(crate) const KC: usize = 256;

/// How many tiles of `mr` rows one pass takes: their part of `A` stays in the second-level cache.
const MC: usize = 8;

/// Products of more rows have so much to do that they need not wait for `B`, as long as they read it in one stream.
const FEW: usize = 4;

/// Whether the product of step `k`, of this many rows, begins with the last panels; see [`Product::from_last`].
pub(crate) fn begins_with_last(k: usize, rows: usize) -> bool {
    k % 2 == 1 && rows <= FEW
}

/// A product `C = A B` or `C += A B`, on some panels of `B`.
///
/// In dual numbers, rows of values and rows of tangents alternate in `A` and `C`. Then the product of the values of
/// `A` with the tangent of `B` is added to the tangents of `C`.
pub(crate) struct Product<'a, T> {
    /// Where the rows of `A` begin; they are contiguous along the inner dimension.
    pub(crate) a: *const T,
    pub(crate) a_rows: Rows<'a>,
    pub(crate) b: Packed<'a, T>,
    pub(crate) panels: Range<usize>,
    /// Where the rows of `C` begin; `B` says where its columns are.
    pub(crate) c: *mut T,
    pub(crate) c_rows: Rows<'a>,
    /// Which rows, counted from there.
    pub(crate) rows: Range<usize>,
    /// Whether the product is added to `C`.
    pub(crate) add: bool,
    /// Whether it begins with the last panels. If every second product with the same `B` does, it finds in the cache what
    /// the product before read last. Else nothing of a `B` that is larger than the cache is there.
    pub(crate) from_last: bool,
}

impl<T: Real> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let b = self.b.value;
        let (panels, mr) = (b.data.as_slice(), mr::<S>());
        let mut k = 0;
        // At least one pass, because a product without an inner dimension is zero.
        loop {
            // No panel is read twice for one tile of rows. So each is read as a whole, one after the other.
            let end = match self.rows.len() <= mr {
                true => b.depth,
                false => k + b.inner.from(k).1.min(KC),
            };
            let mut rows = self.rows.clone();
            while !rows.is_empty() {
                // The number of tiles whose part of `A` stays in the second-level cache while all panels pass over it.
                let some = rows.start..rows.end.min(rows.start + MC * mr);
                self.block::<S>(simd, panels, k..end, some.clone());
                rows.start = some.end;
            }
            k = end;
            if k >= b.depth {
                return;
            }
        }
    }
}

impl<T: Real> Product<'_, T> {
    /// Computes some rows over a part of the inner dimension, block by block.
    #[inline(always)]
    fn block<S: Simd>(&self, simd: S, panels: &[T], inner: Range<usize>, rows: Range<usize>) {
        let b = self.b.value;
        let lanes = T::lanes::<S>();
        let wide = NR * lanes;
        let next = b.depth * wide;
        let in_one = Cut::new(rows.len(), mr::<S>());
        let in_both = Cut::new(rows.len(), mr_of_three::<S>());
        let count = self.panels.len();
        // From the last on: how many panels a group has, which are computed together, and how many are in whole groups.
        let whole = || (b.result.from(self.panels.start * wide).1 / wide).min(count);
        let (each, groups) = match rows.len() {
            _ if !self.from_last => (1, 0),
            1 if !is_portable::<S>() => (4, whole() / 4 * 4),
            2 if !is_portable::<S>() => (3, whole() / 3 * 3),
            3 if !is_portable::<S>() => (2, whole() / 2 * 2),
            // The last two may be computed together.
            _ => (1, count.saturating_sub(2)),
        };
        let mut done = 0;
        while done < count {
            // From the last on, what is behind the groups comes first.
            let panel = self.panels.start
                + match self.from_last {
                    false => done,
                    true if done < count - groups => groups + done,
                    true => count - done - each,
                };
            let (column, left) = b.result.from(panel * wide);
            let panels_left = self.panels.end - panel;
            // With few rows, several whole panels side by side use all registers.
            let whole = (left / wide).min(panels_left);
            // A last SIMD vector alone would wait for its elements of `A`. It is computed with the panel before.
            let has_last = !is_portable::<S>()
                && panels_left == 2
                && (wide + 1..=wide + lanes).contains(&left);
            let (together, cut) = match rows.len() {
                // Little code is worth more there than the last bit of speed.
                _ if is_portable::<S>() => (1, in_one),
                1 if whole >= 4 => (4, in_one),
                2 if whole >= 3 => (3, in_one),
                1..=3 if whole >= 2 => (2, in_one),
                4.. if has_last => (2, in_both),
                _ => (1, in_one),
            };
            let mut k = inner.start;
            loop {
                let (skip, left_of_inner) = b.inner.from(k);
                let depth = left_of_inner.min(KC);
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
                    // SAFETY: the caller of `run` promises that the rows are valid; the panels from this one on are in
                    // `b`, whose slice was checked.
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
                k += depth;
                if k >= inner.end {
                    break;
                }
            }
            done += together;
        }
    }
}
