//! Long expressive memory: two states with time steps of their own, which the gates set.
//!
//! ```text
//! s  = σ(W_s x + b_s + U_s h + b_hs)        k = Δ s
//! r  = σ(W_r x + b_r + U_r h + b_hr)        l = Δ r
//! n  = tanh(W_n x + b_n + U_n h + b_hn)
//! z' = (1 - k) ⊙ z + k ⊙ n                  the memory, and the gated hidden state
//! m  = tanh(W_m x + b_m + U_m z' + b_hm)
//! h' = (1 - l) ⊙ h + l ⊙ m
//! ```
//!
//! The paper writes `y` for `h`, `Δt` for `k` and `Δt` with a bar for `l`, and `σ̂(u) = 1/2 + tanh(u / 2) / 2`, which is
//! `σ(u)`. The last gate reads the memory after the step, so its product is inside of the step.
//!
//! Backward, with `d_z'` what comes from the next step:
//!
//! ```text
//! d_a_m = d_h' ⊙ l ⊙ (1 - m²)
//! d_a_r = d_h' ⊙ (m - h) ⊙ l (1 - r)
//! d_z' += U_mᵀ d_a_m                        by the layer
//! d_a_n = d_z' ⊙ k ⊙ (1 - n²)
//! d_a_s = d_z' ⊙ (n - z) ⊙ k (1 - s)
//! d_z   = d_z' ⊙ (1 - k)
//! d_h   = d_h' ⊙ (1 - l)  +  U_sᵀ d_a_s + U_rᵀ d_a_r + U_nᵀ d_a_n
//! ```
//!
//! T. K. Rusch, S. Mishra, N. B. Erichson and M. W. Mahoney, "Long expressive memory for sequence modeling", ICLR 2022.

use crate::cell::{AnalyticCell, Backward, Forward, GateRole, HiddenTerm, Layout, State};
use crate::components::components;
use crate::number::Number;

/// Long expressive memory with its constant; gates in the order `s r n m`.
#[derive(Clone, Copy, Debug)]
pub struct Lem {
    /// `Δ`, the longest time step of a unit.
    pub step: f64,
}

impl Default for Lem {
    /// `Δ = 1`
    fn default() -> Self {
        Self { step: 1.0 }
    }
}

components! {
    /// The gates, the candidates and the memory: `5 H` numbers a row and step.
    pub struct Saved {
        /// The gate of the memory.
        s,
        /// The gate of the hidden state.
        r,
        /// The candidate of the memory.
        n,
        /// The candidate of the hidden state.
        m,
        /// The memory after the step.
        z,
    }
}

impl Layout for Lem {
    const NAME: &'static str = "lem";
    const HIDDEN_TERMS: &'static [HiddenTerm] =
        &[HiddenTerm::Added, HiddenTerm::Added, HiddenTerm::Added, HiddenTerm::Gated];
    const GATE_ROLES: &'static [GateRole] =
        &[GateRole::Input, GateRole::Input, GateRole::Other, GateRole::Other];
    const PROJECTABLE: bool = false;
    type Gates<N: Number> = [N; 4];
    type Separate<N: Number> = [N; 0];
    type Memory<N: Number> = [N; 1];
    type Saved<N: Number> = Saved<N>;
}

impl AnalyticCell for Lem {
    #[inline(always)]
    fn gated_hidden<N: Number>(&self, [a_s, _, a_n, _]: &[N; 4], before: &State<N, [N; 1]>) -> N {
        let [z] = &before.memory;
        let k = a_s.sigmoid().scale(self.step);
        k.one_minus() * z + k * a_n.tanh()
    }

    #[inline(always)]
    fn step<N: Number>(
        &self,
        [a_s, a_r, a_n, a_m]: [N; 4],
        []: [N; 0],
        before: &State<N, [N; 1]>,
    ) -> Forward<Self, N> {
        let (h, [z]) = (&before.hidden, &before.memory);
        let (s, r, n, m) = (a_s.sigmoid(), a_r.sigmoid(), a_n.tanh(), a_m.tanh());
        let (k, l) = (s.scale(self.step), r.scale(self.step));
        let z = k.one_minus() * z + k * &n;
        let h = l.one_minus() * h + l * &m;
        (State { hidden: h, memory: [z.clone()] }, Saved { s, r, n, m, z })
    }

    /// The gradients of `s` and `n` do not have their last factor yet, `d_z'`, because a part of it comes by a product of
    /// the layer. [`gated_hidden_backward`](AnalyticCell::gated_hidden_backward) multiplies it in.
    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        Saved { s, r, n, m, .. }: Saved<N>,
        before: &State<N, [N; 1]>,
        _after: &State<N, [N; 1]>,
        State { hidden: d_h, memory: d_memory }: State<N, [N; 1]>,
    ) -> Backward<Self, N> {
        let (h, [z]) = (&before.hidden, &before.memory);
        let (k, l) = (s.scale(self.step), r.scale(self.step));
        let d_m = &d_h * &l * m.tanh_slope();
        let d_r = &d_h * (&m - h) * &l * r.one_minus();
        let s_by_z = (&n - z) * &k * s.one_minus();
        let n_by_z = k * n.tanh_slope();
        Backward {
            d_gates: [s_by_z, d_r, n_by_z, d_m],
            d_separate: [],
            d_hidden: Some(d_h * l.one_minus()),
            d_memory,
        }
    }

    #[inline(always)]
    fn gated_hidden_backward<N: Number>(
        &self,
        saved: &Saved<N>,
        _before: &State<N, [N; 1]>,
        d_q: N,
        Backward {
            d_gates: [s_by_z, d_r, n_by_z, d_m],
            d_separate,
            d_hidden,
            d_memory: [d_z],
        }: Backward<Self, N>,
    ) -> Backward<Self, N> {
        let d_z = d_z + d_q;
        Backward {
            d_gates: [&d_z * s_by_z, d_r, &d_z * n_by_z, d_m],
            d_separate,
            d_hidden,
            d_memory: [d_z * saved.s.scale(self.step).one_minus()],
        }
    }

    #[inline(always)]
    fn gated_hidden_of_saved<N: Number>(&self, saved: &Saved<N>, _hidden_before: &N) -> N {
        saved.z.clone()
    }
}
