//! The coefficients against their definitions, and their derivatives against differences.

mod mutants;

use super::*;
use crate::components::Components;

/// `a` and `b` as one list.
fn values<C: ScannedCell>(cell: &C, gates: &[f64], constants: &[f64]) -> Vec<f64> {
    let constants = C::Constants::from_vec(constants.to_vec());
    let Coefficients { a, b, .. } =
        cell.coefficients(C::Gates::from_vec(gates.to_vec()), &constants);
    [a.into_vec(), b.into_vec()].concat()
}

/// dLoss/da and dLoss/db of a loss `Σ w · (a, b)`.
fn cotangents<C: ScannedCell>() -> [Vec<f64>; 2] {
    let weights: Vec<f64> = (0..2 * C::PARTS).map(|k| 0.7 - 0.9 * k as f64).collect();
    let (d_a, d_b) = weights.split_at(C::PARTS);
    [d_a.to_vec(), d_b.to_vec()]
}

/// Its derivatives by gates and constants, by central differences.
fn differences<C: ScannedCell>(gates: &[f64], constants: &[f64]) -> Vec<f64> {
    let (cell, weights) = (C::default(), cotangents::<C>().concat());
    let all = [gates, constants].concat();
    let derivative = |k: usize| {
        let loss = |h: f64| -> f64 {
            let mut all = all.clone();
            all[k] += h;
            let (gates, constants) = all.split_at(gates.len());
            values(&cell, gates, constants).iter().zip(&weights).map(|(x, w)| x * w).sum()
        };
        let h = 1e-5;
        (loss(h) - loss(-h)) / (2.0 * h)
    };
    (0..all.len()).map(derivative).collect()
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-8 * (1.0 + expected.abs())
}

/// The derivatives by the backward step and by differences.
fn check<C: ScannedCell>(gates: &[f64], constants: &[f64]) {
    let cell = C::default();
    let held = C::Constants::from_vec(constants.to_vec());
    let saved = cell.coefficients(C::Gates::from_vec(gates.to_vec()), &held).saved;
    let [d_a, d_b] = cotangents::<C>().map(C::State::from_vec);
    let (d_gates, d_constants) = cell.coefficients_backward(saved, &held, d_a, d_b);
    let found = [d_gates.into_vec(), d_constants.into_vec()].concat();
    for (k, (&found, expected)) in found.iter().zip(differences::<C>(gates, constants)).enumerate()
    {
        assert!(near(found, expected), "{} ({k}): {found}, by differences {expected}", C::NAME);
    }
}

#[test]
fn derivatives_are_those_by_differences() {
    for x in [-3.0, -0.4, 0.3, 2.5] {
        check::<MinGru<false>>(&[x, 0.6], &[0.1, -0.2]);
        check::<MinGru<true>>(&[x, 0.6 - x], &[0.1, -0.2]);
        check::<MinLstm<false>>(&[x, 0.6, -x], &[0.1, -0.2, 0.3]);
        check::<MinLstm<true>>(&[x, -x, 1.3], &[0.1, -0.2, 0.3]);
        check::<RgLru>(&[x, 0.6, -0.8], &[0.4, 0.2, -0.1]);
        check::<Diagonal>(&[x, 0.6], &[0.9, -0.2, 1.3, 0.4]);
        check::<Given>(&[x, 0.6], &[]);
    }
}

#[test]
fn coefficients_are_those_of_the_papers() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let g = |x: f64| if x >= 0.0 { x + 0.5 } else { sigmoid(x) };
    let near = |found: Vec<f64>, expected: [f64; 2]| {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-14, "{found}, expected {expected}");
        }
    };
    for x in [-2.0, -0.3, 0.0, 1.7] {
        let (z, c) = (sigmoid(0.4 - 0.1), x + 0.2);
        near(values(&MinGru::<false>, &[x, 0.4], &[0.2, -0.1]), [1.0 - z, z * c]);
        near(values(&MinGru::<true>, &[x, 0.4], &[0.2, -0.1]), [1.0 - z, z * g(c)]);
        let (f, i) = (sigmoid(1.5 * x), sigmoid(0.7));
        let (f, i) = (f / (f + i), i / (f + i));
        near(values(&MinLstm::<false>, &[x, 1.5 * x, 0.7], &[0.2, 0.0, 0.0]), [f, i * c]);
        near(values(&MinLstm::<true>, &[x, 1.5 * x, 0.7], &[0.2, 0.0, 0.0]), [f, i * g(c)]);
        let a = (-0.4 * sigmoid(x)).exp();
        let b = (1.0 - a * a).sqrt() * sigmoid(0.3) * 1.9;
        near(values(&RgLru, &[x, 0.3, 1.9], &[0.4, 0.0, 0.0]), [a, b]);
    }
}

/// Where sigmoids are too small for a number, their quotient is still one.
#[test]
fn gates_are_normalised_also_where_they_vanish() {
    for (p, q) in [(-900.0, -900.0), (-900.0, -950.0), (800.0, -800.0), (-800.0, 800.0)] {
        let cell = MinLstm::<false>;
        let Coefficients { a: [f], b: [i], saved } =
            cell.coefficients([1.0, p, q], &[0.0_f64, 0.0, 0.0]);
        let expected = 1.0 / (1.0 + (q.min(0.0) - p.min(0.0)).exp());
        assert!((f - expected).abs() < 1e-12, "{p} {q}: {f}, expected {expected}");
        assert!((f + i - 1.0).abs() < 1e-15);
        let (d, _) = cell.coefficients_backward(saved, &[0.0; 3], [1.0], [1.0]);
        assert!(d.iter().all(|d| d.is_finite()), "{d:?}");
    }
}

/// A gate that is shut has no gradient, though the slope of the root is infinite there.
#[test]
fn a_shut_gate_has_no_gradient() {
    for r in [-800.0_f64, -100.0] {
        let constants = [0.4, 0.0, 0.0];
        let Coefficients { a: [a], b: [b], saved } = RgLru.coefficients([r, 0.3, 1.9], &constants);
        assert!(a == 1.0 && b.abs() < 1e-17, "{a} {b}");
        let (d, d_constants) = RgLru.coefficients_backward(saved, &constants, [1.0], [1.0]);
        assert!(d.iter().chain(&d_constants).all(|d| d.abs() < 1e-17), "{d:?} {d_constants:?}");
    }
}

#[test]
fn complex_numbers_multiply() {
    let (a, x) = ([0.3_f64, -0.8], [1.5, 0.4]);
    let [re, im] = a.times(&x);
    assert!((re - (0.3 * 1.5 + 0.8 * 0.4)).abs() < 1e-15);
    assert!((im - (0.3 * 0.4 - 0.8 * 1.5)).abs() < 1e-15);
    // ⟨d, a x⟩ = ⟨conj(a) d, x⟩
    let d = [-0.7, 0.2];
    let back = a.times_backward(&d);
    let inner = |a: [f64; 2], b: [f64; 2]| a[0] * b[0] + a[1] * b[1];
    assert!((inner(d, [re, im]) - inner(back, x)).abs() < 1e-15);
}
