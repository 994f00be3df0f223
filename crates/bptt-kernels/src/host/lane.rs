//! A register as a cell's number.

use super::functions;
use super::real::Real;
use bptt_cells::{Dual, Number, Rectify};
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

/// What a cell computes with: one register, or in dual numbers a register of values and one of
/// tangents, which lie in neighbouring rows.
pub(crate) trait Registers<S: Simd, T: Real>: Rectify + Copy {
    /// How many rows it comes from.
    const ROWS: usize;

    /// From the register of each row.
    fn from_rows(simd: S, row: impl FnMut(usize) -> T::Register<S>) -> Self;

    /// Hands out the register for each row.
    fn for_rows(self, row: impl FnMut(usize, T::Register<S>));

    #[inline(always)]
    fn zero(simd: S) -> Self {
        Self::from_rows(simd, |_| T::splat(simd, T::ZERO))
    }
}

impl<S: Simd, T: Real> Registers<S, T> for Lane<S, T> {
    const ROWS: usize = 1;

    #[inline(always)]
    fn from_rows(simd: S, mut row: impl FnMut(usize) -> T::Register<S>) -> Self {
        Self { simd, value: row(0) }
    }

    #[inline(always)]
    fn for_rows(self, mut row: impl FnMut(usize, T::Register<S>)) {
        row(0, self.value);
    }
}

impl<S: Simd, T: Real> Registers<S, T> for Dual<Lane<S, T>> {
    const ROWS: usize = 2;

    #[inline(always)]
    fn from_rows(simd: S, mut row: impl FnMut(usize) -> T::Register<S>) -> Self {
        let [value, tangent] = [row(0), row(1)].map(|value| Lane { simd, value });
        Self { value, tangent: Some(tangent) }
    }

    #[inline(always)]
    fn for_rows(self, mut row: impl FnMut(usize, T::Register<S>)) {
        row(0, self.value.value);
        row(1, self.tangent.unwrap_or(Lane::splat(self.value.simd, T::ZERO)).value);
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
