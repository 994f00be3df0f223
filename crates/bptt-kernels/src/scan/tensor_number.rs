//! A tensor as the number of a scanned cell.

use bptt_cells::scanned::ScanNumber;
use bptt_cells::{Number, Rectify};
use burn::Tensor;
use burn::tensor::{DType, activation};
use std::ops::{Add, Mul, Neg, Sub};

/// A plane of all steps, or of a constant, which is broadcast. On a device with autodiff, Burn records each operation.
#[derive(Clone, Debug)]
pub(super) struct Plane(pub(super) Tensor<3>);

macro_rules! operators {
    ($($Op:ident $op:ident;)*) => {$(
        impl $Op for Plane {
            type Output = Plane;
            fn $op(self, other: Self) -> Plane {
                Plane(self.0.$op(other.0))
            }
        }
        impl $Op<&Plane> for Plane {
            type Output = Plane;
            fn $op(self, other: &Self) -> Plane {
                self.$op(other.clone())
            }
        }
        impl $Op<Plane> for &Plane {
            type Output = Plane;
            fn $op(self, other: Plane) -> Plane {
                self.clone().$op(other)
            }
        }
        impl $Op for &Plane {
            type Output = Plane;
            fn $op(self, other: Self) -> Plane {
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

impl Neg for Plane {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.neg())
    }
}

impl Number for Plane {
    fn one_minus(&self) -> Self {
        Self(self.0.clone().neg().add_scalar(1.0))
    }

    fn sigmoid(&self) -> Self {
        let x = self.0.clone();
        if x.dtype() != DType::F64 {
            return Self(activation::sigmoid(x));
        }
        // Burn's default sigmoid computes through f32.
        Self(x.mul_scalar(0.5).tanh().mul_scalar(0.5).add_scalar(0.5))
    }

    fn tanh(&self) -> Self {
        Self(self.0.clone().tanh())
    }

    fn exp(&self) -> Self {
        Self(self.0.clone().exp())
    }

    fn log_sigmoid(&self) -> Self {
        // min(x, 0) - log(1 + e^-|x|)
        let x = self.0.clone();
        let below = activation::relu(x.clone().neg());
        Self(below.neg() - x.abs().neg().exp().log1p())
    }

    fn recip(&self) -> Self {
        Self(self.0.clone().recip())
    }
}

impl Rectify for Plane {
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

impl ScanNumber for Plane {
    fn exp_negative(&self) -> Self {
        Self(self.0.clone().exp())
    }

    fn one_minus_exp(&self) -> Self {
        // With t = tanh(x / 2): 1 - e^x = -2 t / (1 - t).
        let t = self.0.clone().mul_scalar(0.5).tanh();
        Self(t.clone().mul_scalar(-2.0) / t.neg().add_scalar(1.0))
    }

    fn sqrt(&self) -> Self {
        Self(self.0.clone().sqrt())
    }
}
