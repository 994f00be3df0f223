//! Gated recurrent unit with layer normalisation of both products, the reset gate after the product.
//!
//! ```text
//! x̂ = norm(W x + b_ih)      û = norm(U h + b_hh)       each over all gates and units of a row
//! r  = σ(g_xr ⊙ x̂_r + g_ur ⊙ û_r + b_r)
//! z  = σ(g_xz ⊙ x̂_z + g_uz ⊙ û_z + b_z)
//! v  = g_un ⊙ û_n + b_un
//! n  = tanh(g_xn ⊙ x̂_n + b_n + r ⊙ v)
//! h' = (1 - z) ⊙ n + z ⊙ h
//! ```
//!
//! The gains `g` and the shifts `b` behind the normalisation are diagonal weights. `norm` has `ε = 1e-5`. haste's
//! `LayerNormGRU` has no biases inside of the normalisation (`b_ih` and `b_hh`): a layer `with_bias(false)`. Its recurrent
//! biases of `r` and `z` are added to the others here.
//!
//! Backward, with `norm*` the backward step of the normalisation (`layer_norm.rs`), and the gradients of the diagonal
//! weights what comes from the next step:
//!
//! ```text
//! d_a_n = d_h' ⊙ (1 - z) ⊙ (1 - n²)
//! d_a_z = d_h' ⊙ (h - n) ⊙ z (1 - z)
//! d_a_r = d_a_n ⊙ v ⊙ r (1 - r)
//! d_v   = d_a_n ⊙ r
//! d_(W x) = norm*(d_a_r ⊙ g_xr, d_a_z ⊙ g_xz, d_a_n ⊙ g_xn)
//! d_(U h) = norm*(d_a_r ⊙ g_ur, d_a_z ⊙ g_uz, d_v ⊙ g_un)
//! d_g_x += d_a ⊙ x̂      d_g_u += (d_a_r, d_a_z, d_v) ⊙ û      d_b += d_a      d_b_un += d_v
//! d_h   = d_h' ⊙ z  +  Uᵀ d_(U h)    the product by the layer
//! ```
//!
//! The normalised values are computed again in the backward step, from the products, which are saved.
//!
//! J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization" (2016), arXiv:1607.06450; in the form of haste
//! (S. Nanavati, "Haste: a fast, simple, and open RNN library", 2020).

use crate::cell::{
    AnalyticCell, Backward, DiagonalRole, Forward, GateRole, HiddenTerm, Layout, State,
};
use crate::layer_norm::{EPSILON, Normalized};
use crate::number::Number;

/// The GRU cell with layer normalisation, gates in the order `r z n`, diagonal weights in the order `g_x` and `g_u` of the
/// three gates each, then `b_r b_z b_n b_un`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GruLayerNorm;

impl Layout for GruLayerNorm {
    const NAME: &'static str = "gru-layernorm";
    const HIDDEN_TERMS: &'static [HiddenTerm] = &[HiddenTerm::Separate; 3];
    const PROJECTABLE: bool = false;
    const DIAGONAL_WEIGHTS: usize = 10;
    const DIAGONAL_ROLES: &'static [DiagonalRole] = &[
        DiagonalRole::Gain,
        DiagonalRole::Gain,
        DiagonalRole::Gain,
        DiagonalRole::Gain,
        DiagonalRole::Gain,
        DiagonalRole::Gain,
        DiagonalRole::Shift(GateRole::Other),
        DiagonalRole::Shift(GateRole::Forget),
        DiagonalRole::Shift(GateRole::Other),
        DiagonalRole::Shift(GateRole::Other),
    ];
    const COUPLES_UNITS: bool = true;
    type Gates<N: Number> = [N; 3];
    type Separate<N: Number> = [N; 3];
    type Memory<N: Number> = [N; 10];
    /// Both products, and the gates: `9 H` numbers a row and step.
    type Saved<N: Number> = [N; 9];
}

impl AnalyticCell for GruLayerNorm {
    #[inline(always)]
    fn step<N: Number>(
        &self,
        wx: [N; 3],
        uh: [N; 3],
        before: &State<N, [N; 10]>,
    ) -> Forward<Self, N> {
        let [x_r, x_z, x_n, u_r, u_z, u_n, b_r, b_z, b_n, b_un] = &before.memory;
        let x = Normalized::of(wx.clone(), EPSILON).x;
        let u = Normalized::of(uh.clone(), EPSILON).x;
        let r = (x_r * &x[0] + u_r * &u[0] + b_r).sigmoid();
        let z = (x_z * &x[1] + u_z * &u[1] + b_z).sigmoid();
        let v = u_n * &u[2] + b_un;
        let n = (x_n * &x[2] + b_n + &r * v).tanh();
        let h = z.one_minus() * &n + &z * &before.hidden;
        let [w_r, w_z, w_n] = wx;
        let [v_r, v_z, v_n] = uh;
        let memory = before.memory.clone();
        (State { hidden: h, memory }, [w_r, w_z, w_n, v_r, v_z, v_n, r, z, n])
    }

    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        [w_r, w_z, w_n, v_r, v_z, v_n, r, z, n]: [N; 9],
        before: &State<N, [N; 10]>,
        _: &State<N, [N; 10]>,
        State { hidden: d_h, memory: d_memory }: State<N, [N; 10]>,
    ) -> Backward<Self, N> {
        let [x_r, x_z, x_n, u_r, u_z, u_n, _, _, _, b_un] = &before.memory;
        let [d_x_r, d_x_z, d_x_n, d_u_r, d_u_z, d_u_n, d_b_r, d_b_z, d_b_n, d_b_un] = d_memory;
        let x = Normalized::of([w_r, w_z, w_n], EPSILON);
        let u = Normalized::of([v_r, v_z, v_n], EPSILON);
        let v = u_n * &u.x[2] + b_un;
        let d_n = &d_h * z.one_minus() * n.tanh_slope();
        let d_z = &d_h * (&before.hidden - n) * z.sigmoid_slope();
        let d_r = &d_n * v * r.sigmoid_slope();
        let d_v = &d_n * r;
        let d_gates = x.backward([&d_r * x_r, &d_z * x_z, &d_n * x_n]);
        let d_separate = u.backward([&d_r * u_r, &d_z * u_z, &d_v * u_n]);
        let d_memory = [
            d_x_r + &d_r * &x.x[0],
            d_x_z + &d_z * &x.x[1],
            d_x_n + &d_n * &x.x[2],
            d_u_r + &d_r * &u.x[0],
            d_u_z + &d_z * &u.x[1],
            d_u_n + &d_v * &u.x[2],
            d_b_r + d_r,
            d_b_z + d_z,
            d_b_n + d_n,
            d_b_un + d_v,
        ];
        Backward { d_gates, d_separate, d_hidden: Some(d_h * z), d_memory }
    }
}
