//! Sigmoid, tanh, the exponential and the logarithm of the sigmoid, of a SIMD vector. The errors are at most two units
//! in the last place, and three for the last.
//!
//! ```text
//! e^x     = 2^n e^r                        n = round(x / ln 2), r = x - n ln 2, e^r - 1 by a polynomial
//! σ(x)    = s / (s + e^r)                  of -x = n ln 2 + r, with s = 2^-n: no overflow, no cancellation
//! tanh(x) = ± (1 - e) / (1 + e)            e = e^(-2 |x|) = 2^n + 2^n (e^r - 1), 1 - e = (1 - 2^n) - 2^n (e^r - 1)
//! log σ(x) = min(x, 0) - log(1 + e)        e = e^-|x|, log(1 + e) = 2 artanh(s) with s = e / (2 + e), by its series
//! ```
//!
//! Sigmoid and tanh take 24 operations each, one of them a division. Of these, 11 are `e^r - 1`: 4 reduce the argument, 7 are the
//! polynomial. In `f32` the largest errors of all numbers are 1.95 units of each (and 1.97 of tanh without fused operations). The
//! tests look at every 613th.
//!
//! A NaN gives a NaN, ±∞ gives the limit, and a subnormal result is as exact as a subnormal number can be.
//!
//! `real.rs` computes `e^r`.

use crate::host::simd::real::Real;
use pulp::Simd;

/// `σ(x) = 1 / (1 + e^-x)`
#[inline(always)]
pub(crate) fn sigmoid<S: Simd, T: Real>(simd: S, x: T::Register<S>) -> T::Register<S> {
    let one = T::splat(simd, T::ONE);
    // Beyond 40 the result is 1 in both types, and at the lower bound it is zero.
    let [low, high] = T::SIGMOID_BOUNDS.map(|bound| T::splat(simd, bound));
    let x = T::if_less(simd, x, low, low, x);
    let x = T::if_less(simd, high, x, high, x);
    let (rest, scaled) = T::exp_parts_scaled(simd, T::neg(simd, x));
    let unscale = T::splat(simd, T::UNSCALE);
    let y = T::add(simd, one, rest);
    let sum = T::mul_add(simd, scaled, unscale, y);
    // What rounding took from the sum, s - (sum - y), is known exactly.
    let lost = T::mul_add(simd, scaled, unscale, T::sub(simd, y, sum));
    let inverse = T::div(simd, one, sum);
    let inverse = T::mul_add(simd, T::mul(simd, T::neg(simd, lost), inverse), inverse, inverse);
    // The last product is exact, unless the result is subnormal.
    T::mul(simd, T::mul(simd, inverse, scaled), unscale)
}

/// `tanh(x)`
#[inline(always)]
pub(crate) fn tanh<S: Simd, T: Real>(simd: S, x: T::Register<S>) -> T::Register<S> {
    let splat = |x| T::splat(simd, T::of(x));
    let one = splat(1.0);
    // Beyond 20 the result is 1 in both types.
    let exponent = T::mul(simd, T::abs(simd, x), splat(-2.0));
    let exponent = T::if_less(simd, exponent, splat(-40.0), splat(-40.0), exponent);
    let (rest, scale) = T::exp_parts(simd, exponent);
    let above = T::mul_add(simd, T::neg(simd, scale), rest, T::sub(simd, one, scale));
    let below = T::mul_add(simd, scale, rest, T::add(simd, one, scale));
    T::with_sign(simd, T::div(simd, above, below), x)
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
    let x = T::if_less(simd, x, splat(-40.0), splat(-40.0), x);
    let (rest, scale) = T::exp_parts(simd, x);
    T::mul_add(simd, T::neg(simd, scale), rest, T::sub(simd, splat(1.0), scale))
}
