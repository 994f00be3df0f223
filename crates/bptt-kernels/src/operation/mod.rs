//! What a caller asks for: operands and results, the plan of a layer, the schedule of a long trace. This module imports
//! nothing else of the crate.

pub(crate) mod any_tensor;
pub(crate) mod cell_layout;
pub(crate) mod memory;
pub(crate) mod observer;
pub(crate) mod operands;
pub(crate) mod plan;
pub(crate) mod recorded;
pub(crate) mod schedule;
pub(crate) mod sequence_rows;
#[cfg(feature = "scanned-cells")]
pub(crate) mod step_flags;
pub(crate) mod step_noise;
pub(crate) mod weight_cache;
