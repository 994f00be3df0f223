//! The operations that the coefficients of a scanned cell may use besides those of every cell.

use crate::number::Rectify;

/// The least number that a root is taken of. Its root is below the last digit of all that it is added to, and `f32` has
/// the number.
pub const TINY: f64 = 1e-37;

/// A number with what the coefficients need. All operations are elementwise.
pub trait ScanNumber: Rectify {
    /// `e^x`, for `x ≤ 0`: [`Number::exp`](crate::Number::exp) without a division.
    fn exp_negative(&self) -> Self;

    /// `1 - e^x`, for `x ≤ 0`, exact also where `x` is near zero.
    fn one_minus_exp(&self) -> Self;

    /// `√max(x, tiny)`, with [`TINY`]: its slope is finite everywhere. The slope of a root at zero is infinite, and zero
    /// times that, where a gate is shut, would be NaN.
    fn sqrt(&self) -> Self;

    /// `min(x, 0)`, whose slope at zero is 1: that of `relu` is 0.
    #[inline(always)]
    fn at_most_zero(&self) -> Self {
        self.clone() - self.relu()
    }
}

macro_rules! float {
    ($($float:ty)*) => {$(
        impl ScanNumber for $float {
            #[inline(always)]
            fn exp_negative(&self) -> Self {
                self.exp()
            }

            #[inline(always)]
            fn one_minus_exp(&self) -> Self {
                -self.exp_m1()
            }

            #[inline(always)]
            fn sqrt(&self) -> Self {
                // A NaN is not less, so it stays.
                let tiny = TINY as $float;
                <$float>::sqrt(if *self < tiny { tiny } else { *self })
            }
        }
    )*};
}
float!(f32 f64);
