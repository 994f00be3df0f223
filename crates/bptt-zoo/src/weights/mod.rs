//! Reads and writes weights: PyTorch, SafeTensors, Burn, Keras, Flax, and layers of other libraries.
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
//! The central types: a [`WeightFile`] has the tensors of a file without a change. An [`Import`] says which layer of
//! the file is wanted, and has the options that the tensors do not show. A [`FoundLayer`] has what the tensors show. A
//! [`Conversion`] turns one file into another, with a record of where each tensor went. A [`Format`] reads and writes
//! files, by its [`Codec`]; [`FORMATS`] lists them.
//!
//! Files may come from strangers. Nothing in a file is executed. A size that a file claims is not believed before the
//! bytes are there. A file that is not understood is refused with a message of one line. The readers are fuzzed
//! (`fuzz/`).

mod array;
mod build;
pub(crate) mod burnpack;
mod checkpoint;
mod contents;
mod convert;
mod dreamer;
mod error_list;
mod export;
pub(crate) mod file;
mod flax;
mod format;
mod formats;
mod haste;
mod haste_gates;
mod haste_norm;
mod import;
mod indrnn;
mod keras;
mod keymap;
mod layer;
mod layout;
mod lem;
mod library;
mod library_export;
mod onnx;
mod pickle;
mod pytorch;
mod run;
mod safetensors;
mod said;
#[cfg(feature = "scanned-cells")]
mod scanned;
mod tensorflow;
mod torch;
mod unique;
mod view;
mod xlstm;

pub use array::{Array, Element};
pub use build::FileCell;
pub use burnpack::BURNPACK;
pub use contents::{Contents, Metadata, Tensors, UnreadTensor, UnreadTensors};
pub use convert::Conversion;
pub use export::{save, tensors};
pub use file::WeightFile;
pub use format::{Codec, Format, Layout, WriteFile};
pub use formats::{FORMATS, about_read, about_written};
pub use import::{Import, Imported};
pub use keymap::TensorMapping;
pub use layer::{FoundLayer, LayerOptions};
pub use library::Library;
pub use library_export::save_as;
pub use pytorch::PYTORCH;
pub use safetensors::SAFETENSORS;
#[cfg(feature = "scanned-cells")]
pub use scanned::{
    FoundScanned, ScannedFile, ScannedImport, ScannedOptions, save_scanned, save_stack,
};

use crate::error::Error;
use bptt::Recurrent;
use burn::tensor::Device;
use std::path::Path;

/// Reads a layer from a file of PyTorch, SafeTensors or Burn that holds one.
///
/// The type says which layer is expected, for instance [`Lstm`](bptt::Lstm) or [`AnyRecurrent`](bptt::AnyRecurrent). If
/// this project wrote the file, it has all options of the layer. Otherwise the options that the tensors do not show
/// have PyTorch's defaults: tanh, the reset after the product, inputs `[T, B, I]` (for a `.bpk`, `[B, T, I]`).
/// [`Import`] sets them.
///
/// # Errors
///
/// One line with all errors of the file.
pub fn load<C: FileCell>(path: impl AsRef<Path>, device: &Device) -> Result<Recurrent<C>, Error> {
    Import::new().load(path, device)
}
