//! A Burn tensor as a number.

use bptt_cells::{Number, Rectify};
use burn::Tensor;
use burn::tensor::{DType, activation};
use std::ops::{Add, Mul, Neg, Sub};

/// A Burn tensor as a number. On a device with autodiff, Burn records each operation on the tape.
#[derive(Clone, Debug)]
pub struct Recorded<const D: usize = 2>(
    /// The tensor. The operands of an operation have one shape, or are broadcast to one.
    pub Tensor<D>,
);

macro_rules! operators {
    ($($Op:ident $op:ident;)*) => {$(
        impl<const D: usize> $Op for Recorded<D> {
            type Output = Recorded<D>;
            fn $op(self, other: Self) -> Recorded<D> {
                Recorded(self.0.$op(other.0))
            }
        }
        impl<const D: usize> $Op<&Recorded<D>> for Recorded<D> {
            type Output = Recorded<D>;
            fn $op(self, other: &Self) -> Recorded<D> {
                self.$op(other.clone())
            }
        }
        impl<const D: usize> $Op<Recorded<D>> for &Recorded<D> {
            type Output = Recorded<D>;
            fn $op(self, other: Recorded<D>) -> Recorded<D> {
                self.clone().$op(other)
            }
        }
        impl<const D: usize> $Op for &Recorded<D> {
            type Output = Recorded<D>;
            fn $op(self, other: Self) -> Recorded<D> {
                self.clone().$op(other.clone())
            }
        }
    )*};
}
operators! {
    Add add;
    Sub sub;
    Mul mul;
}

impl<const D: usize> Neg for Recorded<D> {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.neg())
    }
}

impl<const D: usize> Number for Recorded<D> {
    fn one_minus(&self) -> Self {
        Self(self.0.clone().neg().add_scalar(1.0))
    }

    fn sigmoid(&self) -> Self {
        let x = self.0.clone();
        if x.dtype() != DType::F64 {
            return Self(activation::sigmoid(x));
        }
        // Burn's default sigmoid computes through f32. 1 / (1 + e^-x) has no finite derivative once e^-x overflows, so `x` is
        // bounded: the square of e^300 is a number. (½ + ½ tanh(x/2) would have no digits where it is near zero, and a gate
        // may be the exponent of a factor near one.)
        Self(x.clamp_min(-300.0).neg().exp().add_scalar(1.0).recip())
    }

    fn tanh(&self) -> Self {
        Self(self.0.clone().tanh())
    }

    fn exp(&self) -> Self {
        Self(self.0.clone().exp())
    }

    fn log_sigmoid(&self) -> Self {
        // min(x, 0) - log(1 + e^-|x|): Burn's own form may compute f64 through f32. Minimum and absolute value are made of one
        // rectifier, such that their slopes at zero add up to that of the function, 1/2.
        let x = self.0.clone();
        let above = activation::relu(x.clone());
        let minus_abs = x.clone() - above.clone().mul_scalar(2.0);
        Self(x - above - minus_abs.exp().log1p())
    }

    fn recip(&self) -> Self {
        Self(self.0.clone().recip())
    }

    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        // √16 / √(16 x + 16 ε): in f16, ε would lose digits, and the slope of the reciprocal, 1 / (x + ε), be infinite.
        Self(
            self.0
                .clone()
                .mul_scalar(16.0)
                .add_scalar(16.0 * epsilon)
                .sqrt()
                .recip()
                .mul_scalar(4.0),
        )
    }

    fn apart(&self) -> Self {
        self.scale(1.0)
    }

    fn scale(&self, factor: f64) -> Self {
        Self(self.0.clone().mul_scalar(factor))
    }

    /// One column, which is broadcast in what follows. (Burn differentiates a division by a scalar in f32.)
    fn mean(&self) -> Self {
        let units = self.0.dims()[D - 1];
        Self(self.0.clone().sum_dim(D - 1).mul_scalar(1.0 / units as f64))
    }
}

impl<const D: usize> Rectify for Recorded<D> {
    fn relu(&self) -> Self {
        Self(activation::relu(self.0.clone()))
    }

    fn relu_backward(&self, d: &Self) -> Self {
        let shut = self.0.clone().lower_equal_elem(0.0);
        Self(d.0.clone().mask_fill(shut, 0.0))
    }

    fn clip(&self, bound: f64) -> Self {
        Self(self.0.clone().clamp(-bound, bound))
    }

    fn clip_backward(&self, bound: f64, d: &Self) -> Self {
        let at_bound = self.0.clone().abs().greater_equal_elem(bound);
        Self(d.0.clone().mask_fill(at_bound, 0.0))
    }
}
