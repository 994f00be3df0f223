//! Products and sums of influence matrices.

use crate::reference::ops::{add, reshape, times_transposed};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

pub(super) fn sums<B: Backend>(
    a: Vec<FloatTensor<B>>,
    b: Vec<FloatTensor<B>>,
) -> Vec<FloatTensor<B>> {
    a.into_iter().zip(b).map(|(a, b)| add::<B>(a, b)).collect()
}

/// `[B, N, I]` times a weight `[O, I]`: `[B, N, O]`.
pub(super) fn times<B: Backend>(d: &FloatTensor<B>, weight: &FloatTensor<B>) -> FloatTensor<B> {
    let [batch, n, width] = d.shape().dims();
    let out = weight.shape()[0];
    let flat = reshape::<B>(d.clone(), [batch * n, width]);
    reshape::<B>(times_transposed::<B>(flat, weight.clone()), [batch, n, out])
}

/// `Σ_p d[b, p] ∂[b, n, p]`, `[B, N]`
pub(super) fn through<B: Backend>(
    d: &FloatTensor<B>,
    influence: &FloatTensor<B>,
) -> FloatTensor<B> {
    let [batch, n, width] = influence.shape().dims();
    let d = reshape::<B>(d.clone(), [batch, 1, width]);
    let products = B::float_mul(influence.clone(), d);
    reshape::<B>(B::float_sum_dim(products, 2), [batch, n])
}
