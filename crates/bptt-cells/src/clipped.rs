//! A cell whose memory is clipped.
//!
//! ```text
//! c' = max(-k, min(k, c'))           c' as the cell has it
//! h' = o ⊙ tanh(c')
//! ```
//!
//! Backward: a memory that was clipped is constant, so no gradient goes back through it. The gradient of the output
//! gate does not change.
//!
//! ```text
//! d_c' ⊙= [|c'| < k]
//! ```
//!
//! The *cell clip* of H. Sak, A. Senior and F. Beaufays, "Long short-term memory recurrent neural
//! network architectures for large scale acoustic modeling", Interspeech 2014.

use crate::cell::{AnalyticCell, Backward, Forward, State};
use crate::components::Components;
use crate::lstm::Lstm;
use crate::lstm_coupled::LstmCoupled;
use crate::number::{Number, Rectify};
use crate::wrapper::{Wrapper, wrapper_cell};

/// A cell with its memory clipped to `[-bound, bound]` after each step.
#[derive(Clone, Copy, Debug)]
pub struct Clipped<C> {
    /// The cell.
    pub cell: C,
    /// `k`, positive.
    pub bound: f64,
}

/// What [`Clipped`] needs from a cell.
pub trait Clippable: AnalyticCell {
    /// `h'` from a memory and the saved values.
    fn read_out<N: Number>(saved: &Self::Saved<N>, memory: &Self::Memory<N>) -> N;

    /// Removes the gradients that go back through the memory, where `after`, the clipped memory, is at one of its
    /// bounds.
    fn through_memory<N: Rectify>(
        back: Backward<Self, N>,
        after: &Self::Memory<N>,
        bound: f64,
    ) -> Backward<Self, N>;
}

impl Clippable for Lstm {
    #[inline(always)]
    fn read_out<N: Number>(saved: &Self::Saved<N>, [c]: &[N; 1]) -> N {
        &saved.o * c.tanh()
    }

    #[inline(always)]
    fn through_memory<N: Rectify>(
        Backward { d_gates: [d_i, d_f, d_g, d_o], d_separate, d_hidden, d_memory: [d_c] }: Backward<
            Self,
            N,
        >,
        [c]: &[N; 1],
        k: f64,
    ) -> Backward<Self, N> {
        let [d_i, d_f, d_g] =
            [c.clip_backward(k, &d_i), c.clip_backward(k, &d_f), c.clip_backward(k, &d_g)];
        let d_memory = [c.clip_backward(k, &d_c)];
        Backward { d_gates: [d_i, d_f, d_g, d_o], d_separate, d_hidden, d_memory }
    }
}

impl Clippable for LstmCoupled {
    #[inline(always)]
    fn read_out<N: Number>(saved: &Self::Saved<N>, [c]: &[N; 1]) -> N {
        &saved.o * c.tanh()
    }

    #[inline(always)]
    fn through_memory<N: Rectify>(
        Backward { d_gates: [d_i, d_g, d_o], d_separate, d_hidden, d_memory: [d_c] }: Backward<
            Self,
            N,
        >,
        [c]: &[N; 1],
        k: f64,
    ) -> Backward<Self, N> {
        let [d_i, d_g] = [c.clip_backward(k, &d_i), c.clip_backward(k, &d_g)];
        let d_memory = [c.clip_backward(k, &d_c)];
        Backward { d_gates: [d_i, d_g, d_o], d_separate, d_hidden, d_memory }
    }
}

// Not an `AnalyticCell`: a bound has a kink.
wrapper_cell!(Clipped<C: Clippable>);

impl<C: Clippable> Wrapper for Clipped<C> {
    type Inner = C;

    #[inline(always)]
    fn inner(&self) -> &C {
        &self.cell
    }

    #[inline(always)]
    fn step<N: Rectify>(
        &self,
        gates: C::Gates<N>,
        separate: C::Separate<N>,
        before: &State<N, C::Memory<N>>,
    ) -> Forward<C, N> {
        let (after, saved) = AnalyticCell::step(&self.cell, gates, separate, before);
        let memory = after.memory.map(|c| c.clip(self.bound));
        (State { hidden: C::read_out(&saved, &memory), memory }, saved)
    }

    #[inline(always)]
    fn step_backward<N: Rectify>(
        &self,
        saved: C::Saved<N>,
        before: &State<N, C::Memory<N>>,
        after: &State<N, C::Memory<N>>,
        cotangent: State<N, C::Memory<N>>,
    ) -> Backward<C, N> {
        let back = AnalyticCell::step_backward(&self.cell, saved, before, after, cotangent);
        C::through_memory(back, &after.memory, self.bound)
    }
}
