//! UnICORNN: a layer of undamped oscillators, each driven by the input and by its own position.
//!
//! ```text
//! k  = Δ σ(c)
//! z' = z - k ⊙ (tanh(w ⊙ y + a) + α y)      a = V x + b
//! y' = y + k ⊙ z'                            the position y is the hidden state h
//! ```
//!
//! `w` and `c` are diagonal weights: how a unit sees its own position, and its time step. (The paper writes `σ̂(c) = 1/2 +
//! tanh(c / 2) / 2`, which is `σ(c)`.) The velocity `z` is stepped first and the position with the new velocity: this is a
//! symplectic scheme for a Hamiltonian system, so gradients neither explode nor vanish exponentially.
//!
//! Backward, with `t` the hyperbolic tangent, and `d_z'`, `d_w`, `d_c` what comes from the next step:
//!
//! ```text
//! d_z  = d_z' + d_y' ⊙ k
//! d_a  = -d_z ⊙ k (1 - t²)
//! d_y  = d_y' - α d_z ⊙ k + d_a ⊙ w
//! d_w += d_a ⊙ y
//! d_c += (d_y' ⊙ z' - d_z ⊙ (t + α y)) ⊙ k (1 - σ(c))
//! ```
//!
//! T. K. Rusch and S. Mishra, "UnICORNN: a recurrent model for learning very long time dependencies", ICML 2021.

use crate::cell::{AnalyticCell, Backward, Forward, HiddenTerm, Layout, State};
use crate::number::Number;

/// The oscillator with its two constants; diagonal weights in the order `w c`.
#[derive(Clone, Copy, Debug)]
pub struct Unicornn {
    /// `Δ`, the longest time step of a unit.
    pub step: f64,
    /// `α`, the stiffness: the square of the frequency without the nonlinearity.
    pub alpha: f64,
}

impl Default for Unicornn {
    /// `Δ = 0.1`, `α = 1`
    fn default() -> Self {
        Self { step: 0.1, alpha: 1.0 }
    }
}

impl Layout for Unicornn {
    const NAME: &'static str = "unicornn";
    const HIDDEN_TERMS: &'static [HiddenTerm] = &[HiddenTerm::None];
    const PROJECTABLE: bool = false;
    const DIAGONAL_WEIGHTS: usize = 2;
    type Gates<N: Number> = [N; 1];
    type Separate<N: Number> = [N; 0];
    type Memory<N: Number> = [N; 3];
    type Saved<N: Number> = [N; 1];
}

impl AnalyticCell for Unicornn {
    #[inline(always)]
    fn step<N: Number>(
        &self,
        [a]: [N; 1],
        []: [N; 0],
        before: &State<N, [N; 3]>,
    ) -> Forward<Self, N> {
        let (y, [z, w, c]) = (&before.hidden, &before.memory);
        let k = c.sigmoid().scale(self.step);
        let t = (a + w * y).tanh();
        let z = z - &k * (&t + y.scale(self.alpha));
        let y = y + k * &z;
        (State { hidden: y, memory: [z, w.clone(), c.clone()] }, [t])
    }

    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        [t]: [N; 1],
        before: &State<N, [N; 3]>,
        after: &State<N, [N; 3]>,
        State { hidden: d_y, memory: [d_z, d_w, d_c] }: State<N, [N; 3]>,
    ) -> Backward<Self, N> {
        let (y, [_, w, c]) = (&before.hidden, &before.memory);
        let s = c.sigmoid();
        let k = s.scale(self.step);
        let force = &t + y.scale(self.alpha);
        let d_z = d_z + &d_y * &k;
        let d_force = -(&d_z * &k);
        let d_a = &d_force * t.tanh_slope();
        let d_k = &d_y * &after.memory[0] - &d_z * force;
        Backward {
            d_hidden: Some(d_y + d_force.scale(self.alpha) + &d_a * w),
            d_memory: [d_z, d_w + &d_a * y, d_c + d_k * k * s.one_minus()],
            d_gates: [d_a],
            d_separate: [],
        }
    }
}
