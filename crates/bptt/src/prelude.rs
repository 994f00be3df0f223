//! What most programs use: `use bptt::prelude::*;`
//!
//! The configs, the layers that they make, the layers' states, and the options that a config or a call takes.

pub use crate::cell::Nonlinearity;
pub use crate::cell_list::CellKind;
pub use crate::config::{AnyRecurrentConfig, GruConfig, LstmConfig, RnnConfig};
pub use crate::engine::Engine;
pub use crate::initializers::bias::BiasInitializer;
pub use crate::initializers::weight::WeightInitializer;
pub use crate::layer::RecurrentLayer;
pub use crate::packed::PackedSequence;
pub use crate::recurrent::Recurrent;
pub use crate::sequence_options::SequenceOptions;
pub use crate::state::{AnyState, GruState, LstmState, RecurrentState, RnnState};
pub use crate::truncated::Truncated;
pub use crate::{AnyRecurrent, Gru, Lstm, Rnn};
pub use bptt_kernels::{Kernel, MaskedOutput};
