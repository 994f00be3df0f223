//! The passes with their products against plain loops, and threads against one thread.

use crate::host::gemm::dispatch::Gemm;
use crate::host::scan::input::InputScan;
use crate::host::scan::input::backward::{InputGradients, backward};
use crate::host::scan::input::forward::forward;
use crate::host::scan::layout::Scan;
use crate::host::scan::tests::{KINDS, Lists, Noise, Problem, close, isas};
use crate::host::simd::isa::Isa;
use bptt_cells::scanned::{Diagonal, Given, MinGru, MinLstm, RgLru, ScannedCell};

/// A scan whose gates are a product, in `f64`.
struct Product {
    /// The scan, with the gates.
    scan: Problem,
    size: usize,
    input: Vec<f64>,
    weight: Vec<f64>,
}

/// States, or gradients: of input, weight, constants, initial and reset state.
type Found = [Vec<f64>; 6];

const NAMES: [&str; 6] = ["states", "d_input", "d_weight", "d_constants", "d_initial", "d_reset"];

impl Product {
    /// With `planes` products; if that is one less than there are gates, the last gate is the input.
    fn new<C: ScannedCell>(sizes: [usize; 3], size: usize, planes: usize, kind: usize) -> Self {
        let [time, batch, hidden] = sizes;
        let mut scan = Problem::new::<C>(sizes, kind);
        let mut noise = Noise(0x2545_f491_4f6c_dd1d ^ ((kind as u64 + 1) << 16) ^ size as u64);
        let input = noise.list(time * batch * size);
        let mut weight = noise.list(planes * hidden * size);
        // Gates are between -1 and 1.
        weight.iter_mut().for_each(|w| *w /= size as f64);
        for (gates, x) in scan.gates.chunks_mut(C::GATES * hidden).zip(input.chunks(size)) {
            let rows = weight.chunks(size).map(|w| w.iter().zip(x).map(|(w, x)| w * x).sum());
            gates.iter_mut().zip(rows).for_each(|(gate, sum): (_, f64)| *gate = sum);
            gates[planes * hidden..].copy_from_slice(if planes < C::GATES { x } else { &[] });
        }
        Self { scan, size, input, weight }
    }

    /// By plain loops.
    fn by_loops<C: ScannedCell>(&self, cell: &C) -> Found {
        let [states, d_gates, d_constants, d_initial, d_reset]: Lists = self.scan.by_loops(cell);
        let (size, hidden) = (self.size, self.scan.sizes[2]);
        let mut d_input = vec![0.0; self.input.len()];
        let mut d_weight = vec![0.0; self.weight.len()];
        let rows = self.input.chunks(size).zip(d_input.chunks_mut(size));
        for (d, (x, d_x)) in d_gates.chunks(C::GATES * hidden).zip(rows) {
            let of_weight = self.weight.chunks(size).zip(d_weight.chunks_mut(size));
            let planes = self.weight.len() / (hidden * size);
            for (&d, (w, d_w)) in d.iter().zip(of_weight) {
                for i in 0..size {
                    d_x[i] += d * w[i];
                    d_w[i] += d * x[i];
                }
            }
            d_x.iter_mut().zip(&d[planes * hidden..]).for_each(|(d_x, d)| *d_x += d);
        }
        [states, d_input, d_weight, d_constants, d_initial, d_reset]
    }

    /// The same by the kernels, in the type `T`; with the gradients of input and weight, or without.
    fn by_kernels<C: ScannedCell, T: Gemm>(
        &self,
        cell: &C,
        (isa, threads): (Isa, usize),
        [wants_input, wants_weight]: [bool; 2],
    ) -> Found {
        let of = |x: &[f64]| -> Vec<T> { x.iter().map(|&x| T::of(x)).collect() };
        let [time, batch, hidden] = self.scan.sizes;
        let Problem { constants, initial, reset, d_states, .. } = &self.scan;
        let [input, weight, constants, initial, reset, d_states] =
            [&self.input, &self.weight, constants, initial, reset, d_states].map(|x| of(x));
        let scan = Scan {
            time,
            batch,
            hidden,
            parts: self.scan.parts,
            batch_first: self.scan.batch_first,
            reverse: self.scan.reverse,
            gates: &[],
            constants: &constants,
            initial: &initial,
            reset: &reset,
            flags: self.scan.flags.as_deref(),
        };
        let of = InputScan { scan, size: self.size, input: &input, weight: &weight };
        // What is not written would be noticed.
        let unwritten = |len: usize| vec![T::of(f64::NAN); len];
        let mut gates = unwritten(time * batch * C::GATES * hidden);
        let [mut states, mut plain] = [(); 2].map(|()| unwritten(d_states.len()));
        forward(cell, of, &mut plain, None, isa, threads);
        forward(cell, of, &mut states, Some(&mut gates), isa, threads);
        assert_eq!(plain, states, "with the gates kept, and without");
        let [mut d_input, mut d_weight, mut d_constants, mut d_initial, mut d_reset] =
            [&input, &weight, &constants, &initial, &reset].map(|x| unwritten(x.len()));
        let gradients = InputGradients {
            input: wants_input.then_some(&mut *d_input),
            weight: wants_weight.then_some(&mut *d_weight),
            constants: &mut d_constants,
            initial: &mut d_initial,
            reset: &mut d_reset,
        };
        backward(cell, of, &gates, (&states, &d_states), gradients, isa, threads);
        [states, d_input, d_weight, d_constants, d_initial, d_reset]
            .map(|list| list.into_iter().map(T::to_f64).collect())
    }
}

fn check_cell<C: ScannedCell>(sizes: [usize; 3], size: usize, planes: usize) {
    let cell = C::default();
    const BOTH: [bool; 2] = [true; 2];
    for kind in KINDS {
        let product = Product::new::<C>(sizes, size, planes, kind);
        let expected = product.by_loops(&cell);
        for isa in isas() {
            let what = format!("{} {sizes:?} of {size}, {kind} {isa:?}", C::NAME);
            let found = product.by_kernels::<C, f64>(&cell, (isa, 1), BOTH);
            close(&found, &expected, NAMES, 1e-12, &what);
            for threads in [2, 5] {
                let other = product.by_kernels::<C, f64>(&cell, (isa, threads), BOTH);
                assert_eq!(other, found, "{what}, {threads} threads");
            }
            let narrow = product.by_kernels::<C, f32>(&cell, (isa, 2), BOTH);
            close(&narrow, &expected, NAMES, 2e-5, &what);
            for wanted in [[true, false], [false, true], [false, false]] {
                let some = product.by_kernels::<C, f64>(&cell, (isa, 2), wanted);
                let is_here = [true, wanted[0], wanted[1], true, true, true];
                for (list, is_here) in is_here.into_iter().enumerate() {
                    let name = NAMES[list];
                    assert!(!is_here || some[list] == found[list], "{what}: {name}, {wanted:?}");
                }
            }
        }
    }
}

/// Widths with and without a rest, of units and of the input; one chunk and several; one block, several, and blocks of one
/// step with more rows than a product takes at once.
const SIZES: [([usize; 3], usize); 6] = [
    ([1, 1, 1], 1),
    ([5, 3, 7], 3),
    ([33, 1, 97], 20),
    ([300, 2, 17], 5),
    ([2, 300, 5], 17),
    ([7, 2, 300], 30),
];

#[test]
fn products_and_scans_are_plain_loops() {
    for (sizes, size) in SIZES {
        check_cell::<Given>(sizes, size, 2);
        check_cell::<Diagonal>(sizes, size, 2);
        check_cell::<MinGru<false>>(sizes, size, 2);
    }
    check_cell::<MinLstm<true>>([5, 3, 40], 7, 3);
    check_cell::<RgLru>([5, 3, 7], 11, 3);
}

#[test]
fn the_last_gate_may_be_the_input() {
    for hidden in [1, 7, 40, 300] {
        check_cell::<RgLru>([5, 3, hidden], hidden, 2);
    }
    check_cell::<RgLru>([300, 2, 5], 5, 2);
}
