//! The numbers that the scalar layer computes with.

use bptt::cells::Number;

/// A single number, and not a tensor.
pub trait Scalar: Number + std::fmt::Debug + 'static {
    /// A constant: its derivatives are zero.
    fn constant(value: f64) -> Self;

    /// The value, rounded to f64. For a complex number, its real part.
    fn value(&self) -> f64;

    /// `√x`
    fn sqrt(&self) -> Self;

    /// `sin(x)` and `cos(x)`
    fn sin_cos(&self) -> [Self; 2];
}

impl Scalar for f64 {
    fn constant(value: f64) -> Self {
        value
    }

    fn value(&self) -> f64 {
        *self
    }

    fn sqrt(&self) -> Self {
        f64::sqrt(*self)
    }

    fn sin_cos(&self) -> [Self; 2] {
        f64::sin_cos(*self).into()
    }
}
