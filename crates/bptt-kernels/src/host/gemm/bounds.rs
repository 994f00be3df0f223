//! What a step of a layer cannot be faster than: its products by themselves, and the reading of its weights. Both are
//! measured.

use crate::host::gemm::columns::Columns;
use crate::host::gemm::panels::{NR, Packed, Panels};
use crate::host::gemm::product::Product;
use crate::host::gemm::rows::Rows;
use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::simd::isa::Isa;
use crate::host::threads::team::{Member, part, team};
use pulp::{Simd, WithSimd};
use std::hint::black_box;
use std::sync::Mutex;
use std::time::Instant;

/// A round repeats what is measured until it takes this long, in seconds; and how many rounds there are. The shortest
/// counts.
const ROUND: f64 = 1e-3;
const ROUNDS: usize = 15;

/// Whether threads share the rows of a product, or its columns; and whether every second product begins at the end. The
/// fastest way counts.
const WAYS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

/// See [`product_seconds`](crate::product_seconds).
pub(crate) fn product_seconds(products: &[[usize; 3]], threads: usize) -> f64 {
    let isa = Isa::detect();
    let mut all: Vec<_> = products.iter().map(|&size| Matrices::new(isa, size)).collect();
    let all: Vec<_> = all.iter_mut().map(Matrices::shared).collect();
    let of_way = |(by_rows, back_and_forth)| {
        shortest(threads, |member, nth| {
            let from_last = back_and_forth && nth % 2 == 1;
            for at in 0..all.len() {
                let at = if from_last { all.len() - 1 - at } else { at };
                all[at].multiply(isa, member, by_rows, from_last);
            }
        })
    };
    WAYS.into_iter().map(of_way).fold(f64::INFINITY, f64::min)
}

/// See [`reading_seconds`](crate::reading_seconds).
pub(crate) fn reading_seconds(count: usize, threads: usize) -> f64 {
    let isa = Isa::detect();
    let mut numbers = Buffer::<f32>::zeros(&[count]);
    numbers.as_mut_slice().fill(1.0);
    let numbers = numbers.as_slice();
    let of_way = |back_and_forth| {
        shortest(threads, |member, nth| {
            let numbers = &numbers[part(member.index, member.count, count, AT_ONCE)];
            let from_last = back_and_forth && nth % 2 == 1;
            black_box(isa.dispatch(Reading { numbers: black_box(numbers), from_last }));
        })
    };
    of_way(false).min(of_way(true))
}

/// The shortest time of one repetition, in seconds. All threads repeat it side by side, and do not wait for each other
/// in between.
fn shortest(threads: usize, once: impl Fn(&Member<'_>, usize) + Sync) -> f64 {
    let round = |times: usize| {
        let seconds = Mutex::new(0.0);
        team(threads, |member| {
            member.wait();
            let start = Instant::now();
            (0..times).for_each(|nth| once(member, nth));
            member.wait();
            if member.index == 0 {
                *seconds.lock().expect("nobody panics with it") = start.elapsed().as_secs_f64();
            }
        });
        seconds.into_inner().expect("nobody panics with it")
    };
    let mut times = 1;
    while round(times) < ROUND {
        times *= 2;
    }
    (0..ROUNDS).map(|_| round(times) / times as f64).fold(f64::INFINITY, f64::min)
}

/// The matrices of a product, `C += A B`, with `B` packed.
struct Matrices {
    size: [usize; 3],
    a: Buffer<f32>,
    b: Panels<f32>,
    c: Buffer<f32>,
}

/// The same, shared by threads.
struct SharedMatrices<'a> {
    size: [usize; 3],
    a: &'a [f32],
    b: Packed<'a, f32>,
    c: Shared<'a, f32>,
}

impl Matrices {
    /// With numbers such that sums stay far below the largest one.
    fn new(isa: Isa, size: [usize; 3]) -> Self {
        let [rows, depth, columns] = size;
        let panel = NR * isa.lanes::<f32>();
        let of = |count| Columns::plain(count, panel);
        let mut a = Buffer::zeros(&[rows, depth]);
        let mut b = Panels::new(isa, of(depth), 1, of(columns));
        a.as_mut_slice().fill(1e-3);
        b.data.as_mut_slice().fill(1e-3);
        Self { size, a, b, c: Buffer::zeros(&[rows, columns]) }
    }

    fn shared(&mut self) -> SharedMatrices<'_> {
        let Self { size, a, b, c } = self;
        SharedMatrices { size: *size, a: a.as_slice(), b: b.beside(None), c: c.shared() }
    }
}

impl SharedMatrices<'_> {
    /// Computes a thread's part.
    fn multiply(&self, isa: Isa, member: &Member<'_>, by_rows: bool, from_last: bool) {
        let [rows, depth, columns] = self.size;
        let panels = self.b.value.count;
        let (rows, panels) = match by_rows {
            true => (member.part(rows, 1), 0..panels),
            false => (0..rows, member.part(panels, 1)),
        };
        if rows.is_empty() || panels.is_empty() {
            return;
        }
        let product = Product {
            a: self.a.as_ptr(),
            a_rows: Rows::plain(depth),
            b: self.b,
            panels,
            c: self.c.at(0, 0),
            c_rows: Rows::plain(columns),
            rows,
            add: true,
            from_last,
        };
        // SAFETY: the matrices have these sizes; the rows or the panels of `c` are this thread's own.
        unsafe { product.run(isa) };
    }
}

/// How many sums are side by side, so that an addition does not wait for the one before.
const SUMS: usize = 8;

/// How many numbers a thread's part is a multiple of: the sums of any instruction set.
const AT_ONCE: usize = 16 * SUMS;

/// Reads numbers, and adds them up so that they are needed.
struct Reading<'a> {
    numbers: &'a [f32],
    from_last: bool,
}

impl WithSimd for Reading<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (vectors, _) = S::as_simd_f32s(self.numbers);
        let groups = vectors.len() / SUMS;
        let mut sums = [simd.splat_f32s(0.0); SUMS];
        for nth in 0..groups {
            let group = if self.from_last { groups - 1 - nth } else { nth };
            let of_group = &vectors[group * SUMS..][..SUMS];
            for (sum, &vector) in sums.iter_mut().zip(of_group) {
                *sum = simd.add_f32s(*sum, vector);
            }
        }
        let mut all = sums[0];
        for &sum in &sums[1..] {
            all = simd.add_f32s(all, sum);
        }
        simd.reduce_sum_f32s(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_the_whole_product_and_all_numbers() {
        let isa = Isa::detect();
        for threads in [1, 2, 3] {
            for by_rows in [false, true] {
                let mut matrices = Matrices::new(isa, [5, 7, 83]);
                let shared = matrices.shared();
                team(threads, |member| shared.multiply(isa, member, by_rows, false));
                let expected = 7.0 * 1e-3 * 1e-3;
                let c = matrices.c.as_slice();
                assert!(c.iter().all(|&c: &f32| (c - expected).abs() < 1e-9), "{c:?}");
            }
        }
        for from_last in [false, true] {
            let numbers: Vec<_> = (0..4 * AT_ONCE).map(|n| n as f32).collect();
            let sum = isa.dispatch(Reading { numbers: &numbers, from_last });
            assert_eq!(sum, (numbers.len() * (numbers.len() - 1) / 2) as f32);
        }
    }
}
