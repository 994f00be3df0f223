//! The numbers that the scalar layer computes with.

use bptt::cells::Number;

/// A single number, and not a tensor.
pub trait Scalar: Number + std::fmt::Debug + 'static {
    /// A constant: its derivatives are zero.
    fn constant(value: f64) -> Self;

    /// The value, rounded to f64. For a complex number, its real part.
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
