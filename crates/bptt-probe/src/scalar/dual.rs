//! Dual numbers: `x + Σ_k d_k ε_k` with `ε_j ε_k = 0`. A function of a dual number gives its value and its derivatives
//! in `K` directions.
//!
//! This file has its own slopes of `σ` and `tanh`, in another form. It does *not* use those of [`Number`], which the
//! hand-written backward step uses. A witness that used them would share their errors.
//!
//! W. K. Clifford, "Preliminary sketch of biquaternions", Proceedings of the London Mathematical
//! Society 4 (1873), 381–395; R. E. Wengert, "A simple automatic derivative evaluation program",
//! Communications of the ACM 7 (1964), 463–464.

use crate::scalar::number::Scalar;
use crate::scalar::operators::operators;
use bptt::cells::{Number, Rectify};
use std::array::from_fn;
use std::ops::{Add, Mul, Neg, Sub};

/// A value and its derivatives in `K` directions.
#[derive(Clone, Debug)]
pub struct Dual<N, const K: usize> {
    /// The value.
    pub value: N,
    /// Its derivative in each direction.
    pub slopes: [N; K],
}

impl<N: Scalar, const K: usize> Dual<N, K> {
    /// A value with its derivatives.
    pub fn new(value: N, slopes: [N; K]) -> Self {
        Self { value, slopes }
    }

    /// A constant: no derivative in any direction.
    pub fn still(value: N) -> Self {
        Self { value, slopes: from_fn(|_| N::constant(0.0)) }
    }

    /// The product rule in direction `k`.
    fn slope_of_product(&self, other: &Self, k: usize) -> N {
        &self.slopes[k] * &other.value + &self.value * &other.slopes[k]
    }

    /// The chain rule, from the function's value and slope at this point.
    fn chain(&self, value: N, slope: N) -> Self {
        Self { value, slopes: from_fn(|k| &self.slopes[k] * &slope) }
    }
}

operators! { [N: Scalar, const K: usize] Dual<N, K>;
    Add add |a, b| Dual {
        value: &a.value + &b.value,
        slopes: from_fn(|k| &a.slopes[k] + &b.slopes[k]),
    };
    Sub sub |a, b| Dual {
        value: &a.value - &b.value,
        slopes: from_fn(|k| &a.slopes[k] - &b.slopes[k]),
    };
    Mul mul |a, b| Dual {
        value: &a.value * &b.value,
        slopes: from_fn(|k| a.slope_of_product(b, k)),
    };
}

impl<N: Scalar, const K: usize> Neg for Dual<N, K> {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, slopes: self.slopes.map(|d| -d) }
    }
}

impl<N: Scalar, const K: usize> Number for Dual<N, K> {
    fn one_minus(&self) -> Self {
        Self { value: self.value.one_minus(), slopes: self.slopes.clone().map(|d| -d) }
    }

    fn sigmoid(&self) -> Self {
        // σ'(x) = σ(x) σ(-x)
        let s = self.value.sigmoid();
        let slope = &s * (-self.value.clone()).sigmoid();
        self.chain(s, slope)
    }

    fn tanh(&self) -> Self {
        // tanh'(x) = 1 / cosh²(x) = 4 σ(2x) σ(-2x): no digits are lost where tanh is near 1.
        let twice = &self.value + &self.value;
        let slope = N::constant(4.0) * twice.sigmoid() * (-twice).sigmoid();
        self.chain(self.value.tanh(), slope)
    }

    fn exp(&self) -> Self {
        let e = self.value.exp();
        self.chain(e.clone(), e)
    }

    fn log_sigmoid(&self) -> Self {
        self.chain(self.value.log_sigmoid(), (-self.value.clone()).sigmoid())
    }

    fn recip(&self) -> Self {
        let r = self.value.recip();
        let slope = -(&r * &r);
        self.chain(r, slope)
    }

    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        let r = self.value.inverse_sqrt(epsilon);
        let slope = (&r * &r * &r).scale(-0.5);
        self.chain(r, slope)
    }

    fn scale(&self, factor: f64) -> Self {
        let slopes = from_fn(|k| self.slopes[k].scale(factor));
        Self { value: self.value.scale(factor), slopes }
    }

    fn mean(&self) -> Self {
        self.clone()
    }
}

impl<N: Scalar, const K: usize> Scalar for Dual<N, K> {
    fn constant(value: f64) -> Self {
        Self::still(N::constant(value))
    }

    fn value(&self) -> f64 {
        self.value.value()
    }

    fn sqrt(&self) -> Self {
        let root = self.value.sqrt();
        let slope = (&root + &root).recip();
        self.chain(root, slope)
    }

    fn sin_cos(&self) -> [Self; 2] {
        let [sin, cos] = self.value.sin_cos();
        [self.chain(sin.clone(), cos.clone()), self.chain(cos, -sin)]
    }
}

impl<N: Scalar, const K: usize> Rectify for Dual<N, K> {
    fn relu(&self) -> Self {
        if self.value() <= 0.0 { Self::constant(0.0) } else { self.clone() }
    }

    fn relu_backward(&self, d: &Self) -> Self {
        if self.value() <= 0.0 { Self::constant(0.0) } else { d.clone() }
    }

    fn clip(&self, bound: f64) -> Self {
        match self.value() {
            x if x > bound => Self::constant(bound),
            x if x < -bound => Self::constant(-bound),
            _ => self.clone(),
        }
    }

    fn clip_backward(&self, bound: f64, d: &Self) -> Self {
        if self.value().abs() >= bound { Self::constant(0.0) } else { d.clone() }
    }
}
