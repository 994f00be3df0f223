//! A backend's tensor as a number.

use bptt_cells::{Number, Rectify};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata, get_device_settings};
use burn::tensor::DType;
use std::ops::{Add, Mul, Neg, Sub};

/// A float tensor primitive of the backend `B`, as the cells' [`Number`].
///
/// The manual engine's reference body computes with it, and nothing is recorded. All operands of an operation have the
/// same shape, or one of them is a column, such as a mean.
#[derive(Debug)]
pub struct Primitive<B: Backend>(pub FloatTensor<B>);

impl<B: Backend> Clone for Primitive<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

macro_rules! operators {
    ($($Op:ident $op:ident $float_op:ident;)*) => {$(
        impl<B: Backend> $Op for Primitive<B> {
            type Output = Primitive<B>;
            fn $op(self, other: Self) -> Primitive<B> {
                Primitive(B::$float_op(self.0, other.0))
            }
        }
        impl<B: Backend> $Op<&Primitive<B>> for Primitive<B> {
            type Output = Primitive<B>;
            fn $op(self, other: &Self) -> Primitive<B> {
                self.$op(other.clone())
            }
        }
        impl<B: Backend> $Op<Primitive<B>> for &Primitive<B> {
            type Output = Primitive<B>;
            fn $op(self, other: Primitive<B>) -> Primitive<B> {
                self.clone().$op(other)
            }
        }
        impl<B: Backend> $Op for &Primitive<B> {
            type Output = Primitive<B>;
            fn $op(self, other: Self) -> Primitive<B> {
                self.clone().$op(other.clone())
            }
        }
    )*};
}
operators! {
    Add add float_add;
    Sub sub float_sub;
    Mul mul float_mul;
}

impl<B: Backend> Neg for Primitive<B> {
    type Output = Self;
    fn neg(self) -> Self {
        Self(B::float_neg(self.0))
    }
}

impl<B: Backend> Number for Primitive<B> {
    fn one_minus(&self) -> Self {
        Self(B::float_add_scalar(B::float_neg(self.0.clone()), 1f32.into()))
    }

    fn sigmoid(&self) -> Self {
        let x = self.0.clone();
        if x.dtype() != DType::F64 {
            return Self(B::sigmoid(x));
        }
        // Burn's default sigmoid computes in f32, so it is not used. e^-x may be infinite, and then 1 / ∞ = 0 is right.
        let e = B::float_exp(B::float_neg(x));
        Self(B::float_recip(B::float_add_scalar(e, 1f32.into())))
    }

    fn tanh(&self) -> Self {
        Self(B::float_tanh(self.0.clone()))
    }

    fn exp(&self) -> Self {
        Self(B::float_exp(self.0.clone()))
    }

    fn log_sigmoid(&self) -> Self {
        // min(x, 0) - log(1 + e^-|x|): Burn's own form may compute f64 through f32.
        let x = self.0.clone();
        let below = B::float_neg(B::relu(B::float_neg(x.clone())));
        let e = B::float_exp(B::float_neg(B::float_abs(x)));
        Self(B::float_sub(below, B::float_log1p(e)))
    }

    fn recip(&self) -> Self {
        Self(B::float_recip(self.0.clone()))
    }

    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        // √16 / √(16 x + 16 ε): in f16, ε would lose digits.
        let square = B::float_add_scalar(self.scale(16.0).0, (16.0 * epsilon).into());
        Self(B::float_recip(B::float_sqrt(square))).scale(4.0)
    }

    fn scale(&self, factor: f64) -> Self {
        Self(B::float_mul_scalar(self.0.clone(), factor.into()))
    }

    /// One column, which is broadcast in what follows.
    fn mean(&self) -> Self {
        let last = self.0.shape().num_dims() - 1;
        let units = self.0.shape()[last];
        Self(B::float_sum_dim(self.0.clone(), last)).scale(1.0 / units as f64)
    }
}

impl<B: Backend> Rectify for Primitive<B> {
    fn relu(&self) -> Self {
        Self(B::relu(self.0.clone()))
    }

    fn relu_backward(&self, d: &Self) -> Self {
        Self(B::relu_backward(self.0.clone(), d.0.clone()))
    }

    fn clip(&self, bound: f64) -> Self {
        Self(B::float_clamp(self.0.clone(), (-bound).into(), bound.into()))
    }

    fn clip_backward(&self, bound: f64, d: &Self) -> Self {
        let size = B::float_abs(self.0.clone());
        let dtype = get_device_settings::<B>(&size.device()).bool_dtype;
        let at_bound = B::float_greater_equal_elem(size, bound.into(), dtype);
        Self(B::float_mask_fill(d.0.clone(), at_bound, 0f32.into()))
    }
}
