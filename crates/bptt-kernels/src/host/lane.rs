//! A register as a cell's number.

use super::functions;
use super::real::Real;
use bptt_cells::{Number, Rectify};
use pulp::Simd;
use std::ops::{Add, Mul, Neg, Sub};

/// As many values as one register of the instruction set `S` holds: what a cell's `step` and
/// `step_backward` compute with in the host kernels.
pub(crate) struct Lane<S: Simd, T: Real> {
    pub(crate) simd: S,
    pub(crate) value: T::Register<S>,
}

impl<S: Simd, T: Real> Clone for Lane<S, T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd, T: Real> Copy for Lane<S, T> {}

impl<S: Simd, T: Real> Lane<S, T> {
    #[inline(always)]
    pub(crate) fn splat(simd: S, x: T) -> Self {
        Self { simd, value: T::splat(simd, x) }
    }

    #[inline(always)]
    fn with(&self, value: T::Register<S>) -> Self {
        Self { simd: self.simd, value }
    }
}

macro_rules! operators {
    ($($Op:ident $op:ident;)*) => {$(
        impl<S: Simd, T: Real> $Op for Lane<S, T> {
            type Output = Lane<S, T>;
            #[inline(always)]
            fn $op(self, other: Self) -> Lane<S, T> {
                self.with(T::$op(self.simd, self.value, other.value))
            }
        }
        impl<S: Simd, T: Real> $Op<&Lane<S, T>> for Lane<S, T> {
            type Output = Lane<S, T>;
            #[inline(always)]
            fn $op(self, other: &Self) -> Lane<S, T> {
                self.$op(*other)
            }
        }
        impl<S: Simd, T: Real> $Op<Lane<S, T>> for &Lane<S, T> {
            type Output = Lane<S, T>;
            #[inline(always)]
            fn $op(self, other: Lane<S, T>) -> Lane<S, T> {
                (*self).$op(other)
            }
        }
        impl<S: Simd, T: Real> $Op for &Lane<S, T> {
            type Output = Lane<S, T>;
            #[inline(always)]
            fn $op(self, other: Self) -> Lane<S, T> {
                (*self).$op(*other)
            }
        }
    )*};
}
operators! {
    Add add;
    Sub sub;
    Mul mul;
}

impl<S: Simd, T: Real> Neg for Lane<S, T> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.with(T::neg(self.simd, self.value))
    }
}

impl<S: Simd, T: Real> Number for Lane<S, T> {
    #[inline(always)]
    fn one_minus(&self) -> Self {
        Self::splat(self.simd, T::ONE) - self
    }

    #[inline(always)]
    fn sigmoid(&self) -> Self {
        self.with(functions::sigmoid::<S, T>(self.simd, self.value))
    }

    #[inline(always)]
    fn tanh(&self) -> Self {
        self.with(functions::tanh::<S, T>(self.simd, self.value))
    }
}

impl<S: Simd, T: Real> Rectify for Lane<S, T> {
    #[inline(always)]
    fn relu(&self) -> Self {
        // A NaN is not less than zero, and stays.
        let zero = T::splat(self.simd, T::ZERO);
        self.with(T::if_less(self.simd, self.value, zero, zero, self.value))
    }

    #[inline(always)]
    fn relu_slope(&self) -> Self {
        let (zero, one) = (T::splat(self.simd, T::ZERO), T::splat(self.simd, T::ONE));
        self.with(T::if_less(self.simd, zero, self.value, one, zero))
    }

    #[inline(always)]
    fn clip(&self, bound: f64) -> Self {
        // A NaN is not beyond either bound, and stays.
        let (simd, x) = (self.simd, self.value);
        let (high, low) = (T::splat(simd, T::of(bound)), T::splat(simd, T::of(-bound)));
        let x = T::if_less(simd, high, x, high, x);
        self.with(T::if_less(simd, x, low, low, x))
    }

    #[inline(always)]
    fn clip_slope(&self, bound: f64) -> Self {
        let simd = self.simd;
        let (zero, one) = (T::splat(simd, T::ZERO), T::splat(simd, T::ONE));
        let size = T::abs(simd, self.value);
        self.with(T::if_less(simd, size, T::splat(simd, T::of(bound)), one, zero))
    }
}
