//! Matrix products on packed matrices: `C = A B`, or `C += A B`.
//!
//! `B` is packed in panels of as many columns as two registers hold, so that the innermost loop
//! reads it in one stream. A tile of `C` (some rows times one panel, or few rows times several)
//! stays in registers while the loop runs over the inner dimension, which is cut into blocks of
//! [`DEPTH`] so that a panel's block stays in the first-level cache.
//!
//! Each element of `C` is the sum of its products in order, block by block, whatever tile it is
//! in: the bits do not depend on how rows and panels are shared out among threads.

use super::isa::Isa;
use super::panels::{Panels, WIDE};
use super::real::Real;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// How much of the inner dimension one pass takes.
pub(crate) const DEPTH: usize = 256;

/// How many tiles of rows one pass takes.
const TILES: usize = 8;

/// Rows of a matrix in memory, in groups (the rows of one time step).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    /// Which row each is, in units of `row`; `None` where they are regular.
    table: Option<&'a [usize]>,
    /// From one row's entry in the table to the next.
    every: usize,
    /// How many rows a group has.
    pub(crate) per_group: usize,
    /// From one group to the next; against the direction of time, backward.
    pub(crate) group: isize,
    /// From one row to the next.
    pub(crate) row: usize,
}

impl<'a> Rows<'a> {
    /// All rows one after the other.
    pub(crate) fn plain(row: usize) -> Self {
        Self::groups(usize::MAX, 0, row)
    }

    /// Groups of rows.
    pub(crate) fn groups(per_group: usize, group: isize, row: usize) -> Self {
        Self { table: None, every: 1, per_group, group, row }
    }

    /// Any rows.
    pub(crate) fn listed(table: &'a [usize], row: usize) -> Self {
        Self { table: Some(table), ..Self::plain(row) }
    }

    /// Some rows if they are listed, else all.
    pub(crate) fn of(table: Option<&'a [usize]>, row: usize) -> Self {
        Self { table, ..Self::plain(row) }
    }

    /// The first of every two.
    fn firsts(self) -> Self {
        match self.table {
            Some(_) => Self { every: 2 * self.every, ..self },
            None => Self { per_group: self.per_group / 2, row: 2 * self.row, ..self },
        }
    }

    /// Where some rows are that follow each other, from row `first` on.
    #[inline(always)]
    fn offsets<const R: usize>(&self, first: usize) -> [isize; R] {
        let mut offsets = [0; R];
        if let Some(table) = self.table {
            for (r, offset) in offsets.iter_mut().enumerate() {
                *offset = (table[(first + r) * self.every] * self.row) as isize;
            }
            return offsets;
        }
        // One division for all, and none in the first group.
        let (mut group, mut index) = (0, first);
        if first >= self.per_group {
            (group, index) = (first / self.per_group, first % self.per_group);
        }
        let begin = |group: usize| (group as isize).wrapping_mul(self.group);
        // All in one group, as they mostly are: no check for each, since a tile has little else to do.
        if R <= self.per_group - index {
            let begin = begin(group).wrapping_add((index * self.row) as isize);
            for (r, offset) in offsets.iter_mut().enumerate() {
                *offset = begin.wrapping_add(r.wrapping_mul(self.row) as isize);
            }
            return offsets;
        }
        for offset in &mut offsets {
            *offset = begin(group).wrapping_add((index * self.row) as isize);
            index += 1;
            if index == self.per_group {
                (group, index) = (group + 1, 0);
            }
        }
        offsets
    }
}

/// A packed matrix; in dual numbers, its tangent beside it, packed alike.
#[derive(Debug)]
pub(crate) struct Packed<'a, T> {
    pub(crate) value: &'a Panels<T>,
    pub(crate) tangent: Option<&'a Panels<T>>,
}

impl<T> Clone for Packed<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Packed<'_, T> {}

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

impl<T: Real> Product<'_, T> {
    /// # Safety
    ///
    /// `a` is valid for reads of all rows, `c` for reads and writes of all rows and of the columns
    /// of the panels, and no other thread touches those, nor writes to `a`.
    #[inline]
    pub(crate) unsafe fn run(self, isa: Isa) {
        let of_values = self.b.tangent.map(|tangent| Self {
            b: Packed { value: tangent, tangent: None },
            a_rows: self.a_rows.firsts(),
            // A tangent's row is the next one.
            c: self.c.wrapping_add(self.c_rows.row),
            c_rows: self.c_rows.firsts(),
            rows: self.rows.start / 2..self.rows.end / 2,
            panels: self.panels.clone(),
            add: true,
            ..self
        });
        T::product(isa, self);
        if let Some(of_values) = of_values {
            T::product(isa, of_values);
        }
    }
}

impl<T: Real> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let b = self.b.value;
        let (panels, most) = (b.data.as_slice(), most_rows::<S>());
        let mut k = 0;
        // One pass at least: a product of no depth is zero.
        loop {
            let (skip, left) = b.inner.from(k);
            let depth = left.min(DEPTH);
            let mut rows = self.rows.clone();
            while !rows.is_empty() {
                // As many tiles as keep their part of `A` in the second-level cache, while all panels
                // pass over it.
                let some = rows.start..rows.end.min(rows.start + TILES * most);
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
        let wide = WIDE * lanes;
        let next = b.depth * wide;
        let in_one = Cut::new(rows.len(), most_rows::<S>());
        let in_both = Cut::new(rows.len(), most_rows_of_three::<S>());
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
            let mut tile = Tile::<T, false> {
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
                        4 => tile.exactly::<S, 1, 4>(simd),
                        3 => tile.exactly::<S, 2, 3>(simd),
                        2 if has_last => tile.with_last::<S>(simd, count),
                        2 => tile.up_to_3::<S>(simd, count),
                        _ => tile.any::<S>(simd, count),
                    }
                }
                tile.row += count;
            }
            panel += together;
        }
    }
}

/// How many rows a tile of one panel may have: with its registers, those of a row of `B` and one
/// element of `A` all fit.
#[inline(always)]
pub(crate) fn most_rows<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 12 } else { 6 }
}

/// As [`most_rows`], of a panel and a register of the next.
#[inline(always)]
fn most_rows_of_three<S: Simd>() -> usize {
    most_rows::<S>() * 2 / 3
}

/// Rows cut into tiles, as evenly as can be, because 8 rows are better worked as 4 and 4 than as 6 and 2.
#[derive(Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) tiles: usize,
    /// How many rows a tile has,
    pub(crate) rows: usize,
    /// and how many tiles, the first ones, have one more.
    pub(crate) larger: usize,
}

impl Cut {
    /// Into as few tiles of at most `most` rows as there can be.
    #[inline(always)]
    pub(crate) fn new(rows: usize, most: usize) -> Self {
        let tiles = rows.div_ceil(most);
        let divisor = tiles.max(1);
        Self { tiles, rows: rows / divisor, larger: rows % divisor }
    }

    /// How many rows a tile has.
    #[inline(always)]
    pub(crate) fn rows_of(self, tile: usize) -> usize {
        self.rows + usize::from(tile < self.larger)
    }
}

/// One tile of `C`, over one block of the inner dimension. With `PACKED`, the tile's part of `A` is laid out
/// for it, row after row of the inner dimension; else its own rows are contiguous.
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a, T, const PACKED: bool> {
    pub(crate) a: *const T,
    pub(crate) a_rows: Rows<'a>,
    pub(crate) row: usize,
    /// Where in `A` the block begins.
    pub(crate) skip: usize,
    pub(crate) depth: usize,
    pub(crate) b: *const T,
    /// From one panel to the next.
    pub(crate) next: usize,
    pub(crate) c: *mut T,
    pub(crate) c_rows: Rows<'a>,
    pub(crate) add: bool,
    /// How many columns of `C` there are from here on.
    pub(crate) columns: usize,
}

impl<T: Real, const PACKED: bool> Tile<'_, T, PACKED> {
    /// # Safety
    ///
    /// All that the fields speak of is there, for `R` rows and `P` panels.
    #[inline(always)]
    unsafe fn exactly<S: Simd, const R: usize, const P: usize>(self, simd: S) {
        let lanes = T::lanes::<S>();
        // SAFETY: the caller's promise. A tile that is not whole has one panel, and its columns
        // are counted.
        unsafe {
            if P > 1 || self.columns >= WIDE * lanes {
                self.work::<S, R, P, WIDE>(simd);
            } else if self.columns > lanes {
                self.cut::<S, R, 1, WIDE>(simd);
            } else if self.columns == lanes {
                self.work::<S, R, 1, 1>(simd);
            } else {
                self.cut::<S, R, 1, 1>(simd);
            }
        }
    }

    /// # Safety
    ///
    /// As for [`exactly`](Self::exactly), for `rows` rows, at most `most_rows_of_three`, and a panel of which
    /// all columns are there and one with a register or less.
    #[inline(always)]
    unsafe fn with_last<S: Simd>(self, simd: S, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match rows {
                1 => self.exactly_with_last::<S, 1>(simd),
                2 => self.exactly_with_last::<S, 2>(simd),
                3 => self.exactly_with_last::<S, 3>(simd),
                4 => self.exactly_with_last::<S, 4>(simd),
                // Known when this is compiled, as in `any`.
                _ if most_rows_of_three::<S>() <= 4 => unreachable!("at most 4 rows here"),
                5 => self.exactly_with_last::<S, 5>(simd),
                6 => self.exactly_with_last::<S, 6>(simd),
                7 => self.exactly_with_last::<S, 7>(simd),
                _ => self.exactly_with_last::<S, 8>(simd),
            }
        }
    }

    /// # Safety
    ///
    /// As for [`with_last`](Self::with_last), for `R` rows.
    #[inline(always)]
    unsafe fn exactly_with_last<S: Simd, const R: usize>(self, simd: S) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.columns == (WIDE + 1) * T::lanes::<S>() {
                self.work::<S, R, 2, 1>(simd);
            } else {
                self.cut::<S, R, 2, 1>(simd);
            }
        }
    }

    /// # Safety
    ///
    /// As for [`exactly`](Self::exactly), for `rows` rows, at most 3, and two panels.
    #[inline(always)]
    unsafe fn up_to_3<S: Simd>(self, simd: S, rows: usize) {
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
    /// As for [`exactly`](Self::exactly), for `rows` rows, at most `most_rows`, and one panel.
    #[inline(always)]
    pub(crate) unsafe fn any<S: Simd>(self, simd: S, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match rows {
                1 => self.exactly::<S, 1, 1>(simd),
                2 => self.exactly::<S, 2, 1>(simd),
                3 => self.exactly::<S, 3, 1>(simd),
                4 => self.exactly::<S, 4, 1>(simd),
                5 => self.exactly::<S, 5, 1>(simd),
                6 => self.exactly::<S, 6, 1>(simd),
                // Known when this is compiled: no code for tiles that no register holds.
                _ if most_rows::<S>() <= 6 => unreachable!("a tile has at most 6 rows here"),
                7 => self.exactly::<S, 7, 1>(simd),
                8 => self.exactly::<S, 8, 1>(simd),
                9 => self.exactly::<S, 9, 1>(simd),
                10 => self.exactly::<S, 10, 1>(simd),
                11 => self.exactly::<S, 11, 1>(simd),
                _ => self.exactly::<S, 12, 1>(simd),
            }
        }
    }

    /// # Safety
    ///
    /// As for [`exactly`](Self::exactly), with `L` registers of the last panel.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "indices, so that all stays in registers")]
    unsafe fn work<S: Simd, const R: usize, const P: usize, const L: usize>(self, simd: S) {
        // SAFETY: the caller's promise; a panel's row has `WIDE` registers, of which `L` are taken.
        unsafe {
            let lanes = T::lanes::<S>();
            let c = self.rows_of_c::<R>(((P - 1) * WIDE + L) * lanes);
            let sums = self.sums::<S, R, P, L>(simd);
            for r in 0..R {
                for p in 0..P {
                    for v in 0..registers(p, P, L) {
                        let c = c[r].wrapping_add((p * WIDE + v) * lanes);
                        let mut sum = sums[r][p][v];
                        if self.add {
                            sum = T::add(simd, T::load(simd, c), sum);
                        }
                        T::store(simd, c, sum);
                    }
                }
            }
        }
    }

    /// A tile whose last register hangs over the edge of `C`.
    ///
    /// # Safety
    ///
    /// As for [`exactly`](Self::exactly), with `columns` columns, the last of which are in the last panel's
    /// register `L`.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "indices, so that all stays in registers")]
    unsafe fn cut<S: Simd, const R: usize, const P: usize, const L: usize>(self, simd: S) {
        // SAFETY: the caller's promise.
        unsafe {
            let lanes = T::lanes::<S>();
            let c = self.rows_of_c::<R>(self.columns);
            let sums = self.sums::<S, R, P, L>(simd);
            for r in 0..R {
                for p in 0..P {
                    for v in 0..registers(p, P, L) {
                        let first = (p * WIDE + v) * lanes;
                        let c = c[r].wrapping_add(first);
                        let mut sum = sums[r][p][v];
                        if (p + 1, v + 1) == (P, L) {
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

    /// Where the tile's rows of `C` are. They are sent for, so that they are there when the sums are.
    #[inline(always)]
    fn rows_of_c<const R: usize>(&self, columns: usize) -> [*mut T; R] {
        let mut rows = [self.c; R];
        for (row, offset) in rows.iter_mut().zip(self.c_rows.offsets::<R>(self.row)) {
            *row = self.c.wrapping_offset(offset);
            for column in (0..columns).step_by(LINE / size_of::<T>()) {
                prefetch(row.wrapping_add(column).cast_const());
            }
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
    ) -> [[[T::Register<S>; WIDE]; P]; R] {
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
            let mut sums = [[[T::splat(simd, T::ZERO); WIDE]; P]; R];
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

    /// Some rounds of the innermost loop, and on: `a` by the index `at`, `b` itself.
    ///
    /// # Safety
    ///
    /// There are so many elements in the rows of `A`, and rows in the panels.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "indices, so that all stays in registers")]
    unsafe fn rounds<S: Simd, const R: usize, const P: usize, const L: usize, const N: usize>(
        simd: S,
        (a, at): (&[*const T; R], &mut usize),
        b: &mut [*const T; P],
        sums: &mut [[[T::Register<S>; WIDE]; P]; R],
    ) {
        let lanes = T::lanes::<S>();
        let step = if PACKED { R } else { 1 };
        // Wrapping: the profile's overflow checks have no place in this loop.
        for round in 0..N {
            let mut row = [[T::splat(simd, T::ZERO); WIDE]; P];
            for p in 0..P {
                for v in 0..registers(p, P, L) {
                    // SAFETY: the caller's promise.
                    row[p][v] =
                        unsafe { T::load(simd, b[p].wrapping_add((round * WIDE + v) * lanes)) };
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
            *b = b.wrapping_add(N * WIDE * lanes);
        }
    }
}

/// How many registers of panel `p` are taken, of which there are `panels`, the last with `last`.
#[inline(always)]
const fn registers(p: usize, panels: usize, last: usize) -> usize {
    if p + 1 == panels { last } else { WIDE }
}

/// How many rounds of the innermost loop are worked at once: what it takes to count them is not for nothing
/// where two threads share a core.
const ROUNDS: usize = 4;

/// The size of a line of the cache, in bytes.
const LINE: usize = 64;

/// Sends for all lines of what will soon be wanted.
#[inline(always)]
pub(crate) fn send_for<T>(all: &[T]) {
    for part in all.chunks(LINE / size_of::<T>()) {
        prefetch(part.as_ptr());
    }
}

/// Sends for a line of memory that will soon be wanted.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a hint, that reads nothing, wherever it points to.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}
