//! Checks of the project's own source.
//!
//! - [`circles`]: which file imports which, and where files import each other in a circle.
//! - [`lengths`]: files and functions that are too long.
//! - [`links`]: links of the documentation that lead nowhere.

pub mod circles;
mod files;
mod imports;
pub mod lengths;
pub mod links;
mod tokens;
