//! Cells side by side on one task: `bptt compare`.
//!
//! Each cell is trained with several seeds, at the same number of parameters, the same size, or for the same time. Beside the
//! losses there is what each costs, and how far back its inputs still matter.

pub(crate) mod facts;
mod options;
mod page;
mod result;
mod run;

pub use options::{CompareOptions, Equal};
pub use result::{ComparedCell, Comparison, CurvePoint};
pub use run::{CompareProgress, compare};
