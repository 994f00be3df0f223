//! Independently recurrent network: each unit sees its own past only.
//!
//! ```text
//! h' = φ(W x + b + u ⊙ h)            φ = tanh or relu
//! ```
//!
//! `u` is one number a unit, a diagonal weight. There is no recurrent matrix, so units meet only in the layer above.
//!
//! Backward, with `a` what is in the brackets, and `d_u` what comes from the next step:
//!
//! ```text
//! d_a = d_h' ⊙ φ'(a)                 tanh' = 1 - h'², relu' = [h' > 0]: both from the output
//! d_h = d_a ⊙ u
//! d_u += d_a ⊙ h
//! ```
//!
//! Nothing is saved for the backward step, because both slopes are computed from the state after the step.
//!
//! S. Li, W. Li, C. Cook, C. Zhu and Y. Gao, "Independently recurrent neural network (IndRNN): building a longer and
//! deeper RNN", CVPR 2018.

use crate::cell::{AnalyticCell, Backward, Cell, Forward, HiddenTerm, Layout, State};
use crate::number::{Number, Rectify};

/// The independently recurrent cell with `tanh`.
#[derive(Clone, Copy, Debug, Default)]
pub struct IndRnnTanh;

/// The independently recurrent cell with a rectifier.
#[derive(Clone, Copy, Debug, Default)]
pub struct IndRnnRelu;

macro_rules! layout {
    ($Cell:ty, $name:literal) => {
        impl Layout for $Cell {
            const NAME: &'static str = $name;
            const HIDDEN_TERMS: &'static [HiddenTerm] = &[HiddenTerm::None];
            const PROJECTABLE: bool = false;
            const DIAGONAL_WEIGHTS: usize = 1;
            type Gates<N: Number> = [N; 1];
            type Separate<N: Number> = [N; 0];
            type Memory<N: Number> = [N; 1];
            type Saved<N: Number> = [N; 0];
        }
    };
}
layout!(IndRnnTanh, "indrnn-tanh");
layout!(IndRnnRelu, "indrnn-relu");

/// The backward step behind the nonlinearity.
#[inline(always)]
fn backward<C, N: Number>(d_a: N, before: &State<N, [N; 1]>, d_u: N) -> Backward<C, N>
where
    C: Layout<Gates<N> = [N; 1], Separate<N> = [N; 0], Memory<N> = [N; 1]>,
{
    let [u] = &before.memory;
    Backward {
        d_hidden: Some(&d_a * u),
        d_memory: [d_u + &d_a * &before.hidden],
        d_gates: [d_a],
        d_separate: [],
    }
}

impl AnalyticCell for IndRnnTanh {
    #[inline(always)]
    fn step<N: Number>(
        &self,
        [a]: [N; 1],
        []: [N; 0],
        before: &State<N, [N; 1]>,
    ) -> Forward<Self, N> {
        let [u] = &before.memory;
        let h = (a + u * &before.hidden).tanh();
        (State { hidden: h, memory: [u.clone()] }, [])
    }

    #[inline(always)]
    fn step_backward<N: Number>(
        &self,
        []: [N; 0],
        before: &State<N, [N; 1]>,
        after: &State<N, [N; 1]>,
        State { hidden: d_h, memory: [d_u] }: State<N, [N; 1]>,
    ) -> Backward<Self, N> {
        backward(d_h * after.hidden.tanh_slope(), before, d_u)
    }
}

impl Cell for IndRnnRelu {
    #[inline(always)]
    fn step<N: Rectify>(
        &self,
        [a]: [N; 1],
        []: [N; 0],
        before: &State<N, [N; 1]>,
    ) -> Forward<Self, N> {
        let [u] = &before.memory;
        let h = (a + u * &before.hidden).relu();
        (State { hidden: h, memory: [u.clone()] }, [])
    }

    #[inline(always)]
    fn step_backward<N: Rectify>(
        &self,
        []: [N; 0],
        before: &State<N, [N; 1]>,
        after: &State<N, [N; 1]>,
        State { hidden: d_h, memory: [d_u] }: State<N, [N; 1]>,
    ) -> Backward<Self, N> {
        backward(after.hidden.relu_backward(&d_h), before, d_u)
    }
}
