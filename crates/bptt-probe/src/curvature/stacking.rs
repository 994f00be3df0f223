//! Stacks matrices of dual numbers into one tensor.

use bptt::Recorded;
use bptt::cells::Dual;
use burn::Tensor;

/// A matrix and its tangent.
pub(super) type Matrix = Dual<Recorded>;

/// The tangent, with zeros if there is none.
pub(super) fn tangent(x: &Matrix) -> Tensor<2> {
    x.tangent.as_ref().map_or_else(|| x.value.0.zeros_like(), |tangent| tangent.0.clone())
}

/// Stacks matrices, `[rows, B, n]`.
pub(super) fn stacked(all: &[Matrix]) -> Dual<Tensor<3>> {
    let value = Tensor::stack(all.iter().map(|x| x.value.0.clone()).collect(), 0);
    let is_there = all.iter().any(|x| x.tangent.is_some());
    Dual::new(value, is_there.then(|| Tensor::stack(all.iter().map(tangent).collect(), 0)))
}
