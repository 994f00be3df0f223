//! Where everything lies, and which thread computes what: sizes and planes of a layer, the valid rows of each step, how
//! threads share them. Nothing is computed here, and the mathematics of the cells is not known here.

pub(crate) mod noise_rows;
pub(crate) mod plain_rows;
pub(crate) mod sizes;
pub(crate) mod thread_plan;
pub(crate) mod valid_rows;
