//! SIMD vectors as a cell's number.

use crate::host::simd::functions;
use crate::host::simd::real::Real;
#[cfg(feature = "scanned-cells")]
use bptt_cells::scanned::{ScanNumber, TINY};
use bptt_cells::{Dual, Number, Rectify};
use pulp::Simd;
use std::ops::{Add, Mul, Neg, Sub};

/// A SIMD vector: as many values as one register of the instruction set `S` holds. With it a cell's `step`
/// and `step_backward` compute in the host kernels.
pub(crate) struct SimdVec<S: Simd, T: Real> {
    pub(crate) simd: S,
    pub(crate) value: T::Register<S>,
}

impl<S: Simd, T: Real> Clone for SimdVec<S, T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd, T: Real> Copy for SimdVec<S, T> {}

impl<S: Simd, T: Real> SimdVec<S, T> {
    #[inline(always)]
    pub(crate) fn splat(simd: S, x: T) -> Self {
        Self { simd, value: T::splat(simd, x) }
    }

    #[inline(always)]
    fn with(&self, value: T::Register<S>) -> Self {
        Self { simd: self.simd, value }
    }
}

// An array's `map` cannot be used here: the function that it calls is not compiled for the instruction set.

/// Two SIMD vectors, of one row or of two. A cell's step is a long chain of operations, each of which waits for the one
/// before. Two chains at once keep the processor's units busy.
#[derive(Clone, Copy)]
pub(crate) struct SimdVecPair<S: Simd, T: Real, const ROWS: usize>([SimdVec<S, T>; 2]);

/// The number that a cell computes with: SIMD vectors of one row or of two; in dual numbers, a vector of values and a
/// vector of tangents, from neighbouring rows.
pub(crate) trait SimdNumber<S: Simd, T: Real>: Rectify + Copy {
    /// From how many rows its vectors are.
    const ROWS: usize;
    /// How many vectors it has of each row.
    const WIDTH: usize;

    /// Makes a number of vectors: `register` gets the row, and which vector of that row.
    fn from_registers(simd: S, register: impl FnMut(usize, usize) -> T::Register<S>) -> Self;

    /// Calls a function with each vector, in the order of [`from_registers`](Self::from_registers).
    fn for_registers(self, register: impl FnMut(usize, usize, T::Register<S>));

    #[inline(always)]
    fn zero(simd: S) -> Self {
        Self::from_registers(simd, |_, _| T::splat(simd, T::ZERO))
    }
}

impl<S: Simd, T: Real, const ROWS: usize> SimdNumber<S, T> for SimdVecPair<S, T, ROWS> {
    const ROWS: usize = ROWS;
    const WIDTH: usize = 2 / ROWS;

    #[inline(always)]
    fn from_registers(simd: S, mut register: impl FnMut(usize, usize) -> T::Register<S>) -> Self {
        let first = SimdVec { simd, value: register(0, 0) };
        let value = if ROWS == 1 { register(0, 1) } else { register(1, 0) };
        Self([first, SimdVec { simd, value }])
    }

    #[inline(always)]
    fn for_registers(self, mut register: impl FnMut(usize, usize, T::Register<S>)) {
        let [first, second] = self.0;
        register(0, 0, first.value);
        if ROWS == 1 {
            register(0, 1, second.value);
        } else {
            register(1, 0, second.value);
        }
    }
}

impl<S: Simd, T: Real> SimdNumber<S, T> for Dual<SimdVec<S, T>> {
    const ROWS: usize = 2;
    const WIDTH: usize = 1;

    #[inline(always)]
    fn from_registers(simd: S, mut register: impl FnMut(usize, usize) -> T::Register<S>) -> Self {
        let value = SimdVec { simd, value: register(0, 0) };
        Self { value, tangent: Some(SimdVec { simd, value: register(1, 0) }) }
    }

    #[inline(always)]
    fn for_registers(self, mut register: impl FnMut(usize, usize, T::Register<S>)) {
        register(0, 0, self.value.value);
        register(1, 0, self.tangent.unwrap_or(SimdVec::splat(self.value.simd, T::ZERO)).value);
    }
}

/// The four forms of an operator, made of the one on values.
macro_rules! operators {
    ($generics:tt $Number:ty: $($Op:ident $op:ident |$a:ident, $b:ident| $result:expr;)*) => {
        $(operators!(@one $generics $Number, $Op $op |$a, $b| $result);)*
    };
    (@one [$($generics:tt)*] $Number:ty, $Op:ident $op:ident |$a:ident, $b:ident| $result:expr) => {
        impl<$($generics)*> $Op for $Number {
            type Output = Self;
            #[inline(always)]
            fn $op(self, other: Self) -> Self {
                let ($a, $b) = (self, other);
                $result
            }
        }
        impl<$($generics)*> $Op<&$Number> for $Number {
            type Output = Self;
            #[inline(always)]
            fn $op(self, other: &Self) -> Self {
                self.$op(*other)
            }
        }
        impl<$($generics)*> $Op<$Number> for &$Number {
            type Output = $Number;
            #[inline(always)]
            fn $op(self, other: $Number) -> $Number {
                (*self).$op(other)
            }
        }
        impl<$($generics)*> $Op for &$Number {
            type Output = $Number;
            #[inline(always)]
            fn $op(self, other: Self) -> $Number {
                (*self).$op(*other)
            }
        }
    };
}
operators! {
    [S: Simd, T: Real] SimdVec<S, T>:
    Add add |a, b| a.with(T::add(a.simd, a.value, b.value));
    Sub sub |a, b| a.with(T::sub(a.simd, a.value, b.value));
    Mul mul |a, b| a.with(T::mul(a.simd, a.value, b.value));
}
operators! {
    [S: Simd, T: Real, const ROWS: usize] SimdVecPair<S, T, ROWS>:
    Add add |a, b| SimdVecPair([a.0[0] + b.0[0], a.0[1] + b.0[1]]);
    Sub sub |a, b| SimdVecPair([a.0[0] - b.0[0], a.0[1] - b.0[1]]);
    Mul mul |a, b| SimdVecPair([a.0[0] * b.0[0], a.0[1] * b.0[1]]);
}

impl<S: Simd, T: Real> Neg for SimdVec<S, T> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.with(T::neg(self.simd, self.value))
    }
}

/// Cells that couple the units of a row are computed in whole rows (`step/whole_rows.rs`). A vector has some units of a
/// row, which have no mean.
fn some_units_of_a_row() -> ! {
    panic!("a step takes a mean over the units of a row: its cell must have `COUPLES_UNITS = true`")
}

impl<S: Simd, T: Real> Number for SimdVec<S, T> {
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

    #[inline(always)]
    fn exp(&self) -> Self {
        self.with(functions::exp::<S, T>(self.simd, self.value))
    }

    #[inline(always)]
    fn log_sigmoid(&self) -> Self {
        self.with(functions::log_sigmoid::<S, T>(self.simd, self.value))
    }

    #[inline(always)]
    fn recip(&self) -> Self {
        self.with(T::div(self.simd, T::splat(self.simd, T::ONE), self.value))
    }

    #[inline(always)]
    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        let x = T::add(self.simd, self.value, T::splat(self.simd, T::of(epsilon)));
        self.with(T::sqrt(self.simd, x)).recip()
    }

    #[inline(always)]
    fn scale(&self, factor: f64) -> Self {
        Self::splat(self.simd, T::of(factor)) * self
    }

    fn mean(&self) -> Self {
        some_units_of_a_row()
    }
}

impl<S: Simd, T: Real> Rectify for SimdVec<S, T> {
    #[inline(always)]
    fn relu(&self) -> Self {
        // A NaN is not less than zero, so it stays.
        let zero = T::splat(self.simd, T::ZERO);
        self.with(T::if_less(self.simd, self.value, zero, zero, self.value))
    }

    #[inline(always)]
    fn relu_backward(&self, d: &Self) -> Self {
        let zero = T::splat(self.simd, T::ZERO);
        self.with(T::if_at_most(self.simd, self.value, zero, zero, d.value))
    }

    #[inline(always)]
    fn clip(&self, bound: f64) -> Self {
        // A NaN is not beyond a bound, so it stays.
        let (simd, x) = (self.simd, self.value);
        let (high, low) = (T::splat(simd, T::of(bound)), T::splat(simd, T::of(-bound)));
        let x = T::if_less(simd, high, x, high, x);
        self.with(T::if_less(simd, x, low, low, x))
    }

    #[inline(always)]
    fn clip_backward(&self, bound: f64, d: &Self) -> Self {
        let simd = self.simd;
        let (zero, bound) = (T::splat(simd, T::ZERO), T::splat(simd, T::of(bound)));
        let size = T::abs(simd, self.value);
        self.with(T::if_at_most(simd, bound, size, zero, d.value))
    }
}

impl<S: Simd, T: Real, const ROWS: usize> Neg for SimdVecPair<S, T, ROWS> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self([-self.0[0], -self.0[1]])
    }
}

impl<S: Simd, T: Real, const ROWS: usize> Number for SimdVecPair<S, T, ROWS> {
    #[inline(always)]
    fn one_minus(&self) -> Self {
        Self([self.0[0].one_minus(), self.0[1].one_minus()])
    }

    #[inline(always)]
    fn sigmoid(&self) -> Self {
        Self([self.0[0].sigmoid(), self.0[1].sigmoid()])
    }

    #[inline(always)]
    fn tanh(&self) -> Self {
        Self([self.0[0].tanh(), self.0[1].tanh()])
    }

    #[inline(always)]
    fn exp(&self) -> Self {
        Self([self.0[0].exp(), self.0[1].exp()])
    }

    #[inline(always)]
    fn log_sigmoid(&self) -> Self {
        Self([self.0[0].log_sigmoid(), self.0[1].log_sigmoid()])
    }

    #[inline(always)]
    fn recip(&self) -> Self {
        Self([self.0[0].recip(), self.0[1].recip()])
    }

    #[inline(always)]
    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        Self([self.0[0].inverse_sqrt(epsilon), self.0[1].inverse_sqrt(epsilon)])
    }

    #[inline(always)]
    fn scale(&self, factor: f64) -> Self {
        Self([self.0[0].scale(factor), self.0[1].scale(factor)])
    }

    fn mean(&self) -> Self {
        some_units_of_a_row()
    }
}

impl<S: Simd, T: Real, const ROWS: usize> Rectify for SimdVecPair<S, T, ROWS> {
    #[inline(always)]
    fn relu(&self) -> Self {
        Self([self.0[0].relu(), self.0[1].relu()])
    }

    #[inline(always)]
    fn relu_backward(&self, d: &Self) -> Self {
        Self([self.0[0].relu_backward(&d.0[0]), self.0[1].relu_backward(&d.0[1])])
    }

    #[inline(always)]
    fn clip(&self, bound: f64) -> Self {
        Self([self.0[0].clip(bound), self.0[1].clip(bound)])
    }

    #[inline(always)]
    fn clip_backward(&self, bound: f64, d: &Self) -> Self {
        let [a, b] = &self.0;
        Self([a.clip_backward(bound, &d.0[0]), b.clip_backward(bound, &d.0[1])])
    }
}

#[cfg(feature = "scanned-cells")]
impl<S: Simd, T: Real> ScanNumber for SimdVec<S, T> {
    #[inline(always)]
    fn exp_negative(&self) -> Self {
        self.with(T::exp_negative(self.simd, self.value))
    }

    #[inline(always)]
    fn one_minus_exp(&self) -> Self {
        self.with(functions::one_minus_exp::<S, T>(self.simd, self.value))
    }

    #[inline(always)]
    fn sqrt(&self) -> Self {
        let (simd, x) = (self.simd, self.value);
        let tiny = T::splat(simd, T::of(TINY));
        self.with(T::sqrt(simd, T::if_less(simd, x, tiny, tiny, x)))
    }
}

#[cfg(feature = "scanned-cells")]
impl<S: Simd, T: Real, const ROWS: usize> ScanNumber for SimdVecPair<S, T, ROWS> {
    #[inline(always)]
    fn exp_negative(&self) -> Self {
        Self([self.0[0].exp_negative(), self.0[1].exp_negative()])
    }

    #[inline(always)]
    fn one_minus_exp(&self) -> Self {
        Self([self.0[0].one_minus_exp(), self.0[1].one_minus_exp()])
    }

    #[inline(always)]
    fn sqrt(&self) -> Self {
        Self([self.0[0].sqrt(), self.0[1].sqrt()])
    }
}
