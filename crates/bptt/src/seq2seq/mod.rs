//! Encoder and decoder with attention: from a sequence of symbols to another one.
//!
//! The encoder, any [`RecurrentLayer`](crate::RecurrentLayer), reads the source. A [`Bridge`] makes the decoder's first
//! state from the encoder's last one. The decoder, another layer, writes the target symbol by symbol, and looks at the
//! encoder's outputs by [attention](crate::attention). At step `t`, with its symbol before `y_{t-1}`, its top layer's
//! hidden state `s_t` and the context `c_t`:
//!
//! | | [`Feeding::Attentional`] | [`Feeding::Context`] |
//! | --- | --- | --- |
//! | query | `s_t` | `s_{t-1}` |
//! | input of the decoder | `[y_{t-1}; h̃_{t-1}]` | `[y_{t-1}; c_t]` |
//! | attentional hidden state | `h̃_t = tanh(W_c [c_t; s_t])` | the same |
//! | scores of the symbols | `W_s h̃_t` | the same |
//!
//! The first column is the input feeding of M.-T. Luong, H. Pham and C. D. Manning, "Effective approaches to
//! attention-based neural machine translation", EMNLP 2015. The second one has the order of D. Bahdanau, K. Cho and
//! Y. Bengio, "Neural machine translation by jointly learning to align and translate", ICLR 2015, with Luong's output layer
//! in place of theirs.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use bptt::GruConfig;
//! use bptt::seq2seq::{BeamConfig, Seq2SeqConfig, Teaching, cross_entropy};
//! use burn::module::Module;
//! use burn::tensor::{Device, Int, Tensor};
//!
//! let device = Device::flex().autodiff();
//! let encoder = GruConfig::new(8, 16).with_bidirectional(true).init(&device);
//! // Ten symbols in the source, twelve in the target: of these, 0 begins and 1 ends a sequence.
//! let model = Seq2SeqConfig::new(10, 12, 8)
//!     .init(encoder, |d_input| GruConfig::new(d_input, 16).init(&device), &device);
//!
//! let source = Tensor::<2, Int>::from_data([[3, 4, 5], [6, 7, 0]], &device); // [B, Ts]
//! let target = Tensor::<2, Int>::from_data([[7, 6, 5, 1], [9, 8, 1, 1]], &device); // [B, Tt]
//! let scored = model.forward(source.clone(), Some(&[3, 2]), target.clone(), &Teaching::Forced);
//! assert_eq!(scored.scores.dims(), [2, 4, 12]); // [B, Tt, symbols]
//! assert_eq!(scored.weights.dims(), [2, 4, 3]); // [B, Tt, Ts]
//! let loss = cross_entropy(scored.scores, target, Some(&[4, 3]));
//! let gradients = loss.backward();
//!
//! let trained = model.valid();
//! let best = trained.beam(source.inner(), Some(&[3, 2]), &BeamConfig::new(4, 20));
//! assert_eq!(best.len(), 2); // for each row, up to four hypotheses, the best first
//! # }
//! ```

mod beam;
mod bridge;
mod config;
mod decoded;
mod decoder_state;
mod greedy;
mod loss;
mod model;
mod search;
mod teaching;
mod train;

pub use beam::BeamConfig;
pub use bridge::{Bridge, BridgeKind};
pub use config::Seq2SeqConfig;
pub use decoded::Decoded;
pub use decoder_state::DecoderState;
pub use loss::cross_entropy;
pub use model::{DecoderStep, Feeding, Seq2Seq};
pub use teaching::{Teaching, TeachingSchedule};
pub use train::Scored;
