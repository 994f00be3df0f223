//! Long short-term memory with recurrent dropout: a mask on the candidate.
//!
//! ```text
//! i = σ(a_i)    f = σ(a_f)    g = tanh(a_g)    o = σ(a_o)        a = W x + b + U h + b_h
//! c' = f ⊙ c + i ⊙ (d ⊙ g)
//! h' = o ⊙ tanh(c')
//! ```
//!
//! What the memory holds is never dropped. The mask `d` is a memory of the cell, which it returns as it is. The layer
//! draws it, and sets it before each step.
//!
//! Backward, with `d_c'` what comes from the next step:
//!
//! ```text
//! d_c' += d_h' ⊙ o ⊙ (1 - tanh²(c'))
//! d_a_i = d_c' ⊙ d ⊙ g ⊙ i (1 - i)
//! d_a_f = d_c' ⊙ c ⊙ f (1 - f)
//! d_a_g = d_c' ⊙ d ⊙ i ⊙ (1 - g²)
//! d_a_o = d_h' ⊙ tanh(c') ⊙ o (1 - o)
//! d_c   = d_c' ⊙ f
//! d_d   = d_d' + d_c' ⊙ i ⊙ g
//! d_h   = Uᵀ d_a                     by the layer
//! ```
//!
//! S. Semeniuta, A. Severyn and E. Barth, "Recurrent dropout without memory loss", COLING 2016.

use crate::cell::{AnalyticCell, Backward, Forward, GateRole, HiddenTerm, Layout, State};
use crate::lstm::{Lstm, Saved};
use crate::number::Number;

/// The LSTM cell with a mask on its candidate, gates in PyTorch's order `i f g o`, memories `c d`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LstmDropped;

impl Layout for LstmDropped {
    const NAME: &'static str = Lstm::NAME;
    const HIDDEN_TERMS: &'static [HiddenTerm] = Lstm::HIDDEN_TERMS;
    const GATE_ROLES: &'static [GateRole] = Lstm::GATE_ROLES;
    const PROJECTABLE: bool = true;
    type Gates<N: Number> = [N; 4];
    type Separate<N: Number> = [N; 0];
    type Memory<N: Number> = [N; 2];
    type Saved<N: Number> = Saved<N>;
}

impl AnalyticCell for LstmDropped {
    #[inline(always)]
    fn step<N: Number>(
        &self,
        [a_i, a_f, a_g, a_o]: [N; 4],
        []: [N; 0],
        before: &State<N, [N; 2]>,
    ) -> Forward<Self, N> {
        let [c, d] = &before.memory;
        let (i, f, g, o) = (a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid());
        let c = &f * c + &i * (&g * d);
        let h = &o * c.tanh();
        (State { hidden: h, memory: [c, d.clone()] }, Saved { i, f, g, o })
    }

    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        Saved { i, f, g, o }: Saved<N>,
        before: &State<N, [N; 2]>,
        after: &State<N, [N; 2]>,
        State { hidden: d_h, memory: [d_c, d_d] }: State<N, [N; 2]>,
    ) -> Backward<Self, N> {
        let [c, d] = &before.memory;
        let tanh_c = after.memory[0].tanh();
        let d_c = d_c + &d_h * &o * tanh_c.tanh_slope();
        let d_i = &d_c * (&g * d) * i.sigmoid_slope();
        let d_f = &d_c * c * f.sigmoid_slope();
        let d_g = &d_c * (&i * d) * g.tanh_slope();
        let d_o = d_h * tanh_c * o.sigmoid_slope();
        Backward {
            d_gates: [d_i, d_f, d_g, d_o],
            d_separate: [],
            d_hidden: None,
            d_memory: [&d_c * f, d_d + d_c * (i * g)],
        }
    }
}
