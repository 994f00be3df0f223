//! Sums of outer products over many rows: weight gradients.

use super::buffer::Shared;
use super::columns::Columns;
use super::isa::Isa;
use super::panels::WIDE;
use super::product::{Cut, DEPTH, Rows, Tile, most_rows, prefetch};
use super::real::Real;
use pulp::{Simd, WithSimd};

/// How many rows before it is read a row is sent for.
const AHEAD: usize = 16;

/// How the columns of a matrix `[depth, columns]` are laid out as rows of tiles: tile by tile,
/// `[depth, rows of the tile]`, so that a sum over `depth` reads them in one stream.
#[derive(Clone, Copy)]
pub(crate) struct Tiles {
    width: usize,
    cut: Cut,
}

impl Tiles {
    /// Of so many columns.
    pub(crate) fn new(isa: Isa, width: usize) -> Self {
        struct Most;
        impl WithSimd for Most {
            type Output = usize;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _simd: S) -> usize {
                most_rows::<S>()
            }
        }
        Self { width, cut: Cut::new(width, isa.dispatch(Most)) }
    }

    /// Lays out row `row` of `rows`, which are in blocks of [`DEPTH`].
    ///
    /// # Panics
    ///
    /// If there are not so many values.
    ///
    /// # Safety
    ///
    /// No one else touches this row of `to`.
    #[inline]
    pub(crate) unsafe fn pack<T: Real>(
        &self,
        values: &[T],
        row: usize,
        rows: usize,
        to: Shared<'_, T>,
    ) {
        let Self { width, cut } = *self;
        let (k, depth) = (row % DEPTH, block_depth(row, rows));
        let to = to.at((row - k) * width, depth * width);
        let more = cut.rows + 1;
        let (larger, others) = values[..width].split_at(cut.larger * more);
        // SAFETY: a tile of so many rows has as many elements for each of `depth`.
        unsafe {
            scatter(larger, more, to.wrapping_add(k * more), depth);
            let behind = to.wrapping_add(larger.len() * depth + k * cut.rows);
            scatter(others, cut.rows, behind, depth);
        }
    }
}

/// Hands out elements in pieces of `size`, each to a tile of its own: by a move or two, and not by a loop
/// or a call.
///
/// # Safety
///
/// There is a tile of `size · depth` elements for each of them, from the one in which the first belongs to
/// `to` on.
#[inline(always)]
unsafe fn scatter<T: Real>(from: &[T], size: usize, to: *mut T, depth: usize) {
    /// # Safety
    ///
    /// As for `scatter`.
    #[inline(always)]
    unsafe fn exactly<T: Real, const N: usize>(from: &[T], mut to: *mut T, depth: usize) {
        for piece in from.chunks_exact(N) {
            // SAFETY: the caller's promise; an array is as many elements without a gap.
            unsafe { to.cast::<[T; N]>().write_unaligned(piece.as_ptr().cast::<[T; N]>().read()) };
            to = to.wrapping_add(N * depth);
        }
    }
    // No tile is one larger than the others, for one.
    if from.is_empty() {
        return;
    }
    // SAFETY: the caller's promise.
    unsafe {
        match size {
            12 => exactly::<T, 12>(from, to, depth),
            11 => exactly::<T, 11>(from, to, depth),
            10 => exactly::<T, 10>(from, to, depth),
            9 => exactly::<T, 9>(from, to, depth),
            8 => exactly::<T, 8>(from, to, depth),
            7 => exactly::<T, 7>(from, to, depth),
            6 => exactly::<T, 6>(from, to, depth),
            5 => exactly::<T, 5>(from, to, depth),
            4 => exactly::<T, 4>(from, to, depth),
            3 => exactly::<T, 3>(from, to, depth),
            2 => exactly::<T, 2>(from, to, depth),
            1 => exactly::<T, 1>(from, to, depth),
            _ => unreachable!("a tile has at most 12 rows"),
        }
    }
}

/// How many rows the block of [`DEPTH`] has that row `row` of `rows` is in.
pub(crate) fn block_depth(row: usize, rows: usize) -> usize {
    DEPTH.min(rows - row / DEPTH * DEPTH)
}

/// A sum of outer products, `C += Aᵀ D`: weight gradients, with the sums of the columns of `D`,
/// bias gradients, on the way.
pub(crate) struct OuterSum<'a, T> {
    /// `A [depth, rows]` as [`Tiles`] lay it out.
    pub(crate) tiles: *const T,
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    /// `D`, of `depth` rows, from the first of these columns on. Registers that begin in them may be read to
    /// their end.
    pub(crate) d: *const T,
    /// From one row of `D` to the next.
    pub(crate) d_row: usize,
    pub(crate) columns: Columns,
    /// Which panel of them, as [`Panels`](super::panels::Panels) counts them.
    pub(crate) panel: usize,
    /// `C [rows, c_row]`: all columns without a gap, padded to whole registers.
    pub(crate) c: *mut T,
    pub(crate) c_row: usize,
    /// The sums of the columns, which lie as those of `D`.
    pub(crate) column_sums: Option<*mut T>,
    /// Room for one panel, `depth` rows of it.
    pub(crate) scratch: &'a mut [T],
}

impl<T: Real> OuterSum<'_, T> {
    /// # Safety
    ///
    /// `tiles` and `d` are valid for reads of what the sizes say, `c` and `column_sums` for reads
    /// and writes of the panel's columns, and no other thread touches those.
    #[inline]
    pub(crate) unsafe fn run(self, isa: Isa) {
        T::outer_sum(isa, self);
    }
}

impl<T: Real> WithSimd for OuterSum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = T::lanes::<S>();
        let wide = WIDE * lanes;
        let cut = Cut::new(self.rows, most_rows::<S>());
        let scratch = self.scratch[..self.depth * wide].as_mut_ptr();
        let (column, left) = self.columns.from(self.panel * wide);
        let columns = left.min(wide);
        let registers = columns.div_ceil(lanes);
        // SAFETY: the caller of `run` promises that all is there; `scratch` was checked.
        unsafe {
            let mut sums = [T::splat(simd, T::ZERO); WIDE];
            let (mut from, mut to) = (self.d.add(column), scratch);
            for _ in 0..self.depth {
                // Rows lie so far apart that no processor foresees the next.
                prefetch(from.wrapping_add(AHEAD * self.d_row));
                for (v, sum) in sums.iter_mut().enumerate().take(registers) {
                    let x = T::load(simd, from.wrapping_add(v * lanes));
                    T::store(simd, to.wrapping_add(v * lanes), x);
                    *sum = T::add(simd, *sum, x);
                }
                (from, to) = (from.wrapping_add(self.d_row), to.wrapping_add(wide));
            }
            if let Some(to) = self.column_sums {
                let to = std::slice::from_raw_parts_mut(to.add(column), columns);
                for (to, &sum) in to.chunks_mut(lanes).zip(&sums) {
                    let all = T::add(simd, T::load_partial(simd, to), sum);
                    T::store_partial(simd, to, all);
                }
            }
            let mut row = 0;
            for tile in 0..cut.tiles {
                let count = cut.rows_of(tile);
                let tile = Tile::<T, true> {
                    a: self.tiles.add(row * self.depth),
                    a_rows: Rows::plain(1),
                    row: 0,
                    skip: 0,
                    depth: self.depth,
                    b: scratch,
                    next: 0,
                    c: self.c.add(row * self.c_row + self.panel * wide),
                    c_rows: Rows::plain(self.c_row),
                    add: true,
                    columns: registers * lanes,
                };
                tile.any::<S>(simd, count);
                row += count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Buffer;

    /// Tiles of either size, whatever instructions the machine has that runs this.
    #[test]
    fn tiles_of_any_width_have_every_element_once() {
        for most in [6, 12] {
            for width in 1..=50 {
                let (rows, row) = (DEPTH + 3, DEPTH + 1);
                let values: Vec<f64> = (1..=width).map(|x| x as f64).collect();
                let mut tiles = Buffer::<f64>::zeros(&[rows, width]);
                let cut = Cut::new(width, most);
                // SAFETY: there is room for so many rows, and nobody else is here.
                unsafe { Tiles { width, cut }.pack(&values, row, rows, tiles.shared()) };
                let mut expected = vec![0.0; rows * width];
                let (mut tile_at, mut first) = (DEPTH * width, 0);
                for count in (0..cut.tiles).map(|tile| cut.rows_of(tile)) {
                    expected[tile_at + count..][..count]
                        .copy_from_slice(&values[first..first + count]);
                    (tile_at, first) = (tile_at + 3 * count, first + count);
                }
                assert!(tiles.as_slice() == expected, "tiles of {most}, {width} columns");
            }
        }
    }
}
