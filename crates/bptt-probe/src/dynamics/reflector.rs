//! Householder's reflections, of which both decompositions are made.

use crate::dynamics::matrix::{Matrix, add_scaled, dot};

/// `I − β v vᵀ`
pub(crate) struct Reflector {
    v: Vec<f64>,
    beta: f64,
}

impl Reflector {
    /// The reflection that leaves nothing of `x` but its first number; `None` if the others are zero already.
    pub(crate) fn of(x: &[f64]) -> Option<Self> {
        let largest = x.iter().skip(1).fold(0.0, |most: f64, x| most.max(x.abs()));
        if largest == 0.0 {
            return None;
        }
        // Scaled, so that no square is too large or too small for a number.
        let scale = largest.max(x[0].abs());
        let mut v: Vec<f64> = x.iter().map(|x| x / scale).collect();
        let norm = dot(&v, &v).sqrt();
        v[0] += norm.copysign(v[0]);
        let beta = 2.0 / dot(&v, &v);
        Some(Self { v, beta })
    }

    /// Reflects the columns of a matrix from a column on; its rows from `first` on are those of `v`.
    pub(crate) fn apply_left(&self, matrix: &mut Matrix, first: usize, columns: usize) {
        let mut sums = vec![0.0; matrix.columns() - columns];
        for (k, v) in self.v.iter().enumerate() {
            add_scaled(&mut sums, self.beta * v, &matrix.row(first + k)[columns..]);
        }
        for (k, v) in self.v.iter().enumerate() {
            add_scaled(&mut matrix.row_mut(first + k)[columns..], -v, &sums);
        }
    }

    /// Reflects the rows of a matrix from a row on; its columns from `first` on are those of `v`.
    pub(crate) fn apply_right(&self, matrix: &mut Matrix, first: usize, rows: usize) {
        for row in rows..matrix.rows() {
            let row = &mut matrix.row_mut(row)[first..];
            let sum = self.beta * dot(row, &self.v);
            add_scaled(row, -sum, &self.v);
        }
    }
}
