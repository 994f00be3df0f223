//! Layers whose state follows a linear recurrence, so that all steps of a sequence are computed at once.
//!
//! ```text
//! h_t = a_t ⊙ h_{t-1} + b_t        a_t and b_t depend on the input, and not on the state
//! ```
//!
//! | layer | config | `a` | state of a unit |
//! | --- | --- | --- | --- |
//! | minGRU | [`MinGruConfig`] | `1 - z`, a gate | real |
//! | minLSTM | [`MinLstmConfig`] | `f / (f + i)`, of two gates | real |
//! | RG-LRU | [`RgLruConfig`] | a constant to the power of a gate | real |
//! | LRU | [`LruConfig`] | a constant | complex |
//! | S5 | [`S5Config`] | a constant, by discretisation | complex |
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use bptt::scanned::MinGruConfig;
//! use burn::tensor::{Device, Distribution, Tensor};
//!
//! let device = Device::flex().autodiff();
//! let gru = MinGruConfig::new(3, 8).with_num_layers(2).init(&device);
//! let input = Tensor::<3>::random([4, 1000, 3], Distribution::Default, &device); // [B, T, I]
//! let (outputs, state) = gru.forward(input, None);
//! assert_eq!(outputs.dims(), [4, 1000, 8]); // [B, T, H]
//! assert_eq!(state.hidden.dims(), [2, 4, 8]); // [L, B, H]
//!
//! let gradients = outputs.sum().backward();
//! assert!(gru.layers[0].weight_ih.grad(&gradients).is_some());
//! # }
//! ```
//!
//! They have the interface of all recurrent layers ([`RecurrentLayer`](crate::RecurrentLayer)), so they fit into any model
//! that is generic over it. The gates of all steps are one product, `x W`, and product and scan are one
//! operation ([`bptt_kernels::scan_of_input`]).

mod any;
mod config;
mod diagonal;
mod layer;
mod minimal;
mod options;
mod parameters;
mod rg_lru;
mod stack;
mod state_space;

pub use any::{AnyScannedConfig, AnyScannedLayer, ScannedKind};
pub use config::{LruConfig, MinGruConfig, MinLstmConfig, RgLruConfig, S5Config};
pub use diagonal::Readout;
pub use layer::{Gates, LayerOperands, ScannedLayer, run_scan};
pub use minimal::{MinGruLayer, MinLstmLayer};
pub use rg_lru::RgLruLayer;
pub use stack::Scanned;
pub use state_space::{LruLayer, S5Layer};

/// A layer of any of these kinds, chosen at run time. Made by [`AnyScannedConfig`].
pub type AnyScanned = Scanned<AnyScannedLayer>;
/// Minimal gated recurrent unit. Made by [`MinGruConfig`].
pub type MinGru = Scanned<MinGruLayer>;
/// Minimal long short-term memory. Made by [`MinLstmConfig`].
pub type MinLstm = Scanned<MinLstmLayer>;
/// Real-gated linear recurrent unit. Made by [`RgLruConfig`].
pub type RgLru = Scanned<RgLruLayer>;
/// Linear recurrent unit. Made by [`LruConfig`].
pub type Lru = Scanned<LruLayer>;
/// Diagonal state-space layer. Made by [`S5Config`].
pub type S5 = Scanned<S5Layer>;
