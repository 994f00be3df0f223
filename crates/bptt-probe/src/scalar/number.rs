//! The numbers that the scalar layer computes with.

use bptt::cells::Number;

/// A single number, as opposed to a tensor of them.
pub trait Scalar: Number + std::fmt::Debug + 'static {
    /// A constant: its derivatives are zero.
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
