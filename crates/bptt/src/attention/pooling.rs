//! A sequence of outputs as one vector.

use crate::attention::padding::{masked_softmax, without_padding};
use crate::draw::drawn;
use crate::error::ConfigError;
use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

/// Makes an [`AttentionPooling`].
#[derive(Config, Debug)]
#[non_exhaustive]
pub struct AttentionPoolingConfig {
    /// The size of a state, `K`: the `d_output` of the layer that made it.
    pub d_input: usize,
    /// How many units the score has, `A`; `None`: `K`.
    pub d_attention: Option<usize>,
}

impl AttentionPoolingConfig {
    /// Makes the module.
    ///
    /// # Panics
    ///
    /// If a size is zero; [`try_init`](Self::try_init) returns this as an error.
    pub fn init(&self, device: &Device) -> AttentionPooling {
        self.try_init(device).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Makes the module.
    ///
    /// # Errors
    ///
    /// One line that says which size is zero.
    pub fn try_init(&self, device: &Device) -> Result<AttentionPooling, ConfigError> {
        let d_attention = self.d_attention.unwrap_or(self.d_input);
        for (name, size) in [("d_input", self.d_input), ("d_attention", d_attention)] {
            if size == 0 {
                let message = format!("attention pooling: {name} is 0, and has to be at least 1");
                return Err(ConfigError::new(message));
            }
        }
        Ok(drawn(AttentionPooling {
            key: LinearConfig::new(self.d_input, d_attention).init(device),
            score: LinearConfig::new(d_attention, 1).with_bias(false).init(device),
        }))
    }
}

/// The sum of a sequence's outputs, weighted by learned scores: `s_t = vᵀ tanh(W h_t + b)`.
///
/// Z. Yang et al., "Hierarchical attention networks for document classification", NAACL 2016, equations 5 to 7 (their
/// context vector `u_w` is `v`). It is additive attention without a query. Made by [`AttentionPoolingConfig`].
#[derive(Module, Debug)]
pub struct AttentionPooling {
    /// `W` and `b`, from `K` to `A`.
    pub key: Linear,
    /// `v`, from `A` to 1, without a bias.
    pub score: Linear,
}

/// What [`AttentionPooling`] returns.
#[derive(Clone, Debug)]
pub struct Pooled {
    /// The weighted sums, `[B, K]`; zeros for a row of length zero.
    pub output: Tensor<2>,
    /// The weights, `[B, T]`. They are zero at the padding, and sum to one over the rest.
    pub weights: Tensor<2>,
}

impl AttentionPooling {
    /// Pools a batch of sequences.
    ///
    /// # Arguments
    ///
    /// - `states`: `[B, T, K]`, the outputs of a recurrent layer, batch first
    /// - `lengths`: one for each row, `0 ..= T`; `None`: all rows have the full length
    ///
    /// # Panics
    ///
    /// If the lengths do not fit the states, or the states do not fit the module.
    pub fn forward(&self, states: Tensor<3>, lengths: Option<&[usize]>) -> Pooled {
        let (states, padding) = without_padding(states, lengths);
        let scores = self.score.forward(self.key.forward(states.clone()).tanh());
        // A single query in each row.
        let weights = masked_softmax(scores.swap_dims(1, 2), padding.as_ref());
        let output = weights.clone().matmul(states);
        Pooled { output: output.squeeze_dim(1), weights: weights.squeeze_dim(1) }
    }
}
