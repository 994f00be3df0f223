//! QR by Gram and Schmidt: what a block of directions becomes between two measurements of their growth.

use crate::dynamics::matrix::{Matrix, add_scaled, dot, subtract_projections};
use burn::tensor::Device;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

/// How many rows are made orthogonal one by one; those before them are subtracted from all of them by two products.
const PANEL: usize = 16;

/// Makes the rows orthonormal, in their order, and returns `ln r_ii` of each: the logarithm of what is left of the row
/// without its components along the rows before it. A row of which nothing is left has `-∞`, and any direction takes
/// its place.
///
/// Every component is subtracted twice. After that, the rows are orthogonal to rounding for every block whose condition
/// number is below about `1e15` (L. Giraud, J. Langou, M. Rozložník, J. van den Eshof, "Rounding error analysis of the
/// classical Gram-Schmidt orthogonalization process", Numerische Mathematik 101 (2005), 87–100).
pub fn orthonormalise(rows: &mut Matrix, device: &Device) -> Vec<f64> {
    let mut logs = vec![0.0; rows.rows()];
    for first in (0..rows.rows()).step_by(PANEL) {
        let count = PANEL.min(rows.rows() - first);
        let before = rows.rows_of(0..first);
        let mut panel = rows.rows_of(first..first + count);
        for _ in 0..2 {
            if first > 0 {
                subtract_projections(&mut panel, &before, device);
            }
            one_by_one(&mut panel, &mut logs[first..first + count]);
        }
        for row in 0..count {
            rows.row_mut(first + row).copy_from_slice(panel.row(row));
        }
    }
    logs
}

/// Orthonormalises the rows of a panel, and adds to their logarithms.
fn one_by_one(panel: &mut Matrix, logs: &mut [f64]) {
    for (row, log) in logs.iter_mut().enumerate() {
        for before in 0..row {
            let (this, before) = panel.row_pair(row, before);
            add_scaled(this, -dot(this, before), before);
        }
        let this = panel.row_mut(row);
        let norm = dot(this, this).sqrt();
        *log += norm.ln();
        if norm == 0.0 {
            any_direction(this, row as u64);
        } else {
            this.iter_mut().for_each(|x| *x /= norm);
        }
    }
}

/// A direction for a row of which nothing is left, the same in every run.
fn any_direction(row: &mut [f64], seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    row.fill_with(|| StandardNormal.sample(&mut rng));
    let norm = dot(row, row).sqrt();
    row.iter_mut().for_each(|x| *x /= norm);
}
