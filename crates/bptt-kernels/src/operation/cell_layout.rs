//! What the kernels know about a cell besides its equations, as values.

use bptt_cells::{Components, HiddenTerm, Layout};

/// A cell's [`Layout`](bptt_cells::Layout) as values. Code that does not need the equations of the cell takes this. So
/// it is compiled once, and not for each cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellLayout {
    /// The name in messages.
    pub name: &'static str,
    /// How the hidden state enters each gate.
    pub hidden_terms: &'static [HiddenTerm],
    /// `M`, the number of memories.
    pub memories: usize,
    /// `K`, the number of values that a step saves.
    pub saved: usize,
    /// Whether the cell may have a projection. The step of such a cell does not read the hidden state.
    pub projectable: bool,
}

impl CellLayout {
    /// The layout of a cell.
    pub fn of<C: Layout>() -> Self {
        Self {
            name: C::NAME,
            hidden_terms: C::HIDDEN_TERMS,
            memories: C::Memory::<f64>::LEN,
            saved: C::Saved::<f64>::LEN,
            projectable: C::PROJECTABLE,
        }
    }

    /// `G`, the number of gates.
    pub fn gates(&self) -> usize {
        self.hidden_terms.len()
    }

    /// How many gates have a hidden term of this kind.
    pub fn count(&self, kind: HiddenTerm) -> usize {
        self.hidden_terms.iter().filter(|&&term| term == kind).count()
    }
}
