//! The units of a row as one number.

use crate::number::{Number, Rectify};
use std::ops::{Add, Mul, Neg, Sub};

/// All units of a row, of any number: each operation is done unit by unit, and [`mean`](Number::mean) is over the units.
/// With it a cell that [couples the units](crate::Layout::COUPLES_UNITS) of a row runs on plain, dual or complex numbers.
///
/// The operands of an operation have the same number of units.
#[derive(Clone, Debug)]
pub struct Row<N>(
    /// One for each unit.
    pub Vec<N>,
);

impl<N: Number> Row<N> {
    fn map(&self, function: impl FnMut(&N) -> N) -> Self {
        Self(self.0.iter().map(function).collect())
    }

    fn zip(&self, other: &Self, function: impl Fn(&N, &N) -> N) -> Self {
        assert_eq!(self.0.len(), other.0.len(), "rows of different numbers of units");
        Self(self.0.iter().zip(&other.0).map(|(a, b)| function(a, b)).collect())
    }
}

macro_rules! operators {
    ($($Op:ident $op:ident;)*) => {$(
        impl<N: Number> $Op for Row<N> {
            type Output = Row<N>;
            fn $op(self, other: Self) -> Row<N> {
                (&self).$op(&other)
            }
        }
        impl<N: Number> $Op<&Row<N>> for Row<N> {
            type Output = Row<N>;
            fn $op(self, other: &Self) -> Row<N> {
                (&self).$op(other)
            }
        }
        impl<N: Number> $Op<Row<N>> for &Row<N> {
            type Output = Row<N>;
            fn $op(self, other: Row<N>) -> Row<N> {
                self.$op(&other)
            }
        }
        impl<N: Number> $Op for &Row<N> {
            type Output = Row<N>;
            fn $op(self, other: Self) -> Row<N> {
                self.zip(other, |a, b| a.$op(b))
            }
        }
    )*};
}
operators! {
    Add add;
    Sub sub;
    Mul mul;
}

impl<N: Number> Neg for Row<N> {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.into_iter().map(N::neg).collect())
    }
}

impl<N: Number> Number for Row<N> {
    fn one_minus(&self) -> Self {
        self.map(N::one_minus)
    }

    fn sigmoid(&self) -> Self {
        self.map(N::sigmoid)
    }

    fn tanh(&self) -> Self {
        self.map(N::tanh)
    }

    fn exp(&self) -> Self {
        self.map(N::exp)
    }

    fn log_sigmoid(&self) -> Self {
        self.map(N::log_sigmoid)
    }

    fn recip(&self) -> Self {
        self.map(N::recip)
    }

    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        self.map(|x| x.inverse_sqrt(epsilon))
    }

    fn apart(&self) -> Self {
        self.map(N::apart)
    }

    fn scale(&self, factor: f64) -> Self {
        self.map(|x| x.scale(factor))
    }

    fn mean(&self) -> Self {
        let mut units = self.0.iter();
        let first = units.next().expect("a row has a unit").clone();
        let mean = units.fold(first, |sum, x| sum + x).scale(1.0 / self.0.len() as f64);
        // A unit may be of several units in turn, or want to know that it has a mean.
        Self(vec![mean.mean(); self.0.len()])
    }
}

impl<N: Rectify> Rectify for Row<N> {
    fn relu(&self) -> Self {
        self.map(N::relu)
    }

    fn relu_backward(&self, d: &Self) -> Self {
        self.zip(d, N::relu_backward)
    }

    fn clip(&self, bound: f64) -> Self {
        self.map(|x| x.clip(bound))
    }

    fn clip_backward(&self, bound: f64, d: &Self) -> Self {
        self.zip(d, |x, d| x.clip_backward(bound, d))
    }
}
