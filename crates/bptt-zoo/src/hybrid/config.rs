//! The config of a hybrid.

use super::attention::LocalAttention;
use super::block::{HybridBlock, TemporalMix};
use super::recurrent::RecurrentMix;
use super::stack::Hybrid;
use crate::error::Error;
use bptt::Engine;
use burn::config::Config;
use burn::nn::{LinearConfig, RmsNormConfig};
use burn::tensor::Device;

/// Every third block has attention.
const PERIOD: usize = 3;

/// Makes a [`Hybrid`].
#[derive(Config, Debug)]
pub struct HybridConfig {
    /// The size of the input, `I`. If it is not `W`, a linear layer comes first.
    pub d_input: usize,
    /// The width of the model, `W`; even.
    pub d_model: usize,
    /// How many blocks there are; every third one has attention, the others an RG-LRU.
    #[config(default = 3)]
    pub num_blocks: usize,
    /// How many steps the attention reaches, `N`: the step itself and those before it.
    #[config(default = 64)]
    pub window: usize,
    /// The probability of dropping a value of what a block adds, while training.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// How the RG-LRUs are differentiated; Burn's autograd differentiates the rest.
    #[config(default = "Engine::Manual")]
    pub engine: Engine,
}

impl HybridConfig {
    /// Makes the model. Its random values are drawn from the device.
    ///
    /// # Errors
    ///
    /// The first option that is wrong.
    pub fn try_init(&self, device: &Device) -> Result<Hybrid, Error> {
        self.check()?;
        let width = self.d_model;
        let input =
            (self.d_input != width).then(|| LinearConfig::new(self.d_input, width).init(device));
        let block = |k| HybridBlock::new(width, self.mix(k, device), self.dropout, device);
        let blocks = (0..self.num_blocks).map(block).collect();
        let norm = RmsNormConfig::new(width).init(device);
        let sizes = (0..self.num_blocks).map(|k| self.state_size(k)).collect();
        Ok(Hybrid::new(input, blocks, norm, [self.d_input, self.window], sizes))
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |what: String| Err(Error::input(format!("hybrid: {what}")));
        let sizes = [
            ("d_input", self.d_input, 1),
            ("d_model", self.d_model, 2),
            ("num_blocks", self.num_blocks, 1),
            ("window", self.window, 2),
        ];
        for (name, value, least) in sizes {
            if !(least..=1 << 24).contains(&value) {
                return wrong(format!("{name} is {value}, and has to be {least} to {}", 1 << 24));
            }
        }
        if !self.d_model.is_multiple_of(2) {
            return wrong(format!(
                "d_model is {}, and has to be even: positions rotate pairs of units",
                self.d_model
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return wrong(format!("dropout is {}, and has to be in [0, 1)", self.dropout));
        }
        match self.engine {
            Engine::Rtrl => wrong("the engine is rtrl, and has to be manual or autograd".into()),
            _ => Ok(()),
        }
    }

    /// Whether a block has attention.
    fn has_attention(&self, index: usize) -> bool {
        index % PERIOD == PERIOD - 1
    }

    fn mix(&self, index: usize, device: &Device) -> TemporalMix {
        let width = self.d_model;
        match self.has_attention(index) {
            true => TemporalMix::Attention(LocalAttention::new(width, self.window, device)),
            false => TemporalMix::Recurrent(RecurrentMix::new(width, self.engine, device)),
        }
    }

    /// How many numbers the state of a block has, for each row.
    fn state_size(&self, index: usize) -> usize {
        match self.has_attention(index) {
            true => LocalAttention::state_size(self.d_model, self.window),
            false => RecurrentMix::state_size(self.d_model),
        }
    }
}
