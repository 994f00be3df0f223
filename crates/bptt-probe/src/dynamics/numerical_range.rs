//! The numerical range of a matrix.

use crate::dynamics::matrix::{Matrix, dot};
use crate::spectrum::{EndOptions, ends};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::f64::consts::PI;

/// The numerical range, or field of values, of a real matrix: the numbers `z* A z` of all complex unit vectors `z`.
///
/// It is convex, contains the eigenvalues, and for a normal matrix it is their convex hull. How far it reaches beyond the
/// hull says how far the matrix is from normal: how much a product of such matrices may grow before its eigenvalues
/// decide.
#[derive(Clone, Debug, PartialEq)]
pub struct NumericalRange {
    /// Points on its boundary, `(re, im)`, anticlockwise from the rightmost one on. With each, its conjugate is there.
    pub boundary: Vec<(f64, f64)>,
    /// The numerical radius: the largest modulus in it. `‖A‖ / 2 ≤ w ≤ ‖A‖`, and `‖A^k‖ ≤ 2 w^k`.
    pub radius: f64,
}

/// The numerical range of a square matrix, from so many directions in the upper half-plane.
///
/// In direction `θ` the range ends where the largest eigenvalue of `H(θ) = (e^{iθ} A + e^{-iθ} Aᵀ) / 2` says, and its
/// eigenvector gives the point. The eigenvalue is found by Lanczos' method. The radius is the largest eigenvalue over all
/// directions; with `n` directions it is too small by at most `(π/2n)²/2` of itself.
///
/// C. R. Johnson, "Numerical determination of the field of values of a general complex matrix", SIAM Journal on Numerical
/// Analysis 15 (1978), 595–602; R. A. Horn and C. R. Johnson, "Topics in matrix analysis" (1991), chapter 1.
///
/// # Errors
///
/// One line, if an entry is not finite.
///
/// # Panics
///
/// If the matrix is not square or has no rows, or without a direction.
pub fn numerical_range(matrix: &Matrix, directions: usize) -> Result<NumericalRange, String> {
    let size = matrix.rows();
    assert!(
        size > 0 && size == matrix.columns() && directions > 0,
        "a square matrix, and a direction"
    );
    if !matrix.values().iter().all(|x| x.is_finite()) {
        return Err("the numerical range of a matrix with an entry that is not finite".into());
    }
    let transposed = matrix.transposed();
    let part = |sign: f64| {
        Matrix::from_fn(size, size, |row, column| {
            0.5 * (matrix.row(row)[column] + sign * transposed.row(row)[column])
        })
    };
    let (symmetric, skew) = (part(1.0), part(-1.0));
    let mut random = StdRng::seed_from_u64(size as u64);
    let mut start: Vec<f64> = (0..2 * size).map(|_| random.random_range(-1.0..1.0)).collect();
    let how = EndOptions { steps: STEPS, top: 1, wanted: 1, tolerance: TOLERANCE };
    let mut upper = Vec::with_capacity(directions + 1);
    let mut radius = 0.0_f64;
    for k in 0..=directions {
        // The support in direction φ is the largest eigenvalue of H(-φ).
        let (sine, cosine) = (-PI * k as f64 / directions as f64).sin_cos();
        let mut product = |v: &[f64]| -> Vec<f64> {
            let (x, y) = v.split_at(size);
            // H = cos θ S + i sin θ K, of z = x + i y.
            let real = (0..size)
                .map(|row| cosine * dot(symmetric.row(row), x) - sine * dot(skew.row(row), y));
            let imaginary = (0..size)
                .map(|row| cosine * dot(symmetric.row(row), y) + sine * dot(skew.row(row), x));
            real.chain(imaginary).collect()
        };
        let top = ends(&start, &mut product, &how).top.swap_remove(0);
        radius = radius.max(top.value);
        upper.push(value(matrix, top.vector.split_at(size)));
        // The next direction's eigenvector is near, with a little of all others.
        start = top.vector;
        start.iter_mut().for_each(|x| *x += 1e-3 * random.random_range(-1.0..1.0));
    }
    radius = upper.iter().fold(radius, |radius, z| radius.max(z.0.hypot(z.1)));
    let lower = upper[1..directions].iter().rev().map(|(re, im)| (*re, -im));
    let boundary = upper.iter().copied().chain(lower).collect();
    Ok(NumericalRange { boundary, radius })
}

/// At most so many products for a direction.
const STEPS: usize = 200;
/// The residual of an eigenvector; the error of the eigenvalue is about its square.
const TOLERANCE: f64 = 1e-7;

/// `z* A z` of `z = x + i y`.
fn value(matrix: &Matrix, (x, y): (&[f64], &[f64])) -> (f64, f64) {
    let form = |a: &[f64], b: &[f64]| -> f64 {
        (0..matrix.rows()).map(|row| a[row] * dot(matrix.row(row), b)).sum()
    };
    (form(x, x) + form(y, y), form(x, y) - form(y, x))
}
