//! Complex numbers: the complex step.
//!
//! For an analytic function, `f(x + i h) = f(x) + i h f'(x) + O(h²)`. So `f'(x) = Im f(x + i h) / h`, and no two close
//! numbers are subtracted. With `h = 1e-20` the error term is far below the last digit.
//!
//! W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM
//! Review 40 (1998), 110–112.

use crate::scalar::number::Scalar;
use crate::scalar::operators::operators;
use bptt::cells::Number;
use std::ops::{Add, Mul, Neg, Sub};

/// A complex number. It has no order, so no cell with a rectifier or a bound runs on it.
#[derive(Clone, Copy, Debug)]
pub struct Complex(pub num_complex::Complex<f64>);

operators! { [] Complex;
    Add add |a, b| Complex(a.0 + b.0);
    Sub sub |a, b| Complex(a.0 - b.0);
    Mul mul |a, b| Complex(a.0 * b.0);
}

impl Neg for Complex {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Number for Complex {
    fn one_minus(&self) -> Self {
        Self(1.0 - self.0)
    }

    fn sigmoid(&self) -> Self {
        // The exponential is computed of a negative real part only, because it does not overflow then.
        if self.0.re < 0.0 {
            let e = self.0.exp();
            return Self(e / (1.0 + e));
        }
        Self((1.0 + (-self.0).exp()).inv())
    }

    fn tanh(&self) -> Self {
        // tanh(x) = (1 - e^-2x) / (1 + e^-2x) loses digits near zero. The form with sinh loses none, and it overflows
        // only where tanh is ±1 to the last digit.
        let t = self.0.tanh();
        if t.is_nan() && !self.0.re.is_nan() {
            return Self::constant(self.0.re.signum());
        }
        Self(t)
    }

    fn exp(&self) -> Self {
        Self(self.0.exp())
    }

    fn log_sigmoid(&self) -> Self {
        if self.0.re < 0.0 {
            return Self(self.0 - (1.0 + self.0.exp()).ln());
        }
        Self(-(1.0 + (-self.0).exp()).ln())
    }

    fn recip(&self) -> Self {
        Self(self.0.inv())
    }

    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        Self((self.0 + epsilon).sqrt().inv())
    }

    fn scale(&self, factor: f64) -> Self {
        Self(self.0 * factor)
    }

    fn mean(&self) -> Self {
        *self
    }
}

impl Scalar for Complex {
    fn constant(value: f64) -> Self {
        Self(value.into())
    }

    fn value(&self) -> f64 {
        self.0.re
    }

    fn sqrt(&self) -> Self {
        Self(self.0.sqrt())
    }

    fn sin_cos(&self) -> [Self; 2] {
        [Self(self.0.sin()), Self(self.0.cos())]
    }
}
