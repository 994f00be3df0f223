//! A cell as a trait object, for operations that are compiled once for all cells.

use crate::host::step::cell_steps::InValues;
use crate::recurrent::host::HostCell;
use bptt_cells::Cell;
use std::fmt::Debug;

/// A cell that an operation keeps, also as a part of a node on the tape.
pub(crate) trait KeptCell: Debug + Send + Sync {
    /// Calls a function with the cell's steps.
    fn with(&self, run: &mut dyn FnMut(&dyn HostCell));
}

impl<C: Cell> KeptCell for C {
    fn with(&self, run: &mut dyn FnMut(&dyn HostCell)) {
        run(&InValues(self));
    }
}
