//! Sigmoid and tanh, a register at a time, within two units in the last place everywhere.
//!
//! ```text
//! e^x     = 2^n e^r                    n = round(x / ln 2), r = x - n ln 2, e^r by a polynomial
//! σ(x)    = 1 / (1 + e^-x) for x ≥ 0, e^x / (1 + e^x) below: no overflow, no cancellation
//! tanh(x) = x + x³ p(x²)               for |x| < 0.625
//!         = ± (1 - 2 e / (1 + e))      beyond, with e = e^(-2 |x|)
//! ```
//!
//! A NaN comes out as a NaN, ±∞ as the limit, and a result that is subnormal is as exact as a
//! subnormal number can be.
//!
//! Polynomials after S. L. Moshier, Cephes Mathematical Library (`expf`, `tanhf`, `tanh`); that of
//! `e^r` in f64 is Taylor's, of degree 13.

use super::real::Real;
use pulp::Simd;

/// Coefficients, the highest power first.
pub(crate) type Polynomial<T> = &'static [T];

/// `(e^r - 1 - r) / r²`
pub(crate) const EXP_F32: Polynomial<f32> =
    &[1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.000_000_1e-1];

/// `(tanh(x) - x) / x³`, in `x²`
pub(crate) const TANH_F32: Polynomial<f32> =
    &[-5.704_988_7e-3, 2.063_908_8e-2, -5.373_971_5e-2, 1.333_144_2e-1, -3.333_328_2e-1];

/// `(e^r - 1 - r) / r²`
pub(crate) const EXP_F64: Polynomial<f64> = &[
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
];

/// `(tanh(x) - x) / x³` as a quotient of two polynomials in `x²`
pub(crate) const TANH_F64: (Polynomial<f64>, Polynomial<f64>) = (
    &[
        -9.643_991_794_250_522_386_28e-1,
        -9.928_772_310_019_185_865_64e1,
        -1.614_687_684_417_084_479_52e3,
    ],
    &[
        1.0,
        1.128_116_784_916_329_314_02e2,
        2.235_488_390_601_004_485_83e3,
        4.844_063_053_251_254_860_48e3,
    ],
);

/// Horner's rule.
#[inline(always)]
pub(crate) fn evaluate<S: Simd, T: Real>(
    simd: S,
    x: T::Register<S>,
    coefficients: Polynomial<T>,
) -> T::Register<S> {
    let mut sum = T::splat(simd, coefficients[0]);
    for &c in &coefficients[1..] {
        sum = T::mul_add(simd, sum, x, T::splat(simd, c));
    }
    sum
}

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
    let one = T::splat(simd, T::ONE);
    let a = T::abs(simd, x);
    let e = T::exp_negative(simd, T::neg(simd, T::add(simd, a, a)));
    let rest = T::div(simd, T::add(simd, e, e), T::add(simd, one, e));
    let large = T::sub(simd, one, rest);
    let small = T::tanh_small(simd, a);
    T::with_sign(simd, T::if_less(simd, a, T::splat(simd, T::SMALL), small, large), x)
}
