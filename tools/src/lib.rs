//! Checks of the project's own source.
//!
//! - [`circles`]: which file imports which, and where files import each other in a circle.

pub mod circles;
mod imports;
mod tokens;
