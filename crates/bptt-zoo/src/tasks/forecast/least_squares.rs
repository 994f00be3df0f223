//! Linear least squares, for the linear autoregressions of a forecast.
//!
//! A library for this (nalgebra, faer) takes longer to compile than all of this crate; the normal equations and a
//! Cholesky factorisation are 60 lines.

/// The sums of a least squares problem over its rows, from which any part of the rows can be taken away again.
#[derive(Clone, Debug)]
pub(crate) struct Normal {
    width: usize,
    /// `[L·L]`, the lower triangle of the sum of `row · rowᵀ`.
    gram: Vec<f64>,
    /// `[K][L]`, the sums of `value · row`.
    right: Vec<Vec<f64>>,
}

impl Normal {
    /// Of no rows yet, of `width` numbers, with `outputs` values each.
    pub(crate) fn new(width: usize, outputs: usize) -> Self {
        Self { width, gram: vec![0.0; width * width], right: vec![vec![0.0; width]; outputs] }
    }

    pub(crate) fn add(&mut self, row: &[f64], values: &[f64]) {
        let width = self.width;
        for (i, a) in row.iter().enumerate() {
            for (sum, b) in self.gram[i * width..i * width + i + 1].iter_mut().zip(row) {
                *sum += a * b;
            }
        }
        for (right, value) in self.right.iter_mut().zip(values) {
            right.iter_mut().zip(row).for_each(|(sum, a)| *sum += a * value);
        }
    }

    /// Takes the rows of another one too.
    pub(crate) fn plus(&mut self, other: &Self) {
        let add = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        add(&mut self.gram, &other.gram);
        self.right.iter_mut().zip(&other.right).for_each(|(a, b)| add(a, b));
    }

    /// Without the rows of another one.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        let less = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        let right = self.right.iter().zip(&other.right).map(|(a, b)| less(a, b)).collect();
        Self { width: self.width, gram: less(&self.gram, &other.gram), right }
    }

    /// The mean of the diagonal.
    pub(crate) fn size(&self) -> f64 {
        (0..self.width).map(|i| self.gram[i * self.width + i]).sum::<f64>() / self.width as f64
    }

    /// The weights `[K][L]` that minimise the sum of the squared errors and of `ridge[i]` times the square of weight `i`.
    /// `None`: there are none, or they are not finite.
    pub(crate) fn solve(&self, ridge: &[f64]) -> Option<Vec<Vec<f64>>> {
        let width = self.width;
        let (mut gram, mut solution) = (self.gram.clone(), self.right.clone());
        ridge.iter().enumerate().for_each(|(i, ridge)| gram[i * width + i] += ridge);
        // The lower triangle becomes the factor L of the Gram matrix L·Lᵀ.
        for i in 0..width {
            for j in 0..=i {
                let of = |row: usize| &gram[row * width..row * width + j];
                let dot: f64 = of(i).iter().zip(of(j)).map(|(a, b)| a * b).sum();
                let rest = gram[i * width + j] - dot;
                gram[i * width + j] = match i == j {
                    true if rest > 0.0 => rest.sqrt(),
                    true => return None,
                    false => rest / gram[j * width + j],
                };
            }
        }
        for x in &mut solution {
            for i in 0..width {
                let dot: f64 = (0..i).map(|k| gram[i * width + k] * x[k]).sum();
                x[i] = (x[i] - dot) / gram[i * width + i];
            }
            for i in (0..width).rev() {
                let dot: f64 = (i + 1..width).map(|k| gram[k * width + i] * x[k]).sum();
                x[i] = (x[i] - dot) / gram[i * width + i];
            }
        }
        solution.iter().flatten().all(|weight| weight.is_finite()).then_some(solution)
    }
}

/// The weights `[K][L]` that minimise the squared errors of `rows · weights` for `values`, with a very small ridge, which
/// keeps columns that are nearly the same apart. `None`: there are no rows, or their numbers are not finite.
///
/// # Arguments
///
/// - `rows`: `[N][L]`
/// - `values`: `[N][K]`
pub(crate) fn least_squares(rows: &[Vec<f64>], values: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    const RIDGE: f64 = 1e-8;
    let mut sums = Normal::new(rows.first()?.len(), values.first()?.len());
    rows.iter().zip(values).for_each(|(row, values)| sums.add(row, values));
    sums.solve(&vec![RIDGE * sums.size(); sums.width])
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
