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

    #[inline(always)]
    pub(crate) fn offset(&self, index: usize) -> isize {
        if let Some(table) = self.table {
            return (table[index * self.every] * self.row) as isize;
        }
        if index < self.per_group {
            return (index * self.row) as isize;
        }
        let (group, index) = (index / self.per_group, index % self.per_group);
        group as isize * self.group + (index * self.row) as isize
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
    /// Those of `C` here; a plane of `B`'s columns is a plane of `C`'s.
    pub(crate) c: *mut T,
    pub(crate) c_rows: Rows<'a>,
    /// Which rows, counted from those beginnings.
    pub(crate) rows: Range<usize>,
    /// Add to what is there.
    pub(crate) add: bool,
    /// Columns behind a plane's last one are there to be overwritten (with zeros, as `B` has them).
    pub(crate) padded: bool,
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
        let rows = self.rows.len();
        let most = most_rows::<S>();
        let lanes = T::lanes::<S>();
        let tiles = rows.div_ceil(most);
        for k in (0..b.depth).step_by(DEPTH) {
            let depth = DEPTH.min(b.depth - k);
            let add = self.add || k > 0;
            let mut panel = self.panels.start;
            while panel < self.panels.end {
                let first = panel % b.per_plane * b.columns;
                let column = panel / b.per_plane * b.pitch + first;
                let left = b.width - first;
                // With few rows, several whole panels of one plane keep the registers busy.
                let whole = (left / b.columns).min(self.panels.end - panel);
                let together = match rows {
                    1 if whole >= 4 => 4,
                    2 if whole >= 3 => 3,
                    1..=3 if whole >= 2 => 2,
                    _ => 1,
                };
                let from = &b.data.as_slice()[(panel * b.depth + k) * b.columns..];
                let mut row = self.rows.start;
                for tile in 0..tiles {
                    let count = even(self.rows.end - row, tiles - tile);
                    let tile = Tile {
                        a: self.a,
                        a_rows: self.a_rows,
                        row,
                        skip: k,
                        step: 1,
                        depth,
                        b: from.as_ptr(),
                        next: b.depth * b.columns,
                        c: self.c.wrapping_add(column),
                        c_rows: self.c_rows,
                        add,
                        columns: if self.padded { left.next_multiple_of(lanes) } else { left },
                    };
                    // SAFETY: the caller of `run` promises that the rows are there; the panels
                    // from `from` on are in `b`, whose slice was checked.
                    unsafe {
                        match together {
                            4 => tile.exactly::<S, 1, 4>(simd),
                            3 => tile.exactly::<S, 2, 3>(simd),
                            2 => tile.up_to_3::<S>(simd, count),
                            _ => tile.any::<S>(simd, count),
                        }
                    }
                    row += count;
                }
                panel += together;
            }
        }
    }
}

/// How many rows a tile of one panel may have: with its registers, those of a row of `B` and one
/// element of `A` all fit.
#[inline(always)]
pub(crate) fn most_rows<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 12 } else { 6 }
}

/// The size of the next tile, of `tiles` that have to hold `rows`: as even as can be, because
/// 8 rows are better worked as 4 and 4 than as 6 and 2.
#[inline(always)]
pub(crate) fn even(rows: usize, tiles: usize) -> usize {
    rows.div_ceil(tiles)
}

/// One tile of `C`, over one block of the inner dimension.
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a, T> {
    pub(crate) a: *const T,
    pub(crate) a_rows: Rows<'a>,
    pub(crate) row: usize,
    /// Where in `A` the block begins.
    pub(crate) skip: usize,
    /// From one element of a row of `A` to the next.
    pub(crate) step: usize,
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

impl<T: Real> Tile<'_, T> {
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
                self.cut::<S, R, WIDE>(simd);
            } else if self.columns == lanes {
                self.work::<S, R, 1, 1>(simd);
            } else {
                self.cut::<S, R, 1>(simd);
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
    /// As for [`exactly`](Self::exactly), with `V` registers of each panel.
    #[inline(always)]
    unsafe fn work<S: Simd, const R: usize, const P: usize, const V: usize>(self, simd: S) {
        // SAFETY: the caller's promise; a panel's row has `WIDE` registers, of which `V` are taken.
        unsafe {
            let sums = self.sums::<S, R, P, V>(simd);
            let lanes = T::lanes::<S>();
            for (r, sums) in sums.into_iter().enumerate() {
                let c = self.c.offset(self.c_rows.offset(self.row + r));
                for (v, sum) in sums.into_iter().flatten().enumerate() {
                    let c = c.add(v * lanes);
                    let sum = if self.add { T::add(simd, T::load(simd, c), sum) } else { sum };
                    T::store(simd, c, sum);
                }
            }
        }
    }

    /// A tile whose last register hangs over the edge of `C`.
    ///
    /// # Safety
    ///
    /// As for [`exactly`](Self::exactly), with one panel and `columns` columns in `V` registers.
    #[inline(always)]
    unsafe fn cut<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        // SAFETY: the caller's promise.
        unsafe {
            let sums = self.sums::<S, R, 1, V>(simd);
            let lanes = T::lanes::<S>();
            for (r, [sums]) in sums.into_iter().enumerate() {
                let c = self.c.offset(self.c_rows.offset(self.row + r));
                let c = std::slice::from_raw_parts_mut(c, self.columns);
                for (c, sum) in c.chunks_mut(lanes).zip(sums) {
                    let sum = match self.add {
                        true => T::add(simd, T::load_partial(simd, c), sum),
                        false => sum,
                    };
                    T::store_partial(simd, c, sum);
                }
            }
        }
    }

    /// # Safety
    ///
    /// As for [`work`](Self::work).
    #[inline(always)]
    unsafe fn sums<S: Simd, const R: usize, const P: usize, const V: usize>(
        &self,
        simd: S,
    ) -> [[[T::Register<S>; V]; P]; R] {
        // SAFETY: the caller's promise: `R` rows of `depth` elements, `P` panels of `depth` rows.
        unsafe {
            let lanes = T::lanes::<S>();
            let a: [*const T; R] = std::array::from_fn(|r| {
                self.a.offset(self.a_rows.offset(self.row + r)).add(self.skip)
            });
            let mut b: [*const T; P] = std::array::from_fn(|p| self.b.add(p * self.next));
            let mut sums = [[[T::splat(simd, T::ZERO); V]; P]; R];
            let mut at = 0_usize;
            for _ in 0..self.depth {
                let row: [[T::Register<S>; V]; P] = std::array::from_fn(|p| {
                    std::array::from_fn(|v| T::load(simd, b[p].add(v * lanes)))
                });
                for r in 0..R {
                    let x = T::splat(simd, *a[r].add(at));
                    for p in 0..P {
                        for v in 0..V {
                            sums[r][p][v] = T::mul_add(simd, x, row[p][v], sums[r][p][v]);
                        }
                    }
                }
                // Wrapping: the profile's overflow checks have no place in this loop.
                at = at.wrapping_add(self.step);
                for b in &mut b {
                    *b = b.wrapping_add(WIDE * lanes);
                }
            }
            sums
        }
    }
}
