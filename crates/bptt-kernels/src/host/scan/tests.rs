//! The passes against plain loops, the loops against differences, and threads against one thread.

use crate::host::scan::backward::{Gradients, backward};
use crate::host::scan::forward::forward;
use crate::host::scan::layout::Scan;
use crate::host::simd::isa::Isa;
use crate::host::simd::real::Real;
use crate::operation::step_flags::{MASKED, RESET};
use bptt_cells::Components;
use bptt_cells::scanned::{Diagonal, Given, Linear, MinGru, MinLstm, RgLru, ScannedCell};

/// Numbers between -1 and 1, always the same.
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) fn next(&mut self) -> f64 {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    pub(super) fn list(&mut self, len: usize) -> Vec<f64> {
        (0..len).map(|_| self.next()).collect()
    }
}

/// A scan with all its numbers, in `f64`.
#[derive(Clone)]
pub(super) struct Problem {
    pub(super) sizes: [usize; 3],
    pub(super) parts: usize,
    pub(super) batch_first: bool,
    pub(super) reverse: bool,
    pub(super) gates: Vec<f64>,
    pub(super) constants: Vec<f64>,
    pub(super) initial: Vec<f64>,
    pub(super) reset: Vec<f64>,
    pub(super) flags: Option<Vec<u8>>,
    pub(super) d_states: Vec<f64>,
}

/// States, or gradients: of gates, constants, initial and reset state.
pub(super) type Lists = [Vec<f64>; 5];

impl Problem {
    pub(super) fn new<C: ScannedCell>(sizes: [usize; 3], kind: usize) -> Self {
        let [time, batch, hidden] = sizes;
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15 ^ ((kind as u64 + 1) << 20) ^ time as u64);
        let (rows, width) = (time * batch, C::PARTS * hidden);
        let flag = |noise: &mut Noise| {
            let is_reset = noise.next() > 0.7;
            let is_masked = noise.next() > 0.4;
            (u8::from(is_reset) * RESET) | (u8::from(is_masked) * MASKED)
        };
        let mut gates = noise.list(rows * C::GATES * hidden);
        let mut constants = noise.list(C::CONSTANTS * hidden);
        if C::NAME == Given::NAME {
            // Factors between -1 and 1, so that nothing grows.
            gates.iter_mut().for_each(|x| *x *= 0.99);
        }
        if C::NAME == Diagonal::NAME {
            constants.iter_mut().for_each(|x| *x *= 0.7);
        }
        if C::NAME == RgLru::NAME {
            constants[..hidden].iter_mut().for_each(|x| *x = 0.1 + x.abs());
        }
        Self {
            sizes,
            parts: C::PARTS,
            batch_first: kind & 1 != 0,
            reverse: kind & 2 != 0,
            gates,
            constants,
            initial: noise.list(batch * width),
            reset: noise.list(batch * width),
            flags: (kind & 4 != 0).then(|| (0..rows).map(|_| flag(&mut noise)).collect()),
            d_states: noise.list(rows * width),
        }
    }

    fn row(&self, step: usize, row: usize) -> usize {
        let [time, batch, _] = self.sizes;
        let t = if self.reverse { time - 1 - step } else { step };
        if self.batch_first { row * time + t } else { t * batch + row }
    }

    fn flags(&self, step: usize, row: usize) -> u8 {
        self.flags.as_ref().map_or(0, |flags| flags[step * self.sizes[1] + row])
    }

    /// Some planes of a unit of a row.
    fn unit<P: Components<f64>>(&self, of: &[f64], row: usize, unit: usize) -> P {
        let hidden = self.sizes[2];
        P::from_fn(|plane| of[(row * P::LEN + plane) * hidden + unit])
    }

    fn add<P: Components<f64>>(&self, to: &mut [f64], row: usize, unit: usize, x: P) {
        let hidden = self.sizes[2];
        x.for_each(|plane, x| to[(row * P::LEN + plane) * hidden + unit] += x);
    }

    /// States and gradients by plain loops.
    pub(super) fn by_loops<C: ScannedCell>(&self, cell: &C) -> Lists {
        let [time, batch, hidden] = self.sizes;
        let mut states = vec![0.0; self.d_states.len()];
        let mut d_gates = vec![0.0; self.gates.len()];
        let mut d_constants = vec![0.0; self.constants.len()];
        let [mut d_initial, mut d_reset] = [(); 2].map(|()| vec![0.0; self.initial.len()]);
        for (row, unit) in (0..batch).flat_map(|row| (0..hidden).map(move |unit| (row, unit))) {
            let constants: C::Constants<f64> = self.unit(&self.constants, 0, unit);
            let mut before = Vec::new();
            let mut h: C::State<f64> = self.unit(&self.initial, row, unit);
            for step in 0..time {
                let at = self.row(step, row);
                if self.flags(step, row) & RESET != 0 {
                    h = self.unit(&self.reset, row, unit);
                }
                before.push(h.clone());
                if self.flags(step, row) & MASKED == 0 {
                    let done = cell.coefficients(self.unit(&self.gates, at, unit), &constants);
                    h = done.a.times(&h).plus(&done.b);
                }
                self.add(&mut states, at, unit, h.clone());
            }
            let mut d: C::State<f64> = C::State::from_fn(|_| 0.0);
            for step in (0..time).rev() {
                let at = self.row(step, row);
                d = d.plus(&self.unit(&self.d_states, at, unit));
                if self.flags(step, row) & MASKED == 0 {
                    let done = cell.coefficients(self.unit(&self.gates, at, unit), &constants);
                    let d_a = before[step].times_backward(&d);
                    let (gates, of_unit) =
                        cell.coefficients_backward(done.saved, &constants, d_a, d.clone());
                    self.add(&mut d_gates, at, unit, gates);
                    self.add(&mut d_constants, 0, unit, of_unit);
                    d = done.a.times_backward(&d);
                }
                if self.flags(step, row) & RESET != 0 {
                    self.add(&mut d_reset, row, unit, d);
                    d = C::State::from_fn(|_| 0.0);
                }
            }
            self.add(&mut d_initial, row, unit, d);
        }
        [states, d_gates, d_constants, d_initial, d_reset]
    }

    /// The same by the kernels, in the type `T`.
    fn by_kernels<C: ScannedCell, T: Real>(&self, cell: &C, isa: Isa, threads: usize) -> Lists {
        let [time, batch, hidden] = self.sizes;
        let of = |x: &[f64]| -> Vec<T> { x.iter().map(|&x| T::of(x)).collect() };
        let [gates, constants, initial, reset, d_states] =
            [&self.gates, &self.constants, &self.initial, &self.reset, &self.d_states]
                .map(|x| of(x));
        let scan = Scan {
            time,
            batch,
            hidden,
            parts: self.parts,
            batch_first: self.batch_first,
            reverse: self.reverse,
            gates: &gates,
            constants: &constants,
            initial: &initial,
            reset: &reset,
            flags: self.flags.as_deref(),
        };
        // What is not written would be noticed.
        let unwritten = |x: &[T]| vec![T::of(f64::NAN); x.len()];
        let mut states = unwritten(&d_states);
        forward(cell, scan, &mut states, isa, threads);
        let [mut d_gates, mut d_constants, mut d_initial, mut d_reset] =
            [&gates, &constants, &initial, &reset].map(|x| unwritten(x));
        let gradients = Gradients {
            gates: &mut d_gates,
            constants: &mut d_constants,
            initial: &mut d_initial,
            reset: &mut d_reset,
        };
        backward(cell, scan, (&states, &d_states), gradients, isa, threads);
        [states, d_gates, d_constants, d_initial, d_reset]
            .map(|list| list.into_iter().map(T::to_f64).collect())
    }
}

const NAMES: [&str; 5] = ["states", "d_gates", "d_constants", "d_initial", "d_reset"];

/// Compares, in units of the largest number of each list.
pub(super) fn close<const N: usize>(
    found: &[Vec<f64>; N],
    expected: &[Vec<f64>; N],
    names: [&str; N],
    tolerance: f64,
    what: &str,
) {
    for ((found, expected), name) in found.iter().zip(expected).zip(names) {
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(1.0, |max: f64, x| max.max(x.abs()));
        for (k, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!(
                (a - b).abs() <= tolerance * largest,
                "{what}: {name}[{k}] is {a}, expected {b}"
            );
        }
    }
}

pub(super) fn isas() -> Vec<Isa> {
    let mut all = vec![Isa::Portable, Isa::detect()];
    all.dedup_by_key(|isa| format!("{isa:?}"));
    all
}

/// All kinds of a scan: layout, direction, flags.
pub(super) const KINDS: std::ops::Range<usize> = 0..8;

fn check_cell<C: ScannedCell>() {
    let cell = C::default();
    // Widths with and without a rest; two blocks and a rest, and three.
    for sizes in [[1, 1, 1], [5, 3, 7], [4, 2, 40], [33, 1, 97], [1025, 1, 5], [1537, 2, 17]] {
        for kind in KINDS {
            let problem = Problem::new::<C>(sizes, kind);
            let expected = problem.by_loops(&cell);
            for isa in isas() {
                let what = format!("{} {sizes:?} {kind} {isa:?}", C::NAME);
                let found = problem.by_kernels::<C, f64>(&cell, isa, 1);
                close(&found, &expected, NAMES, 1e-12, &what);
                for threads in [2, 3, 5] {
                    assert_eq!(problem.by_kernels::<C, f64>(&cell, isa, threads), found, "{what}");
                }
                let found = problem.by_kernels::<C, f32>(&cell, isa, 2);
                close(&found, &expected, NAMES, 2e-5, &what);
            }
        }
    }
}

#[test]
fn scans_are_plain_loops() {
    check_cell::<Given>();
    check_cell::<Diagonal>();
    check_cell::<RgLru>();
}

#[test]
fn minimal_cells_are_plain_loops() {
    check_cell::<MinGru<false>>();
    check_cell::<MinGru<true>>();
    check_cell::<MinLstm<false>>();
    check_cell::<MinLstm<true>>();
}

/// The derivatives by the plain loops are those by central differences of their states.
fn check_differences<C: ScannedCell>() {
    let cell = C::default();
    for kind in KINDS {
        let problem = Problem::new::<C>([6, 2, 3], kind);
        let found = problem.by_loops(&cell);
        let loss = |problem: &Problem| -> f64 {
            let [states, ..] = problem.by_loops(&cell);
            states.iter().zip(&problem.d_states).map(|(h, d)| h * d).sum()
        };
        for which in 1..5 {
            for (k, &found) in found[which].iter().enumerate() {
                let moved = |by: f64| {
                    let mut problem = problem.clone();
                    let operand = match which {
                        1 => &mut problem.gates,
                        2 => &mut problem.constants,
                        3 => &mut problem.initial,
                        _ => &mut problem.reset,
                    };
                    operand[k] += by;
                    loss(&problem)
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                let what = format!("{} {kind}: {}[{k}]", C::NAME, NAMES[which]);
                assert!((found - expected).abs() < 1e-8, "{what} is {found}, expected {expected}");
            }
        }
    }
}

#[test]
fn plain_loops_have_the_derivatives_by_differences() {
    check_differences::<Given>();
    check_differences::<Diagonal>();
    check_differences::<RgLru>();
    check_differences::<MinGru<true>>();
    check_differences::<MinLstm<false>>();
}

/// What is no number stays in its row, and in its segment of the row.
#[test]
fn what_is_no_number_stays_in_its_segment() {
    for (time, batch) in [(6, 3), (1300, 1)] {
        let mut problem = Problem::new::<MinGru<false>>([time, batch, 4], 0);
        let mut flags = vec![0; time * batch];
        let last = batch - 1;
        flags[(time - 2) * batch + last] = RESET;
        problem.flags = Some(flags);
        // In the last row, one step in the middle, from which on all states are spoilt up to the reset.
        let spoilt = time / 2;
        let at = (spoilt * batch + last) * 8;
        problem.gates[at..at + 8].fill(f64::NAN);
        for threads in [1, 3] {
            let [states, d_gates, ..] =
                problem.by_kernels::<MinGru<false>, f64>(&MinGru, Isa::detect(), threads);
            for (place, (h, d)) in states.chunks(4).zip(d_gates.chunks(8)).enumerate() {
                let (step, row) = (place / batch, place % batch);
                let is_spoilt = row == last && (spoilt..time - 2).contains(&step);
                assert_eq!(h.iter().any(|x| x.is_nan()), is_spoilt, "h of step {step}, row {row}");
                let reaches = row == last && step <= spoilt;
                let behind = is_spoilt && step > spoilt;
                assert!(
                    d.iter().all(|x| x.is_finite()) || reaches || behind,
                    "d of step {step}, row {row}"
                );
            }
        }
    }
}
