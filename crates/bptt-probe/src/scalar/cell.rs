//! A cell for one type of number.

use bptt::cells::{
    AnalyticCell, Cell, Components, HiddenTerm, Layout, Number, Rectify, Row, State,
};

/// What goes into the step of a unit.
#[derive(Clone, Debug)]
pub struct UnitInputs<N> {
    /// The pre-activations of the gates.
    pub gates: Vec<N>,
    /// The separate products.
    pub separate: Vec<N>,
    /// The state before the step, with the diagonal weights behind the memories.
    pub before: State<N, Vec<N>>,
}

/// The step of a cell for the units of a row, with lists in place of the cell's own components. It has no backward step,
/// so that no witness can use a hand-written one.
pub trait ScalarCell<N>: Sync {
    /// How the recurrent product of each gate enters.
    fn hidden_terms(&self) -> &'static [HiddenTerm];

    /// How many memories a unit has, without its diagonal weights.
    fn memories(&self) -> usize;

    /// How many diagonal weights a unit has. The cell gets them behind the memories.
    fn diagonal_weights(&self) -> usize;

    /// See [`Cell::gated_hidden`].
    fn gated_hidden(&self, gates: &[N], before: &State<N, Vec<N>>) -> N;

    /// Whether a step mixes the units of a row.
    fn couples_units(&self) -> bool;

    /// See [`Cell::step`], for all units of a row. If the cell does not couple them, any of them may be left out. This
    /// returns no saved values, and the diagonal weights behind the memories.
    fn step(&self, units: Vec<UnitInputs<N>>) -> Vec<State<N, Vec<N>>>;
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

            fn couples_units(&self) -> bool {
                C::COUPLES_UNITS
            }

            fn step(&self, units: Vec<UnitInputs<N>>) -> Vec<State<N, Vec<N>>> {
                if C::COUPLES_UNITS {
                    let row = |of: &dyn Fn(&UnitInputs<N>) -> &N| {
                        Row(units.iter().map(|unit| of(unit).clone()).collect())
                    };
                    let gates = C::Gates::from_fn(|g| row(&|unit| &unit.gates[g]));
                    let separate = C::Separate::from_fn(|a| row(&|unit| &unit.separate[a]));
                    let memory = C::Memory::from_fn(|m| row(&|unit| &unit.before.memory[m]));
                    let before = State { hidden: row(&|unit| &unit.before.hidden), memory };
                    let (after, _saved) = $Cell::step(&self.0, gates, separate, &before);
                    let memory: Vec<Row<N>> = after.memory.into_vec();
                    let of_unit = |(j, hidden): (usize, N)| State {
                        hidden,
                        memory: memory.iter().map(|row: &Row<N>| row.0[j].clone()).collect(),
                    };
                    return after.hidden.0.into_iter().enumerate().map(of_unit).collect();
                }
                let of_unit = |unit: UnitInputs<N>| {
                    let gates = C::Gates::from_vec(unit.gates);
                    let separate = C::Separate::from_vec(unit.separate);
                    let before = components::<N, C>(&unit.before);
                    let (after, _saved) = $Cell::step(&self.0, gates, separate, &before);
                    State { hidden: after.hidden, memory: after.memory.into_vec() }
                };
                units.into_iter().map(of_unit).collect()
            }
        }
    };
}
scalar_cell!(Analytic, AnalyticCell, Number);
scalar_cell!(Real, Cell, Rectify);

fn components<N: Number, C: Layout>(state: &State<N, Vec<N>>) -> State<N, C::Memory<N>> {
    State { hidden: state.hidden.clone(), memory: C::Memory::from_vec(state.memory.clone()) }
}
