//! Conversions from and to the recurrent layers of `burn::nn`.
//!
//! `TryFrom` converts layers in both directions. `burn::nn::{Rnn, Lstm, Gru}` become layers of one direction, and
//! `burn::nn::{BiRnn, BiLstm, BiGru}` layers of two directions. The outputs, the final states and the gradients are the
//! same, up to rounding. States are converted by `From` and `TryFrom`.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::tensor::{Device, Distribution, Tensor};
//!
//! let device = Device::flex();
//! let theirs = burn::nn::LstmConfig::new(3, 8, true).init(&device);
//! let ours = bptt::Lstm::try_from(theirs.clone())?;
//!
//! let input = Tensor::<3>::random([4, 10, 3], Distribution::Default, &device); // [B, T, I]
//! let (expected, _) = theirs.forward(input.clone(), None);
//! let (found, _) = ours.forward(input, None);
//! assert!((found - expected).abs().max().into_scalar::<f32>() < 1e-5);
//! # }
//! # Ok::<(), bptt::burn_nn::ConversionError>(())
//! ```
//!
//! If Burn saved a whole model with such layers, [`load_file`] reads the file into the same model with layers of bptt
//! in their place.
//!
//! A layer with a feature that the other side lacks is refused, and [`ConversionError`] names the feature:
//!
//! - of `burn::nn`: any activation but `Sigmoid` for gates and `Tanh` (an RNN: or `Relu`) for the
//!   rest; the clip of an RNN's or a GRU's hidden state; directions of a bidirectional layer that
//!   differ in their options; gates of which some are frozen and some are not
//! - of ours: more than one layer; a projection; for a GRU of one direction also `reverse`, and
//!   inputs `[T, B, I]`
//!
//! The engine, the kernel and the trace budget do not change what a layer computes. They are lost in a conversion to
//! `burn::nn`, and have their defaults after a conversion from it. So is `dropout`, which does nothing in a single
//! layer. The optimiser's state is not converted, because an optimiser knows parameters by their identity.

mod gates;
mod layers;
mod record;
mod refuse;
mod states;

pub use crate::error::ConversionError;
pub use record::{convert_record, load_file};
