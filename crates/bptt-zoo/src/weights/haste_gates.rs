//! The gates of haste's cells, whose order is another one than PyTorch's.

use crate::weights::array::Array;
use crate::weights::error_list::{ErrorList, shown};
use crate::weights::keymap::Cell;

/// The gates of a cell.
pub(super) struct Gates {
    /// The index of each of PyTorch's gates in haste's order. It is its own inverse.
    pub(super) order: &'static [usize],
    /// The orders in words.
    pub(super) how: &'static str,
    /// The names of the cell's tensors.
    pub(super) names: &'static [&'static str],
}

pub(super) static GRU: Gates = Gates {
    order: &[1, 0, 2],
    how: "z r g to r z n",
    names: &["kernel", "recurrent_kernel", "bias", "recurrent_bias"],
};

pub(super) static LSTM: Gates = Gates {
    order: &[0, 2, 1, 3],
    how: "i g f o to i f g o",
    names: &["kernel", "recurrent_kernel", "bias"],
};

impl Gates {
    /// The recurrent kernel of a cell with its name, and the gates that its shape shows.
    pub(super) fn of<'a>(
        cell: &Cell<'a>,
        errors: &mut ErrorList,
    ) -> Option<((&'a str, &'a Array), &'static Self)> {
        let recurrent = cell.take("recurrent_kernel", &[None, None], errors)?;
        let &[hidden, columns] = recurrent.1.shape() else { return None };
        match (columns % hidden, columns / hidden) {
            (0, 3) => Some((recurrent, &GRU)),
            (0, 4) => Some((recurrent, &LSTM)),
            _ => {
                errors.add(format!(
                    "{} has shape [{hidden}, {columns}]: {columns} columns are not 3 or 4 gates of {hidden}",
                    shown(recurrent.0)
                ));
                None
            }
        }
    }
}
