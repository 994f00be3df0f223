//! Eigenvalues and eigenvectors of a symmetric tridiagonal matrix.

/// How often a value is iterated at most. Two or three times are usual.
const MOST: usize = 60;

/// An eigenvalue with its eigenvector of length 1.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) value: f64,
    pub(super) vector: Vec<f64>,
}

/// All eigenvalues in ascending order, with their eigenvectors, by the QL algorithm with implicit shifts.
///
/// # Arguments
///
/// - `diagonal`: `n` entries
/// - `off`: the `n - 1` entries beside the diagonal; further entries are ignored
///
/// B. N. Parlett, "The symmetric eigenvalue problem", Prentice-Hall, 1980, chapter 8.
pub(super) fn eigen(diagonal: &[f64], off: &[f64]) -> Vec<Pair> {
    let n = diagonal.len();
    let mut d = diagonal.to_vec();
    let mut e: Vec<f64> = off.iter().copied().take(n.saturating_sub(1)).collect();
    e.push(0.0);
    // Row `i` is the vector of value `i`.
    let unit = |i: usize| (0..n).map(|k| f64::from(k == i)).collect();
    let mut vectors: Vec<Vec<f64>> = (0..n).map(unit).collect();
    for first in 0..n {
        for _ in 0..MOST {
            let small = |m: &usize| e[*m].abs() <= f64::EPSILON * (d[*m].abs() + d[*m + 1].abs());
            let last = (first..n - 1).find(small).unwrap_or(n - 1);
            if last == first {
                break;
            }
            sweep(&mut d, &mut e, &mut vectors, first, last);
        }
    }
    let pairs = d.into_iter().zip(vectors).map(|(value, vector)| Pair { value, vector });
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_by(|a, b| a.value.total_cmp(&b.value));
    pairs
}

/// One step of the algorithm on the block of rows `first` to `last`: a shift, and rotations from the bottom up.
fn sweep(d: &mut [f64], e: &mut [f64], vectors: &mut [Vec<f64>], first: usize, last: usize) {
    let ratio = (d[first + 1] - d[first]) / (2.0 * e[first]);
    let shift = e[first] / (ratio + ratio.hypot(1.0).copysign(ratio));
    let mut g = d[last] - d[first] + shift;
    let (mut sine, mut cosine, mut p) = (1.0, 1.0, 0.0);
    for i in (first..last).rev() {
        let (f, b) = (sine * e[i], cosine * e[i]);
        let r = f.hypot(g);
        e[i + 1] = r;
        if r == 0.0 {
            // The block has split.
            d[i + 1] -= p;
            e[last] = 0.0;
            return;
        }
        (sine, cosine) = (f / r, g / r);
        g = d[i + 1] - p;
        let r = (d[i] - g) * sine + 2.0 * cosine * b;
        p = sine * r;
        d[i + 1] = g + p;
        g = cosine * r - b;
        let (low, high) = vectors.split_at_mut(i + 1);
        for (a, b) in low[i].iter_mut().zip(&mut high[0]) {
            (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
        }
    }
    d[first] -= p;
    e[first] = g;
    e[last] = 0.0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// The second difference: its eigenvalues are `2 - 2 cos(k π / (n + 1))`.
    #[test]
    fn the_second_difference_has_its_known_spectrum() {
        for n in [1, 2, 3, 10, 61] {
            let pairs = eigen(&vec![2.0; n], &vec![-1.0; n - 1]);
            for (k, pair) in pairs.iter().enumerate() {
                let expected = 2.0 - 2.0 * ((k + 1) as f64 * PI / (n + 1) as f64).cos();
                assert!((pair.value - expected).abs() < 1e-13, "{n}: {} {expected}", pair.value);
                for i in 0..n {
                    let v = &pair.vector;
                    let beside =
                        |i: Option<usize>| i.and_then(|i| v.get(i)).copied().unwrap_or(0.0);
                    let product = 2.0 * v[i] - beside(i.checked_sub(1)) - beside(Some(i + 1));
                    assert!((product - pair.value * v[i]).abs() < 1e-13, "{n}, {k}, {i}");
                }
            }
        }
    }

    #[test]
    fn split_equal_and_zero_entries_do_no_harm() {
        let values = |d: &[f64], e: &[f64]| -> Vec<f64> {
            eigen(d, e).into_iter().map(|pair| pair.value).collect()
        };
        assert_eq!(values(&[3.0, 1.0, 2.0], &[0.0, 0.0]), [1.0, 2.0, 3.0]);
        assert_eq!(values(&[0.0, 0.0], &[0.0]), [0.0, 0.0]);
        let found = values(&[0.0, 0.0, 5.0, 5.0], &[1.0, 0.0, 1e-30]);
        for (found, expected) in found.iter().zip([-1.0, 1.0, 5.0, 5.0]) {
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
        assert!(values(&[f64::NAN, 1.0], &[1.0]).iter().any(|value| value.is_nan()));
    }
}
