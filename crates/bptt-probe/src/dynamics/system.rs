//! A dynamical system in discrete time, with the derivative of its step.

use crate::dynamics::matrix::Matrix;

/// A map of a state to the next one, with its derivative.
///
/// Nothing here forms a Jacobian `J = ∂(state after) / ∂(state before)`. The step takes the state together with
/// directions, and moves both: the state by the map, each direction `q` to `J q`. So a system may compute all products
/// at once, and the cost of a step is that of a product with `1 + K` rows.
///
/// ```
/// use bptt_probe::dynamics::{Matrix, System};
///
/// /// x' = 4 x (1 - x)
/// struct Logistic;
///
/// impl System for Logistic {
///     fn size(&self) -> usize {
///         1
///     }
///
///     fn step(&mut self, _time: usize, bundle: &mut Matrix) {
///         let x = bundle.row(0)[0];
///         bundle.row_mut(0)[0] = 4.0 * x * (1.0 - x);
///         for k in 1..bundle.rows() {
///             bundle.row_mut(k)[0] *= 4.0 - 8.0 * x;
///         }
///     }
/// }
///
/// let mut point = Matrix::from_values(2, 1, vec![0.25, 1.0]);
/// Logistic.step(0, &mut point);
/// assert_eq!(point.values(), [0.75, 2.0]);
/// ```
pub trait System {
    /// The number of numbers of a state.
    fn size(&self) -> usize;

    /// One step. Row 0 of the bundle is the state, and becomes the state after the step. The other rows are directions;
    /// each is multiplied with the Jacobian at the state before the step.
    ///
    /// `time` counts the steps from 0. A driven system reads its input by it.
    fn step(&mut self, time: usize, bundle: &mut Matrix);

    /// `ln |det J|` of the step at a state. By default, the Jacobian is formed.
    fn log_det(&mut self, time: usize, state: &[f64]) -> f64 {
        log_abs_det(jacobian(self, time, state))
    }
}

/// The Jacobian of one step at a state: row `i`, column `j` is the derivative of number `i` after the step with respect
/// to number `j` before it.
pub fn jacobian<S: System + ?Sized>(system: &mut S, time: usize, state: &[f64]) -> Matrix {
    let size = system.size();
    let mut bundle = Matrix::from_fn(1 + size, size, |row, column| match row {
        0 => state[column],
        _ if row == column + 1 => 1.0,
        _ => 0.0,
    });
    system.step(time, &mut bundle);
    bundle.rows_of(1..1 + size).transposed()
}

/// `ln |det A|` by Gaussian elimination; `-∞` if the matrix is singular.
///
/// Columns with few entries come first, and rows without an entry in a column are left alone. So the columns of an
/// LSTM's memory, which have two entries each, cost nearly nothing.
///
/// # Panics
///
/// If the matrix is not square.
pub fn log_abs_det(matrix: Matrix) -> f64 {
    let size = matrix.rows();
    assert_eq!(size, matrix.columns(), "a determinant is that of a square matrix");
    let entries = |column: &usize| (0..size).filter(|&row| matrix.row(row)[*column] != 0.0).count();
    let mut order: Vec<_> = (0..size).collect();
    order.sort_by_cached_key(entries);
    let mut rows: Vec<Vec<f64>> = (0..size)
        .map(|row| order.iter().map(|&column| matrix.row(row)[column]).collect())
        .collect();
    let mut log = 0.0;
    for k in 0..size {
        let larger = |a: &usize, b: &usize| rows[*a][k].abs().total_cmp(&rows[*b][k].abs());
        let pivot = (k..size).max_by(larger).expect("a row is left");
        rows.swap(k, pivot);
        let (done, below) = rows.split_at_mut(k + 1);
        let pivot = &done[k];
        log += pivot[k].abs().ln();
        if pivot[k] == 0.0 {
            return f64::NEG_INFINITY;
        }
        for row in below.iter_mut().filter(|row| row[k] != 0.0) {
            let factor = row[k] / pivot[k];
            row[k..].iter_mut().zip(&pivot[k..]).for_each(|(x, p)| *x -= factor * p);
        }
    }
    log
}
