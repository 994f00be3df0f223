//! Dual numbers: a value and its derivative along a direction.
#![allow(clippy::manual_map, reason = "see the note on closures below")]

use crate::number::{Number, Rectify};
use std::ops::{Add, Mul, Neg, Sub};

/// `a + ε ȧ` with `ε² = 0`: a value and its derivative along a direction, the tangent. Any function of numbers also
/// runs on dual numbers, and gives the exact tangent.
///
/// W. K. Clifford, "Preliminary sketch of biquaternions", Proceedings of the London Mathematical
/// Society 4 (1873), 381–395.
#[derive(Clone, Copy, Debug)]
pub struct Dual<N> {
    /// `a`
    pub value: N,
    /// `ȧ`; `None` is zero, and nothing is computed with it.
    pub tangent: Option<N>,
}

impl<N> Dual<N> {
    /// A constant: its tangent is zero.
    #[inline(always)]
    pub fn constant(value: N) -> Self {
        Self { value, tangent: None }
    }

    /// A value with a tangent.
    #[inline(always)]
    pub fn new(value: N, tangent: Option<N>) -> Self {
        Self { value, tangent }
    }

    /// Applies a linear function to the value and to the tangent.
    #[inline(always)]
    pub fn linear<M>(&self, function: impl Fn(&N) -> M) -> Dual<M> {
        Dual { value: function(&self.value), tangent: self.tangent.as_ref().map(function) }
    }

    /// A function of two numbers that is linear in each.
    #[inline(always)]
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

// This code uses `match` and no closures, because a closure may not be inlined. In the kernels, all of the code has to
// be compiled for the instruction set of the machine.

impl<N: Number> Dual<N> {
    /// Applies a function, given by its value and its derivative at this point.
    #[inline(always)]
    fn chain(&self, value: N, slope: impl FnOnce(&N) -> N) -> Self {
        let tangent = match &self.tangent {
            Some(tangent) => Some(slope(&value) * tangent),
            None => None,
        };
        Self { value, tangent }
    }
}

#[inline(always)]
fn add<N: Number>(a: &Dual<N>, b: &Dual<N>) -> Dual<N> {
    let tangent = match (&a.tangent, &b.tangent) {
        (Some(a), Some(b)) => Some(a + b),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    };
    Dual { value: &a.value + &b.value, tangent }
}

#[inline(always)]
fn sub<N: Number>(a: &Dual<N>, b: &Dual<N>) -> Dual<N> {
    let tangent = match (&a.tangent, &b.tangent) {
        (Some(a), Some(b)) => Some(a - b),
        (Some(a), None) => Some(a.clone()),
        (None, Some(b)) => Some(-b.clone()),
        (None, None) => None,
    };
    Dual { value: &a.value - &b.value, tangent }
}

#[inline(always)]
fn mul<N: Number>(a: &Dual<N>, b: &Dual<N>) -> Dual<N> {
    let tangent = match (&a.tangent, &b.tangent) {
        (Some(da), Some(db)) => Some(da * &b.value + &a.value * db),
        (Some(da), None) => Some(da * &b.value),
        (None, Some(db)) => Some(&a.value * db),
        (None, None) => None,
    };
    Dual { value: &a.value * &b.value, tangent }
}

#[inline(always)]
fn neg<N: Number>(tangent: Option<N>) -> Option<N> {
    match tangent {
        Some(tangent) => Some(-tangent),
        None => None,
    }
}

macro_rules! operators {
    ($($Op:ident $op:ident;)*) => {$(
        impl<N: Number> $Op for Dual<N> {
            type Output = Dual<N>;
            #[inline(always)]
            fn $op(self, other: Self) -> Dual<N> {
                $op(&self, &other)
            }
        }
        impl<N: Number> $Op<&Dual<N>> for Dual<N> {
            type Output = Dual<N>;
            #[inline(always)]
            fn $op(self, other: &Self) -> Dual<N> {
                $op(&self, other)
            }
        }
        impl<N: Number> $Op<Dual<N>> for &Dual<N> {
            type Output = Dual<N>;
            #[inline(always)]
            fn $op(self, other: Dual<N>) -> Dual<N> {
                $op(self, &other)
            }
        }
        impl<N: Number> $Op for &Dual<N> {
            type Output = Dual<N>;
            #[inline(always)]
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
    #[inline(always)]
    fn neg(self) -> Self {
        Self { value: -self.value, tangent: neg(self.tangent) }
    }
}

impl<N: Number> Number for Dual<N> {
    #[inline(always)]
    fn one_minus(&self) -> Self {
        Self { value: self.value.one_minus(), tangent: neg(self.tangent.clone()) }
    }

    #[inline(always)]
    fn sigmoid(&self) -> Self {
        self.chain(self.value.sigmoid(), N::sigmoid_slope)
    }

    #[inline(always)]
    fn tanh(&self) -> Self {
        self.chain(self.value.tanh(), N::tanh_slope)
    }

    #[inline(always)]
    fn exp(&self) -> Self {
        self.chain(self.value.exp(), N::clone)
    }

    #[inline(always)]
    fn log_sigmoid(&self) -> Self {
        let tangent = match &self.tangent {
            Some(tangent) => Some((-self.value.clone()).sigmoid() * tangent),
            None => None,
        };
        Self { value: self.value.log_sigmoid(), tangent }
    }

    #[inline(always)]
    fn recip(&self) -> Self {
        let value = self.value.recip();
        let tangent = match &self.tangent {
            Some(tangent) => Some(-(&value * &value) * tangent),
            None => None,
        };
        Self { value, tangent }
    }

    #[inline(always)]
    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        // r' = -r³ / 2
        let value = self.value.inverse_sqrt(epsilon);
        let tangent = match &self.tangent {
            Some(tangent) => Some((&value * &value * &value).scale(-0.5) * tangent),
            None => None,
        };
        Self { value, tangent }
    }

    #[inline(always)]
    fn apart(&self) -> Self {
        let tangent = match &self.tangent {
            Some(tangent) => Some(tangent.apart()),
            None => None,
        };
        Self { value: self.value.apart(), tangent }
    }

    #[inline(always)]
    fn scale(&self, factor: f64) -> Self {
        let tangent = match &self.tangent {
            Some(tangent) => Some(tangent.scale(factor)),
            None => None,
        };
        Self { value: self.value.scale(factor), tangent }
    }

    #[inline(always)]
    fn mean(&self) -> Self {
        let tangent = match &self.tangent {
            Some(tangent) => Some(tangent.mean()),
            None => None,
        };
        Self { value: self.value.mean(), tangent }
    }
}

// The slopes of these functions are step functions. Their own derivative is zero wherever it exists.
impl<N: Rectify> Rectify for Dual<N> {
    #[inline(always)]
    fn relu(&self) -> Self {
        let value = self.value.relu();
        let tangent = match &self.tangent {
            Some(tangent) => Some(value.relu_backward(tangent)),
            None => None,
        };
        Self { value, tangent }
    }

    #[inline(always)]
    fn relu_backward(&self, d: &Self) -> Self {
        let tangent = match &d.tangent {
            Some(tangent) => Some(self.value.relu_backward(tangent)),
            None => None,
        };
        Self { value: self.value.relu_backward(&d.value), tangent }
    }

    #[inline(always)]
    fn clip(&self, bound: f64) -> Self {
        let tangent = match &self.tangent {
            Some(tangent) => Some(self.value.clip_backward(bound, tangent)),
            None => None,
        };
        Self { value: self.value.clip(bound), tangent }
    }

    #[inline(always)]
    fn clip_backward(&self, bound: f64, d: &Self) -> Self {
        let tangent = match &d.tangent {
            Some(tangent) => Some(self.value.clip_backward(bound, tangent)),
            None => None,
        };
        Self { value: self.value.clip_backward(bound, &d.value), tangent }
    }
}
