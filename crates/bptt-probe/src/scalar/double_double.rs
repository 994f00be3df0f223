//! Numbers of about 32 digits, as the unevaluated sum of two f64.
//!
//! The arithmetic is that of T. J. Dekker, "A floating-point technique for extending the available precision",
//! Numerische Mathematik 18 (1971), 224–242, with a fused multiply-add for the rounding error of a product. The
//! argument of the exponential is reduced by `ln 2` and by halving, as in Y. Hida, X. S. Li and D. H. Bailey,
//! "Algorithms for quad-double precision floating point arithmetic", ARITH 15 (2001).
//!
//! This project has its own type because the functions have to be right to the last digits, too. The crate `twofloat`
//! (0.8.4) has `e` right to 18 digits.

use crate::scalar::number::Scalar;
use crate::scalar::operators::operators;
use bptt::cells::{Number, Rectify};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// `high + low`, where `high` is the sum rounded to f64.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DoubleDouble {
    /// The value, rounded.
    pub high: f64,
    /// The rounding error of `high`.
    pub low: f64,
}

/// `ln 2`
const LN_2: DoubleDouble =
    DoubleDouble { high: std::f64::consts::LN_2, low: 2.319_046_813_846_299_6e-17 };

/// `π / 2`
const HALF_PI: DoubleDouble =
    DoubleDouble { high: std::f64::consts::FRAC_PI_2, low: 6.123_233_995_736_766e-17 };

/// `a + b` and its rounding error.
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// Normalises `high + low` with `|high| >= |low|`.
#[inline]
fn normal(high: f64, low: f64) -> DoubleDouble {
    let sum = high + low;
    DoubleDouble { high: sum, low: low - (sum - high) }
}

impl DoubleDouble {
    /// 1
    const ONE: Self = Self { high: 1.0, low: 0.0 };

    /// An f64, exactly.
    pub const fn new(value: f64) -> Self {
        Self { high: value, low: 0.0 }
    }

    /// `|x|`
    pub fn abs(self) -> Self {
        if self.high < 0.0 { -self } else { self }
    }

    /// Multiplies by a power of two, which is exact.
    fn scaled(self, power: f64) -> Self {
        Self { high: self.high * power, low: self.low * power }
    }

    /// `e^x` for `x <= 0`.
    fn exp_of_negative(self) -> Self {
        let (m1, power) = self.reduced();
        (m1 + Self::ONE).scaled(power)
    }

    /// `e^x - 1` for `x <= 0`, without loss of digits near zero.
    fn exp_m1(self) -> Self {
        let (m1, power) = self.reduced();
        m1.scaled(power) + (Self::new(power) - Self::ONE)
    }

    /// `e^y - 1` and a power of two with `e^x = e^y · power` and small `y`, for `x <= 0`.
    fn reduced(self) -> (Self, f64) {
        const HALVINGS: i32 = 9;
        // e^-700 is 1e-304. Below that, the low half underflows.
        if self.high < -700.0 {
            return (Self::new(0.0), 0.0);
        }
        let n = (self.high / LN_2.high).round();
        let rest = self - LN_2 * Self::new(n);
        let r = rest.scaled((-f64::from(HALVINGS)).exp2());
        // r + r²/2! + … with |r| < 0.0007. The first omitted term is below 1e-34 of the sum.
        let mut sum = r;
        let mut term = r;
        for k in 2..=9 {
            term = term * r / Self::new(f64::from(k));
            sum = sum + term;
        }
        // (1 + s)² - 1 = 2 s + s²
        for _ in 0..HALVINGS {
            sum = sum.scaled(2.0) + sum * sum;
        }
        (sum, n.exp2())
    }
}

operators! { [] DoubleDouble;
    Add add |a, b| {
        let (high, rest) = two_sum(a.high, b.high);
        let (low, rest_of_low) = two_sum(a.low, b.low);
        let first = normal(high, rest + low);
        normal(first.high, first.low + rest_of_low)
    };
    Sub sub |a, b| *a + -*b;
    Mul mul |a, b| {
        let high = a.high * b.high;
        let rest = a.high.mul_add(b.high, -high);
        normal(high, rest + (a.high * b.low + a.low * b.high))
    };
    Div div |a, b| {
        // A long division with three digits, each of which is an f64.
        let first = a.high / b.high;
        let rest = *a - *b * DoubleDouble::new(first);
        let second = rest.high / b.high;
        let rest = rest - *b * DoubleDouble::new(second);
        normal(first, second) + DoubleDouble::new(rest.high / b.high)
    };
}

impl Neg for DoubleDouble {
    type Output = Self;
    #[inline]
    fn neg(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }
}

impl Number for DoubleDouble {
    fn one_minus(&self) -> Self {
        Self::ONE - self
    }

    fn sigmoid(&self) -> Self {
        // e^-|x| does not overflow.
        let e = (-self.abs()).exp_of_negative();
        let larger = Self::ONE / (Self::ONE + e);
        if self.high < 0.0 { e * larger } else { larger }
    }

    fn tanh(&self) -> Self {
        // tanh |x| = (1 - e^-2|x|) / (1 + e^-2|x|)
        let e_m1 = (-self.abs().scaled(2.0)).exp_m1();
        let t = -e_m1 / (Self::new(2.0) + e_m1);
        if self.high < 0.0 { -t } else { t }
    }

    fn exp(&self) -> Self {
        let e = (-self.abs()).exp_of_negative();
        if self.high > 0.0 { Self::ONE / e } else { e }
    }

    fn log_sigmoid(&self) -> Self {
        // min(x, 0) - log(1 + e), e = e^-|x|; log(1 + e) = 2 artanh(s) with s = e / (2 + e) ≤ 1/3.
        let e = (-self.abs()).exp_of_negative();
        let s = e / (Self::new(2.0) + e);
        let square = s * s;
        let mut sum = Self::new(0.0);
        for k in (0..34).rev() {
            sum = sum * square + Self::ONE / Self::new(f64::from(2 * k + 1));
        }
        let below = if self.high < 0.0 { *self } else { Self::new(0.0) };
        below - s.scaled(2.0) * sum
    }

    fn recip(&self) -> Self {
        Self::ONE / *self
    }

    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        let x = *self + Self::new(epsilon);
        // Newton's method for 1 / r² = x, from 16 digits.
        let r = Self::new(1.0 / x.high.sqrt());
        let improved = |r: Self| r + r * (Self::ONE - x * r * r).scaled(0.5);
        improved(improved(r))
    }

    fn scale(&self, factor: f64) -> Self {
        *self * Self::new(factor)
    }

    fn mean(&self) -> Self {
        *self
    }
}

impl Scalar for DoubleDouble {
    fn constant(value: f64) -> Self {
        Self::new(value)
    }

    fn value(&self) -> f64 {
        self.high
    }

    fn sqrt(&self) -> Self {
        // One step of Newton's method doubles the digits.
        let root = Self::new(self.high.sqrt());
        if self.high == 0.0 { root } else { root + (*self - root * root) / root.scaled(2.0) }
    }

    fn sin_cos(&self) -> [Self; 2] {
        // The rest is at most π/4. For the few turns that there are here, π/2 has digits enough.
        let quarters = (self.high / HALF_PI.high).round();
        let rest = *self - HALF_PI * Self::new(quarters);
        let square = rest * rest;
        // r - r³/3! + … and 1 - r²/2! + …: the first omitted terms are below 1e-34.
        let (mut sin, mut cos) = (Self::ONE, Self::ONE);
        for k in (1..=15).rev() {
            let k = f64::from(2 * k);
            sin = Self::ONE - square * sin / Self::new(k * (k + 1.0));
            cos = Self::ONE - square * cos / Self::new(k * (k - 1.0));
        }
        let sin = rest * sin;
        match quarters.rem_euclid(4.0) {
            0.0 => [sin, cos],
            1.0 => [cos, -sin],
            2.0 => [-sin, -cos],
            _ => [-cos, sin],
        }
    }
}

impl Rectify for DoubleDouble {
    fn relu(&self) -> Self {
        if self.high <= 0.0 { Self::new(0.0) } else { *self }
    }

    fn relu_backward(&self, d: &Self) -> Self {
        if self.high <= 0.0 { Self::new(0.0) } else { *d }
    }

    fn clip(&self, bound: f64) -> Self {
        if self.abs().high > bound { Self::new(bound.copysign(self.high)) } else { *self }
    }

    fn clip_backward(&self, bound: f64, d: &Self) -> Self {
        if self.abs().high >= bound { Self::new(0.0) } else { *d }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x`, then `tanh(x)` and `σ(x)` to 32 digits as two f64 each (by mpmath with 60 digits).
    const KNOWN: [(f64, [f64; 2], [f64; 2]); 8] = [
        (1e-05, [9.999999999666668e-06, -4.5758701526937e-22], [0.5000025, -3.721113888476053e-17]),
        (
            0.1,
            [0.09966799462495582, 3.542433877641546e-18],
            [0.52497918747894, -2.5084310194303448e-17],
        ),
        (
            -0.5,
            [-0.46211715726000974, -2.1916603238260928e-17],
            [0.37754066879814546, -2.695376417313478e-17],
        ),
        (
            1.0,
            [0.7615941559557649, 3.7090214482164924e-17],
            [0.7310585786300049, -1.679727399649845e-17],
        ),
        (
            -2.5,
            [-0.9866142981514303, 2.4529238788172874e-17],
            [0.07585818002124355, 5.328066821693456e-18],
        ),
        (
            7.25,
            [0.9999989913051835, 4.825784794213681e-17],
            [0.9992903296008994, 4.8850518441792846e-17],
        ),
        (-20.0, [-1.0, 8.496708510583178e-18], [2.0611536181902037e-09, -1.573719952885692e-25]),
        (-100.0, [-1.0, 0.0], [3.720075976020836e-44, -1.5705024907732008e-60]),
    ];

    fn off(got: DoubleDouble, [high, low]: [f64; 2]) -> f64 {
        ((got - DoubleDouble { high, low }).high / high).abs()
    }

    #[test]
    fn the_functions_are_good_to_thirty_digits() {
        for (x, tanh, sigmoid) in KNOWN {
            let x = DoubleDouble::new(x);
            assert!(off(x.tanh(), tanh) < 1e-30, "tanh {x:?}: {:e}", off(x.tanh(), tanh));
            let error = off(x.sigmoid(), sigmoid);
            assert!(error < 1e-30, "sigmoid {x:?}: {error:e}");
        }
    }

    #[test]
    fn an_inverse_root_is_good_to_thirty_digits() {
        for x in [1e-5, 0.3, 2.0, 7e8] {
            let r = DoubleDouble::new(x).inverse_sqrt(1e-5);
            let x = DoubleDouble::new(x) + DoubleDouble::new(1e-5);
            assert!((x * r * r - DoubleDouble::ONE).high.abs() < 1e-30, "{x:?}");
        }
    }

    /// `1/3 · 3 = 1`, `(1 + 2^-80) - 1 = 2^-80`: f64 cannot represent these.
    #[test]
    fn arithmetic_has_twice_the_digits() {
        let (one, three) = (DoubleDouble::new(1.0), DoubleDouble::new(3.0));
        let small = DoubleDouble::new(2.0_f64.powi(-80));
        assert_eq!((one + small) - one, small);
        assert!((one / three * three - one).high.abs() < 1e-31);
        let third = one / three;
        assert!((third * third - one / DoubleDouble::new(9.0)).high.abs() < 1e-32);
    }

    /// `√2² = 2`; `sin² + cos² = 1`, and `sin 2x = 2 sin x cos x`, in each quarter of a turn.
    #[test]
    fn roots_and_angles_are_good_to_thirty_digits() {
        let two = DoubleDouble::new(2.0);
        assert!((two.sqrt() * two.sqrt() - two).high.abs() < 1e-31);
        for x in [-7.3, -2.5, -1.0, 1e-9, 0.4, 1.7, 3.0, 5.1] {
            let x = DoubleDouble::new(x);
            let [sin, cos] = x.sin_cos();
            assert!((sin.high - x.high.sin()).abs() + (cos.high - x.high.cos()).abs() < 1e-15);
            assert!((sin * sin + cos * cos - DoubleDouble::ONE).high.abs() < 1e-31);
            let [twice, _] = x.scaled(2.0).sin_cos();
            assert!((twice - (sin * cos).scaled(2.0)).high.abs() < 1e-31);
        }
        // To 32 digits, by mpmath.
        let [sin, cos] = DoubleDouble::new(1.0).sin_cos();
        assert!(off(sin, [0.841_470_984_807_896_5, 1.776_845_092_935_536e-18]) < 1e-30);
        assert!(off(cos, [0.540_302_305_868_139_8, -4.760_954_612_604_417e-17]) < 1e-30);
    }
}
