//! The gated perceptron of each block.

use burn::Tensor;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use burn::tensor::activation::gelu;

/// How many times as wide as the model it is, as in Griffin.
const EXPANSION: usize = 3;

/// `W_d (gelu(W_g x) ⊙ W_u x)`, GeGLU.
///
/// N. Shazeer, "GLU variants improve transformer", 2020.
#[derive(Module, Debug)]
pub struct GatedMlp {
    /// `W_g`, from `W` to `3·W`.
    pub gate: Linear,
    /// `W_u`, from `W` to `3·W`.
    pub up: Linear,
    /// `W_d`, from `3·W` to `W`.
    pub down: Linear,
}

impl GatedMlp {
    pub(super) fn new(width: usize, device: &Device) -> Self {
        let wide = LinearConfig::new(width, EXPANSION * width);
        let down = LinearConfig::new(EXPANSION * width, width);
        Self { gate: wide.init(device), up: wide.init(device), down: down.init(device) }
    }

    /// `[B, T, W]` -> `[B, T, W]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.down.forward(gelu(self.gate.forward(x.clone())) * self.up.forward(x))
    }
}
