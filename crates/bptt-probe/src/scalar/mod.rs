//! A layer of any options in plain loops over plain numbers: what the witnesses differentiate.
//!
//! [`forward`] is small, slow and obviously right: one row, one step, one unit after the other, and
//! the cell's `step` on single numbers. It reaches no hand-written backward, on any path, and shares
//! with the engines nothing but that `step`. It is held against PyTorch's files, so what the
//! witnesses differentiate is what runs, and what runs is the right function.
//!
//! By the number it is run on, it becomes a witness:
//!
//! | number | what it gives |
//! | --- | --- |
//! | `f64` | the outputs |
//! | [`Complex`] | derivatives without a difference: the imaginary part after a step of `1e-20 i` |
//! | [`Dual`]`<f64, K>` | exact derivatives in `K` directions at once |
//! | [`DoubleDouble`] | the outputs to about 31 digits |
//! | [`Dual`]`<DoubleDouble, K>` | derivatives to about 30 digits: the true value |

mod cell;
mod complex;
mod double_double;
mod dual;
mod gradient;
mod layer;
mod operators;

pub use cell::{Analytic, Real, ScalarCell, analytic, real};
pub use complex::Complex;
pub use double_double::DoubleDouble;
pub use dual::Dual;
pub use gradient::{columns, complex_step, constants, directions};
pub(crate) use layer::is_valid;
pub use layer::{Values, forward, loss};

use bptt::cells::Number;

/// A single number, as opposed to a tensor of them.
pub trait Scalar: Number + std::fmt::Debug + 'static {
    /// That value, which depends on nothing.
    fn constant(value: f64) -> Self;

    /// The value, rounded to f64; of a complex number the real part.
    fn value(&self) -> f64;
}

impl Scalar for f64 {
    fn constant(value: f64) -> Self {
        value
    }

    fn value(&self) -> f64 {
        *self
    }
}

#[cfg(test)]
mod tests;
