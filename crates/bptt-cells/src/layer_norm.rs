//! Layer normalisation of a row, forward and backward, for the cells that have it.
//!
//! ```text
//! μ  = mean(a)      σ² = mean((a - μ)²)      over all units of a row, and all gates that are normalised together
//! x̂  = (a - μ) / √(σ² + ε)
//!
//! d_a = (d_x̂ - mean(d_x̂) - x̂ mean(d_x̂ ⊙ x̂)) / √(σ² + ε)
//! ```
//!
//! J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization" (2016), arXiv:1607.06450.

use crate::number::Number;

/// `ε` of PyTorch and haste.
pub(crate) const EPSILON: f64 = 1e-5;

/// What is normalised together, and what its backward step needs.
pub(crate) struct Normalized<N, const G: usize> {
    /// `x̂`
    pub(crate) x: [N; G],
    /// `1 / √(σ² + ε)`, one number a row
    pub(crate) inverse: N,
}

/// The mean over all units of the row and all planes.
#[inline(always)]
fn mean_of<N: Number, const G: usize>(planes: &[N; G]) -> N {
    let mut sum = planes[0].clone();
    for plane in &planes[1..] {
        sum = sum + plane;
    }
    let mean = sum.mean();
    if G == 1 { mean } else { mean.scale(1.0 / G as f64) }
}

impl<N: Number, const G: usize> Normalized<N, G> {
    /// Normalises the planes together.
    #[inline(always)]
    pub(crate) fn of(planes: [N; G], epsilon: f64) -> Self {
        let mean = mean_of(&planes);
        let centred = planes.map(|plane| plane - &mean);
        let squares = std::array::from_fn::<_, G, _>(|g| &centred[g] * &centred[g]);
        let inverse = mean_of(&squares).inverse_sqrt(epsilon);
        Self { x: centred.map(|plane| plane * &inverse), inverse }
    }

    /// The gradient of the planes from that of `x̂`.
    #[inline(always)]
    pub(crate) fn backward(&self, d_x: [N; G]) -> [N; G] {
        let mean = mean_of(&d_x);
        let products = std::array::from_fn::<_, G, _>(|g| &d_x[g] * &self.x[g]);
        let along = mean_of(&products);
        let mut planes = self.x.iter();
        d_x.map(|d| {
            let x = planes.next().expect("one for each");
            (d - &mean - x * &along) * &self.inverse
        })
    }
}
