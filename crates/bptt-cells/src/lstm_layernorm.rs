//! Long short-term memory with layer normalisation, of both products and of the memory.
//!
//! ```text
//! x̂ = norm(W x + b_ih)      û = norm(U h + b_hh)       each over all gates and units of a row
//! a = g_x ⊙ x̂ + g_u ⊙ û + b
//! i = σ(a_i)    f = σ(a_f)    g = tanh(a_g)    o = σ(a_o)
//! c' = f ⊙ c + i ⊙ g
//! h' = o ⊙ tanh(g_c ⊙ norm(c') + b_c)
//! ```
//!
//! The gains `g_x`, `g_u` and `g_c` and the shifts `b` and `b_c` are diagonal weights. `norm` has `ε = 1e-5`. haste's
//! `LayerNormLSTM` and the paper have no biases inside of the normalisation (`b_ih` and `b_hh`): a layer `with_bias(false)`.
//!
//! Backward, with `t = tanh(g_c ⊙ norm(c') + b_c)`, `norm*` the backward step of the normalisation (`layer_norm.rs`), and
//! `d_c'` and the gradients of the diagonal weights what comes from the next step:
//!
//! ```text
//! d_a_o = d_h' ⊙ t ⊙ o (1 - o)
//! d_t   = d_h' ⊙ o ⊙ (1 - t²)
//! d_c' += norm*(d_t ⊙ g_c)
//! d_a_i = d_c' ⊙ g ⊙ i (1 - i)
//! d_a_f = d_c' ⊙ c ⊙ f (1 - f)
//! d_a_g = d_c' ⊙ i ⊙ (1 - g²)
//! d_c   = d_c' ⊙ f
//! d_(W x) = norm*(d_a ⊙ g_x)      d_(U h) = norm*(d_a ⊙ g_u)
//! d_g_x += d_a ⊙ x̂    d_g_u += d_a ⊙ û    d_b += d_a    d_g_c += d_t ⊙ norm(c')    d_b_c += d_t
//! d_h   = Uᵀ d_(U h)                 by the layer
//! ```
//!
//! The normalised values are computed again in the backward step, from the products, which are saved.
//!
//! J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization" (2016), arXiv:1607.06450.

use crate::cell::{
    AnalyticCell, Backward, DiagonalRole, Forward, GateRole, HiddenTerm, Layout, State,
};
use crate::layer_norm::{EPSILON, Normalized};
use crate::number::Number;

/// The LSTM cell with layer normalisation, gates in the order `i f g o`, diagonal weights in the order `g_x g_u b` of the
/// four gates each, then `g_c b_c`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LstmLayerNorm;

/// The memory and the diagonal weights.
type Memory<N> = [N; 15];

impl Layout for LstmLayerNorm {
    const NAME: &'static str = "lstm-layernorm";
    const HIDDEN_TERMS: &'static [HiddenTerm] = &[HiddenTerm::Separate; 4];
    const PROJECTABLE: bool = true;
    const DIAGONAL_WEIGHTS: usize = 14;
    const DIAGONAL_ROLES: &'static [DiagonalRole] = &[
        DiagonalRole::Gain,
        DiagonalRole::Gain,
        DiagonalRole::Gain,
        DiagonalRole::Gain,
        DiagonalRole::Gain,
        DiagonalRole::Gain,
        DiagonalRole::Gain,
        DiagonalRole::Gain,
        DiagonalRole::Shift(GateRole::Input),
        DiagonalRole::Shift(GateRole::Forget),
        DiagonalRole::Shift(GateRole::Other),
        DiagonalRole::Shift(GateRole::Other),
        DiagonalRole::Gain,
        DiagonalRole::Shift(GateRole::Other),
    ];
    const COUPLES_UNITS: bool = true;
    type Gates<N: Number> = [N; 4];
    type Separate<N: Number> = [N; 4];
    type Memory<N: Number> = Memory<N>;
    /// Both products, and the gates: `12 H` numbers a row and step.
    type Saved<N: Number> = [N; 12];
}

impl AnalyticCell for LstmLayerNorm {
    #[inline(always)]
    fn step<N: Number>(
        &self,
        wx: [N; 4],
        uh: [N; 4],
        before: &State<N, Memory<N>>,
    ) -> Forward<Self, N> {
        let [c, x_i, x_f, x_g, x_o, u_i, u_f, u_g, u_o, b_i, b_f, b_g, b_o, g_c, b_c] =
            &before.memory;
        let x = Normalized::of(wx.clone(), EPSILON).x;
        let u = Normalized::of(uh.clone(), EPSILON).x;
        let i = (x_i * &x[0] + u_i * &u[0] + b_i).sigmoid();
        let f = (x_f * &x[1] + u_f * &u[1] + b_f).sigmoid();
        let g = (x_g * &x[2] + u_g * &u[2] + b_g).tanh();
        let o = (x_o * &x[3] + u_o * &u[3] + b_o).sigmoid();
        let c = &f * c + &i * &g;
        // What goes back through the mean cancels what goes back through `c'`: all of it, if a row has one unit.
        let [normal] = Normalized::of([c.apart()], EPSILON).x;
        let h = &o * (g_c * normal + b_c).tanh();
        let mut memory = before.memory.clone();
        memory[0] = c;
        let [w_i, w_f, w_g, w_o] = wx;
        let [v_i, v_f, v_g, v_o] = uh;
        (State { hidden: h, memory }, [w_i, w_f, w_g, w_o, v_i, v_f, v_g, v_o, i, f, g, o])
    }

    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        [w_i, w_f, w_g, w_o, v_i, v_f, v_g, v_o, i, f, g, o]: [N; 12],
        before: &State<N, Memory<N>>,
        after: &State<N, Memory<N>>,
        State { hidden: d_h, memory: d_memory }: State<N, Memory<N>>,
    ) -> Backward<Self, N> {
        let [c, x_i, x_f, x_g, x_o, u_i, u_f, u_g, u_o, _, _, _, _, g_c, b_c] = &before.memory;
        let [
            d_c,
            d_x_i,
            d_x_f,
            d_x_g,
            d_x_o,
            d_u_i,
            d_u_f,
            d_u_g,
            d_u_o,
            d_b_i,
            d_b_f,
            d_b_g,
            d_b_o,
            d_g_c,
            d_b_c,
        ] = d_memory;
        let x = Normalized::of([w_i, w_f, w_g, w_o], EPSILON);
        let u = Normalized::of([v_i, v_f, v_g, v_o], EPSILON);
        let normal = Normalized::of([after.memory[0].clone()], EPSILON);
        let t = (g_c * &normal.x[0] + b_c).tanh();
        let d_o = &d_h * &t * o.sigmoid_slope();
        let d_t = d_h * o * t.tanh_slope();
        let [through] = normal.backward([&d_t * g_c]);
        let d_c = d_c + through;
        let d_i = &d_c * &g * i.sigmoid_slope();
        let d_f = &d_c * c * f.sigmoid_slope();
        let d_g = &d_c * i * g.tanh_slope();
        let d_gates = x.backward([&d_i * x_i, &d_f * x_f, &d_g * x_g, &d_o * x_o]);
        let d_separate = u.backward([&d_i * u_i, &d_f * u_f, &d_g * u_g, &d_o * u_o]);
        let d_memory = [
            d_c * f,
            d_x_i + &d_i * &x.x[0],
            d_x_f + &d_f * &x.x[1],
            d_x_g + &d_g * &x.x[2],
            d_x_o + &d_o * &x.x[3],
            d_u_i + &d_i * &u.x[0],
            d_u_f + &d_f * &u.x[1],
            d_u_g + &d_g * &u.x[2],
            d_u_o + &d_o * &u.x[3],
            d_b_i + d_i,
            d_b_f + d_f,
            d_b_g + d_g,
            d_b_o + d_o,
            d_g_c + &d_t * &normal.x[0],
            d_b_c + d_t,
        ];
        Backward { d_gates, d_separate, d_hidden: None, d_memory }
    }
}
