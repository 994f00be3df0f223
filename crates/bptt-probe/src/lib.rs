//! Measures gradients, and what they cost. This crate never trains.
//!
//! The central types: a [`Problem`] is one layer with all its numbers, from the case table ([`case::table`]) or from a
//! PyTorch reference file ([`reference::read_folder`]). [`measure`] runs it by one [`Setting`] (engine, kernel, device,
//! dtype) and returns an [`Outcome`]: outputs, final states and every gradient. [`verify`](verify::verify) compares
//! outcomes with those of independent [`Witness`]es ([`WITNESSES`](verify::WITNESSES)) and reports a [`Row`] for each
//! tensor. Besides, [`bench`](bench::bench) measures time and memory, and [`dynamics`] how gradients grow and vanish.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use bptt_probe::{DType, Setting, case, measure, relative_error};
//! use bptt::{Engine, Kernel};
//!
//! let problem = case::find("lstm-plain").unwrap().problem();
//! let device = bptt_probe::device::open("flex").unwrap();
//! let run = |engine| {
//!     let setting = Setting { engine, kernel: Kernel::Auto, device: device.clone(), dtype: DType::F64 };
//!     measure(&problem, &setting).unwrap()
//! };
//! let (manual, autograd) = (run(Engine::Manual), run(Engine::Autograd));
//! let error = relative_error(&manual["grad.weight_hh_l0"], &autograd["grad.weight_hh_l0"]);
//! assert!(error < 1e-12);
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod bench;
pub mod case;
mod check;
pub mod curvature;
pub mod device;
pub mod dynamics;
mod feed;
mod html;
mod in_pool;
pub mod landscape;
mod loaded;
mod measure;
pub mod picture;
mod problem;
pub mod readout;
pub mod reference;
mod report;
mod sabotage;
pub mod scalar;
#[cfg(feature = "scanned-cells")]
mod scanned;
#[cfg(feature = "scanned-cells")]
mod scanned_layer;
mod setting;
pub mod spectrum;
pub mod truncation;
mod ulp;
pub mod verify;

pub use check::{Certificate, Finding, check};
pub use html::{About, html};
pub use loaded::MeasuredLayer;
pub use measure::{Outcome, loss, measure, measure_layer, relative_error};
pub use problem::{Array, InputMode, LayerOptions, Problem};
pub use report::{Row, Summary, device_summaries, device_table, summaries, table, witness_table};
pub use sabotage::Sabotaged;
pub use setting::{DType, Setting};
pub use ulp::{Ulps, ulp, ulp_table};
pub use verify::session::Verification;
pub use verify::witness::Witness;

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "flex"))]
#[doc = include_str!("../README.md")]
struct Readme;
