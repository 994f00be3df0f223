//! Gated recurrent unit with the reset gate before the recurrent product (Cho 2014).
//!
//! ```text
//! r  = σ(W_r x + b_r + U_r h + b_hr)
//! z  = σ(W_z x + b_z + U_z h + b_hz)
//! q  = r ⊙ h                                the gated hidden state
//! n  = tanh(W_n x + b_n + U_n q + b_hn)
//! h' = (1 - z) ⊙ n + z ⊙ h
//! ```
//!
//! Backward:
//!
//! ```text
//! d_a_n = d_h' ⊙ (1 - z) ⊙ (1 - n²)
//! d_a_z = d_h' ⊙ (h - n) ⊙ z (1 - z)
//! d_q   = U_nᵀ d_a_n                        by the layer
//! d_a_r = d_q ⊙ h ⊙ r (1 - r)
//! d_h   = d_h' ⊙ z + d_q ⊙ r  +  U_rᵀ d_a_r + U_zᵀ d_a_z
//! ```
//!
//! K. Cho et al., "Learning phrase representations using RNN encoder–decoder for statistical
//! machine translation", EMNLP 2014, with `z` in PyTorch's sense (`z = 1` keeps the old state).

use crate::cell::{AnalyticCell, Backward, Forward, GateRole, HiddenTerm, Layout, State};
use crate::components::components;
use crate::number::Number;

/// The GRU cell with the reset before the product, gates in PyTorch's order `r z n`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GruResetBefore;

components! {
    /// The gates: `3 H` numbers a row and step.
    pub struct Saved {
        /// The reset gate.
        r,
        /// The update gate.
        z,
        /// The candidate.
        n,
    }
}

impl Layout for GruResetBefore {
    const NAME: &'static str = "gru-reset-before";
    const HIDDEN_TERMS: &'static [HiddenTerm] =
        &[HiddenTerm::Added, HiddenTerm::Added, HiddenTerm::Gated];
    const GATE_ROLES: &'static [GateRole] = &[GateRole::Other, GateRole::Forget, GateRole::Other];
    const PROJECTABLE: bool = false;
    type Gates<N: Number> = [N; 3];
    type Separate<N: Number> = [N; 0];
    type Memory<N: Number> = [N; 0];
    type Saved<N: Number> = Saved<N>;
}

impl AnalyticCell for GruResetBefore {
    #[inline(always)]
    fn gated_hidden<N: Number>(&self, [a_r, _, _]: &[N; 3], before: &State<N, [N; 0]>) -> N {
        a_r.sigmoid() * &before.hidden
    }

    #[inline(always)]
    fn step<N: Number>(
        &self,
        [a_r, a_z, a_n]: [N; 3],
        []: [N; 0],
        before: &State<N, [N; 0]>,
    ) -> Forward<Self, N> {
        let h = &before.hidden;
        let (r, z, n) = (a_r.sigmoid(), a_z.sigmoid(), a_n.tanh());
        let h = z.one_minus() * &n + &z * h;
        (State { hidden: h, memory: [] }, Saved { r, z, n })
    }

    /// `d_gates[0]` does not have its last factor yet. This factor is `d_q`, which the layer computes later by a
    /// product. Then [`gated_hidden_backward`](AnalyticCell::gated_hidden_backward) multiplies it in.
    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        Saved { r, z, n }: Saved<N>,
        before: &State<N, [N; 0]>,
        _after: &State<N, [N; 0]>,
        State { hidden: d_h, .. }: State<N, [N; 0]>,
    ) -> Backward<Self, N> {
        let h = &before.hidden;
        let d_n = &d_h * z.one_minus() * n.tanh_slope();
        let d_z = &d_h * (h - n) * z.sigmoid_slope();
        let r_by_q = h * r.sigmoid_slope();
        Backward {
            d_gates: [r_by_q, d_z, d_n],
            d_separate: [],
            d_hidden: Some(d_h * z),
            d_memory: [],
        }
    }

    #[inline(always)]
    fn gated_hidden_backward<N: Number>(
        &self,
        saved: &Saved<N>,
        _before: &State<N, [N; 0]>,
        d_q: N,
        Backward { d_gates: [r_by_q, d_z, d_n], d_separate, d_hidden, d_memory }: Backward<Self, N>,
    ) -> Backward<Self, N> {
        let d_r = &d_q * r_by_q;
        let d_h = d_q * &saved.r;
        let d_hidden = d_hidden.map(|direct| direct + d_h);
        Backward { d_gates: [d_r, d_z, d_n], d_separate, d_hidden, d_memory }
    }

    #[inline(always)]
    fn gated_hidden_of_saved<N: Number>(&self, saved: &Saved<N>, hidden_before: &N) -> N {
        &saved.r * hidden_before
    }
}
