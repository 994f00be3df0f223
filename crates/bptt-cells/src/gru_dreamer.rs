//! Gated recurrent unit with one normalised product, as DreamerV3 has it.
//!
//! ```text
//! a  = g ⊙ norm(W x + b_ih + U h + b_hh) + b        over all gates and units of a row
//! r  = σ(a_r)
//! n  = tanh(r ⊙ a_n)
//! u  = σ(a_u - 1)
//! h' = u ⊙ n + (1 - u) ⊙ h
//! ```
//!
//! The reset gate is behind the product, and `u` begins small, so that the state is kept. The gain `g` and the shift `b`
//! are diagonal weights. `norm` has `ε = 1e-3`. DreamerV3 has no biases inside of the normalisation (`b_ih` and `b_hh`):
//! a layer `with_bias(false)`.
//!
//! Backward, with `norm*` the backward step of the normalisation (`layer_norm.rs`), and `d_g` and `d_b` what comes from the
//! next step:
//!
//! ```text
//! d_m   = d_h' ⊙ u ⊙ (1 - n²)               m = r ⊙ a_n
//! d_a_n = d_m ⊙ r
//! d_a_r = d_m ⊙ a_n ⊙ r (1 - r)
//! d_a_u = d_h' ⊙ (n - h) ⊙ u (1 - u)
//! d_(W x + U h) = norm*(d_a ⊙ g)
//! d_g += d_a ⊙ norm(W x + U h)      d_b += d_a
//! d_h   = d_h' ⊙ (1 - u)  +  Uᵀ d_(U h)    the product by the layer
//! ```
//!
//! D. Hafner, J. Pasukonis, J. Ba and T. Lillicrap, "Mastering diverse domains through world models" (2023),
//! arXiv:2301.04104.

use crate::cell::{
    AnalyticCell, Backward, DiagonalRole, Forward, GateRole, HiddenTerm, Layout, State,
};
use crate::layer_norm::Normalized;
use crate::number::Number;

/// `ε` of DreamerV3.
const EPSILON: f64 = 1e-3;

/// DreamerV3's GRU cell, gates in the order `r n u` (reset, candidate, update), diagonal weights in the order `g` and `b` of
/// the three gates each.
#[derive(Clone, Copy, Debug, Default)]
pub struct GruDreamer;

impl Layout for GruDreamer {
    const NAME: &'static str = "gru-dreamer";
    const HIDDEN_TERMS: &'static [HiddenTerm] = &[HiddenTerm::Added; 3];
    const PROJECTABLE: bool = false;
    const DIAGONAL_WEIGHTS: usize = 6;
    const DIAGONAL_ROLES: &'static [DiagonalRole] = &[
        DiagonalRole::Gain,
        DiagonalRole::Gain,
        DiagonalRole::Gain,
        DiagonalRole::Shift(GateRole::Other),
        DiagonalRole::Shift(GateRole::Other),
        DiagonalRole::Shift(GateRole::Input),
    ];
    const COUPLES_UNITS: bool = true;
    type Gates<N: Number> = [N; 3];
    type Separate<N: Number> = [N; 0];
    type Memory<N: Number> = [N; 6];
    /// The products, and the gates: `6 H` numbers a row and step.
    type Saved<N: Number> = [N; 6];
}

impl AnalyticCell for GruDreamer {
    #[inline(always)]
    fn step<N: Number>(
        &self,
        product: [N; 3],
        []: [N; 0],
        before: &State<N, [N; 6]>,
    ) -> Forward<Self, N> {
        let [g_r, g_n, g_u, b_r, b_n, b_u] = &before.memory;
        let x = Normalized::of(product.clone(), EPSILON).x;
        let r = (g_r * &x[0] + b_r).sigmoid();
        let n = (&r * (g_n * &x[1] + b_n)).tanh();
        // a - 1 = -(1 - a)
        let u = (-(g_u * &x[2] + b_u).one_minus()).sigmoid();
        let h = &u * &n + u.one_minus() * &before.hidden;
        let [p_r, p_n, p_u] = product;
        (State { hidden: h, memory: before.memory.clone() }, [p_r, p_n, p_u, r, n, u])
    }

    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        [p_r, p_n, p_u, r, n, u]: [N; 6],
        before: &State<N, [N; 6]>,
        _: &State<N, [N; 6]>,
        State { hidden: d_h, memory: [d_g_r, d_g_n, d_g_u, d_b_r, d_b_n, d_b_u] }: State<N, [N; 6]>,
    ) -> Backward<Self, N> {
        let [g_r, g_n, g_u, _, b_n, _] = &before.memory;
        let x = Normalized::of([p_r, p_n, p_u], EPSILON);
        let a_n = g_n * &x.x[1] + b_n;
        let d_m = &d_h * &u * n.tanh_slope();
        let d_n = &d_m * &r;
        let d_r = d_m * a_n * r.sigmoid_slope();
        let d_u = &d_h * (n - &before.hidden) * u.sigmoid_slope();
        let d_gates = x.backward([&d_r * g_r, &d_n * g_n, &d_u * g_u]);
        let d_memory = [
            d_g_r + &d_r * &x.x[0],
            d_g_n + &d_n * &x.x[1],
            d_g_u + &d_u * &x.x[2],
            d_b_r + d_r,
            d_b_n + d_n,
            d_b_u + d_u,
        ];
        Backward { d_gates, d_separate: [], d_hidden: Some(d_h * u.one_minus()), d_memory }
    }
}
