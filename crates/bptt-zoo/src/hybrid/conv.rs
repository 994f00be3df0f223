//! A short causal convolution of each unit by itself.

use burn::Tensor;
use burn::module::{Initializer, Module, Param};
use burn::tensor::Device;

/// The steps that the convolution reads: this one, and the three before it.
pub(super) const WIDTH: usize = 4;

/// `y_t = b + Σ_k w_k ⊙ x_(t-3+k)`, for `k` from 0 to 3: each unit has its own four weights.
#[derive(Module, Debug)]
pub struct CausalConv {
    /// `w`, `[4, W]`; the last row is that of the step itself.
    pub weight: Param<Tensor<2>>,
    /// `b`, `[W]`.
    pub bias: Param<Tensor<1>>,
}

impl CausalConv {
    /// Drawn as PyTorch draws a convolution of single channels: uniform within `1/√4`.
    pub(super) fn new(width: usize, device: &Device) -> Self {
        let bound = 1.0 / (WIDTH as f64).sqrt();
        let initializer = Initializer::Uniform { min: -bound, max: bound };
        let (weight, bias) =
            (initializer.init([WIDTH, width], device), initializer.init([width], device));
        Self { weight, bias }
    }

    /// Convolves the steps of `x`, `[B, T, W]`.
    ///
    /// # Arguments
    ///
    /// - `before`: the three steps before them, `[B, 3, W]`
    ///
    /// # Returns
    ///
    /// - `[B, T, W]`
    /// - the last three steps, for the next call
    pub fn forward(&self, x: Tensor<3>, before: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let [_, time, width] = x.dims();
        let all = Tensor::cat(vec![before, x], 1);
        let weight = self.weight.val();
        let sum = (0..WIDTH)
            .map(|k| {
                let of_step = weight.clone().narrow(0, k, 1).reshape([1, 1, width]);
                all.clone().narrow(1, k, time) * of_step
            })
            .fold(self.bias.val().reshape([1, 1, width]), |sum, term| term + sum);
        (sum, all.narrow(1, time, WIDTH - 1))
    }
}
