//! The principal components of states, for pictures of a state space in a plane.

use crate::dynamics::matrix::{Matrix, add_scaled, dot};
use crate::spectrum::{EndOptions, ends};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

/// The plane in which states vary most: through their mean, along their first two principal components.
#[derive(Clone, Debug)]
pub struct PrincipalPlane {
    mean: Vec<f64>,
    /// Two unit vectors. Zeros, where the states do not vary any more.
    axes: [Vec<f64>; 2],
    /// The share of each in the variance.
    pub shares: [f64; 2],
}

impl PrincipalPlane {
    /// The plane of some states, `[V, n]`, by Lanczos' method. Of each axis, the entry of the largest absolute value is
    /// positive.
    ///
    /// K. Pearson, "On lines and planes of closest fit to systems of points in space", Philosophical Magazine 2 (1901),
    /// 559–572.
    ///
    /// # Panics
    ///
    /// If there is no state, or no number in a state.
    pub fn of(states: &Matrix) -> Self {
        let (rows, size) = (states.rows(), states.columns());
        assert!(rows > 0 && size > 0, "a plane through no states");
        let mean = states.mean_row();
        let centered = Matrix::from_fn(rows, size, |row, k| states.row(row)[k] - mean[k]);
        let variance = dot(centered.values(), centered.values()) / rows as f64;
        let mut plane = Self { mean, axes: [vec![0.0; size], vec![0.0; size]], shares: [0.0; 2] };
        if variance > 0.0 {
            // The product with the covariance.
            let mut product = |v: &[f64]| {
                let mut sum = vec![0.0; size];
                for row in 0..rows {
                    let row = centered.row(row);
                    add_scaled(&mut sum, dot(row, v) / rows as f64, row);
                }
                sum
            };
            let mut random = StdRng::seed_from_u64(1);
            let start: Vec<f64> = (0..size).map(|_| StandardNormal.sample(&mut random)).collect();
            let found = ends(&start, &mut product, &EndOptions { top: 2, ..EndOptions::default() });
            for (k, pair) in found.top.into_iter().take(2).enumerate() {
                plane.shares[k] = (pair.value / variance).max(0.0);
                plane.axes[k] = with_sign(pair.vector);
            }
        }
        plane
    }

    /// Where a state is in the plane, relative to the mean.
    pub fn project(&self, state: &[f64]) -> (f64, f64) {
        let [x, y] = self.axes.each_ref().map(|axis| dot(axis, state) - dot(axis, &self.mean));
        (x, y)
    }
}

/// The vector or its opposite.
fn with_sign(mut vector: Vec<f64>) -> Vec<f64> {
    let largest = vector.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
    if largest.is_some_and(|x| x < 0.0) {
        vector.iter_mut().for_each(|x| *x = -*x);
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points on an ellipse in a plane of a space of three dimensions.
    #[test]
    fn the_axes_are_those_of_an_ellipse() {
        let [a, b] = [[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]];
        let states = Matrix::from_fn(100, 3, |row, k| {
            let (sin, cos) = (row as f64 * std::f64::consts::TAU / 100.0).sin_cos();
            5.0 + 3.0 * cos * a[k] + sin * b[k]
        });
        let plane = PrincipalPlane::of(&states);
        assert!((plane.shares[0] - 0.9).abs() < 1e-12 && (plane.shares[1] - 0.1).abs() < 1e-12);
        let (x, y) = plane.project(&[5.0 + 0.6, 5.0, 5.0 + 0.8]);
        assert!((x - 1.0).abs() < 1e-9 && y.abs() < 1e-9, "{x} {y}");
        let (x, y) = plane.project(&[5.0, 7.0, 5.0]);
        assert!(x.abs() < 1e-9 && (y - 2.0).abs() < 1e-9, "{x} {y}");
    }

    #[test]
    fn states_that_do_not_vary_have_no_axes() {
        let same = Matrix::from_fn(5, 2, |_, _| 0.25);
        let plane = PrincipalPlane::of(&same);
        assert_eq!((plane.shares, plane.project(&[1.0, 2.0])), ([0.0; 2], (0.0, 0.0)));
        // On a line, there is one.
        let line = Matrix::from_fn(4, 1, |row, _| row as f64);
        let plane = PrincipalPlane::of(&line);
        assert_eq!(plane.shares[1], 0.0);
        assert!((plane.project(&[3.0]).0 - 1.5).abs() < 1e-12);
    }
}
