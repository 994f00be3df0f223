//! RNN, LSTM and GRU for [Burn](https://burn.dev). You can trust, read and afford their gradients.
//!
//! One setting chooses how a layer is differentiated:
//!
//! - [`Engine::Manual`] (the default): back-propagation through time derived by hand. There is one node on the tape for
//!   a layer's whole sequence, and each weight gradient is one product over all steps.
//! - [`Engine::Autograd`]: the same layer as ordinary tensor operations, one step after the other. Burn records and
//!   differentiates them. This engine is the witness for the first.
//!
//! (A third engine, [`Engine::Rtrl`], carries gradients forwards. It is for small networks, and another witness.)
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use bptt::prelude::*;
//! use burn::tensor::{Device, Distribution, Tensor};
//!
//! let device = Device::flex().autodiff();
//! let lstm = LstmConfig::new(3, 8)
//!     .with_num_layers(2)
//!     .with_bidirectional(true)
//!     .with_engine(Engine::Manual)
//!     .init(&device);
//!
//! let input = Tensor::<3>::random([4, 10, 3], Distribution::Default, &device); // [B, T, I]
//! let (output, state) = lstm.forward(input, None);
//! assert_eq!(output.dims(), [4, 10, 16]); // [B, T, D·H]
//! assert_eq!(state.hidden.dims(), [4, 4, 8]); // [L·D, B, H]
//!
//! let gradients = output.sum().backward();
//! assert!(lstm.weights[0].weight_hh.grad(&gradients).is_some());
//! # }
//! ```
//!
//! The central types: a config ([`RnnConfig`], [`LstmConfig`], [`GruConfig`]) makes a layer ([`Rnn`], [`Lstm`],
//! [`Gru`]), which is a [`Recurrent`] over its cell and an ordinary Burn module. [`RecurrentLayer`] is a trait of all
//! layers, for models that are generic over the cell. [`AnyRecurrent`] is one type for all cells, for programs that
//! choose the cell at run time; [`AnyLayer`] is one for these and for the layers that run as a scan. A cell of your own implements [`cells::AnalyticCell`]; [`StackConfig`] makes a layer of
//! it. The [`prelude`] has what most programs use.
//!
//! Parameters are named and shaped as in PyTorch (`weight_ih_l0 [G·H, I]`, …, suffix `_reverse`),
//! in PyTorch's gate order, so that a state dict fits one to one.
//!
//! This crate chooses no backend: turn on the feature (`flex`, `ndarray`, `wgpu`, `vulkan`,
//! `metal`, `cuda`, `rocm`, `cpu`) of each backend that your program uses, here as on Burn. The feature
//! `dataset` is for Burn's data loaders: batches of ragged data with little padding (`Bucketing`). The feature
//! `attention` has attention over the states of a layer, and encoder-decoder models (`attention`, `seq2seq`). The feature
//! `scanned-cells` is for layers that are parallel in time (`scanned`): minGRU, minLSTM, RG-LRU, LRU and S5. The feature
//! `optim` has `clip_global_norm`, which clips gradients as recurrent networks need it.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod any_config;
mod any_layer;
#[cfg(feature = "attention")]
pub mod attention;
pub mod burn_nn;
mod cast;
mod cell;
mod cell_list;
mod checks;
#[cfg(feature = "optim")]
mod clip;
mod config;
mod custom_kernel;
#[cfg(feature = "attention")]
mod draw;
mod engine;
mod error;
mod forward_packed;
mod forward_with;
mod gradient_probe;
mod initial_state;
mod initializers;
mod layer;
mod layer_noise;
mod module;
mod noise_of_layer;
mod noise_rates;
mod one_of;
mod packed;
pub mod prelude;
mod ragged;
mod recurrent;
mod recurrent_noise;
mod recurrent_weight;
mod residual_stack;
mod rtrl;
mod run_layers;
#[cfg(feature = "scanned-cells")]
pub mod scanned;
#[cfg(feature = "attention")]
pub mod seq2seq;
mod sequence_options;
mod state;
mod stream_pool;
#[cfg(any(feature = "flex", feature = "ndarray"))]
mod trace_cost;
mod truncated;
mod weights;

pub use any_config::{AnyLayerConfig, LayerKind};
pub use any_layer::AnyLayer;
pub use bptt_cells as cells;
pub use bptt_kernels as kernels;
pub use bptt_kernels::{
    Kernel, MaskedOutput, SequenceMask, StateGradientNorms, TraceCost, TraceSchedule,
    available_memory, hidden_state_cost, internal_state_cost, rtrl_bytes,
};
pub use cast::cast;
#[cfg(feature = "diagonal-cells")]
pub use cell::IndRnnCell;
pub use cell::{CellVisitor, GruCell, LstmCell, Nonlinearity, RnnCell, SequenceCell};
pub use cell_list::{AnyCell, CellKind};
#[cfg(feature = "optim")]
pub use clip::{clip_global_norm, scale_gradients};
pub use config::{AnyRecurrentConfig, GruConfig, LstmConfig, RnnConfig, StackConfig};
pub use custom_kernel::{BuiltIn, CustomKernel, KernelChoice, LayerKernel};
pub use engine::{BothDirections, Engine, Recorded, Sequence, SequenceResult, StackResult};
pub use error::{ConfigError, ConversionError, StreamError};
pub use gradient_probe::{GradientProbe, StateGradients};
pub use initial_state::InitialState;
pub use initializers::bias::BiasInitializer;
pub use initializers::weight::WeightInitializer;
pub use layer::RecurrentLayer;
pub use noise_rates::NoiseRates;
pub use packed::PackedSequence;
#[cfg(feature = "dataset")]
pub use ragged::{Bucketing, Buckets, PackBatcher, PadBatcher};
pub use ragged::{Padding, RaggedBatch};
pub use recurrent::Recurrent;
pub use recurrent_noise::{NoiseKind, RecurrentNoise};
pub use recurrent_weight::{RecurrentWeight, block_diagonal, diagonal_blocks};
pub use residual_stack::{ResidualStack, SkipConnection};
pub use rtrl::{Rtrl, RtrlGradients, StateCotangent};
pub use sequence_options::SequenceOptions;
#[cfg(feature = "scanned-cells")]
pub use state::ScannedState;
pub use state::{AnyState, GruState, LstmState, RecurrentState, RnnState};
pub use stream_pool::{
    Evicted, SavedStreams, StreamKey, StreamOutputs, StreamPool, StreamPoolConfig, StreamState,
};
pub use truncated::{Truncated, Window};
pub use weights::Weights;

/// Elman's network, `tanh` or `relu`. Made by [`RnnConfig`].
pub type Rnn = Recurrent<RnnCell>;
/// Long short-term memory. Made by [`LstmConfig`].
pub type Lstm = Recurrent<LstmCell>;
/// Gated recurrent unit. Made by [`GruConfig`].
pub type Gru = Recurrent<GruCell>;
/// A layer of any of this project's cells, chosen at run time. Made by [`AnyRecurrentConfig`].
pub type AnyRecurrent = Recurrent<AnyCell>;

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "flex"))]
#[doc = include_str!("../README.md")]
struct Readme;
