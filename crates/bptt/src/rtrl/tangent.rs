//! A tensor and its derivative in one direction, as a number: forward mode, elementwise.

use crate::engine::Recorded;
use bptt_cells::{Number, Rectify};
use std::ops::{Add, Mul, Neg, Sub};

/// `x + d ε` with `ε² = 0`.
#[derive(Clone, Debug)]
pub(crate) struct Tangent {
    pub(crate) value: Recorded,
    pub(crate) slope: Recorded,
}

/// The four forms of an operator, from one on references.
macro_rules! operators {
    ($($Op:ident $op:ident |$a:ident, $b:ident| $slope:expr;)*) => {$(
        impl $Op for &Tangent {
            type Output = Tangent;
            fn $op(self, other: Self) -> Tangent {
                let ($a, $b) = (self, other);
                Tangent { value: (&$a.value).$op(&$b.value), slope: $slope }
            }
        }
        impl $Op<Tangent> for &Tangent {
            type Output = Tangent;
            fn $op(self, other: Tangent) -> Tangent {
                self.$op(&other)
            }
        }
        impl $Op<&Tangent> for Tangent {
            type Output = Tangent;
            fn $op(self, other: &Tangent) -> Tangent {
                (&self).$op(other)
            }
        }
        impl $Op for Tangent {
            type Output = Tangent;
            fn $op(self, other: Tangent) -> Tangent {
                (&self).$op(&other)
            }
        }
    )*};
}
operators! {
    Add add |a, b| &a.slope + &b.slope;
    Sub sub |a, b| &a.slope - &b.slope;
    Mul mul |a, b| &a.slope * &b.value + &a.value * &b.slope;
}

impl Neg for Tangent {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, slope: -self.slope }
    }
}

impl Number for Tangent {
    fn one_minus(&self) -> Self {
        Self { value: self.value.one_minus(), slope: -self.slope.clone() }
    }

    fn sigmoid(&self) -> Self {
        // σ'(x) = σ(x) σ(-x)
        let s = self.value.sigmoid();
        let slope = &self.slope * (&s * (-self.value.clone()).sigmoid());
        Self { value: s, slope }
    }

    fn tanh(&self) -> Self {
        // tanh'(x) = (1 - t) (1 + t)
        let t = self.value.tanh();
        let slope = &self.slope * (t.one_minus() * (-t.clone()).one_minus());
        Self { value: t, slope }
    }
}

impl Rectify for Tangent {
    fn relu(&self) -> Self {
        // The sign of what is positive is 1, that of the rest of a rectifier 0.
        let value = self.value.relu();
        let slope = &self.slope * Recorded(value.0.clone().sign());
        Self { value, slope }
    }

    fn relu_slope(&self) -> Self {
        self.still(self.value.relu_slope())
    }

    fn clip(&self, bound: f64) -> Self {
        let inside = Recorded(self.value.0.clone().abs().lower_elem(bound).float());
        let inside = Recorded(inside.0.cast(self.value.0.dtype()));
        Self { value: self.value.clip(bound), slope: &self.slope * inside }
    }

    fn clip_slope(&self, bound: f64) -> Self {
        self.still(self.value.clip_slope(bound))
    }
}

impl Tangent {
    /// What depends on nothing.
    fn still(&self, value: Recorded) -> Self {
        Self { value, slope: Recorded(self.slope.0.zeros_like()) }
    }
}
