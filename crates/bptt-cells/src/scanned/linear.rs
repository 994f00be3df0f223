//! The state of a unit: a real or a complex number.

use crate::components::Components;
use crate::number::Number;

/// A real number `[x]`, or a complex number `[re, im]`: the state of a unit, and what it is multiplied with.
pub trait Linear<N: Number>: Components<N> + Clone {
    /// `self · x`
    fn times(&self, x: &Self) -> Self;

    /// `conj(self) · d`: dLoss/dx from `d` = dLoss/d(self · x). The derivative of a complex number is the pair of those
    /// of its parts.
    fn times_backward(&self, d: &Self) -> Self;

    /// `self + x`
    fn plus(&self, x: &Self) -> Self;

    /// `conj(self)`
    fn conj(self) -> Self;
}

impl<N: Number> Linear<N> for [N; 1] {
    #[inline(always)]
    fn times(&self, [x]: &Self) -> Self {
        [&self[0] * x]
    }

    #[inline(always)]
    fn times_backward(&self, [d]: &Self) -> Self {
        [&self[0] * d]
    }

    #[inline(always)]
    fn plus(&self, [x]: &Self) -> Self {
        [&self[0] + x]
    }

    #[inline(always)]
    fn conj(self) -> Self {
        self
    }
}

impl<N: Number> Linear<N> for [N; 2] {
    #[inline(always)]
    fn times(&self, [re, im]: &Self) -> Self {
        let [a, b] = self;
        [a * re - b * im, a * im + b * re]
    }

    #[inline(always)]
    fn times_backward(&self, [re, im]: &Self) -> Self {
        let [a, b] = self;
        [a * re + b * im, a * im - b * re]
    }

    #[inline(always)]
    fn plus(&self, [re, im]: &Self) -> Self {
        [&self[0] + re, &self[1] + im]
    }

    #[inline(always)]
    fn conj(self) -> Self {
        let [re, im] = self;
        [re, -im]
    }
}
