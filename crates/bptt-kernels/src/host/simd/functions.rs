//! Sigmoid and tanh, a register at a time, within two units in the last place everywhere.
//!
//! ```text
//! e^x     = 2^n e^r                    n = round(x / ln 2), r = x - n ln 2, e^r by a polynomial
//! σ(x)    = 1 / (1 + e^-x) for x ≥ 0, e^x / (1 + e^x) below: no overflow, no cancellation
//! tanh(x) = ± u / (2 - u)              u = 1 - e^(-2 |x|) = (1 - 2^n) - 2^n (e^r - 1)
//! ```
//!
//! A NaN comes out as a NaN, ±∞ as the limit, and a result that is subnormal is as exact as a
//! subnormal number can be.
//!
//! Where `e^r` comes from: `real.rs`.

use crate::host::simd::real::Real;
use pulp::Simd;

/// `σ(x) = 1 / (1 + e^-x)`
#[inline(always)]
pub(crate) fn sigmoid<S: Simd, T: Real>(simd: S, x: T::Register<S>) -> T::Register<S> {
    let (zero, one) = (T::splat(simd, T::ZERO), T::splat(simd, T::ONE));
    let e = T::exp_negative(simd, T::neg(simd, T::abs(simd, x)));
    let sum = T::add(simd, one, e);
    let quotient = T::div(simd, T::if_less(simd, x, zero, e, one), sum);
    // What the sum has lost, e - (sum - 1), is known exactly, and is worth half a unit.
    let lost = T::sub(simd, e, T::sub(simd, sum, one));
    let inverse = T::if_less(simd, x, zero, T::sub(simd, one, quotient), quotient);
    T::mul_add(simd, T::mul(simd, T::neg(simd, lost), inverse), quotient, quotient)
}

/// `tanh(x)`
#[inline(always)]
pub(crate) fn tanh<S: Simd, T: Real>(simd: S, x: T::Register<S>) -> T::Register<S> {
    let splat = |x| T::splat(simd, T::of(x));
    let (one, two) = (splat(1.0), splat(2.0));
    // Beyond 20 it is 1 in either type.
    let exponent = T::mul(simd, T::abs(simd, x), splat(-2.0));
    let exponent = T::if_less(simd, exponent, splat(-40.0), splat(-40.0), exponent);
    let (rest, scale) = T::exp_parts(simd, exponent);
    let whole = T::sub(simd, one, scale);
    let minus_scale = T::neg(simd, scale);
    let u = T::mul_add(simd, minus_scale, rest, whole);
    let below = T::sub(simd, two, u);
    let quotient = T::div(simd, u, below);
    // What either difference has lost is known exactly: `lost_u` of `u`, `lost` of `2 - u`. And since
    // 1 / (2 - u) = (1 + t) / 2, it is put right without another division.
    let lost_u = T::mul_add(simd, minus_scale, rest, T::sub(simd, whole, u));
    let lost = T::sub(simd, T::sub(simd, T::sub(simd, two, below), u), lost_u);
    let right = T::mul_add(simd, T::neg(simd, quotient), lost, lost_u);
    let half = splat(0.5);
    let inverse = T::mul_add(simd, half, quotient, half);
    T::with_sign(simd, T::mul_add(simd, right, inverse, quotient), x)
}
