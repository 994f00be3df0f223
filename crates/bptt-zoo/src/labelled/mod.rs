//! Labelled sequences of a user's own: read from a file, divided into parts, standardised, and put into batches of similar
//! lengths.

pub(crate) mod characters;
pub(crate) mod confusion;
pub(crate) mod json_lines;
pub(crate) mod long_form;
pub(crate) mod prepared;
pub(crate) mod scaling;
pub(crate) mod score;
pub(crate) mod sequence;
pub(crate) mod source;
