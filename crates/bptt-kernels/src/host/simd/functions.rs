//! Sigmoid, tanh, the exponential and the logarithm of the sigmoid, of a SIMD vector. The errors are at most two units
//! in the last place, and three for the last.
//!
//! ```text
//! e^x     = 2^n e^r                    n = round(x / ln 2), r = x - n ln 2, e^r by a polynomial
//! σ(x)    = 1 / (1 + e^-x) for x ≥ 0, e^x / (1 + e^x) below: no overflow, no cancellation
//! tanh(x) = ± u / (2 - u)              u = 1 - e^(-2 |x|) = (1 - 2^n) - 2^n (e^r - 1)
//! log σ(x) = min(x, 0) - log(1 + e)    e = e^-|x|, log(1 + e) = 2 artanh(s) with s = e / (2 + e), by its series
//! ```
//!
//! A NaN gives a NaN, ±∞ gives the limit, and a subnormal result is as exact as a subnormal number can be.
//!
//! `real.rs` computes `e^r`.

use crate::host::simd::real::Real;
use pulp::Simd;

/// `σ(x) = 1 / (1 + e^-x)`
#[inline(always)]
pub(crate) fn sigmoid<S: Simd, T: Real>(simd: S, x: T::Register<S>) -> T::Register<S> {
    let (zero, one) = (T::splat(simd, T::ZERO), T::splat(simd, T::ONE));
    let e = T::exp_negative(simd, T::neg(simd, T::abs(simd, x)));
    let sum = T::add(simd, one, e);
    let quotient = T::div(simd, T::if_less(simd, x, zero, e, one), sum);
    // What rounding added to the sum, (sum - 1) - e, is known exactly. It is worth half a unit in the last place.
    let gained = T::sub(simd, T::sub(simd, sum, one), e);
    let inverse = T::if_less(simd, x, zero, T::sub(simd, one, quotient), quotient);
    T::mul_add(simd, T::mul(simd, gained, inverse), quotient, quotient)
}

/// `tanh(x)`
#[inline(always)]
pub(crate) fn tanh<S: Simd, T: Real>(simd: S, x: T::Register<S>) -> T::Register<S> {
    let splat = |x| T::splat(simd, T::of(x));
    let (one, two) = (splat(1.0), splat(2.0));
    // Beyond 20 the result is 1 in both types.
    let exponent = T::mul(simd, T::abs(simd, x), splat(-2.0));
    let exponent = T::at_least(simd, T::of(-40.0), exponent);
    let (rest, minus_scale) = T::exp_parts(simd, exponent);
    let whole = T::add(simd, one, minus_scale);
    let u = T::mul_add(simd, minus_scale, rest, whole);
    let below = T::sub(simd, two, u);
    let quotient = T::div(simd, u, below);
    // What rounding took from the differences is known exactly: `lost_u` from `u`, and `lost` from `2 - u`. Since
    // 1 / (2 - u) = (1 + t) / 2, the correction needs no second division.
    let lost_u = T::mul_add(simd, minus_scale, rest, T::sub(simd, whole, u));
    let lost = T::sub(simd, T::sub(simd, T::sub(simd, two, below), u), lost_u);
    let right = T::mul_add(simd, T::neg(simd, quotient), lost, lost_u);
    let half = splat(0.5);
    let inverse = T::mul_add(simd, half, quotient, half);
    T::with_sign(simd, T::mul_add(simd, right, inverse, quotient), x)
}

/// `e^x`. Above 87, or 708 in `f64`, it has fewer digits, because `e^-x` is subnormal.
#[inline(always)]
pub(crate) fn exp<S: Simd, T: Real>(simd: S, x: T::Register<S>) -> T::Register<S> {
    let (zero, one) = (T::splat(simd, T::ZERO), T::splat(simd, T::ONE));
    let e = T::exp_negative(simd, T::neg(simd, T::abs(simd, x)));
    T::if_less(simd, zero, x, T::div(simd, one, e), e)
}

/// `log σ(x)`
#[inline(always)]
pub(crate) fn log_sigmoid<S: Simd, T: Real>(simd: S, x: T::Register<S>) -> T::Register<S> {
    let splat = |x| T::splat(simd, T::of(x));
    let zero = splat(0.0);
    let e = T::exp_negative(simd, T::neg(simd, T::abs(simd, x)));
    let s = T::div(simd, e, T::add(simd, splat(2.0), e));
    let square = T::mul(simd, s, s);
    // 2 s + 2 s (s²/3 + s⁴/5 + …), with s² ≤ 1/9: the first omitted term is below half a unit in the last place.
    let terms = if size_of::<T>() == 4 { 8 } else { 17 };
    let mut sum = zero;
    for k in (1..terms).rev() {
        sum = T::mul_add(simd, sum, square, splat(1.0 / f64::from(2 * k + 1)));
    }
    let twice = T::add(simd, s, s);
    let log = T::mul_add(simd, T::mul(simd, twice, square), sum, twice);
    T::sub(simd, T::if_less(simd, x, zero, x, zero), log)
}

/// `1 - e^x` for `x ≤ 0`, exact also where `x` is near zero.
#[cfg(feature = "scanned-cells")]
#[inline(always)]
pub(crate) fn one_minus_exp<S: Simd, T: Real>(simd: S, x: T::Register<S>) -> T::Register<S> {
    let splat = |x| T::splat(simd, T::of(x));
    // Below -40 the result is 1 in both types.
    let x = T::at_least(simd, T::of(-40.0), x);
    let (rest, minus_scale) = T::exp_parts(simd, x);
    T::mul_add(simd, minus_scale, rest, T::add(simd, splat(1.0), minus_scale))
}
