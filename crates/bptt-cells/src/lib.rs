//! One step of a recurrent cell, forward and backward, generic over its number.
//!
//! A cell is the pointwise mathematics of one time step and nothing else: it knows no backend, no time loop, no matrix
//! and no engine. It is written once, for any `N:` [`Number`], and runs on every type that implements this trait: a
//! plain [`f64`], which one can follow on paper, a Burn tensor, a backend primitive, a SIMD vector, a complex number,
//! or a [`Dual`] number over any of these.
//!
//! | cell | file | gates `G` | memory | recurrent products |
//! | --- | --- | --- | --- | --- |
//! | [`RnnTanh`], [`RnnRelu`] | `rnn.rs` | 1 | – | added |
//! | [`Lstm`] | `lstm.rs` | 4: `i f g o` | `c` | added |
//! | [`LstmCoupled`] | `lstm_coupled.rs` | 3: `i g o` | `c` | added |
//! | [`LstmPeephole`] | `lstm_peephole.rs` | 4: `i f g o` | `c` | added |
//! | [`GruResetAfter`] | `gru_reset_after.rs` | 3: `r z n` | – | `n` separate |
//! | [`GruResetBefore`] | `gru_reset_before.rs` | 3: `r z n` | – | `n` of `r ⊙ h` |
//! | [`Mgu`] | `mgu.rs` | 2: `f n` | – | `n` of `f ⊙ h` |
//! | [`Rhn`] | `rhn.rs` | 2: `n t` | – | added |
//! | [`Lem`] | `lem.rs` | 4: `s r n m` | `z` | `m` of `z'` |
//! | [`IndRnnTanh`], [`IndRnnRelu`] | `indrnn.rs` | 1 | – | none: `u ⊙ h` |
//! | [`LstmLayerNorm`] | `lstm_layernorm.rs` | 4: `i f g o` | `c` | separate |
//! | [`GruLayerNorm`] | `gru_layernorm.rs` | 3: `r z n` | – | separate |
//! | [`GruDreamer`] | `gru_dreamer.rs` | 3: `r n u` | – | added |
//! | [`Unicornn`] | `unicornn.rs` | 1 | `z` | none: `w ⊙ h` |
//! | [`Slstm`] | `slstm.rs` | 4: `i f z o` | `c n m` | added |
//!
//! [`LstmDropped`], [`GruResetAfterDropped`] and [`GruResetBeforeDropped`] (`lstm_dropped.rs`, `gru_dropped.rs`) have a
//! mask on their candidate, as a memory.
//!
//! [`Clipped`] (`clipped.rs`) bounds the memory of an LSTM. It is a [`Wrapper`]: a cell around another.
//!
//! The layer multiplies the matrices. It reads from [`Layout`] what the cell needs: how many gates, which recurrent
//! products are added to the input's, which are separate, and which are of a gated hidden state. Then it calls
//! [`Cell::step`], and in the backward pass [`Cell::step_backward`].
//!
//! ```
//! use bptt_cells::{Cell, RnnTanh, State};
//!
//! // h_1 = tanh(w x + u h_0) with w x = 0.5, u h_0 = 0.1
//! let before = State { hidden: 0.2, memory: [] };
//! let (after, saved) = Cell::step(&RnnTanh, [0.6], [], &before);
//! assert_eq!(after.hidden, 0.6_f64.tanh());
//!
//! // dLoss/d(pre-activation) for dLoss/dh_1 = 1
//! let cotangent = State { hidden: 1.0, memory: [] };
//! let back = Cell::step_backward(&RnnTanh, saved, &before, &after, cotangent);
//! assert_eq!(back.d_gates, [1.0 - after.hidden * after.hidden]);
//! ```
//!
//! # How to add a cell
//!
//! Write one file with the equations and their paper at the top, a unit struct, [`Layout`], then [`AnalyticCell`] (or
//! [`Cell`], if it needs [`Rectify`]) with `step` followed by `step_backward`. The book's chapter "Adding a cell" shows
//! one, step by step.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cell;
mod clipped;
mod components;
mod dual;
mod gru_dreamer;
mod gru_dropped;
mod gru_layernorm;
mod gru_reset_after;
mod gru_reset_before;
mod indrnn;
mod layer_norm;
mod lem;
mod lstm;
mod lstm_coupled;
mod lstm_dropped;
mod lstm_layernorm;
mod lstm_peephole;
mod mgu;
mod number;
mod rhn;
mod rnn;
mod row;
#[cfg(feature = "scanned-cells")]
pub mod scanned;
mod slstm;
mod unicornn;
mod wrapper;

pub use cell::{
    AnalyticCell, AnalyticVisitor, Backward, Cell, DiagonalRole, Forward, GateRole, HiddenTerm,
    Layout, State,
};
pub use clipped::{Clippable, Clipped};
pub use components::Components;
pub use dual::Dual;
pub use gru_dreamer::GruDreamer;
pub use gru_dropped::{GruResetAfterDropped, GruResetBeforeDropped};
pub use gru_layernorm::GruLayerNorm;
pub use gru_reset_after::GruResetAfter;
pub use gru_reset_before::GruResetBefore;
pub use indrnn::{IndRnnRelu, IndRnnTanh};
pub use lem::Lem;
pub use lstm::Lstm;
pub use lstm_coupled::LstmCoupled;
pub use lstm_dropped::LstmDropped;
pub use lstm_layernorm::LstmLayerNorm;
pub use lstm_peephole::LstmPeephole;
pub use mgu::Mgu;
pub use number::{Imply, ImplyIs, Number, Rectify};
pub use rhn::Rhn;
pub use rnn::{RnnRelu, RnnTanh};
pub use row::Row;
pub use slstm::Slstm;
pub use unicornn::Unicornn;
pub use wrapper::Wrapper;

/// What each cell saves from its forward step for its backward step.
pub mod saved {
    pub use crate::gru_reset_after::Saved as GruResetAfter;
    pub use crate::gru_reset_before::Saved as GruResetBefore;
    pub use crate::lem::Saved as Lem;
    pub use crate::lstm::Saved as Lstm;
    pub use crate::lstm_coupled::Saved as LstmCoupled;
    pub use crate::lstm_peephole::Saved as LstmPeephole;
    pub use crate::mgu::Saved as Mgu;
    pub use crate::rhn::Saved as Rhn;
    pub use crate::slstm::Saved as Slstm;
}

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
