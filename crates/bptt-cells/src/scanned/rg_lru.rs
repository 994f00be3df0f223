//! Real-gated linear recurrent unit.
//!
//! ```text
//! r  = σ(W_r x + b_r)                      the recurrence gate
//! i  = σ(W_i x + b_i)                      the input gate
//! a  = e^(-s r)                            s = c softplus(Λ) > 0: `a` is between 0 and 1
//! h' = a ⊙ h + √(1 - a²) ⊙ (i ⊙ x)
//! ```
//!
//! Backward, with `m = √(1 - a²)` and `l = -s r = log a`:
//!
//! ```text
//! d_l = d_a ⊙ a - d_b ⊙ i ⊙ x ⊙ a² / m
//! d_s = -d_l ⊙ r
//! d_r = -d_l ⊙ s ⊙ r (1 - r)
//! d_i = d_b ⊙ m ⊙ x ⊙ i (1 - i)
//! d_x = d_b ⊙ m ⊙ i
//! ```
//!
//! `1 - a²` is computed as `1 - e^(2l)`, which is exact also where `a` is near 1. Where `r` is so small that `a` is 1, the
//! root is that of a tiny number in place of zero ([`TINY`](super::TINY)), so that `1 / m` is finite and `d_r` is zero.
//!
//! S. De et al., "Griffin: mixing gated linear recurrences with local attention for efficient language models", 2024,
//! section 2.4.

use super::cell::{Coefficients, ScannedCell};
use super::number::ScanNumber;

/// The RG-LRU cell: gates in the order `r i x`, constants `s b_r b_i`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RgLru;

/// The values that the backward step reads.
#[derive(Clone, Debug)]
pub struct Saved<N> {
    r: N,
    i: N,
    x: N,
    a: N,
    m: N,
}

impl ScannedCell for RgLru {
    const NAME: &'static str = "rg-lru";
    type Gates<N: ScanNumber> = [N; 3];
    type Constants<N: ScanNumber> = [N; 3];
    type State<N: ScanNumber> = [N; 1];
    type Saved<N: ScanNumber> = Saved<N>;

    #[inline(always)]
    fn coefficients<N: ScanNumber>(
        &self,
        [r, i, x]: [N; 3],
        [s, b_r, b_i]: &[N; 3],
    ) -> Coefficients<Self, N> {
        let (r, i) = ((r + b_r).sigmoid(), (i + b_i).sigmoid());
        let l = -(s * &r);
        let a = l.exp_negative();
        let m = (&l + &l).one_minus_exp().sqrt();
        let b = &m * &i * &x;
        Coefficients { a: [a.clone()], b: [b], saved: Saved { r, i, x, a, m } }
    }

    #[inline(always)]
    fn coefficients_backward<N: ScanNumber>(
        &self,
        Saved { r, i, x, a, m }: Saved<N>,
        [s, _, _]: &[N; 3],
        [d_a]: [N; 1],
        [d_b]: [N; 1],
    ) -> ([N; 3], [N; 3]) {
        let d_l = (d_a - &d_b * &i * &x * &a * m.recip()) * &a;
        let d_s = -(&d_l * &r);
        let d_r = -(d_l * s * r.sigmoid_slope());
        let d_scaled = d_b * m;
        let d_i = &d_scaled * x * i.sigmoid_slope();
        let d_x = d_scaled * i;
        ([d_r.clone(), d_i.clone(), d_x], [d_s, d_r, d_i])
    }
}
