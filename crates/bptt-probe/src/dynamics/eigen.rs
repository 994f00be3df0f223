//! Eigenvalues of a matrix, by Francis's method.

use crate::dynamics::matrix::Matrix;
use crate::dynamics::reflector::Reflector;

/// The eigenvalues `(re, im)` of a square matrix, those of the largest modulus first.
///
/// Reflections bring the matrix into Hessenberg form. Then double shifts chase a bulge along the diagonal until it falls
/// apart into blocks of one or two rows. Every operation is a reflection, so the eigenvalues are those of a matrix that
/// differs by rounding. At `N = 1000` it takes about a second.
///
/// J. G. F. Francis, "The QR transformation", The Computer Journal 4 (1961), 265–271 and (1962), 332–345; G. H. Golub and
/// C. F. Van Loan, "Matrix computations", 4th edition (2013), 7.4 and 7.5.
///
/// # Errors
///
/// One line, if the iteration does not converge, or if an entry is not finite.
///
/// # Panics
///
/// If the matrix is not square.
pub fn eigenvalues(matrix: &Matrix) -> Result<Vec<(f64, f64)>, String> {
    assert_eq!(matrix.rows(), matrix.columns(), "eigenvalues are those of a square matrix");
    if !matrix.values().iter().all(|x| x.is_finite()) {
        return Err("eigenvalues of a matrix with an entry that is not finite".into());
    }
    let mut h = hessenberg(matrix.clone());
    let mut values = Vec::with_capacity(h.rows());
    let size = h.values().iter().map(|x| x * x).sum::<f64>().sqrt();
    let mut end = h.rows();
    let mut sweeps = 0;
    while end > 0 {
        let start = last_block(&h, end, size);
        match end - start {
            1 => values.push((h.row(start)[start], 0.0)),
            2 => {
                let [a, b] = [h.row(start)[start], h.row(start)[start + 1]];
                let [c, d] = [h.row(start + 1)[start], h.row(start + 1)[start + 1]];
                values.extend(of_two_rows(a, b, c, d));
            }
            _ if sweeps == MOST_SWEEPS => {
                return Err(format!("eigenvalues: no convergence after {sweeps} sweeps"));
            }
            _ => {
                sweeps += 1;
                sweep(&mut h, start, end, sweeps);
                continue;
            }
        }
        end = start;
        sweeps = 0;
    }
    let modulus = |z: &(f64, f64)| z.0.hypot(z.1);
    // Where the moduli of two are equal, as in conjugate pairs, the order is still that of every run.
    values.sort_by(|a, b| {
        modulus(b).total_cmp(&modulus(a)).then(b.0.total_cmp(&a.0)).then(b.1.total_cmp(&a.1))
    });
    Ok(values)
}

/// For one eigenvalue; two or three are usual.
const MOST_SWEEPS: usize = 60;

/// A matrix with the same eigenvalues, and zeros below its first subdiagonal.
fn hessenberg(mut matrix: Matrix) -> Matrix {
    for k in 0..matrix.rows().saturating_sub(2) {
        let below: Vec<_> = (k + 1..matrix.rows()).map(|row| matrix.row(row)[k]).collect();
        if let Some(reflector) = Reflector::of(&below) {
            reflector.apply_left(&mut matrix, k + 1, k);
            reflector.apply_right(&mut matrix, k + 1, 0);
        }
        for row in k + 2..matrix.rows() {
            matrix.row_mut(row)[k] = 0.0;
        }
    }
    matrix
}

/// Where the block that ends before `end` starts: above it, the subdiagonal is zero to rounding, or to a rounding of the
/// rounding of the whole matrix, of this size (beside a diagonal of zeros, nothing is zero to rounding).
fn last_block(h: &Matrix, end: usize, size: f64) -> usize {
    let is_split = |row: &usize| {
        let (above, here) = (h.row(row - 1)[row - 1].abs(), h.row(*row)[*row].abs());
        h.row(*row)[row - 1].abs() <= f64::EPSILON * (above + here).max(f64::EPSILON * size)
    };
    (1..end).rev().find(is_split).unwrap_or(0)
}

/// The eigenvalues of `[a b; c d]`.
fn of_two_rows(a: f64, b: f64, c: f64, d: f64) -> [(f64, f64); 2] {
    let half = 0.5 * (a - d);
    let square = half * half + b * c;
    if square < 0.0 {
        let imaginary = (-square).sqrt();
        return [(d + half, imaginary), (d + half, -imaginary)];
    }
    // The larger root of λ² - 2 half λ - b c first, so that nothing cancels.
    let root = half + square.sqrt().copysign(half);
    let other = if root == 0.0 { d } else { d - b * c / root };
    [(d + root, 0.0), (other, 0.0)]
}

/// One step of the double-shift iteration on the block of the rows from `start` to `end`, of at least three.
fn sweep(h: &mut Matrix, start: usize, end: usize, count: usize) {
    let at = |row: usize, column: usize| h.row(row)[column];
    let (p, q) = (end - 2, end - 1);
    let (sum, product) = match count % 10 {
        // Now and then another shift, in case that the usual one goes round in circles.
        0 => {
            let size = at(q, p).abs() + at(p, p - 1).abs();
            (1.5 * size, size * size)
        }
        _ => (at(p, p) + at(q, q), at(p, p) * at(q, q) - at(p, q) * at(q, p)),
    };
    // The first column of (H - s₁)(H - s₂), of which the shifts s₁ and s₂ have this sum and product.
    let (a, b, c, d) =
        (at(start, start), at(start, start + 1), at(start + 1, start), at(start + 1, start + 1));
    let mut bulge =
        [a * a + b * c - sum * a + product, c * (a + d - sum), c * at(start + 2, start + 1)];
    for k in start..end - 1 {
        let rows = 3.min(end - k);
        if k > start {
            bulge = std::array::from_fn(|i| if i < rows { h.row(k + i)[k - 1] } else { 0.0 });
        }
        let columns = k.saturating_sub(1).max(start)..end;
        reflect(h, bulge, k, rows, columns, start..end.min(k + 4));
        if k > start {
            (1..rows).for_each(|i| h.row_mut(k + i)[k - 1] = 0.0);
        }
    }
}

/// Reflects two or three rows from `k` on, in the given columns, and the columns of the same numbers, in the given rows.
fn reflect(
    h: &mut Matrix,
    x: [f64; 3],
    k: usize,
    count: usize,
    columns: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
) {
    let scale = x.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    if scale == 0.0 {
        return;
    }
    let x = x.map(|x| x / scale);
    let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let first = x[0] + norm.copysign(x[0]);
    let (v, w) = (x[1] / first, x[2] / first);
    let beta = 2.0 / (1.0 + v * v + w * w);
    if count == 3 {
        let [a, b, c] = h.three_rows(k);
        let entries = a[columns.clone()].iter_mut().zip(&mut b[columns.clone()]);
        for ((a, b), c) in entries.zip(&mut c[columns]) {
            let sum = beta * (*a + v * *b + w * *c);
            (*a, *b, *c) = (*a - sum, *b - sum * v, *c - sum * w);
        }
    } else {
        for column in columns {
            let (a, b) = (h.row(k)[column], h.row(k + 1)[column]);
            let sum = beta * (a + v * b);
            h.row_mut(k)[column] = a - sum;
            h.row_mut(k + 1)[column] = b - sum * v;
        }
    }
    for row in rows {
        let row = &mut h.row_mut(row)[k..k + count];
        let sum = beta * (row[0] + v * row[1] + if count == 3 { w * row[2] } else { 0.0 });
        row[0] -= sum;
        row[1] -= sum * v;
        if let Some(last) = row.get_mut(2) {
            *last -= sum * w;
        }
    }
}
