//! Long short-term memory.
//!
//! ```text
//! i = σ(a_i)    f = σ(a_f)    g = tanh(a_g)    o = σ(a_o)        a = W x + b + U h + b_h
//! c' = f ⊙ c + i ⊙ g
//! h' = o ⊙ tanh(c')
//! ```
//!
//! Backward, with `d_c'` what comes from the next step:
//!
//! ```text
//! d_c' += d_h' ⊙ o ⊙ (1 - tanh²(c'))
//! d_a_i = d_c' ⊙ g ⊙ i (1 - i)
//! d_a_f = d_c' ⊙ c ⊙ f (1 - f)
//! d_a_g = d_c' ⊙ i ⊙ (1 - g²)
//! d_a_o = d_h' ⊙ tanh(c') ⊙ o (1 - o)
//! d_c   = d_c' ⊙ f
//! d_h   = Uᵀ d_a                     by the layer
//! ```
//!
//! S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997),
//! 1735–1780; with the forget gate of F. Gers, J. Schmidhuber and F. Cummins (2000).

use crate::cell::{AnalyticCell, Backward, Forward, GateRole, HiddenTerm, Layout, State};
use crate::components::components;
use crate::number::Number;

/// The LSTM cell, gates in PyTorch's order `i f g o`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lstm;

components! {
    /// The gates: `4 H` numbers a row and step. `tanh(c')` is cheaper to compute again.
    pub struct Saved {
        /// The input gate.
        i,
        /// The forget gate.
        f,
        /// The candidate.
        g,
        /// The output gate.
        o,
    }
}

impl Layout for Lstm {
    const NAME: &'static str = "lstm";
    const HIDDEN_TERMS: &'static [HiddenTerm] = &[HiddenTerm::Added; 4];
    const GATE_ROLES: &'static [GateRole] =
        &[GateRole::Input, GateRole::Forget, GateRole::Other, GateRole::Other];
    const PROJECTABLE: bool = true;
    type Gates<N: Number> = [N; 4];
    type Separate<N: Number> = [N; 0];
    type Memory<N: Number> = [N; 1];
    type Saved<N: Number> = Saved<N>;
}

impl AnalyticCell for Lstm {
    #[inline(always)]
    fn step<N: Number>(
        &self,
        [a_i, a_f, a_g, a_o]: [N; 4],
        []: [N; 0],
        before: &State<N, [N; 1]>,
    ) -> Forward<Self, N> {
        let [c] = &before.memory;
        let (i, f, g, o) = (a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid());
        let c = &f * c + &i * &g;
        let h = &o * c.tanh();
        (State { hidden: h, memory: [c] }, Saved { i, f, g, o })
    }

    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        Saved { i, f, g, o }: Saved<N>,
        before: &State<N, [N; 1]>,
        after: &State<N, [N; 1]>,
        State { hidden: d_h, memory: [d_c] }: State<N, [N; 1]>,
    ) -> Backward<Self, N> {
        let [c] = &before.memory;
        let tanh_c = after.memory[0].tanh();
        let d_c = d_c + &d_h * &o * tanh_c.tanh_slope();
        let d_i = &d_c * &g * i.sigmoid_slope();
        let d_f = &d_c * c * f.sigmoid_slope();
        let d_g = &d_c * &i * g.tanh_slope();
        let d_o = d_h * tanh_c * o.sigmoid_slope();
        Backward {
            d_gates: [d_i, d_f, d_g, d_o],
            d_separate: [],
            d_hidden: None,
            d_memory: [d_c * f],
        }
    }
}
