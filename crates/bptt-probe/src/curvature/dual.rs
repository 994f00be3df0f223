//! A value and how it changes along a direction.

use bptt::cells::{Number, Rectify};
use std::ops::{Add, Mul, Neg, Sub};

/// `a + ε ȧ` with `ε² = 0`: a value and its derivative along a direction. Any function of numbers is
/// one of dual numbers, and its tangent comes out exact.
///
/// W. K. Clifford, "Preliminary sketch of biquaternions", Proceedings of the London Mathematical
/// Society 4 (1873), 381–395.
#[derive(Clone, Debug)]
pub struct Dual<N> {
    /// `a`
    pub value: N,
    /// `ȧ`; `None` for zero, with which nothing is computed.
    pub tangent: Option<N>,
}

impl<N> Dual<N> {
    /// What does not change.
    pub fn constant(value: N) -> Self {
        Self { value, tangent: None }
    }

    /// What changes by `tangent`.
    pub fn new(value: N, tangent: Option<N>) -> Self {
        Self { value, tangent }
    }

    /// A linear function of it: the same one of both parts.
    pub fn linear<M>(&self, function: impl Fn(&N) -> M) -> Dual<M> {
        Dual { value: function(&self.value), tangent: self.tangent.as_ref().map(function) }
    }

    /// A function that is linear in each of two.
    pub fn bilinear<A, M>(
        &self,
        other: &Dual<A>,
        product: impl Fn(&N, &A) -> M,
        sum: impl Fn(M, M) -> M,
    ) -> Dual<M> {
        let left = self.tangent.as_ref().map(|tangent| product(tangent, &other.value));
        let right = other.tangent.as_ref().map(|tangent| product(&self.value, tangent));
        let tangent = match (left, right) {
            (Some(left), Some(right)) => Some(sum(left, right)),
            (left, right) => left.or(right),
        };
        Dual { value: product(&self.value, &other.value), tangent }
    }
}

impl<N: Number> Dual<N> {
    /// A function by its value and its derivative.
    fn chain(&self, value: N, slope: impl FnOnce(&N) -> N) -> Self {
        let tangent = self.tangent.as_ref().map(|tangent| slope(&value) * tangent);
        Self { value, tangent }
    }
}

fn add<N: Number>(a: &Dual<N>, b: &Dual<N>) -> Dual<N> {
    let tangent = match (&a.tangent, &b.tangent) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.clone().or_else(|| b.clone()),
    };
    Dual { value: &a.value + &b.value, tangent }
}

fn sub<N: Number>(a: &Dual<N>, b: &Dual<N>) -> Dual<N> {
    let tangent = match (&a.tangent, &b.tangent) {
        (Some(a), Some(b)) => Some(a - b),
        (Some(a), None) => Some(a.clone()),
        (None, b) => b.clone().map(N::neg),
    };
    Dual { value: &a.value - &b.value, tangent }
}

fn mul<N: Number>(a: &Dual<N>, b: &Dual<N>) -> Dual<N> {
    a.bilinear(b, |a, b| a * b, |a, b| a + b)
}

macro_rules! operators {
    ($($Op:ident $op:ident;)*) => {$(
        impl<N: Number> $Op for Dual<N> {
            type Output = Dual<N>;
            fn $op(self, other: Self) -> Dual<N> {
                $op(&self, &other)
            }
        }
        impl<N: Number> $Op<&Dual<N>> for Dual<N> {
            type Output = Dual<N>;
            fn $op(self, other: &Self) -> Dual<N> {
                $op(&self, other)
            }
        }
        impl<N: Number> $Op<Dual<N>> for &Dual<N> {
            type Output = Dual<N>;
            fn $op(self, other: Dual<N>) -> Dual<N> {
                $op(self, &other)
            }
        }
        impl<N: Number> $Op for &Dual<N> {
            type Output = Dual<N>;
            fn $op(self, other: Self) -> Dual<N> {
                $op(self, other)
            }
        }
    )*};
}
operators! {
    Add add;
    Sub sub;
    Mul mul;
}

impl<N: Number> Neg for Dual<N> {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, tangent: self.tangent.map(N::neg) }
    }
}

impl<N: Number> Number for Dual<N> {
    fn one_minus(&self) -> Self {
        Self {
            value: self.value.one_minus(),
            tangent: self.tangent.as_ref().map(|tangent| -tangent.clone()),
        }
    }

    fn sigmoid(&self) -> Self {
        self.chain(self.value.sigmoid(), N::sigmoid_slope)
    }

    fn tanh(&self) -> Self {
        self.chain(self.value.tanh(), N::tanh_slope)
    }
}

// Slopes are steps: their own derivative is zero wherever there is one.
impl<N: Rectify> Rectify for Dual<N> {
    fn relu(&self) -> Self {
        self.chain(self.value.relu(), N::relu_slope)
    }

    fn relu_slope(&self) -> Self {
        Self::constant(self.value.relu_slope())
    }

    fn clip(&self, bound: f64) -> Self {
        self.chain(self.value.clip(bound), |value| value.clip_slope(bound))
    }

    fn clip_slope(&self, bound: f64) -> Self {
        Self::constant(self.value.clip_slope(bound))
    }
}
