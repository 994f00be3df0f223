//! Attention over the states of a recurrent layer.
//!
//! A *query* `q` scores each *key* `k_j`, the scores become *weights* that sum to one, and the *context* is the weighted
//! sum of the *values* `v_j`:
//!
//! ```text
//! a_j = exp(s(q, k_j)) / Σ_i exp(s(q, k_i))        c = Σ_j a_j v_j
//! ```
//!
//! Here the values are the outputs of a recurrent layer, one for each step, and the keys are the same outputs or a linear
//! function of them. A row's padding has the weight zero, and its content, even NaN, changes nothing. A row of length
//! zero has the context zero.
//!
//! - [`Attention`] (made by [`AttentionConfig`]) has the [`Score`] as a setting: additive (Bahdanau, Cho & Bengio 2015),
//!   general (Luong, Pham & Manning 2015) or scaled dot-product (Vaswani et al. 2017).
//! - [`AttentionPooling`] turns a sequence of outputs into one vector, by a query that is learned.
//! - [`padding_mask`] makes from lengths the mask that Burn's own attention modules take, such as
//!   [`MultiHeadAttention`](burn::nn::attention::MultiHeadAttention).
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use bptt::GruConfig;
//! use bptt::attention::{AttentionConfig, Score};
//! use burn::tensor::{Device, Distribution, Tensor};
//!
//! let device = Device::flex();
//! let gru = GruConfig::new(3, 8).with_bidirectional(true).init(&device);
//! let input = Tensor::<3>::random([2, 5, 3], Distribution::Default, &device); // [B, T, I]
//! let lengths = [5, 3];
//! let (outputs, _) = gru.forward_lengths(input, &lengths, None); // [B, T, D·H]
//!
//! let attention = AttentionConfig::new(4, 16).with_score(Score::Additive).init(&device);
//! let keys = attention.keys(outputs, Some(&lengths)); // once for a sequence
//! let query = Tensor::<3>::zeros([2, 1, 4], &device); // [B, Tq, Q]
//! let attended = attention.forward(query, &keys);
//! assert_eq!(attended.context.dims(), [2, 1, 16]); // [B, Tq, D·H]
//! assert_eq!(attended.weights.dims(), [2, 1, 5]); // [B, Tq, T]
//! # }
//! ```

mod additive;
mod attend;
mod dot;
mod keys;
mod padding;
mod pooling;

pub use additive::AdditiveAttention;
pub use attend::{Attended, Attention, AttentionConfig, Score};
pub use dot::DotAttention;
pub use keys::Keys;
pub use padding::padding_mask;
pub use pooling::{AttentionPooling, AttentionPoolingConfig, Pooled};
