//! QR by Gram and Schmidt: what a block of directions becomes between two measurements of their growth.

use crate::dynamics::matrix::{Matrix, add_scaled, dot, subtract_projections};
use burn::tensor::Device;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

/// How many rows are made orthogonal one by one; those before them are subtracted from all of them by two products.
const PANEL: usize = 16;

/// A row of which no more than this is left lies among the rows before it: what is left is rounding.
const LOST: f64 = 1e-14;

/// Makes the rows orthonormal, in their order, and returns `ln r_ii` of each: the logarithm of what is left of the row
/// without its components along the rows before it. A row of which nothing is left, to rounding, has `-∞`, and any
/// direction takes its place.
///
/// Every component is subtracted twice. After that, the rows are orthogonal to rounding (L. Giraud, J. Langou,
/// M. Rozložník, J. van den Eshof, "Rounding error analysis of the classical Gram-Schmidt orthogonalization process",
/// Numerische Mathematik 101 (2005), 87–100). That does not hold for a row of rounding errors, which would spoil those
/// after it, too.
pub fn orthonormalise(rows: &mut Matrix, device: &Device) -> Vec<f64> {
    let mut logs = vec![0.0; rows.rows()];
    for first in (0..rows.rows()).step_by(PANEL) {
        let count = PANEL.min(rows.rows() - first);
        let before = rows.rows_of(0..first);
        let mut panel = rows.rows_of(first..first + count);
        for _ in 0..2 {
            let norms: Vec<_> = (0..count).map(|row| norm(panel.row(row))).collect();
            if first > 0 {
                subtract_projections(&mut panel, &before, device);
            }
            for row in 0..count {
                let left = subtract_earlier(&mut panel, row);
                if left <= LOST * norms[row] {
                    logs[first + row] = f64::NEG_INFINITY;
                    any_direction(&before, &mut panel, row);
                } else {
                    logs[first + row] += left.ln();
                    panel.row_mut(row).iter_mut().for_each(|x| *x /= left);
                }
            }
        }
        for row in 0..count {
            rows.row_mut(first + row).copy_from_slice(panel.row(row));
        }
    }
    logs
}

/// Subtracts from a row its components along the rows before it, and returns the norm of what is left.
fn subtract_earlier(panel: &mut Matrix, row: usize) -> f64 {
    for before in 0..row {
        let (this, before) = panel.row_pair(row, before);
        add_scaled(this, -dot(this, before), before);
    }
    norm(panel.row(row))
}

/// A direction for a row of which nothing is left, the same in every run, orthogonal to all rows before it.
fn any_direction(before: &Matrix, panel: &mut Matrix, row: usize) {
    let mut rng = StdRng::seed_from_u64((before.rows() + row) as u64);
    panel.row_mut(row).fill_with(|| StandardNormal.sample(&mut rng));
    for _ in 0..3 {
        let this = panel.row_mut(row);
        for before in (0..before.rows()).map(|row| before.row(row)) {
            add_scaled(this, -dot(this, before), before);
        }
        let norm = subtract_earlier(panel, row);
        panel.row_mut(row).iter_mut().for_each(|x| *x /= norm);
    }
}

fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}
