//! A cell whose backward is wrong on purpose, to see whether the checks notice.

use bptt::cells::{
    Backward, Cell, Components, Forward, HiddenTerm, Layout, Number, Rectify, State,
};

/// A cell with the sign of one gate's gradient turned. Its forward is untouched, so the autograd
/// engine, which reaches no hand-written backward, gives the true gradients.
#[derive(Clone, Copy, Debug)]
pub struct Sabotaged<C> {
    /// The cell.
    pub cell: C,
    /// Which gate.
    pub gate: usize,
}

impl<C: Layout> Layout for Sabotaged<C> {
    const NAME: &'static str = C::NAME;
    const HIDDEN_TERMS: &'static [HiddenTerm] = C::HIDDEN_TERMS;
    const PROJECTABLE: bool = C::PROJECTABLE;
    type Gates<N: Number> = C::Gates<N>;
    type Separate<N: Number> = C::Separate<N>;
    type Memory<N: Number> = C::Memory<N>;
    type Saved<N: Number> = C::Saved<N>;
}

impl<C: Cell> Cell for Sabotaged<C> {
    fn step<N: Rectify>(
        &self,
        gates: C::Gates<N>,
        separate: C::Separate<N>,
        before: &State<N, C::Memory<N>>,
    ) -> Forward<Self, N> {
        self.cell.step(gates, separate, before)
    }

    fn step_backward<N: Rectify>(
        &self,
        saved: C::Saved<N>,
        before: &State<N, C::Memory<N>>,
        after: &State<N, C::Memory<N>>,
        cotangent: State<N, C::Memory<N>>,
    ) -> Backward<Self, N> {
        let Backward { d_gates, d_separate, d_hidden, d_memory } =
            self.cell.step_backward(saved, before, after, cotangent);
        let mut gates = d_gates.into_vec();
        gates[self.gate] = -gates[self.gate].clone();
        Backward { d_gates: C::Gates::from_vec(gates), d_separate, d_hidden, d_memory }
    }

    fn gated_hidden<N: Rectify>(&self, gates: &C::Gates<N>, before: &State<N, C::Memory<N>>) -> N {
        self.cell.gated_hidden(gates, before)
    }

    fn gated_hidden_of_saved<N: Rectify>(&self, saved: &C::Saved<N>, hidden_before: &N) -> N {
        self.cell.gated_hidden_of_saved(saved, hidden_before)
    }

    fn gated_hidden_backward<N: Rectify>(
        &self,
        saved: &C::Saved<N>,
        before: &State<N, C::Memory<N>>,
        d_gated: N,
        so_far: Backward<Self, N>,
    ) -> Backward<Self, N> {
        let Backward { d_gates, d_separate, d_hidden, d_memory } = so_far;
        let so_far = Backward { d_gates, d_separate, d_hidden, d_memory };
        let Backward { d_gates, d_separate, d_hidden, d_memory } =
            self.cell.gated_hidden_backward(saved, before, d_gated, so_far);
        Backward { d_gates, d_separate, d_hidden, d_memory }
    }
}
