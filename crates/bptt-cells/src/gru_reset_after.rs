//! Gated recurrent unit with the reset gate after the recurrent product (PyTorch, cuDNN).
//!
//! ```text
//! r  = σ(W_r x + b_r + U_r h + b_hr)
//! z  = σ(W_z x + b_z + U_z h + b_hz)
//! u  = U_n h + b_hn                         separate
//! n  = tanh(W_n x + b_n + r ⊙ u)
//! h' = (1 - z) ⊙ n + z ⊙ h
//! ```
//!
//! Backward:
//!
//! ```text
//! d_a_n = d_h' ⊙ (1 - z) ⊙ (1 - n²)
//! d_a_z = d_h' ⊙ (h - n) ⊙ z (1 - z)
//! d_a_r = d_a_n ⊙ u ⊙ r (1 - r)
//! d_u   = d_a_n ⊙ r
//! d_h   = d_h' ⊙ z  +  U_rᵀ d_a_r + U_zᵀ d_a_z + U_nᵀ d_u      the products by the layer
//! ```
//!
//! K. Cho et al., "Learning phrase representations using RNN encoder–decoder", EMNLP 2014, in the form of its first
//! version (arXiv:1406.1078v1) that cuDNN and PyTorch compute.

use crate::cell::{AnalyticCell, Backward, Forward, GateRole, HiddenTerm, Layout, State};
use crate::components::components;
use crate::number::Number;

/// The GRU cell with the reset after the product, gates in PyTorch's order `r z n`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GruResetAfter;

components! {
    /// The gates and the candidate's recurrent product: `4 H` numbers a row and step.
    pub struct Saved {
        /// The reset gate.
        r,
        /// The update gate.
        z,
        /// The candidate.
        n,
        /// The candidate's recurrent product, `U_n h + b_hn`.
        u,
    }
}

impl Layout for GruResetAfter {
    const NAME: &'static str = "gru";
    const HIDDEN_TERMS: &'static [HiddenTerm] =
        &[HiddenTerm::Added, HiddenTerm::Added, HiddenTerm::Separate];
    const GATE_ROLES: &'static [GateRole] = &[GateRole::Other, GateRole::Forget, GateRole::Other];
    const PROJECTABLE: bool = false;
    type Gates<N: Number> = [N; 3];
    type Separate<N: Number> = [N; 1];
    type Memory<N: Number> = [N; 0];
    type Saved<N: Number> = Saved<N>;
}

impl AnalyticCell for GruResetAfter {
    #[inline(always)]
    fn step<N: Number>(
        &self,
        [a_r, a_z, x_n]: [N; 3],
        [u]: [N; 1],
        before: &State<N, [N; 0]>,
    ) -> Forward<Self, N> {
        let h = &before.hidden;
        let (r, z) = (a_r.sigmoid(), a_z.sigmoid());
        let n = (x_n + &r * &u).tanh();
        let h = z.one_minus() * &n + &z * h;
        (State { hidden: h, memory: [] }, Saved { r, z, n, u })
    }

    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        Saved { r, z, n, u }: Saved<N>,
        before: &State<N, [N; 0]>,
        _after: &State<N, [N; 0]>,
        State { hidden: d_h, .. }: State<N, [N; 0]>,
    ) -> Backward<Self, N> {
        let h = &before.hidden;
        let d_n = &d_h * z.one_minus() * n.tanh_slope();
        let d_z = &d_h * (h - n) * z.sigmoid_slope();
        let d_r = &d_n * u * r.sigmoid_slope();
        let d_u = &d_n * r;
        Backward {
            d_gates: [d_r, d_z, d_n],
            d_separate: [d_u],
            d_hidden: Some(d_h * z),
            d_memory: [],
        }
    }
}
