//! Minimal gated unit: a GRU with a single gate, which resets and updates.
//!
//! ```text
//! f  = σ(W_f x + b_f + U_f h + b_hf)
//! q  = f ⊙ h                                the gated hidden state
//! n  = tanh(W_n x + b_n + U_n q + b_hn)
//! h' = (1 - f) ⊙ h + f ⊙ n
//! ```
//!
//! Backward:
//!
//! ```text
//! d_a_n = d_h' ⊙ f ⊙ (1 - n²)
//! d_q   = U_nᵀ d_a_n                        by the layer
//! d_a_f = (d_h' ⊙ (n - h) + d_q ⊙ h) ⊙ f (1 - f)
//! d_h   = d_h' ⊙ (1 - f) + d_q ⊙ f  +  U_fᵀ d_a_f
//! ```
//!
//! G.-B. Zhou, J. Wu, C.-L. Zhang and Z.-H. Zhou, "Minimal gated unit for recurrent neural networks", International
//! Journal of Automation and Computing 13 (2016), 226–234.

use crate::cell::{AnalyticCell, Backward, Forward, GateRole, HiddenTerm, Layout, State};
use crate::components::components;
use crate::number::Number;

/// The minimal gated unit, gates in the order `f n`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mgu;

components! {
    /// The gate and the candidate: `2 H` numbers a row and step.
    pub struct Saved {
        /// The gate.
        f,
        /// The candidate.
        n,
    }
}

impl Layout for Mgu {
    const NAME: &'static str = "mgu";
    const HIDDEN_TERMS: &'static [HiddenTerm] = &[HiddenTerm::Added, HiddenTerm::Gated];
    const PROJECTABLE: bool = false;
    const GATE_ROLES: &'static [GateRole] = &[GateRole::Input, GateRole::Other];
    type Gates<N: Number> = [N; 2];
    type Separate<N: Number> = [N; 0];
    type Memory<N: Number> = [N; 0];
    type Saved<N: Number> = Saved<N>;
}

impl AnalyticCell for Mgu {
    #[inline(always)]
    fn gated_hidden<N: Number>(&self, [a_f, _]: &[N; 2], before: &State<N, [N; 0]>) -> N {
        a_f.sigmoid() * &before.hidden
    }

    #[inline(always)]
    fn step<N: Number>(
        &self,
        [a_f, a_n]: [N; 2],
        []: [N; 0],
        before: &State<N, [N; 0]>,
    ) -> Forward<Self, N> {
        let h = &before.hidden;
        let (f, n) = (a_f.sigmoid(), a_n.tanh());
        let h = f.one_minus() * h + &f * &n;
        (State { hidden: h, memory: [] }, Saved { f, n })
    }

    /// `d_gates[0]` does not have its part from `d_q` yet: [`gated_hidden_backward`](AnalyticCell::gated_hidden_backward)
    /// adds it.
    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        Saved { f, n }: Saved<N>,
        before: &State<N, [N; 0]>,
        _after: &State<N, [N; 0]>,
        State { hidden: d_h, .. }: State<N, [N; 0]>,
    ) -> Backward<Self, N> {
        let h = &before.hidden;
        let d_n = &d_h * &f * n.tanh_slope();
        let d_f = &d_h * (&n - h) * f.sigmoid_slope();
        Backward {
            d_gates: [d_f, d_n],
            d_separate: [],
            d_hidden: Some(d_h * f.one_minus()),
            d_memory: [],
        }
    }

    #[inline(always)]
    fn gated_hidden_backward<N: Number>(
        &self,
        saved: &Saved<N>,
        before: &State<N, [N; 0]>,
        d_q: N,
        Backward { d_gates: [d_f, d_n], d_separate, d_hidden, d_memory }: Backward<Self, N>,
    ) -> Backward<Self, N> {
        let d_f = d_f + &d_q * &before.hidden * saved.f.sigmoid_slope();
        let d_h = d_q * &saved.f;
        let d_hidden = match d_hidden {
            Some(direct) => Some(direct + d_h),
            None => Some(d_h),
        };
        Backward { d_gates: [d_f, d_n], d_separate, d_hidden, d_memory }
    }

    #[inline(always)]
    fn gated_hidden_of_saved<N: Number>(&self, saved: &Saved<N>, hidden_before: &N) -> N {
        &saved.f * hidden_before
    }
}
