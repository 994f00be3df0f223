//! What the kernels know about a cell besides its equations, as values.

use bptt_cells::{Components, DiagonalRole, GateRole, HiddenTerm, Layout};

/// A cell's [`Layout`](bptt_cells::Layout) as values. Code that does not need the equations of the cell takes this. So
/// it is compiled once, and not for each cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellLayout {
    /// The name in messages.
    pub name: &'static str,
    /// How the hidden state enters each gate.
    pub hidden_terms: &'static [HiddenTerm],
    /// What each gate does with the memory; empty if no gate holds it.
    pub gate_roles: &'static [GateRole],
    /// The number of memories, with the diagonal weights behind them.
    pub memories: usize,
    /// `V`, the number of diagonal weights: the last memories, which do not change.
    pub diagonal_weights: usize,
    /// What each diagonal weight is; empty if all are recurrent weights.
    pub diagonal_roles: &'static [DiagonalRole],
    /// Whether a step mixes the units of a row.
    pub couples_units: bool,
    /// `K`, the number of values that a step saves.
    pub saved: usize,
    /// Whether the cell may have a projection. The step of such a cell does not read the hidden state.
    pub projectable: bool,
}

impl CellLayout {
    /// The layout of a cell.
    pub fn of<C: Layout>() -> Self {
        const { check::<C>() };
        Self {
            name: C::NAME,
            hidden_terms: C::HIDDEN_TERMS,
            gate_roles: C::GATE_ROLES,
            memories: C::Memory::<f64>::LEN,
            diagonal_weights: C::DIAGONAL_WEIGHTS,
            diagonal_roles: C::DIAGONAL_ROLES,
            couples_units: C::COUPLES_UNITS,
            saved: C::Saved::<f64>::LEN,
            projectable: C::PROJECTABLE,
        }
    }

    /// `G`, the number of gates.
    pub fn gates(&self) -> usize {
        self.hidden_terms.len()
    }

    /// `M`, the number of memories that change from step to step.
    pub fn states(&self) -> usize {
        self.memories - self.diagonal_weights
    }

    /// Whether there are recurrent matrices, `U`.
    pub fn has_recurrent_weights(&self) -> bool {
        !self.hidden_terms.contains(&HiddenTerm::None)
    }

    /// How many gates have a hidden term of this kind.
    pub fn count(&self, kind: HiddenTerm) -> usize {
        self.hidden_terms.iter().filter(|&&term| term == kind).count()
    }
}

/// Checks the constants of a layout while the cell is compiled.
const fn check<C: Layout>() {
    let roles = C::DIAGONAL_ROLES.len();
    assert!(
        roles == 0 || roles == C::DIAGONAL_WEIGHTS,
        "one role for each diagonal weight, or none"
    );
    let mut gate = 0;
    while gate < C::HIDDEN_TERMS.len() {
        let gated = matches!(C::HIDDEN_TERMS[gate], HiddenTerm::Gated);
        assert!(!(gated && C::COUPLES_UNITS), "coupled units and a gated hidden state in one cell");
        gate += 1;
    }
}
