//! Singular values of a matrix.

use crate::dynamics::matrix::Matrix;
use crate::dynamics::reflector::Reflector;

/// The singular values of a matrix, in descending order.
///
/// Reflections from both sides leave a diagonal `d` and the superdiagonal `e`. Their singular values are the positive
/// eigenvalues of the tridiagonal matrix with `d_1, e_1, d_2, e_2, …` beside a diagonal of zeros, and bisection finds
/// each of them by counting (Sturm).
///
/// G. Golub and W. Kahan, "Calculating the singular values and pseudo-inverse of a matrix", SIAM Journal on Numerical
/// Analysis B 2 (1965), 205–224.
///
/// # Errors
///
/// One line, if an entry is not finite.
pub fn singular_values(matrix: &Matrix) -> Result<Vec<f64>, String> {
    if !matrix.values().iter().all(|x| x.is_finite()) {
        return Err("singular values of a matrix with an entry that is not finite".into());
    }
    let wide = matrix.rows() < matrix.columns();
    let squares: Vec<f64> = bidiagonal(if wide { matrix.transposed() } else { matrix.clone() });
    let size = squares.len().div_ceil(2);
    // No eigenvalue of the tridiagonal matrix is larger than the largest sum of two neighbours.
    let sums = squares.iter().zip(squares.iter().skip(1).chain([&0.0]));
    let most = sums.map(|(a, b)| a.sqrt() + b.sqrt()).fold(0.0, f64::max);
    let value = |rank: usize| {
        let (mut low, mut high) = (0.0, most);
        while high - low > 2.0 * f64::EPSILON * high + f64::EPSILON * f64::EPSILON * most {
            let middle = 0.5 * (low + high);
            if smaller(&squares, middle) + rank >= size { high = middle } else { low = middle }
        }
        0.5 * (low + high)
    };
    Ok((0..size).map(value).collect())
}

/// `d_1², e_1², d_2², e_2², …` of a matrix with at least as many rows as columns.
fn bidiagonal(mut matrix: Matrix) -> Vec<f64> {
    let (rows, columns) = (matrix.rows(), matrix.columns());
    let mut squares = Vec::with_capacity(2 * columns);
    for k in 0..columns {
        let column: Vec<_> = (k..rows).map(|row| matrix.row(row)[k]).collect();
        if let Some(reflector) = Reflector::of(&column) {
            reflector.apply_left(&mut matrix, k, k);
        }
        squares.push(matrix.row(k)[k].powi(2));
        if k + 1 < columns {
            if let Some(reflector) = Reflector::of(&matrix.row(k)[k + 1..]) {
                reflector.apply_right(&mut matrix, k + 1, k);
            }
            squares.push(matrix.row(k)[k + 1].powi(2));
        }
    }
    squares
}

/// How many singular values are smaller than `x > 0`.
fn smaller(squares: &[f64], x: f64) -> usize {
    let mut pivot = -x;
    let mut negative = 1;
    for square in squares {
        // A pivot of zero would divide by zero; the smallest number in its place moves no eigenvalue by more.
        let divisor = if pivot == 0.0 { f64::MIN_POSITIVE } else { pivot };
        pivot = -x - square / divisor;
        negative += usize::from(pivot < 0.0);
    }
    // Half of the eigenvalues are negative, and smaller as well.
    negative - squares.len().div_ceil(2)
}
