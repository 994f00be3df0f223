//! A tensor and its derivative in one direction, as a number: forward mode, elementwise.
//!
//! `bptt_cells::Dual` does the same for any number, but computes slopes from values (`s (1 − s)`), which loses digits
//! if a gate is saturated. `Tangent` has forms that lose no digits, because it is a witness for saturated gates too.

use crate::reference::primitive::Primitive;
use bptt_cells::{Number, Rectify};
use burn::backend::{Backend, TensorMetadata};
use std::ops::{Add, Mul, Neg, Sub};

/// `x + d ε` with `ε² = 0`.
#[derive(Clone, Debug)]
pub(super) struct Tangent<B: Backend> {
    pub(super) value: Primitive<B>,
    pub(super) slope: Primitive<B>,
}

/// Implements the four forms of an operator by the form on references.
macro_rules! operators {
    ($($Op:ident $op:ident |$a:ident, $b:ident| $slope:expr;)*) => {$(
        impl<B: Backend> $Op for &Tangent<B> {
            type Output = Tangent<B>;
            fn $op(self, other: Self) -> Tangent<B> {
                let ($a, $b) = (self, other);
                Tangent { value: (&$a.value).$op(&$b.value), slope: $slope }
            }
        }
        impl<B: Backend> $Op<Tangent<B>> for &Tangent<B> {
            type Output = Tangent<B>;
            fn $op(self, other: Tangent<B>) -> Tangent<B> {
                self.$op(&other)
            }
        }
        impl<B: Backend> $Op<&Tangent<B>> for Tangent<B> {
            type Output = Tangent<B>;
            fn $op(self, other: &Tangent<B>) -> Tangent<B> {
                (&self).$op(other)
            }
        }
        impl<B: Backend> $Op for Tangent<B> {
            type Output = Tangent<B>;
            fn $op(self, other: Tangent<B>) -> Tangent<B> {
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

impl<B: Backend> Neg for Tangent<B> {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, slope: -self.slope }
    }
}

impl<B: Backend> Number for Tangent<B> {
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

    fn exp(&self) -> Self {
        let value = self.value.exp();
        let slope = &self.slope * &value;
        Self { value, slope }
    }

    fn log_sigmoid(&self) -> Self {
        let slope = &self.slope * (-self.value.clone()).sigmoid();
        Self { value: self.value.log_sigmoid(), slope }
    }

    fn recip(&self) -> Self {
        let value = self.value.recip();
        let slope = -(&self.slope * (&value * &value));
        Self { value, slope }
    }

    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        let value = self.value.inverse_sqrt(epsilon);
        // One factor after the other: in f16 their product may be infinite.
        let slope = (&self.slope * &value * &value * &value).scale(-0.5);
        Self { value, slope }
    }

    fn scale(&self, factor: f64) -> Self {
        Self { value: self.value.scale(factor), slope: self.slope.scale(factor) }
    }

    fn mean(&self) -> Self {
        Self { value: self.value.mean(), slope: self.slope.mean() }
    }
}

impl<B: Backend> Rectify for Tangent<B> {
    fn relu(&self) -> Self {
        // The output of a rectifier is positive or zero, and so its sign is the slope.
        let value = self.value.relu();
        let slope = &self.slope * Primitive(B::float_sign(value.0.clone()));
        Self { value, slope }
    }

    fn relu_backward(&self, d: &Self) -> Self {
        let [value, slope] = [&d.value, &d.slope].map(|d| self.value.relu_backward(d));
        Self { value, slope }
    }

    fn clip(&self, bound: f64) -> Self {
        // 1 where |x| is below the bound, 0 elsewhere.
        let left = B::float_neg(B::float_abs(self.value.0.clone()));
        let sign = B::float_sign(B::float_add_scalar(left, bound.into()));
        let inside = Primitive(B::float_clamp(sign, 0f32.into(), 1f32.into()));
        Self { value: self.value.clip(bound), slope: &self.slope * inside }
    }

    fn clip_backward(&self, bound: f64, d: &Self) -> Self {
        let [value, slope] = [&d.value, &d.slope].map(|d| self.value.clip_backward(bound, d));
        Self { value, slope }
    }
}

impl<B: Backend> Tangent<B> {
    /// A constant: its tangent is zero.
    pub(super) fn still(value: Primitive<B>) -> Self {
        let x = &value.0;
        let slope = Primitive(B::float_zeros(x.shape(), &x.device(), x.dtype().into()));
        Self { value, slope }
    }

    /// The variable to differentiate by: its tangent is given.
    pub(super) fn moving(value: Primitive<B>) -> Self {
        let x = &value.0;
        let slope = Primitive(B::float_ones(x.shape(), &x.device(), x.dtype().into()));
        Self { value, slope }
    }
}
