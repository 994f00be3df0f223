//! Additive attention: a layer of units scores a query and a key.

use crate::attention::keys::Keys;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

/// Additive attention: `s(q, k) = vᵀ tanh(W_q q + W_k k + b)`.
///
/// D. Bahdanau, K. Cho and Y. Bengio, "Neural machine translation by jointly learning to align and translate", ICLR 2015
/// (their `v_a`, `W_a` and `U_a`; they have no bias).
///
/// Scoring takes `B · Tq · Tk · A` numbers of memory.
#[derive(Module, Debug)]
pub struct AdditiveAttention {
    /// `W_q`, from `Q` to `A`, without a bias.
    pub query: Linear,
    /// `W_k` and `b`, from `K` to `A`.
    pub key: Linear,
    /// `v`, from `A` to 1, without a bias.
    pub score: Linear,
}

impl AdditiveAttention {
    pub(super) fn new(
        [d_query, d_key, d_attention]: [usize; 3],
        device: &Device,
    ) -> AdditiveAttention {
        Self {
            query: LinearConfig::new(d_query, d_attention).with_bias(false).init(device),
            key: LinearConfig::new(d_key, d_attention).init(device),
            score: LinearConfig::new(d_attention, 1).with_bias(false).init(device),
        }
    }

    /// The scores of queries `[B, Tq, Q]`: `[B, Tq, Tk]`.
    pub(super) fn scores(&self, query: Tensor<3>, keys: &Keys) -> Tensor<3> {
        let query: Tensor<4> = self.query.forward(query).unsqueeze_dim(2);
        let keys: Tensor<4> = keys.keys.clone().unsqueeze_dim(1);
        self.score.forward((query + keys).tanh()).squeeze_dim(3)
    }
}
