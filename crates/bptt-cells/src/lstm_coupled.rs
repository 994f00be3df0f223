//! Long short-term memory with coupled gates: the forget gate is `1 - i`.
//!
//! ```text
//! i = σ(a_i)    g = tanh(a_g)    o = σ(a_o)        a = W x + b + U h + b_h
//! c' = (1 - i) ⊙ c + i ⊙ g
//! h' = o ⊙ tanh(c')
//! ```
//!
//! Backward, with `d_c'` what comes from the next step:
//!
//! ```text
//! d_c' += d_h' ⊙ o ⊙ (1 - tanh²(c'))
//! d_a_i = d_c' ⊙ (g - c) ⊙ i (1 - i)
//! d_a_g = d_c' ⊙ i ⊙ (1 - g²)
//! d_a_o = d_h' ⊙ tanh(c') ⊙ o (1 - o)
//! d_c   = d_c' ⊙ (1 - i)
//! d_h   = Uᵀ d_a                     by the layer
//! ```
//!
//! K. Greff, R. K. Srivastava, J. Koutník, B. R. Steunebrink and J. Schmidhuber, "LSTM: A search
//! space odyssey", IEEE Transactions on Neural Networks and Learning Systems 28 (2017), 2222–2232,
//! where it is the variant CIFG.

use crate::cell::{AnalyticCell, Backward, Forward, GateRole, HiddenTerm, Layout, State};
use crate::components::components;
use crate::number::Number;

/// The LSTM cell whose forget gate is `1 - i`: three gates, in the order `i g o`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LstmCoupled;

components! {
    /// The gates: `3 H` numbers a row and step.
    pub struct Saved {
        /// The input gate.
        i,
        /// The candidate.
        g,
        /// The output gate.
        o,
    }
}

impl Layout for LstmCoupled {
    const NAME: &'static str = "lstm-coupled";
    const HIDDEN_TERMS: &'static [HiddenTerm] = &[HiddenTerm::Added; 3];
    const GATE_ROLES: &'static [GateRole] = &[GateRole::Input, GateRole::Other, GateRole::Other];
    const PROJECTABLE: bool = true;
    type Gates<N: Number> = [N; 3];
    type Separate<N: Number> = [N; 0];
    type Memory<N: Number> = [N; 1];
    type Saved<N: Number> = Saved<N>;
}

impl AnalyticCell for LstmCoupled {
    #[inline(always)]
    fn step<N: Number>(
        &self,
        [a_i, a_g, a_o]: [N; 3],
        []: [N; 0],
        before: &State<N, [N; 1]>,
    ) -> Forward<Self, N> {
        let [c] = &before.memory;
        let (i, g, o) = (a_i.sigmoid(), a_g.tanh(), a_o.sigmoid());
        let c = i.one_minus() * c + &i * &g;
        let h = &o * c.tanh();
        (State { hidden: h, memory: [c] }, Saved { i, g, o })
    }

    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        Saved { i, g, o }: Saved<N>,
        before: &State<N, [N; 1]>,
        after: &State<N, [N; 1]>,
        State { hidden: d_h, memory: [d_c] }: State<N, [N; 1]>,
    ) -> Backward<Self, N> {
        let [c] = &before.memory;
        let tanh_c = after.memory[0].tanh();
        let d_c = d_c + &d_h * &o * tanh_c.tanh_slope();
        let d_i = &d_c * (&g - c) * i.sigmoid_slope();
        let d_g = &d_c * &i * g.tanh_slope();
        let d_o = d_h * tanh_c * o.sigmoid_slope();
        let d_memory = [d_c * i.one_minus()];
        Backward { d_gates: [d_i, d_g, d_o], d_separate: [], d_hidden: None, d_memory }
    }
}
