//! Random orthogonal matrices.

use burn::Tensor;
use burn::tensor::{Device, Distribution};

/// A random matrix `[rows, columns]`, row by row, with orthonormal rows, or orthonormal columns if it has more rows than
/// columns. A square matrix has the distribution of Haar: all orthogonal matrices are equally likely.
///
/// It is what Gram and Schmidt make of normal random numbers, which the device draws (F. Mezzadri, "How to generate
/// random matrices from the classical compact groups", Notices of the AMS 54 (2007)). Burn's own initialiser takes as
/// many tensor operations as there are columns, and is orthogonal to the rounding of the device's type; here the
/// products are in f64 in host memory, so that only the result is rounded.
pub(super) fn orthogonal(rows: usize, columns: usize, device: &Device) -> Vec<f64> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let normal = Distribution::Normal(0.0, 1.0);
    let drawn = Tensor::<2>::random([count, length], normal, device);
    let mut vectors: Vec<f64> = drawn.into_data().iter().collect();
    orthonormalise(&mut vectors, length);
    if rows <= columns {
        return vectors;
    }
    let of_row = |row| (0..count).map(move |column| column * length + row);
    (0..length).flat_map(of_row).map(|index| vectors[index]).collect()
}

/// Makes vectors of one length, one after the other, orthonormal. Each component is subtracted twice, after which the
/// vectors are orthogonal to rounding.
fn orthonormalise(vectors: &mut [f64], length: usize) {
    for first in (0..vectors.len()).step_by(length) {
        let (before, rest) = vectors.split_at_mut(first);
        let this = &mut rest[..length];
        for _ in 0..2 {
            for other in before.chunks_exact(length) {
                let along = dot(this, other);
                this.iter_mut().zip(other).for_each(|(x, y)| *x -= along * y);
            }
        }
        let norm = dot(this, this).sqrt();
        this.iter_mut().for_each(|x| *x /= norm);
    }
}

/// In eight sums, so that the compiler may use a register for them.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(x, y)| x * y).sum();
    for (a, b) in a.zip(b) {
        for (sum, (x, y)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f64>() + rest
}
