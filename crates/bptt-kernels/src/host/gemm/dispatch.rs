//! The products, compiled for each instruction set, and called for that of the machine.

use crate::host::gemm::panels::Packed;
use crate::host::gemm::product::{KC, Product};
use crate::host::gemm::transposed_product::{OuterSum, Scatter, Tiles, block_depth};
use crate::host::memory::buffer::Shared;
use crate::host::memory::pool::Pooled;
use crate::host::simd::isa::Isa;

/// A float type with products. The products are implemented for concrete types, so they are compiled once, here, and
/// not again in each crate that uses a cell.
pub(crate) trait Gemm: Pooled {
    /// See [`Product`].
    fn product(isa: Isa, product: Product<'_, Self>);
    /// See [`OuterSum`].
    fn outer_sum(isa: Isa, sum: OuterSum<'_, Self>);
    /// See [`Scatter`].
    fn scatter(isa: Isa, rows: Scatter<'_, Self>);
}

macro_rules! gemm {
    ($($T:ty)*) => {$(
        impl Gemm for $T {
            #[inline(never)]
            fn product(isa: Isa, product: Product<'_, Self>) {
                isa.dispatch(product);
            }

            #[inline(never)]
            fn outer_sum(isa: Isa, sum: OuterSum<'_, Self>) {
                isa.dispatch(sum);
            }

            #[inline(never)]
            fn scatter(isa: Isa, rows: Scatter<'_, Self>) {
                isa.dispatch(rows);
            }
        }
    )*};
}
gemm!(f32 f64);

impl<T: Gemm> Product<'_, T> {
    /// # Safety
    ///
    /// `a` is valid for reads of all rows. `c` is valid for reads and writes of all rows, in the columns of the
    /// panels. No other thread reads or writes those, nor writes to `a`.
    #[inline]
    pub(crate) unsafe fn run(self, isa: Isa) {
        let of_values = self.b.tangent.map(|tangent| Self {
            b: Packed { value: tangent, tangent: None },
            a_rows: self.a_rows.firsts(),
            // The row of a tangent follows that of its value.
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

impl<T: Gemm> OuterSum<'_, T> {
    /// # Safety
    ///
    /// `tiles` and `d` are valid for reads of the given sizes. `c` and `column_sums` are valid for reads and writes
    /// of the panel's columns, and no other thread reads or writes those.
    #[inline]
    pub(crate) unsafe fn run(self, isa: Isa) {
        T::outer_sum(isa, self);
    }
}

impl Tiles {
    /// Lays out some rows as tiles. The first is row `first` of `rows`, which are in blocks of [`KC`] rows.
    ///
    /// # Panics
    ///
    /// If the rows go beyond a block, or if there are too few values.
    ///
    /// # Safety
    ///
    /// No other thread reads or writes these rows of `to`.
    #[inline]
    pub(crate) unsafe fn pack<T: Gemm>(
        self,
        isa: Isa,
        values: &[&[T]],
        first: usize,
        rows: usize,
        to: Shared<'_, T>,
    ) {
        let width = self.width();
        let (k, depth) = (first % KC, block_depth(first, rows));
        assert!(values.len() <= depth - k, "rows beyond a block");
        assert!(values.iter().all(|row| row.len() >= width), "a row of less than {width} values");
        let to = to.at((first - k) * width, depth * width);
        T::scatter(isa, Scatter { tiles: self, values, k, depth, to });
    }
}
