//! Long short-term memory with peepholes: the gates see the memory of their own unit.
//!
//! ```text
//! i = σ(a_i + p_i ⊙ c)    f = σ(a_f + p_f ⊙ c)    g = tanh(a_g)      a = W x + b + U h + b_h
//! c' = f ⊙ c + i ⊙ g
//! o = σ(a_o + p_o ⊙ c')
//! h' = o ⊙ tanh(c')
//! ```
//!
//! `p_i`, `p_f` and `p_o` are diagonal weights: one number a unit. The input gate and the forget gate see the memory
//! before the step, the output gate sees the memory after it.
//!
//! Backward, with `d_c'` and `d_p` what comes from the next step:
//!
//! ```text
//! d_a_o = d_h' ⊙ tanh(c') ⊙ o (1 - o)
//! d_c' += d_h' ⊙ o ⊙ (1 - tanh²(c')) + d_a_o ⊙ p_o
//! d_a_i = d_c' ⊙ g ⊙ i (1 - i)
//! d_a_f = d_c' ⊙ c ⊙ f (1 - f)
//! d_a_g = d_c' ⊙ i ⊙ (1 - g²)
//! d_c   = d_c' ⊙ f + d_a_i ⊙ p_i + d_a_f ⊙ p_f
//! d_p_i += d_a_i ⊙ c      d_p_f += d_a_f ⊙ c      d_p_o += d_a_o ⊙ c'
//! d_h   = Uᵀ d_a                     by the layer
//! ```
//!
//! F. A. Gers and J. Schmidhuber, "Recurrent nets that time and count", IJCNN 2000.

use crate::cell::{AnalyticCell, Backward, Forward, GateRole, HiddenTerm, Layout, State};
use crate::components::components;
use crate::number::Number;

/// The LSTM cell with peepholes, gates in the order `i f g o`, diagonal weights in the order `p_i p_f p_o`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LstmPeephole;

components! {
    /// The gates: `4 H` numbers a row and step.
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

impl Layout for LstmPeephole {
    const NAME: &'static str = "lstm-peephole";
    const HIDDEN_TERMS: &'static [HiddenTerm] = &[HiddenTerm::Added; 4];
    const GATE_ROLES: &'static [GateRole] =
        &[GateRole::Input, GateRole::Forget, GateRole::Other, GateRole::Other];
    const PROJECTABLE: bool = true;
    const DIAGONAL_WEIGHTS: usize = 3;
    type Gates<N: Number> = [N; 4];
    type Separate<N: Number> = [N; 0];
    type Memory<N: Number> = [N; 4];
    type Saved<N: Number> = Saved<N>;
}

impl AnalyticCell for LstmPeephole {
    #[inline(always)]
    fn step<N: Number>(
        &self,
        [a_i, a_f, a_g, a_o]: [N; 4],
        []: [N; 0],
        before: &State<N, [N; 4]>,
    ) -> Forward<Self, N> {
        let [c, p_i, p_f, p_o] = &before.memory;
        let (i, f) = ((a_i + p_i * c).sigmoid(), (a_f + p_f * c).sigmoid());
        let g = a_g.tanh();
        let c = &f * c + &i * &g;
        let o = (a_o + p_o * &c).sigmoid();
        let h = &o * c.tanh();
        let memory = [c, p_i.clone(), p_f.clone(), p_o.clone()];
        (State { hidden: h, memory }, Saved { i, f, g, o })
    }

    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        Saved { i, f, g, o }: Saved<N>,
        before: &State<N, [N; 4]>,
        after: &State<N, [N; 4]>,
        State { hidden: d_h, memory: [d_c, d_p_i, d_p_f, d_p_o] }: State<N, [N; 4]>,
    ) -> Backward<Self, N> {
        let [c, p_i, p_f, p_o] = &before.memory;
        let c_after = &after.memory[0];
        let tanh_c = c_after.tanh();
        let d_o = &d_h * &tanh_c * o.sigmoid_slope();
        let d_c = d_c + d_h * o * tanh_c.tanh_slope() + &d_o * p_o;
        let d_i = &d_c * &g * i.sigmoid_slope();
        let d_f = &d_c * c * f.sigmoid_slope();
        let d_g = &d_c * i * g.tanh_slope();
        let d_memory = [
            d_c * f + &d_i * p_i + &d_f * p_f,
            d_p_i + &d_i * c,
            d_p_f + &d_f * c,
            d_p_o + &d_o * c_after,
        ];
        Backward { d_gates: [d_i, d_f, d_g, d_o], d_separate: [], d_hidden: None, d_memory }
    }
}
