//! Linear least squares, for the baseline of a forecast.
//!
//! A library for this (nalgebra, faer) takes longer to compile than all of this crate; the normal equations and a
//! Cholesky factorisation are 40 lines.

/// The weights `[K][L]` that minimise the squared errors of `rows · weights` for `values`, with a very small ridge, which
/// keeps columns that are nearly the same apart. `None`: there are no rows, or their numbers are not finite.
///
/// # Arguments
///
/// - `rows`: `[N][L]`
/// - `values`: `[N][K]`
pub(crate) fn least_squares(rows: &[Vec<f64>], values: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    const RIDGE: f64 = 1e-8;
    let (width, outputs) = (rows.first()?.len(), values.first()?.len());
    let mut gram = vec![0.0; width * width];
    let mut right = vec![vec![0.0; width]; outputs];
    for (row, values) in rows.iter().zip(values) {
        for (i, a) in row.iter().enumerate() {
            for (sum, b) in gram[i * width..i * width + i + 1].iter_mut().zip(row) {
                *sum += a * b;
            }
        }
        for (right, value) in right.iter_mut().zip(values) {
            right.iter_mut().zip(row).for_each(|(sum, a)| *sum += a * value);
        }
    }
    let mean = (0..width).map(|i| gram[i * width + i]).sum::<f64>() / width as f64;
    (0..width).for_each(|i| gram[i * width + i] += RIDGE * mean);
    // The lower triangle becomes the factor L of the Gram matrix L·Lᵀ.
    for i in 0..width {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| gram[i * width + k] * gram[j * width + k]).sum();
            let rest = gram[i * width + j] - dot;
            gram[i * width + j] = match i == j {
                true if rest > 0.0 => rest.sqrt(),
                true => return None,
                false => rest / gram[j * width + j],
            };
        }
    }
    for x in &mut right {
        for i in 0..width {
            let dot: f64 = (0..i).map(|k| gram[i * width + k] * x[k]).sum();
            x[i] = (x[i] - dot) / gram[i * width + i];
        }
        for i in (0..width).rev() {
            let dot: f64 = (i + 1..width).map(|k| gram[k * width + i] * x[k]).sum();
            x[i] = (x[i] - dot) / gram[i * width + i];
        }
    }
    right.iter().flatten().all(|weight| weight.is_finite()).then_some(right)
}

#[cfg(test)]
mod tests {
    use super::least_squares;

    #[test]
    fn weights_are_found_again() {
        let number = |n: usize| ((n * n * 7919 + n * 104_729) % 1009) as f64 / 1009.0;
        let rows: Vec<Vec<f64>> =
            (0..60).map(|n| vec![number(n), number(n + 100), number(n + 200), 1.0]).collect();
        let weights = [[0.5, -2.0, 3.0, 7.0], [1.0, 0.0, -1.0, 0.25]];
        let dot =
            |row: &[f64], weights: &[f64; 4]| row.iter().zip(weights).map(|(a, b)| a * b).sum();
        let values: Vec<Vec<f64>> =
            rows.iter().map(|row| weights.iter().map(|one| dot(row, one)).collect()).collect();
        let found = least_squares(&rows, &values).unwrap();
        for (found, expected) in found.iter().zip(&weights) {
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < 1e-5, "{found:?}");
            }
        }
        // Columns that are the same share the weight.
        let rows: Vec<Vec<f64>> = (0..9).map(|n| vec![number(n), number(n)]).collect();
        let values: Vec<Vec<f64>> = (0..9).map(|n| vec![2.0 * number(n)]).collect();
        let found = least_squares(&rows, &values).unwrap();
        assert!((found[0][0] - 1.0).abs() < 1e-4 && (found[0][1] - 1.0).abs() < 1e-4, "{found:?}");
        assert_eq!(least_squares(&[], &[]), None);
        assert_eq!(least_squares(&[vec![f64::NAN]], &[vec![1.0]]), None);
    }
}
