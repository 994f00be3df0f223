//! A block: what mixes the steps, and what mixes the units, each behind a norm and beside a residual connection.

use super::attention::LocalAttention;
use super::mlp::GatedMlp;
use super::recurrent::RecurrentMix;
use bptt::Engine;
use burn::Tensor;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, RmsNorm, RmsNormConfig};
use burn::tensor::Device;

/// What mixes the steps in a block.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // There are a few of them in a model.
pub enum TemporalMix {
    /// An RG-LRU.
    Recurrent(RecurrentMix),
    /// Local attention.
    Attention(LocalAttention),
}

/// `x + mix(norm(x))`, and of the result `x + mlp(norm(x))`.
#[derive(Module, Debug)]
pub struct HybridBlock {
    /// In front of the mix.
    pub mix_norm: RmsNorm,
    /// What mixes the steps.
    pub mix: TemporalMix,
    /// In front of the perceptron.
    pub mlp_norm: RmsNorm,
    /// What mixes the units.
    pub mlp: GatedMlp,
    /// Of what is added, while training.
    pub dropout: Dropout,
}

impl HybridBlock {
    pub(super) fn new(width: usize, mix: TemporalMix, dropout: f64, device: &Device) -> Self {
        let norm = RmsNormConfig::new(width);
        Self {
            mix_norm: norm.init(device),
            mix,
            mlp_norm: norm.init(device),
            mlp: GatedMlp::new(width, device),
            dropout: DropoutConfig::new(dropout).init(),
        }
    }

    /// `[B, T, W]` -> `[B, T, W]`, and the state of the mix, `[B, n]`.
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        state: Tensor<2>,
        seen: &Tensor<2>,
    ) -> (Tensor<3>, Tensor<2>) {
        let normed = self.mix_norm.forward(x.clone());
        let (y, state) = match &self.mix {
            TemporalMix::Recurrent(mix) => mix.forward(normed, state),
            TemporalMix::Attention(mix) => mix.forward(normed, state, seen),
        };
        let x = x + self.dropout.forward(y);
        let y = self.mlp.forward(self.mlp_norm.forward(x.clone()));
        (x + self.dropout.forward(y), state)
    }

    pub(super) fn with_engine(self, engine: Engine) -> Self {
        let mix = match self.mix {
            TemporalMix::Recurrent(mix) => TemporalMix::Recurrent(mix.with_engine(engine)),
            attention @ TemporalMix::Attention(_) => attention,
        };
        Self { mix, ..self }
    }
}
