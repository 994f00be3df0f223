//! Recurrent highway network of depth 1, with coupled gates: a gate `t` transforms, and carries the rest.
//!
//! ```text
//! n  = tanh(W_n x + b_n + U_n h + b_hn)
//! t  = σ(W_t x + b_t + U_t h + b_ht)
//! h' = t ⊙ n + (1 - t) ⊙ h
//! ```
//!
//! Backward:
//!
//! ```text
//! d_a_n = d_h' ⊙ t ⊙ (1 - n²)
//! d_a_t = d_h' ⊙ (n - h) ⊙ t (1 - t)
//! d_h   = d_h' ⊙ (1 - t)  +  Uᵀ d_a         the product by the layer
//! ```
//!
//! J. G. Zilly, R. K. Srivastava, J. Koutník and J. Schmidhuber, "Recurrent highway networks", ICML 2017, with the
//! carry gate `1 - t` of its experiments.

use crate::cell::{AnalyticCell, Backward, Forward, GateRole, HiddenTerm, Layout, State};
use crate::components::components;
use crate::number::Number;

/// The recurrent highway step of depth 1, gates in the order `n t`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rhn;

components! {
    /// The candidate and the gate: `2 H` numbers a row and step.
    pub struct Saved {
        /// The candidate.
        n,
        /// The transform gate.
        t,
    }
}

impl Layout for Rhn {
    const NAME: &'static str = "rhn";
    const HIDDEN_TERMS: &'static [HiddenTerm] = &[HiddenTerm::Added; 2];
    const GATE_ROLES: &'static [GateRole] = &[GateRole::Other, GateRole::Input];
    const PROJECTABLE: bool = false;
    type Gates<N: Number> = [N; 2];
    type Separate<N: Number> = [N; 0];
    type Memory<N: Number> = [N; 0];
    type Saved<N: Number> = Saved<N>;
}

impl AnalyticCell for Rhn {
    #[inline(always)]
    fn step<N: Number>(
        &self,
        [a_n, a_t]: [N; 2],
        []: [N; 0],
        before: &State<N, [N; 0]>,
    ) -> Forward<Self, N> {
        let (n, t) = (a_n.tanh(), a_t.sigmoid());
        let h = &t * &n + t.one_minus() * &before.hidden;
        (State { hidden: h, memory: [] }, Saved { n, t })
    }

    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        Saved { n, t }: Saved<N>,
        before: &State<N, [N; 0]>,
        _after: &State<N, [N; 0]>,
        State { hidden: d_h, .. }: State<N, [N; 0]>,
    ) -> Backward<Self, N> {
        let d_n = &d_h * &t * n.tanh_slope();
        let d_t = &d_h * (&n - &before.hidden) * t.sigmoid_slope();
        Backward {
            d_gates: [d_n, d_t],
            d_separate: [],
            d_hidden: Some(d_h * t.one_minus()),
            d_memory: [],
        }
    }
}
