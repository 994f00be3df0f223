//! Long short-term memory with exponential gates, a normaliser and a stabiliser (sLSTM).
//!
//! ```text
//! z = tanh(a_z)    i = e^(a_i)    f = σ(a_f)    o = σ(a_o)          a = W x + b + U h + b_h
//! c' = f ⊙ c + i ⊙ z
//! n' = f ⊙ n + i
//! h' = o ⊙ c' / n'
//! ```
//!
//! `i` may be any large number, so `c` and `n` are kept divided by `e^m`, where `m` is the larger of the two logarithms
//! that are added. This changes neither `h'` nor its gradient:
//!
//! ```text
//! δ  = log f + m - a_i    (0 where n = 0: nothing was read yet)
//! m' = a_i + max(δ, 0)                     = max(log f + m, a_i)
//! i  = e^(-max(δ, 0))    f = e^(-max(-δ, 0))
//! ```
//!
//! Backward, with `r = c' / n'`, and `d_c'`, `d_n'` and `d_m'` what comes from the next step:
//!
//! ```text
//! d_a_o = d_h' ⊙ r ⊙ o (1 - o)
//! d_c' += d_h' ⊙ o / n'
//! d_n' -= d_h' ⊙ o ⊙ r / n'
//! d_a_z = d_c' ⊙ i ⊙ (1 - z²)
//! d_δ   = [δ > 0] (d_m' - (d_c' ⊙ z + d_n') ⊙ i) + [δ < 0] (d_c' ⊙ c + d_n' ⊙ n) ⊙ f
//! d_a_i = d_m' - d_δ
//! d_a_f = d_δ ⊙ (1 - σ(a_f))
//! d_c   = d_c' ⊙ f    d_n = d_n' ⊙ f    d_m = d_δ
//! d_h   = Uᵀ d_a                           by the layer
//! ```
//!
//! M. Beck et al., "xLSTM: extended long short-term memory", NeurIPS 2024, with the sigmoid forget gate of its programs,
//! gates in the order of an LSTM.

use crate::cell::{Backward, Cell, Forward, GateRole, HiddenTerm, Layout, State};
use crate::components::components;
use crate::number::{Number, Rectify};

/// The sLSTM cell, gates in the order `i f z o`, memories in the order `c n m`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slstm;

components! {
    /// `4 H` numbers a row and step. The two exponentials are computed again.
    pub struct Saved {
        /// `δ`: how much the logarithm of the old normaliser exceeds the input gate's.
        delta,
        /// `σ(a_f)`.
        f,
        /// The candidate.
        z,
        /// The output gate.
        o,
    }
}

impl Layout for Slstm {
    const NAME: &'static str = "slstm";
    const HIDDEN_TERMS: &'static [HiddenTerm] = &[HiddenTerm::Added; 4];
    const GATE_ROLES: &'static [GateRole] =
        &[GateRole::Input, GateRole::Forget, GateRole::Other, GateRole::Other];
    const PROJECTABLE: bool = true;
    type Gates<N: Number> = [N; 4];
    type Separate<N: Number> = [N; 0];
    type Memory<N: Number> = [N; 3];
    type Saved<N: Number> = Saved<N>;
}

impl Cell for Slstm {
    #[inline(always)]
    fn step<N: Rectify>(
        &self,
        [a_i, a_f, a_z, a_o]: [N; 4],
        []: [N; 0],
        before: &State<N, [N; 3]>,
    ) -> Forward<Self, N> {
        let [c, n, m] = &before.memory;
        let (z, o) = (a_z.tanh(), a_o.sigmoid());
        // Nothing was read yet where the normaliser is zero.
        let delta = n.relu_backward(&(a_f.log_sigmoid() + m - &a_i));
        let above = delta.relu();
        let i = (-above.clone()).exp();
        let f = (-(-delta.clone()).relu()).exp();
        let c = &f * c + &i * &z;
        let n = f * n + i;
        let h = &o * &c * n.recip();
        let m = a_i + above;
        (State { hidden: h, memory: [c, n, m] }, Saved { delta, f: a_f.sigmoid(), z, o })
    }

    #[inline(always)]
    fn step_backward<N: Rectify>(
        &self,
        Saved { delta, f: s, z, o }: Saved<N>,
        before: &State<N, [N; 3]>,
        after: &State<N, [N; 3]>,
        State { hidden: d_h, memory: [d_c, d_n, d_m] }: State<N, [N; 3]>,
    ) -> Backward<Self, N> {
        let [c, n, _] = &before.memory;
        let (above, below) = (delta.relu(), (-delta).relu());
        let (i, f) = ((-above.clone()).exp(), (-below.clone()).exp());
        let inverse = after.memory[1].recip();
        let r = &after.memory[0] * &inverse;
        let d_o = &d_h * &r * o.sigmoid_slope();
        let through = d_h * o * inverse;
        let d_n = d_n - &through * r;
        let d_c = d_c + through;
        let d_z = &d_c * &i * z.tanh_slope();
        let d_log_i = (&d_c * z + &d_n) * i;
        let d_log_f = (&d_c * c + &d_n * n) * &f;
        let d_delta = above.relu_backward(&(&d_m - d_log_i)) + below.relu_backward(&d_log_f);
        Backward {
            d_gates: [d_m - &d_delta, &d_delta * s.one_minus(), d_z, d_o],
            d_separate: [],
            d_hidden: None,
            d_memory: [d_c * &f, d_n * f, d_delta],
        }
    }
}
