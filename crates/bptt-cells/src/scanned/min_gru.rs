//! Minimal gated recurrent unit.
//!
//! ```text
//! z  = σ(W_z x + b_z)
//! c  = W_h x + b_h, or g(W_h x + b_h)      the candidate
//! h' = (1 - z) ⊙ h + z ⊙ c                 a = 1 - z,  b = z ⊙ c
//! ```
//!
//! Backward:
//!
//! ```text
//! d_z = (d_b ⊙ c - d_a) ⊙ z (1 - z)
//! d_c = d_b ⊙ z ⊙ g'
//! ```
//!
//! L. Feng, F. Tung, M. O. Ahmed, Y. Bengio and H. Hajimirsadeghi, "Were RNNs all we needed?", 2024, section 3.1. `z` is
//! in their sense (`z = 0` keeps the old state).

use super::candidate::Candidate;
use super::cell::{Coefficients, ScannedCell};
use super::number::ScanNumber;

/// The minGRU cell, gates in the order `h z`. `POSITIVE`: whether the candidate is made positive, as in the paper's form
/// with logarithms.
#[derive(Clone, Copy, Debug, Default)]
pub struct MinGru<const POSITIVE: bool>;

/// The values that the backward step reads.
#[derive(Clone, Debug)]
pub struct Saved<N> {
    z: N,
    c: Candidate<N>,
}

impl<const POSITIVE: bool> ScannedCell for MinGru<POSITIVE> {
    const NAME: &'static str = "mingru";
    type Gates<N: ScanNumber> = [N; 2];
    type Constants<N: ScanNumber> = [N; 2];
    type State<N: ScanNumber> = [N; 1];
    type Saved<N: ScanNumber> = Saved<N>;

    #[inline(always)]
    fn coefficients<N: ScanNumber>(
        &self,
        [h, z]: [N; 2],
        [b_h, b_z]: &[N; 2],
    ) -> Coefficients<Self, N> {
        let z = (z + b_z).sigmoid();
        let c = Candidate::new(h + b_h, POSITIVE);
        Coefficients { a: [z.one_minus()], b: [&z * &c.value], saved: Saved { z, c } }
    }

    #[inline(always)]
    fn coefficients_backward<N: ScanNumber>(
        &self,
        Saved { z, c }: Saved<N>,
        _constants: &[N; 2],
        [d_a]: [N; 1],
        [d_b]: [N; 1],
    ) -> ([N; 2], [N; 2]) {
        let d_z = (&d_b * &c.value - d_a) * z.sigmoid_slope();
        let d_h = c.backward(d_b * z, POSITIVE);
        ([d_h.clone(), d_z.clone()], [d_h, d_z])
    }
}
