//! Elman's recurrent network.
//!
//! ```text
//! h' = φ(W x + b + U h + b_h)        φ = tanh or relu
//! ```
//!
//! Backward, with `a` the pre-activation:
//!
//! ```text
//! d_a = d_h' ⊙ φ'(a)                 tanh' = 1 - h'², relu' = [h' > 0]: both from the output
//! d_h = Uᵀ d_a                       by the layer
//! ```
//!
//! Nothing is saved for the backward step, because both slopes are computed from the state after the step.
//!
//! J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990), 179–211.

use crate::cell::{AnalyticCell, Backward, Cell, Forward, HiddenTerm, Layout, State};
use crate::number::{Number, Rectify};

/// The Elman cell with `tanh`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RnnTanh;

/// The Elman cell with a rectifier.
#[derive(Clone, Copy, Debug, Default)]
pub struct RnnRelu;

macro_rules! layout {
    ($Cell:ty, $name:literal) => {
        impl Layout for $Cell {
            const NAME: &'static str = $name;
            const HIDDEN_TERMS: &'static [HiddenTerm] = &[HiddenTerm::Added];
            const PROJECTABLE: bool = true;
            type Gates<N: Number> = [N; 1];
            type Separate<N: Number> = [N; 0];
            type Memory<N: Number> = [N; 0];
            type Saved<N: Number> = [N; 0];
        }
    };
}
layout!(RnnTanh, "rnn-tanh");
layout!(RnnRelu, "rnn-relu");

impl AnalyticCell for RnnTanh {
    #[inline(always)]
    fn step<N: Number>(
        &self,
        [a]: [N; 1],
        []: [N; 0],
        _before: &State<N, [N; 0]>,
    ) -> Forward<Self, N> {
        let h = a.tanh();
        (State { hidden: h, memory: [] }, [])
    }

    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        []: [N; 0],
        _before: &State<N, [N; 0]>,
        after: &State<N, [N; 0]>,
        d: State<N, [N; 0]>,
    ) -> Backward<Self, N> {
        let d_a = d.hidden * after.hidden.tanh_slope();
        Backward { d_gates: [d_a], d_separate: [], d_hidden: None, d_memory: [] }
    }
}

impl Cell for RnnRelu {
    #[inline(always)]
    fn step<N: Rectify>(
        &self,
        [a]: [N; 1],
        []: [N; 0],
        _before: &State<N, [N; 0]>,
    ) -> Forward<Self, N> {
        let h = a.relu();
        (State { hidden: h, memory: [] }, [])
    }

    #[inline(always)]
    fn step_backward<N: Rectify>(
        &self,
        []: [N; 0],
        _before: &State<N, [N; 0]>,
        after: &State<N, [N; 0]>,
        d: State<N, [N; 0]>,
    ) -> Backward<Self, N> {
        let d_a = after.hidden.relu_backward(&d.hidden);
        Backward { d_gates: [d_a], d_separate: [], d_hidden: None, d_memory: [] }
    }
}
