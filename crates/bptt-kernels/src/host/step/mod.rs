//! One step of the cell over rows and units, forward and backward. It does not know the other steps.

pub(crate) mod gates;
pub(crate) mod planes;
