//! One step of the cell over rows and units, forward and backward. It does not know the other steps.

pub(crate) mod cell_steps;
pub(crate) mod elementwise;
pub(crate) mod gates;
pub(crate) mod planes;
pub(crate) mod row_number;
pub(crate) mod whole_rows;
