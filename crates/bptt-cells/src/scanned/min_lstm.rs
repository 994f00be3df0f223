//! Minimal long short-term memory, with normalised gates.
//!
//! ```text
//! f  = σ(p) / (σ(p) + σ(q))                p = W_f x + b_f
//! i  = σ(q) / (σ(p) + σ(q))                q = W_i x + b_i
//! c  = W_h x + b_h, or g(W_h x + b_h)      the candidate
//! h' = f ⊙ h + i ⊙ c                       a = f,  b = i ⊙ c
//! ```
//!
//! Both sigmoids may be too small for a number, and then their quotient would be none. So `σ(p) = 1 / (1 + e^-p)` is put
//! in, and both sides are multiplied by `e^m`, with `m = min(p, q, 0)`. No exponential overflows, and at least one is 1:
//!
//! ```text
//! D = 2 e^m + e^(m-p) + e^(m-q),   f = (e^m + e^(m-q)) / D,   i = (e^m + e^(m-p)) / D
//! ```
//!
//! Backward, since `∂f/∂p = f i (1 - σ(p))` and `i (1 - σ(p)) = e^(m-p) / D`, and likewise for `q`, and `i = 1 - f`:
//!
//! ```text
//! d_p =  (d_a - d_b ⊙ c) ⊙ f ⊙ e^(m-p) / D
//! d_q = -(d_a - d_b ⊙ c) ⊙ i ⊙ e^(m-q) / D
//! d_c =  d_b ⊙ i ⊙ g'
//! ```
//!
//! L. Feng, F. Tung, M. O. Ahmed, Y. Bengio and H. Hajimirsadeghi, "Were RNNs all we needed?", 2024, section 3.2, in the
//! form whose scale does not depend on the time.

use super::candidate::Candidate;
use super::cell::{Coefficients, ScannedCell};
use super::number::ScanNumber;

/// The minLSTM cell, gates in the order `h f i`. `POSITIVE`: whether the candidate is made positive, as in the paper's
/// form with logarithms.
#[derive(Clone, Copy, Debug, Default)]
pub struct MinLstm<const POSITIVE: bool>;

/// The values that the backward step reads.
#[derive(Clone, Debug)]
pub struct Saved<N> {
    f: N,
    i: N,
    /// `e^(m-p) / D` and `e^(m-q) / D`.
    of_p: N,
    of_q: N,
    c: Candidate<N>,
}

impl<const POSITIVE: bool> ScannedCell for MinLstm<POSITIVE> {
    const NAME: &'static str = "minlstm";
    type Gates<N: ScanNumber> = [N; 3];
    type Constants<N: ScanNumber> = [N; 3];
    type State<N: ScanNumber> = [N; 1];
    type Saved<N: ScanNumber> = Saved<N>;

    #[inline(always)]
    fn coefficients<N: ScanNumber>(
        &self,
        [h, p, q]: [N; 3],
        [b_h, b_f, b_i]: &[N; 3],
    ) -> Coefficients<Self, N> {
        let (p, q) = (p + b_f, q + b_i);
        // min(p, q), and then at most zero.
        let m = (&p + (&q - &p).at_most_zero()).at_most_zero();
        let one = m.exp_negative();
        // Rounding may leave a little above zero.
        let [e_p, e_q] = [&m - p, m - q].map_to_exp();
        let (for_f, for_i) = (&one + &e_q, one + &e_p);
        let inverse = (&for_f + &for_i).recip();
        let (f, i) = (for_f * &inverse, for_i * &inverse);
        let (of_p, of_q) = (e_p * &inverse, e_q * inverse);
        let c = Candidate::new(h + b_h, POSITIVE);
        Coefficients { a: [f.clone()], b: [&i * &c.value], saved: Saved { f, i, of_p, of_q, c } }
    }

    #[inline(always)]
    fn coefficients_backward<N: ScanNumber>(
        &self,
        Saved { f, i, of_p, of_q, c }: Saved<N>,
        _constants: &[N; 3],
        [d_a]: [N; 1],
        [d_b]: [N; 1],
    ) -> ([N; 3], [N; 3]) {
        let d = d_a - &d_b * &c.value;
        let d_p = &d * f * of_p;
        let d_q = -(d * &i * of_q);
        let d_h = c.backward(d_b * i, POSITIVE);
        ([d_h.clone(), d_p.clone(), d_q.clone()], [d_h, d_p, d_q])
    }
}

/// `e^x` of both, where rounding may have left `x` above zero.
trait MapToExp<N> {
    fn map_to_exp(self) -> [N; 2];
}

impl<N: ScanNumber> MapToExp<N> for [N; 2] {
    #[inline(always)]
    fn map_to_exp(self) -> [N; 2] {
        let [p, q] = self;
        [p.at_most_zero().exp_negative(), q.at_most_zero().exp_negative()]
    }
}
