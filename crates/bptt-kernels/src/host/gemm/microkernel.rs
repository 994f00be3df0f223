//! The microkernel: the innermost loop, which computes one tile of a product; and how rows are cut into tiles.

use crate::host::gemm::panels::NR;
use crate::host::gemm::rows::Rows;
use crate::host::simd::prefetch::send_for;
use crate::host::simd::real::{Real, is_portable};
use pulp::Simd;

/// `MR`: how many rows a tile of one panel may have, such that the sums, a row of `B` and one element of `A` are all in
/// registers.
#[inline(always)]
pub(crate) fn mr<S: Simd>() -> usize {
    match S::REGISTER_COUNT {
        // A machine that `pulp` knows nothing of: little code is worth more than the last bit of speed.
        _ if is_portable::<S>() => 4,
        32.. => 12,
        _ => 6,
    }
}

/// As [`mr`], for a tile with a panel and one SIMD vector of the next panel.
#[inline(always)]
pub(crate) fn mr_of_three<S: Simd>() -> usize {
    mr::<S>() * 2 / 3
}

/// Rows cut into tiles, as evenly as possible: tiles of 4 and 4 rows are faster than tiles of 6 and 2.
#[derive(Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) tiles: usize,
    /// How many rows a tile has.
    rows: usize,
    /// How many tiles, from the first on, have one row more.
    larger: usize,
}

impl Cut {
    /// Cuts into tiles of at most `most` rows, as few as possible.
    #[inline(always)]
    pub(crate) fn new(rows: usize, most: usize) -> Self {
        if rows <= most {
            // No division, because a product of few rows has little else to do.
            return Self { tiles: usize::from(rows > 0), rows, larger: 0 };
        }
        let tiles = rows.div_ceil(most);
        Self { tiles, rows: rows / tiles, larger: rows % tiles }
    }

    /// How many rows a tile has.
    #[inline(always)]
    pub(crate) fn rows_of(self, tile: usize) -> usize {
        self.rows + usize::from(tile < self.larger)
    }
}

/// Computes one tile of `C`, over one block of the inner dimension. With `PACKED`, the tile's part of `A` is packed:
/// for each index of the inner dimension, the elements of all rows of the tile. Else each row of `A` is contiguous.
#[derive(Clone, Copy)]
pub(crate) struct Microkernel<'a, T, const PACKED: bool> {
    pub(crate) a: *const T,
    pub(crate) a_rows: Rows<'a>,
    pub(crate) row: usize,
    /// Where the block begins in `A`.
    pub(crate) skip: usize,
    pub(crate) depth: usize,
    pub(crate) b: *const T,
    /// The distance from one panel to the next.
    pub(crate) next: usize,
    pub(crate) c: *mut T,
    pub(crate) c_rows: Rows<'a>,
    pub(crate) add: bool,
    /// How many columns `C` has from here on.
    pub(crate) columns: usize,
}

impl<T: Real, const PACKED: bool> Microkernel<'_, T, PACKED> {
    /// # Safety
    ///
    /// The pointers are valid for all that the fields describe, for `R` rows and `P` panels.
    #[inline(always)]
    pub(crate) unsafe fn exactly<S: Simd, const R: usize, const P: usize>(self, simd: S) {
        // SAFETY: the caller's promise. A tile that is not whole has one panel, and its columns
        // are counted.
        unsafe {
            if P > 1 || self.columns > T::lanes::<S>() {
                self.work::<S, R, P, NR>(simd);
            } else {
                self.work::<S, R, 1, 1>(simd);
            }
        }
    }

    /// # Safety
    ///
    /// As for [`exactly`](Self::exactly), for `rows` rows, at most `mr_of_three`, one full panel, and one panel with at
    /// most one SIMD vector of columns.
    #[inline(always)]
    pub(crate) unsafe fn with_last<S: Simd>(self, simd: S, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match rows {
                1 => self.work::<S, 1, 2, 1>(simd),
                2 => self.work::<S, 2, 2, 1>(simd),
                _ if mr_of_three::<S>() <= 2 => unreachable!("at most 2 rows here"),
                3 => self.work::<S, 3, 2, 1>(simd),
                4 => self.work::<S, 4, 2, 1>(simd),
                // Known when this is compiled, as in `any`.
                _ if mr_of_three::<S>() <= 4 => unreachable!("at most 4 rows here"),
                5 => self.work::<S, 5, 2, 1>(simd),
                6 => self.work::<S, 6, 2, 1>(simd),
                7 => self.work::<S, 7, 2, 1>(simd),
                _ => self.work::<S, 8, 2, 1>(simd),
            }
        }
    }

    /// # Safety
    ///
    /// As for [`exactly`](Self::exactly), for `rows` rows, at most 3, and two panels.
    #[inline(always)]
    pub(crate) unsafe fn up_to_3<S: Simd>(self, simd: S, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match rows {
                1 => self.exactly::<S, 1, 2>(simd),
                2 => self.exactly::<S, 2, 2>(simd),
                _ => self.exactly::<S, 3, 2>(simd),
            }
        }
    }

    /// # Safety
    ///
    /// As for [`exactly`](Self::exactly), for `rows` rows, at most `mr`, and one panel.
    #[inline(always)]
    pub(crate) unsafe fn any<S: Simd>(self, simd: S, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match rows {
                1 => self.exactly::<S, 1, 1>(simd),
                2 => self.exactly::<S, 2, 1>(simd),
                3 => self.exactly::<S, 3, 1>(simd),
                4 => self.exactly::<S, 4, 1>(simd),
                _ if mr::<S>() <= 4 => unreachable!("a tile has at most 4 rows here"),
                5 => self.exactly::<S, 5, 1>(simd),
                6 => self.exactly::<S, 6, 1>(simd),
                // Known at compile time: there is no code for tiles that do not fit the registers.
                _ if mr::<S>() <= 6 => unreachable!("a tile has at most 6 rows here"),
                7 => self.exactly::<S, 7, 1>(simd),
                8 => self.exactly::<S, 8, 1>(simd),
                9 => self.exactly::<S, 9, 1>(simd),
                10 => self.exactly::<S, 10, 1>(simd),
                11 => self.exactly::<S, 11, 1>(simd),
                _ => self.exactly::<S, 12, 1>(simd),
            }
        }
    }

    /// With `L` SIMD vectors of the last panel. The last of these may extend beyond the edge of `C`; then `columns` says
    /// how many columns there are. This is decided outside of the innermost loop, because a loop for each case would
    /// double the code.
    ///
    /// # Safety
    ///
    /// As for [`exactly`](Self::exactly).
    #[inline(always)]
    unsafe fn work<S: Simd, const R: usize, const P: usize, const L: usize>(self, simd: S) {
        let whole = ((P - 1) * NR + L) * T::lanes::<S>();
        let is_partial = self.columns < whole;
        // SAFETY: the caller's promise; a panel's row has `NR` registers, of which `L` are taken.
        unsafe {
            // Few tiles have one vector of a second panel, and it is narrow layers that have them.
            if P > 1 && L < NR {
                return match is_partial {
                    true => self.sums_stored::<S, R, P, L, true>(simd, whole),
                    false => self.sums_stored::<S, R, P, L, false>(simd, whole),
                };
            }
            let c = self.rows_of_c::<R>(whole);
            let sums = self.sums::<S, R, P, L>(simd);
            match is_partial {
                true => self.store::<S, R, P, L, true>(simd, &c, &sums),
                false => self.store::<S, R, P, L, false>(simd, &c, &sums),
            }
        }
    }

    /// The same where it is known beforehand whether the tile is partial: a loop of its own.
    ///
    /// # Safety
    ///
    /// As for [`work`](Self::work).
    #[inline(always)]
    unsafe fn sums_stored<
        S: Simd,
        const R: usize,
        const P: usize,
        const L: usize,
        const PARTIAL: bool,
    >(
        &self,
        simd: S,
        whole: usize,
    ) {
        let c = self.rows_of_c::<R>(if PARTIAL { self.columns } else { whole });
        // SAFETY: the caller's promise.
        unsafe {
            let sums = self.sums::<S, R, P, L>(simd);
            self.store::<S, R, P, L, PARTIAL>(simd, &c, &sums);
        }
    }

    /// Stores the sums, or adds them. With `PARTIAL`, the last SIMD vector extends beyond the edge of `C`.
    ///
    /// # Safety
    ///
    /// As for [`work`](Self::work).
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "indices, so that all stays in registers")]
    unsafe fn store<
        S: Simd,
        const R: usize,
        const P: usize,
        const L: usize,
        const PARTIAL: bool,
    >(
        &self,
        simd: S,
        c: &[*mut T; R],
        sums: &[[[T::Register<S>; NR]; P]; R],
    ) {
        let lanes = T::lanes::<S>();
        // SAFETY: the caller's promise.
        unsafe {
            for r in 0..R {
                for p in 0..P {
                    for v in 0..registers(p, P, L) {
                        let first = (p * NR + v) * lanes;
                        let c = c[r].wrapping_add(first);
                        let mut sum = sums[r][p][v];
                        if PARTIAL && (p + 1, v + 1) == (P, L) {
                            let c = std::slice::from_raw_parts_mut(c, self.columns - first);
                            if self.add {
                                sum = T::add(simd, T::load_partial(simd, c), sum);
                            }
                            T::store_partial(simd, c, sum);
                        } else {
                            if self.add {
                                sum = T::add(simd, T::load(simd, c), sum);
                            }
                            T::store(simd, c, sum);
                        }
                    }
                }
            }
        }
    }

    /// Where the tile's rows of `C` are. They are prefetched, so that they are in the cache when the sums are done.
    #[inline(always)]
    fn rows_of_c<const R: usize>(&self, columns: usize) -> [*mut T; R] {
        let mut rows = [self.c; R];
        for (row, offset) in rows.iter_mut().zip(self.c_rows.offsets::<R>(self.row)) {
            *row = self.c.wrapping_offset(offset);
            send_for(row.cast_const(), columns);
        }
        rows
    }

    /// # Safety
    ///
    /// As for [`work`](Self::work).
    #[inline(always)]
    unsafe fn sums<S: Simd, const R: usize, const P: usize, const L: usize>(
        &self,
        simd: S,
    ) -> [[[T::Register<S>; NR]; P]; R] {
        // SAFETY: the caller's promise: `R` rows of `depth` elements, `P` panels of `depth` rows.
        unsafe {
            let mut a = [self.a; R];
            for (a, offset) in a.iter_mut().zip(self.a_rows.offsets::<R>(self.row)) {
                *a = self.a.wrapping_offset(offset).wrapping_add(self.skip);
            }
            let mut b = [self.b; P];
            for (p, b) in b.iter_mut().enumerate() {
                *b = b.wrapping_add(p * self.next);
            }
            let mut sums = [[[T::splat(simd, T::ZERO); NR]; P]; R];
            let mut at = 0;
            for _ in 0..self.depth / ROUNDS {
                Self::rounds::<S, R, P, L, ROUNDS>(simd, (&a, &mut at), &mut b, &mut sums);
            }
            for _ in 0..self.depth % ROUNDS {
                Self::rounds::<S, R, P, L, 1>(simd, (&a, &mut at), &mut b, &mut sums);
            }
            sums
        }
    }

    /// Some iterations of the innermost loop. It advances the index `at` into `a`, and the pointer `b`.
    ///
    /// # Safety
    ///
    /// How many elements the rows of `A` have, and how many rows the panels have.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "indices, so that all stays in registers")]
    unsafe fn rounds<S: Simd, const R: usize, const P: usize, const L: usize, const N: usize>(
        simd: S,
        (a, at): (&[*const T; R], &mut usize),
        b: &mut [*const T; P],
        sums: &mut [[[T::Register<S>; NR]; P]; R],
    ) {
        let lanes = T::lanes::<S>();
        let step = if PACKED { R } else { 1 };
        // Wrapping, because overflow checks would slow this loop down.
        for round in 0..N {
            let mut row = [[T::splat(simd, T::ZERO); NR]; P];
            for p in 0..P {
                for v in 0..registers(p, P, L) {
                    // SAFETY: the caller's promise.
                    row[p][v] =
                        unsafe { T::load(simd, b[p].wrapping_add((round * NR + v) * lanes)) };
                }
            }
            for r in 0..R {
                // SAFETY: as above.
                let x = unsafe { *a[r].wrapping_add(at.wrapping_add(round * step)) };
                let x = T::splat(simd, x);
                for p in 0..P {
                    for v in 0..registers(p, P, L) {
                        sums[r][p][v] = T::mul_add(simd, x, row[p][v], sums[r][p][v]);
                    }
                }
            }
        }
        *at = at.wrapping_add(N * step);
        for b in b {
            *b = b.wrapping_add(N * NR * lanes);
        }
    }
}

/// How many vectors of panel `p` are used: `NR`, or `last` of the last of `panels` panels.
#[inline(always)]
const fn registers(p: usize, panels: usize, last: usize) -> usize {
    if p + 1 == panels { last } else { NR }
}

/// By how many iterations the innermost loop is unrolled. The loop counter takes time where two threads share a core.
const ROUNDS: usize = 4;
