//! A layer with any options, in plain loops over plain numbers. Several witnesses differentiate it.
//!
//! [`forward`] is small, slow and easy to check by reading: it computes one row, one step and one unit after the other,
//! and calls the cell's `step` on single numbers (on [`Row`](bptt::cells::Row)s of
//! them, if the cell couples units). It never calls a hand-written backward step. It shares only `step` and
//! `gated_hidden` with the engines. A test compares it with PyTorch's files, so the witnesses differentiate the right
//! function.
//!
//! The type of the number makes it a witness:
//!
//! | number | what it gives |
//! | --- | --- |
//! | `f64` | the outputs |
//! | [`Complex`] | derivatives without a difference: the imaginary part after a step of `1e-20 i` |
//! | [`Dual`]`<f64, K>` | exact derivatives in `K` directions at once |
//! | [`DoubleDouble`] | the outputs to about 31 digits |
//! | [`Dual`]`<DoubleDouble, K>` | derivatives to about 30 digits: the true value |

mod cell;
mod choose;
mod complex;
mod double_double;
mod dual;
mod gradient;
mod layer;
mod noise;
mod number;
pub(crate) mod operators;
#[cfg(feature = "scanned-cells")]
mod scanned;
mod step;

pub use cell::{Analytic, Real, ScalarCell, UnitInputs};
pub use choose::{analytic, real};
pub use complex::Complex;
pub use double_double::DoubleDouble;
pub use dual::Dual;
pub use gradient::{columns, complex_step, constants, directions};
pub use layer::{RowState, ScalarLayer, ScalarPart, Values, forward, loss};
pub(crate) use layer::{is_reset, is_valid};
pub use noise::{Noise, StepNoise};
pub use number::Scalar;

#[cfg(test)]
mod tests;
