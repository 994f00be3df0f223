//! Attention whose score is a dot product.

use crate::attention::keys::Keys;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor};

/// Attention by dot products: `s(q, k) = α qᵀ W k`.
///
/// - *general*: `α = 1`. M.-T. Luong, H. Pham and C. D. Manning, "Effective approaches to attention-based neural machine
///   translation", EMNLP 2015, equation 8.
/// - *scaled dot-product*: `α = 1/√Q` and no `W`. A. Vaswani et al., "Attention is all you need", NeurIPS 2017,
///   equation 1.
#[derive(Module, Debug)]
pub struct DotAttention {
    /// `W`, from `K` to `Q`, without a bias; `None`: the keys are the states themselves.
    pub key: Option<Linear>,
    /// `α`
    pub scale: f64,
}

impl DotAttention {
    pub(super) fn general(d_query: usize, d_key: usize, device: &Device) -> Self {
        let key = LinearConfig::new(d_key, d_query).with_bias(false).init(device);
        Self { key: Some(key), scale: 1.0 }
    }

    pub(super) fn scaled(d_query: usize) -> Self {
        Self { key: None, scale: 1.0 / (d_query as f64).sqrt() }
    }

    /// The scores of queries `[B, Tq, Q]`: `[B, Tq, Tk]`.
    pub(super) fn scores(&self, query: Tensor<3>, keys: &Keys) -> Tensor<3> {
        query.matmul(keys.keys.clone().swap_dims(1, 2)).mul_scalar(self.scale)
    }

    /// The contexts `[B, Tq, V]` by Burn's own attention, which has fast kernels on some backends and keeps no weights.
    pub(super) fn context(&self, query: Tensor<3>, keys: &Keys) -> Tensor<3> {
        let [batch, queries, _] = query.dims();
        let [_, time] = keys.dims();
        let one_head = |x: Tensor<3>| -> Tensor<4> { x.unsqueeze_dim(1) };
        let mask = keys
            .padding
            .clone()
            .map(|padding| padding.reshape([batch, 1, 1, time]).expand([batch, 1, queries, time]));
        let options = AttentionModuleOptions { scale: Some(self.scale), ..Default::default() };
        let (values, keys) = (one_head(keys.values.clone()), one_head(keys.keys.clone()));
        attention(one_head(query), keys, values, mask, None, options).squeeze_dim(1)
    }
}
