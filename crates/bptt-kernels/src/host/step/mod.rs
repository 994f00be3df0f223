//! One step of the cell over rows and units, forward and backward. It knows nothing of the steps before
//! and after.

pub(crate) mod gates;
pub(crate) mod planes;
