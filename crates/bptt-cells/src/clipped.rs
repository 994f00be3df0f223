//! A memory that stays within bounds.
//!
//! ```text
//! c' = max(-k, min(k, c'))           c' as the cell has it
//! h' = o ⊙ tanh(c')
//! ```
//!
//! Backward: where the memory was clipped it does not depend on anything, so nothing goes back
//! through it. What goes back through the gate that reads it out is untouched.
//!
//! ```text
//! d_c' ⊙= [|c'| < k]
//! ```
//!
//! The *cell clip* of H. Sak, A. Senior and F. Beaufays, "Long short-term memory recurrent neural
//! network architectures for large scale acoustic modeling", Interspeech 2014.

use crate::cell::{AnalyticCell, Backward, Cell, Forward, HiddenTerm, Layout, State};
use crate::components::Components;
use crate::lstm::Lstm;
use crate::lstm_coupled::LstmCoupled;
use crate::number::{Number, Rectify};

/// A cell with its memory clipped to `[-bound, bound]` after each step.
#[derive(Clone, Copy, Debug)]
pub struct Clipped<C> {
    /// The cell.
    pub cell: C,
    /// `k`, positive.
    pub bound: f64,
}

/// What [`Clipped`] has to know about a cell.
pub trait Clippable: AnalyticCell {
    /// `h'` of a memory, given what the step saved.
    fn read_out<N: Number>(saved: &Self::Saved<N>, memory: &Self::Memory<N>) -> N;

    /// A backward step with nothing going back through the memory, the clipped `after`, where it is at
    /// one of its bounds.
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

impl<C: Clippable> Layout for Clipped<C> {
    const NAME: &'static str = C::NAME;
    const HIDDEN_TERMS: &'static [HiddenTerm] = C::HIDDEN_TERMS;
    const PROJECTABLE: bool = C::PROJECTABLE;
    type Gates<N: Number> = C::Gates<N>;
    type Separate<N: Number> = C::Separate<N>;
    type Memory<N: Number> = C::Memory<N>;
    type Saved<N: Number> = C::Saved<N>;
}

// Not an `AnalyticCell`: a bound has a kink.
impl<C: Clippable> Cell for Clipped<C> {
    #[inline(always)]
    fn step<N: Rectify>(
        &self,
        gates: C::Gates<N>,
        separate: C::Separate<N>,
        before: &State<N, C::Memory<N>>,
    ) -> Forward<Self, N> {
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
    ) -> Backward<Self, N> {
        let back = AnalyticCell::step_backward(&self.cell, saved, before, after, cotangent);
        let Backward { d_gates, d_separate, d_hidden, d_memory } =
            C::through_memory(back, &after.memory, self.bound);
        Backward { d_gates, d_separate, d_hidden, d_memory }
    }
}
