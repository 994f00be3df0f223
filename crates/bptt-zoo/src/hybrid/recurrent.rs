//! The recurrent mix: a gate beside a short convolution and an RG-LRU.

use super::conv::{CausalConv, WIDTH};
use bptt::scanned::{RgLru, RgLruConfig};
use bptt::{Engine, ScannedState};
use burn::Tensor;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use burn::tensor::activation::gelu;

/// `W_o (gelu(W_g x) ⊙ rglru(conv(W_x x)))`.
///
/// S. De et al., 2024, section 2.3.
#[derive(Module, Debug)]
pub struct RecurrentMix {
    /// `W_g`, the gate's branch.
    pub gate: Linear,
    /// `W_x`, the branch with the recurrence.
    pub input: Linear,
    /// The convolution in front of the recurrence.
    pub conv: CausalConv,
    /// The recurrence.
    pub rg_lru: RgLru,
    /// `W_o`
    pub output: Linear,
}

impl RecurrentMix {
    pub(super) fn new(width: usize, engine: Engine, device: &Device) -> Self {
        let linear = LinearConfig::new(width, width);
        Self {
            gate: linear.init(device),
            input: linear.init(device),
            conv: CausalConv::new(width, device),
            rg_lru: RgLruConfig::new(width, width).with_engine(engine).init(device),
            output: linear.init(device),
        }
    }

    /// How many numbers the state of a row has: the recurrence's, and the last inputs of the convolution.
    pub(super) fn state_size(width: usize) -> usize {
        width * WIDTH
    }

    /// `[B, T, W]` -> `[B, T, W]`, and the state `[B, 4·W]`.
    pub(super) fn forward(&self, x: Tensor<3>, state: Tensor<2>) -> (Tensor<3>, Tensor<2>) {
        let [batch, _, width] = x.dims();
        let hidden = state.clone().narrow(1, 0, width).reshape([1, batch, width]);
        let before = state.narrow(1, width, (WIDTH - 1) * width).reshape([batch, WIDTH - 1, width]);

        let gate = gelu(self.gate.forward(x.clone()));
        let (x, before) = self.conv.forward(self.input.forward(x), before);
        let (h, last) = self.rg_lru.forward(x, Some(ScannedState::new(hidden)));
        let y = self.output.forward(gate * h);

        let last = last.hidden.reshape([batch, width]);
        let before = before.reshape([batch, (WIDTH - 1) * width]);
        (y, Tensor::cat(vec![last, before], 1))
    }

    pub(super) fn with_engine(self, engine: Engine) -> Self {
        Self { rg_lru: self.rg_lru.with_engine(engine), ..self }
    }
}
