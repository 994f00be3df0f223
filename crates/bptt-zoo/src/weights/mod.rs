//! Weights that travel: PyTorch, SafeTensors, Burn, Keras, Flax.
//!
//! ```no_run
//! # fn main() -> Result<(), bptt_zoo::Error> {
//! use bptt::{AnyRecurrent, Lstm};
//! use bptt_zoo::weights::{self, Import};
//! use burn::tensor::Device;
//!
//! # let device = Device::default();
//! // The state dict of an `nn.LSTM`: depth, directions, projection and sizes are read off it.
//! let lstm: Lstm = weights::load("lstm.pt", &device)?;
//! // One layer of a larger model in a checkpoint, whichever cell it has.
//! let encoder: AnyRecurrent = Import::new()
//!     .with_key("model")
//!     .with_prefix("encoder.rnn")
//!     .with_batch_first(true)
//!     .load("checkpoint.pt", &device)?;
//! // And back: `torch_lstm.load_state_dict(safetensors.torch.load_file("lstm.safetensors"))`.
//! weights::save(&lstm, "lstm.safetensors")?;
//! # Ok(())
//! # }
//! ```
//!
//! The central types: [`WeightFile`] is a file's tensors as they are; [`Import`] says which layer of
//! it is meant and what its tensors do not tell; [`FoundLayer`] is what they do tell. [`Conversion`]
//! is the way from file to file, with a record of where each tensor went.
//!
//! Files come from strangers. Nothing in one is executed, no size that a file claims is believed
//! before the bytes are there, and whatever is not understood is refused in one line. The readers
//! are fuzzed (`fuzz/`).

mod array;
mod build;
pub(crate) mod burnpack;
mod checkpoint;
mod contents;
mod convert;
mod error_list;
mod export;
pub(crate) mod file;
mod flax;
mod import;
mod keras;
mod keymap;
mod layer;
mod layout;
mod pickle;
mod pytorch;
mod run;
mod safetensors;
mod torch;
mod unique;
mod view;

pub use array::{Array, Element};
pub use build::FileCell;
pub use contents::{Metadata, Tensors, UnreadTensor, UnreadTensors};
pub use convert::Conversion;
pub use export::{save, tensors};
pub use file::{Format, WeightFile};
pub use import::{Import, Imported, Library};
pub use keymap::TensorMapping;
pub use layer::{FoundLayer, LayerOptions};

use crate::error::Error;
use bptt::Recurrent;
use burn::tensor::Device;
use std::path::Path;

/// Reads a layer from a file of PyTorch, SafeTensors or Burn that holds one.
///
/// The type says what is expected, [`Lstm`](bptt::Lstm) or [`AnyRecurrent`](bptt::AnyRecurrent), for
/// instance. What the tensors do not tell has PyTorch's defaults, unless this project wrote the
/// file: tanh, the reset after the product, inputs `[T, B, I]` (for a `.bpk`, `[B, T, I]`). [`Import`]
/// has them by name.
///
/// # Errors
///
/// One line that lists all that is wrong with the file.
pub fn load<C: FileCell>(path: impl AsRef<Path>, device: &Device) -> Result<Recurrent<C>, Error> {
    Import::new().load(path, device)
}
