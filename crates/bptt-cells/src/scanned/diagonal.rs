//! A linear recurrence with a constant complex factor for each unit: that of the linear recurrent unit and of diagonal
//! state-space models.
//!
//! ```text
//! h' = λ h + γ v                           complex; v = B x
//! ```
//!
//! Backward, where a line over a number is its conjugate:
//!
//! ```text
//! d_λ = d_a,   d_γ = v̄ d_b,   d_v = γ̄ d_b
//! ```
//!
//! A. Orvieto et al., "Resurrecting recurrent neural networks for long sequences", ICML 2023, for the linear recurrent
//! unit; J. T. H. Smith, A. Warrington and S. W. Linderman, "Simplified state space layers for sequence modeling", ICLR
//! 2023, for S5.

use super::cell::{Coefficients, ScannedCell};
use super::linear::Linear;
use super::number::ScanNumber;

/// The cell of a complex diagonal recurrence: gates `re im` of `v`, constants `λ_re λ_im γ_re γ_im`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Diagonal;

impl ScannedCell for Diagonal {
    const NAME: &'static str = "diagonal";
    type Gates<N: ScanNumber> = [N; 2];
    type Constants<N: ScanNumber> = [N; 4];
    type State<N: ScanNumber> = [N; 2];
    type Saved<N: ScanNumber> = [N; 2];

    #[inline(always)]
    fn coefficients<N: ScanNumber>(
        &self,
        v: [N; 2],
        [l_re, l_im, g_re, g_im]: &[N; 4],
    ) -> Coefficients<Self, N> {
        let b = [g_re.clone(), g_im.clone()].times(&v);
        Coefficients { a: [l_re.clone(), l_im.clone()], b, saved: v }
    }

    #[inline(always)]
    fn coefficients_backward<N: ScanNumber>(
        &self,
        v: [N; 2],
        [_, _, g_re, g_im]: &[N; 4],
        [d_re, d_im]: [N; 2],
        d_b: [N; 2],
    ) -> ([N; 2], [N; 4]) {
        let [dg_re, dg_im] = v.times_backward(&d_b);
        let d_v = [g_re.clone(), g_im.clone()].times_backward(&d_b);
        (d_v, [d_re, d_im, dg_re, dg_im])
    }
}
