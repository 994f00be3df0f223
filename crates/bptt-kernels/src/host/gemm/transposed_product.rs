//! Sums of outer products over many rows: the weights' gradients.

use crate::host::gemm::columns::Columns;
use crate::host::gemm::microkernel::{Cut, Microkernel, mr};
use crate::host::gemm::panels::NR;
use crate::host::gemm::product::KC;
use crate::host::gemm::rows::Rows;
use crate::host::simd::isa::Isa;
use crate::host::simd::prefetch::prefetch;
use crate::host::simd::real::Real;
use pulp::{Simd, WithSimd};

/// How many rows ahead a row is prefetched.
const AHEAD: usize = 16;

/// How the columns of a matrix `[depth, columns]` are laid out as rows of tiles: tile by tile,
/// `[depth, rows of the tile]`, so that a sum over `depth` reads them in one stream.
#[derive(Clone, Copy)]
pub(crate) struct Tiles {
    width: usize,
    cut: Cut,
}

impl Tiles {
    /// Tiles of this many columns.
    pub(crate) fn new(isa: Isa, width: usize) -> Self {
        struct Most;
        impl WithSimd for Most {
            type Output = usize;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _simd: S) -> usize {
                mr::<S>()
            }
        }
        Self { width, cut: Cut::new(width, isa.dispatch(Most)) }
    }

    pub(crate) fn width(self) -> usize {
        self.width
    }
}

/// Some rows whose elements are copied to tiles. There are so many at once that a tile gets its part of each by a
/// move or two, and not by a loop or a call.
pub(crate) struct Scatter<'a, T> {
    pub(super) tiles: Tiles,
    /// At least as many values as the tiles have rows.
    pub(super) values: &'a [&'a [T]],
    /// The first of these rows in the block.
    pub(super) k: usize,
    /// How many rows the block has: at least `k` plus the number of rows here.
    pub(super) depth: usize,
    /// The tiles of the block. No other thread reads or writes these rows of them.
    pub(super) to: *mut T,
}

impl<T: Real> Scatter<'_, T> {
    /// Copies to the tile of `N` rows that begins with this column.
    ///
    /// # Safety
    ///
    /// `to` is the tile, of `depth` times `N` elements.
    #[inline(always)]
    unsafe fn tile<const N: usize>(&self, column: usize, to: *mut T) {
        let mut to = to.wrapping_add(self.k.wrapping_mul(N)).cast::<[T; N]>();
        for row in self.values {
            // SAFETY: by the caller's promise, the row has these elements, and the tile as many for each row. An
            // array is that many elements without a gap.
            unsafe {
                let from = row.as_ptr().wrapping_add(column).cast::<[T; N]>();
                to.write_unaligned(from.read_unaligned());
            }
            to = to.wrapping_add(1);
        }
    }
}

impl<T: Real> WithSimd for Scatter<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let cut = self.tiles.cut;
        let (mut column, mut to) = (0, self.to);
        for tile in 0..cut.tiles {
            let count = cut.rows_of(tile);
            // SAFETY: the tiles lie one after the other, and together they have all columns.
            unsafe {
                match count {
                    12 => self.tile::<12>(column, to),
                    11 => self.tile::<11>(column, to),
                    10 => self.tile::<10>(column, to),
                    9 => self.tile::<9>(column, to),
                    8 => self.tile::<8>(column, to),
                    7 => self.tile::<7>(column, to),
                    6 => self.tile::<6>(column, to),
                    5 => self.tile::<5>(column, to),
                    4 => self.tile::<4>(column, to),
                    3 => self.tile::<3>(column, to),
                    2 => self.tile::<2>(column, to),
                    1 => self.tile::<1>(column, to),
                    _ => unreachable!("a tile has at most 12 rows"),
                }
            }
            column += count;
            to = to.wrapping_add(count * self.depth);
        }
    }
}

/// How many rows the block of [`KC`] rows has in which row `row` of `rows` is.
pub(crate) fn block_depth(row: usize, rows: usize) -> usize {
    KC.min(rows - row / KC * KC)
}

/// A sum of outer products, `C += Aᵀ D`: weight gradients. It can sum the columns of `D` too: bias gradients.
pub(crate) struct OuterSum<'a, T> {
    /// `A [depth, rows]`, laid out by [`Tiles`].
    pub(crate) tiles: *const T,
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    /// `D`, of `depth` rows, from the first of these columns on. A SIMD vector that begins in a row may be read to its
    /// end.
    pub(crate) d: *const T,
    /// The distance from one row of `D` to the next.
    pub(crate) d_row: usize,
    pub(crate) columns: Columns,
    /// The index of the panel of these columns, as [`Panels`](crate::host::gemm::panels::Panels) counts.
    pub(crate) panel: usize,
    /// `C [rows, c_row]`: all columns without a gap, padded to whole SIMD vectors.
    pub(crate) c: *mut T,
    pub(crate) c_row: usize,
    /// The sums of the columns, which lie as the columns of `D`.
    pub(crate) column_sums: Option<*mut T>,
    /// Memory for `depth` rows of one panel.
    pub(crate) scratch: &'a mut [T],
}

impl<T: Real> WithSimd for OuterSum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = T::lanes::<S>();
        let wide = NR * lanes;
        let cut = Cut::new(self.rows, mr::<S>());
        let scratch = self.scratch[..self.depth * wide].as_mut_ptr();
        let (column, left) = self.columns.from(self.panel * wide);
        let columns = left.min(wide);
        let registers = columns.div_ceil(lanes);
        // SAFETY: the caller of `run` promises that the pointers are valid; `scratch` was checked.
        unsafe {
            let mut sums = [T::splat(simd, T::ZERO); NR];
            let (mut from, mut to) = (self.d.add(column), scratch);
            for _ in 0..self.depth {
                // The rows lie so far apart that a processor does not prefetch the next one itself.
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
                let microkernel = Microkernel::<T, true> {
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
                microkernel.any::<S>(simd, count);
                row += count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::buffer::Buffer;

    /// Tiles of both sizes, on any instruction set.
    #[test]
    fn tiles_of_any_width_have_every_element_once() {
        for most in [6, 12] {
            for width in 1..=50 {
                let (rows, row) = (KC + 3, KC + 1);
                let [a, b] = [1.0, -1.0]
                    .map(|sign| -> Vec<f64> { (1..=width).map(|x| sign * x as f64).collect() });
                let mut tiles = Buffer::<f64>::zeros(&[rows, width]);
                let cut = Cut::new(width, most);
                let of = Tiles { width, cut };
                // SAFETY: there is memory for this many rows, and no other thread.
                unsafe { of.pack(Isa::detect(), &[&a, &b], row, rows, tiles.shared()) };
                let mut expected = vec![0.0; rows * width];
                let (mut tile_at, mut first) = (KC * width, 0);
                for count in (0..cut.tiles).map(|tile| cut.rows_of(tile)) {
                    let tile = expected[tile_at + count..].chunks_exact_mut(count);
                    for (to, row) in tile.zip([&a, &b]) {
                        to.copy_from_slice(&row[first..first + count]);
                    }
                    (tile_at, first) = (tile_at + 3 * count, first + count);
                }
                assert!(tiles.as_slice() == expected, "tiles of {most}, {width} columns");
            }
        }
    }
}
