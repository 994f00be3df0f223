//! Matrix products on packed matrices.

use crate::host::gemm::columns::Columns;
use crate::host::gemm::dispatch::Gemm;
use crate::host::gemm::panels::{NR, Panels, Source, pack_all};
use crate::host::gemm::product::{KC, Product};
use crate::host::gemm::rows::Rows;
use crate::host::simd::isa::Isa;
use crate::host::tests::isas;
use burn::tensor::Element;

/// Integers, so that sums are exact in any order. The numbers of rows and columns cover all tiles. Nothing may be
/// written outside of them.
#[test]
fn products_of_every_tile_are_sums_of_products() {
    fn check<T: Gemm + Element>(isa: Isa, rows: usize, depth: usize, result: Columns) {
        let lanes = isa.lanes::<T>();
        let number = |x: usize| T::of((x % 7) as f64 - 3.0);
        let count = result.count();
        let a: Vec<_> = (0..rows * depth).map(|i| number(3 * i + i / depth)).collect();
        let b: Vec<_> = (0..depth * count).map(|i| number(5 * i + i / 11)).collect();
        let source =
            Source { data: &b, planes: vec![0], column: 1, rows: vec![(0, depth)], row: count };
        let mut panels = Panels::new(isa, Columns::plain(depth, NR * lanes), 1, result);
        pack_all(1, &[(panels.packer(), &source)]);
        let end = result.rest_at + result.rest;
        let row = end.next_multiple_of(lanes) + lanes;
        for (add, from_last) in [(false, false), (true, false), (true, true)] {
            let mut c: Vec<_> = (0..rows * row).map(number).collect();
            let mut expected = c.clone();
            for (r, to) in expected.chunks_exact_mut(row).enumerate() {
                for column in 0..count {
                    let mut sum = T::ZERO;
                    for k in 0..depth {
                        let product = a[r * depth + k].to_f64() * b[k * count + column].to_f64();
                        sum = T::plus(sum, T::of(product));
                    }
                    let to = &mut to[result.from(column).0];
                    *to = if add { T::plus(*to, sum) } else { sum };
                }
            }
            let product = Product {
                a: a.as_ptr(),
                a_rows: Rows::plain(depth),
                b: panels.beside(None),
                panels: 0..panels.count,
                c: c.as_mut_ptr(),
                c_rows: Rows::plain(row),
                rows: 0..rows,
                add,
                from_last,
            };
            // SAFETY: all rows and columns are valid, and there is no other thread.
            unsafe { product.run(isa) };
            if result.padded {
                // Behind the last column may be any numbers, up to a whole vector.
                let registers = result.rest_at + result.rest.next_multiple_of(lanes);
                for (c, expected) in c.chunks_exact_mut(row).zip(expected.chunks_exact(row)) {
                    c[end..registers].copy_from_slice(&expected[end..registers]);
                }
            }
            assert!(c == expected, "{isa:?} {rows} rows, {depth} deep, {result:?}, add {add}");
        }
    }
    fn check_all<T: Gemm + Element>() {
        for isa in isas() {
            let lanes = isa.lanes::<T>();
            let panel = NR * lanes;
            for rows in (1..=25).chain([97]) {
                for whole in [0, panel, 5 * panel] {
                    for rest in [0, 1, lanes - 1, lanes, lanes + 1, panel - 1] {
                        for (gap, padded) in [(0, false), (0, true), (3, false)] {
                            let result = Columns { whole, rest, rest_at: whole + gap, padded };
                            check::<T>(isa, rows, 7, result);
                        }
                    }
                }
            }
            check::<T>(isa, 5, 0, Columns::plain(panel + 1, panel));
            // More than one block of the inner dimension.
            check::<T>(isa, 13, KC + 5, Columns::plain(panel + 1, panel));
            for rows in [1, 2, 3, 4] {
                check::<T>(isa, rows, KC + 5, Columns::plain(9 * panel + 1, panel));
            }
        }
    }
    check_all::<f32>();
    check_all::<f64>();
}
