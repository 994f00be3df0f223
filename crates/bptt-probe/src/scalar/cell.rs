//! A cell for one type of number.

use bptt::cells::{AnalyticCell, Cell, Components, HiddenTerm, Layout, Number, Rectify, State};

/// The step of a cell for one unit, with lists in place of the cell's own components. It has no backward step, so that
/// no witness can use a hand-written one.
pub trait ScalarCell<N>: Sync {
    /// How the recurrent product of each gate enters.
    fn hidden_terms(&self) -> &'static [HiddenTerm];

    /// How many memories a unit has, without its diagonal weights.
    fn memories(&self) -> usize;

    /// How many diagonal weights a unit has. The cell gets them behind the memories.
    fn diagonal_weights(&self) -> usize;

    /// See [`Cell::gated_hidden`].
    fn gated_hidden(&self, gates: &[N], before: &State<N, Vec<N>>) -> N;

    /// See [`Cell::step`]. This returns no saved values, and the diagonal weights behind the memories.
    fn step(&self, gates: Vec<N>, separate: Vec<N>, before: &State<N, Vec<N>>) -> State<N, Vec<N>>;
}

/// A cell of analytic functions, for any number.
#[derive(Clone, Copy, Debug)]
pub struct Analytic<C>(
    /// The cell.
    pub C,
);

/// Any cell, for numbers that have an order.
#[derive(Clone, Copy, Debug)]
pub struct Real<C>(
    /// The cell.
    pub C,
);

/// The two types differ only in the trait whose `step` they call.
macro_rules! scalar_cell {
    ($Wrapper:ident, $Cell:ident, $Number:ident) => {
        impl<N: $Number, C: $Cell> ScalarCell<N> for $Wrapper<C> {
            fn hidden_terms(&self) -> &'static [HiddenTerm] {
                C::HIDDEN_TERMS
            }

            fn memories(&self) -> usize {
                C::Memory::<N>::LEN - C::DIAGONAL_WEIGHTS
            }

            fn diagonal_weights(&self) -> usize {
                C::DIAGONAL_WEIGHTS
            }

            fn gated_hidden(&self, gates: &[N], before: &State<N, Vec<N>>) -> N {
                $Cell::gated_hidden(
                    &self.0,
                    &C::Gates::from_vec(gates.to_vec()),
                    &components::<N, C>(before),
                )
            }

            fn step(
                &self,
                gates: Vec<N>,
                separate: Vec<N>,
                before: &State<N, Vec<N>>,
            ) -> State<N, Vec<N>> {
                let (gates, separate) =
                    (C::Gates::from_vec(gates), C::Separate::from_vec(separate));
                let (after, _saved) =
                    $Cell::step(&self.0, gates, separate, &components::<N, C>(before));
                State { hidden: after.hidden, memory: after.memory.into_vec() }
            }
        }
    };
}
scalar_cell!(Analytic, AnalyticCell, Number);
scalar_cell!(Real, Cell, Rectify);

fn components<N: Number, C: Layout>(state: &State<N, Vec<N>>) -> State<N, C::Memory<N>> {
    State { hidden: state.hidden.clone(), memory: C::Memory::from_vec(state.memory.clone()) }
}
