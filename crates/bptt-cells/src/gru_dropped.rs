//! Gated recurrent units with recurrent dropout: a mask on the candidate, with the reset gate after or before the
//! recurrent product.
//!
//! ```text
//! h' = (1 - z) ⊙ (d ⊙ n) + z ⊙ h            r, z and n as without the mask
//! ```
//!
//! What the state holds is never dropped. The mask `d` is a memory of the cell, which it returns as it is. The layer
//! draws it, and sets it before each step.
//!
//! Backward, where it differs:
//!
//! ```text
//! d_a_n = d_h' ⊙ (1 - z) ⊙ d ⊙ (1 - n²)
//! d_a_z = d_h' ⊙ (h - d ⊙ n) ⊙ z (1 - z)
//! d_d   = d_d' + d_h' ⊙ (1 - z) ⊙ n
//! ```
//!
//! S. Semeniuta, A. Severyn and E. Barth, "Recurrent dropout without memory loss", COLING 2016; their `z` is `1 - z`
//! here.

use crate::cell::{AnalyticCell, Backward, Forward, GateRole, HiddenTerm, Layout, State};
use crate::gru_reset_after::{self, GruResetAfter};
use crate::gru_reset_before::{self, GruResetBefore};
use crate::number::Number;

/// The GRU cell with the reset after the product and a mask on its candidate, gates in PyTorch's order `r z n`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GruResetAfterDropped;

impl Layout for GruResetAfterDropped {
    const NAME: &'static str = GruResetAfter::NAME;
    const HIDDEN_TERMS: &'static [HiddenTerm] = GruResetAfter::HIDDEN_TERMS;
    const GATE_ROLES: &'static [GateRole] = GruResetAfter::GATE_ROLES;
    const PROJECTABLE: bool = false;
    type Gates<N: Number> = [N; 3];
    type Separate<N: Number> = [N; 1];
    type Memory<N: Number> = [N; 1];
    type Saved<N: Number> = gru_reset_after::Saved<N>;
}

impl AnalyticCell for GruResetAfterDropped {
    #[inline(always)]
    fn step<N: Number>(
        &self,
        [a_r, a_z, x_n]: [N; 3],
        [u]: [N; 1],
        before: &State<N, [N; 1]>,
    ) -> Forward<Self, N> {
        let (h, [d]) = (&before.hidden, &before.memory);
        let (r, z) = (a_r.sigmoid(), a_z.sigmoid());
        let n = (x_n + &r * &u).tanh();
        let h = z.one_minus() * (&n * d) + &z * h;
        (State { hidden: h, memory: [d.clone()] }, gru_reset_after::Saved { r, z, n, u })
    }

    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        gru_reset_after::Saved { r, z, n, u }: gru_reset_after::Saved<N>,
        before: &State<N, [N; 1]>,
        _after: &State<N, [N; 1]>,
        State { hidden: d_h, memory: [d_d] }: State<N, [N; 1]>,
    ) -> Backward<Self, N> {
        let (h, [d]) = (&before.hidden, &before.memory);
        let d_dropped = &d_h * z.one_minus();
        let d_n = &d_dropped * d * n.tanh_slope();
        let d_z = &d_h * (h - &n * d) * z.sigmoid_slope();
        let d_r = &d_n * u * r.sigmoid_slope();
        let d_u = &d_n * r;
        Backward {
            d_gates: [d_r, d_z, d_n],
            d_separate: [d_u],
            d_hidden: Some(d_h * z),
            d_memory: [d_d + d_dropped * n],
        }
    }
}

/// The GRU cell with the reset before the product and a mask on its candidate, gates in PyTorch's order `r z n`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GruResetBeforeDropped;

impl Layout for GruResetBeforeDropped {
    const NAME: &'static str = GruResetBefore::NAME;
    const HIDDEN_TERMS: &'static [HiddenTerm] = GruResetBefore::HIDDEN_TERMS;
    const GATE_ROLES: &'static [GateRole] = GruResetBefore::GATE_ROLES;
    const PROJECTABLE: bool = false;
    type Gates<N: Number> = [N; 3];
    type Separate<N: Number> = [N; 0];
    type Memory<N: Number> = [N; 1];
    type Saved<N: Number> = gru_reset_before::Saved<N>;
}

impl AnalyticCell for GruResetBeforeDropped {
    #[inline(always)]
    fn gated_hidden<N: Number>(&self, [a_r, _, _]: &[N; 3], before: &State<N, [N; 1]>) -> N {
        a_r.sigmoid() * &before.hidden
    }

    #[inline(always)]
    fn step<N: Number>(
        &self,
        [a_r, a_z, a_n]: [N; 3],
        []: [N; 0],
        before: &State<N, [N; 1]>,
    ) -> Forward<Self, N> {
        let (h, [d]) = (&before.hidden, &before.memory);
        let (r, z, n) = (a_r.sigmoid(), a_z.sigmoid(), a_n.tanh());
        let h = z.one_minus() * (&n * d) + &z * h;
        (State { hidden: h, memory: [d.clone()] }, gru_reset_before::Saved { r, z, n })
    }

    /// As in [`GruResetBefore`], `d_gates[0]` does not have its last factor yet.
    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        gru_reset_before::Saved { r, z, n }: gru_reset_before::Saved<N>,
        before: &State<N, [N; 1]>,
        _after: &State<N, [N; 1]>,
        State { hidden: d_h, memory: [d_d] }: State<N, [N; 1]>,
    ) -> Backward<Self, N> {
        let (h, [d]) = (&before.hidden, &before.memory);
        let d_dropped = &d_h * z.one_minus();
        let d_n = &d_dropped * d * n.tanh_slope();
        let d_z = &d_h * (h - &n * d) * z.sigmoid_slope();
        let r_by_q = h * r.sigmoid_slope();
        Backward {
            d_gates: [r_by_q, d_z, d_n],
            d_separate: [],
            d_hidden: Some(d_h * z),
            d_memory: [d_d + d_dropped * n],
        }
    }

    #[inline(always)]
    fn gated_hidden_backward<N: Number>(
        &self,
        saved: &gru_reset_before::Saved<N>,
        _before: &State<N, [N; 1]>,
        d_q: N,
        Backward { d_gates: [r_by_q, d_z, d_n], d_separate, d_hidden, d_memory }: Backward<Self, N>,
    ) -> Backward<Self, N> {
        let d_r = &d_q * r_by_q;
        let d_h = d_q * &saved.r;
        let d_hidden = d_hidden.map(|direct| direct + d_h);
        Backward { d_gates: [d_r, d_z, d_n], d_separate, d_hidden, d_memory }
    }

    #[inline(always)]
    fn gated_hidden_of_saved<N: Number>(
        &self,
        saved: &gru_reset_before::Saved<N>,
        hidden_before: &N,
    ) -> N {
        &saved.r * hidden_before
    }
}
