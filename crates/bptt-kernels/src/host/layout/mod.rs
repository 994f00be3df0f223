//! Where everything lies and who works on what: sizes and planes of a layer, the rows of each step, how
//! threads share them. Nothing is computed here, and no cell's mathematics is known.

pub(crate) mod plain_rows;
pub(crate) mod sizes;
pub(crate) mod thread_plan;
pub(crate) mod valid_rows;
