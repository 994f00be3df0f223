//! The operations that a cell's equations may use.

use std::ops::{Add, Mul, Neg, Sub};

/// A supertrait with a bound on a type other than `Self` (here `&Self`). So `N: Number` implies the operators on
/// references, without a `where` clause.
pub trait Imply<T>: ImplyIs<T, Is = T> {}

/// The type equality behind [`Imply`].
pub trait ImplyIs<T> {
    /// Always `T`.
    type Is;
}

impl<S, T> ImplyIs<T> for S {
    type Is = T;
}

impl<S, T> Imply<T> for S {}

/// A number with the operations that a cell's equations may use: `+ - *` on values and on references, `sigmoid`,
/// `tanh`, the slopes of both from their outputs, `e^x`, `log σ(x)`, `1 / x` and `1 / √(x + ε)`, a constant factor, and
/// the mean over a row.
///
/// It may be a whole tensor: every operation but [`mean`](Self::mean) is elementwise, and a clone is cheap.
pub trait Number:
    Clone
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + for<'a> Add<&'a Self, Output = Self>
    + for<'a> Sub<&'a Self, Output = Self>
    + for<'a> Mul<&'a Self, Output = Self>
    + for<'a> Imply<
        &'a Self,
        Is: Add<Self, Output = Self>
                + Sub<Self, Output = Self>
                + Mul<Self, Output = Self>
                + Add<&'a Self, Output = Self>
                + Sub<&'a Self, Output = Self>
                + Mul<&'a Self, Output = Self>,
    >
{
    /// `1 - x`
    fn one_minus(&self) -> Self;

    /// `σ(x) = 1 / (1 + e^-x)`
    fn sigmoid(&self) -> Self;

    /// `tanh(x)`
    fn tanh(&self) -> Self;

    /// `e^x`
    fn exp(&self) -> Self;

    /// `log σ(x) = -log(1 + e^-x)`, which does not overflow
    fn log_sigmoid(&self) -> Self;

    /// `1 / x`
    fn recip(&self) -> Self;

    /// `1 / √(x + ε)`
    fn inverse_sqrt(&self, epsilon: f64) -> Self;

    /// `factor · x`
    fn scale(&self, factor: f64) -> Self;

    /// The mean over the units of each row; every unit of the row has it. A plain number is a row of one unit. Only
    /// the cells with [`Layout::COUPLES_UNITS`](crate::Layout::COUPLES_UNITS) use it; whoever runs such a cell gives it
    /// whole rows ([`Row`](crate::Row)).
    fn mean(&self) -> Self;

    /// The same number, as one of its own: where a tape records, the gradients that come to it are summed before they are
    /// added to those of `self`. So large ones that cancel each other leave no rounding in a small gradient of `self`.
    #[inline(always)]
    fn apart(&self) -> Self {
        self.clone()
    }

    /// `σ'(x) = s (1 - s)`, where `self` is the *output* `s = σ(x)`.
    #[inline(always)]
    fn sigmoid_slope(&self) -> Self {
        self * self.one_minus()
    }

    /// `tanh'(x) = 1 - t²`, where `self` is the *output* `t = tanh(x)`.
    #[inline(always)]
    fn tanh_slope(&self) -> Self {
        (self * self).one_minus()
    }
}

/// Numbers with an order, which have a rectifier and bounds. These are not analytic, so complex numbers do not have
/// them.
pub trait Rectify: Number {
    /// `max(x, 0)`
    fn relu(&self) -> Self;

    /// `d` where the *output* `self` of the rectifier is positive, else `0` (PyTorch's convention for the slope at
    /// zero). It selects and does not multiply: where the output is zero, the result is zero, even if `d` is infinite
    /// or NaN. Where the output is NaN, the result is `d`.
    fn relu_backward(&self, d: &Self) -> Self;

    /// `max(-bound, min(bound, x))`, for a positive bound
    fn clip(&self, bound: f64) -> Self;

    /// `d` where the *output* `self` of [`clip`](Self::clip) is between the bounds, `0` where it is at a bound. It
    /// selects, as [`relu_backward`](Self::relu_backward) does.
    fn clip_backward(&self, bound: f64, d: &Self) -> Self;
}

macro_rules! float {
    ($($float:ty)*) => {$(
        impl Number for $float {
            #[inline(always)]
            fn one_minus(&self) -> Self {
                1.0 - self
            }

            #[inline(always)]
            fn sigmoid(&self) -> Self {
                1.0 / (1.0 + (-self).exp())
            }

            #[inline(always)]
            fn tanh(&self) -> Self {
                <$float>::tanh(*self)
            }

            #[inline(always)]
            fn exp(&self) -> Self {
                <$float>::exp(*self)
            }

            #[inline(always)]
            fn log_sigmoid(&self) -> Self {
                // e^-|x| does not overflow. This does not use `min`, because a NaN has to give a NaN.
                let below = if *self < 0.0 { *self } else { 0.0 };
                below - (-self.abs()).exp().ln_1p()
            }

            #[inline(always)]
            fn recip(&self) -> Self {
                1.0 / self
            }

            #[inline(always)]
            fn inverse_sqrt(&self, epsilon: f64) -> Self {
                1.0 / (self + epsilon as $float).sqrt()
            }

            #[inline(always)]
            fn scale(&self, factor: f64) -> Self {
                factor as $float * self
            }

            #[inline(always)]
            fn mean(&self) -> Self {
                *self
            }
        }

        impl Rectify for $float {
            #[inline(always)]
            fn relu(&self) -> Self {
                // This does not use `max`, because a NaN has to give a NaN.
                if *self < 0.0 { 0.0 } else { *self }
            }

            #[inline(always)]
            fn relu_backward(&self, d: &Self) -> Self {
                if *self <= 0.0 { 0.0 } else { *d }
            }

            #[inline(always)]
            fn clip(&self, bound: f64) -> Self {
                // This does not use `min` and `max`, because a NaN has to give a NaN.
                let bound = bound as $float;
                if *self > bound {
                    bound
                } else if *self < -bound {
                    -bound
                } else {
                    *self
                }
            }

            #[inline(always)]
            fn clip_backward(&self, bound: f64, d: &Self) -> Self {
                if self.abs() >= bound as $float { 0.0 } else { *d }
            }
        }
    )*};
}
float!(f32 f64);
