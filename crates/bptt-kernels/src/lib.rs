//! Whole-sequence recurrent operations on Burn's backends.
//!
//! [`recurrent`] runs one layer in one direction over a whole sequence: one call, and on a device with autodiff
//! one node on the tape. Its parts:
//!
//! - [`Operands`]: the tensors that go in; [`Plan`]: the cell, the direction, the lengths; [`Results`]: the tensors
//!   that come out.
//! - [`SequenceKernel`]: how a backend runs the sequence forward and backward. [`ReferenceKernel`] is the reference
//!   body in tensor operations (`reference/body.rs`), which follows the derivation line by line and runs on every
//!   backend. [`recurrent_by`] takes a kernel of your own.
//! - [`recurrent_both`]: both directions of a layer, [`recurrent_pair`]: two layers on the tape, and [`recurrent_stack`]: a
//!   stack without a tape, as one operation.
//! - `recurrent/autodiff.rs`: the node, with a gradient for each operand that is tracked.
//! - `scan`, behind the feature `scanned-cells`: linear recurrences, all steps at once (`scan/`).
//! - [`RtrlState`]: real-time recurrent learning, which carries gradients forwards.
//! - [`Primitive`]: a backend's tensor as a [`Number`](bptt_cells::Number), so that the reference
//!   body runs the cells' own `step` and `step_backward`. [`Recorded`]: a Burn tensor as one.
//!
//! This crate chooses no backend. Each feature (`flex`, `ndarray`, `wgpu`, `cuda`, …) turns on
//! Burn's feature of that name and implements the operation for it.
//!
//! The layers for users are in the crate `bptt`. This crate is for people who write another layer on the same
//! operation, or a kernel for another backend.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "cube", test))]
#[cfg_attr(not(feature = "cube"), allow(dead_code, reason = "only the programs are tested"))]
mod cube;
#[cfg(feature = "host")]
mod host;
mod operation;
mod recurrent;
mod reference;
#[cfg(feature = "scanned-cells")]
mod scan;

pub use operation::any_tensor::AnyTensor;
pub use operation::cell_layout::CellLayout;
pub use operation::memory::{OutOfMemory, check_memory};
pub use operation::observer::{GradientObserver, StateGradientNorms};
pub use operation::operands::{BothResults, Cotangents, Operand, Operands, Results, StackResults};
pub use operation::plan::{Kernel, MaskedOutput, Plan, Sizes};
pub use operation::recorded::Recorded;
pub use operation::schedule::{TraceCost, TraceSchedule, hidden_state_cost, internal_state_cost};
pub use operation::sequence_rows::SequenceMask;
pub use operation::step_noise::{Kept, StepNoise};
pub use operation::weight_cache::WeightCache;
pub use recurrent::backends::{in_host_memory, owned};
pub use recurrent::both::{BothDirections, recurrent_both};
pub use recurrent::dispatch::DispatchBackend;
pub use recurrent::duals::{DualRun, in_duals};
pub use recurrent::kernel::{ReferenceKernel, SequenceKernel};
pub use recurrent::pair::{recurrent_pair, runs_as_pair};
pub use recurrent::rtrl::{RtrlState, rtrl_bytes};
pub use recurrent::stack::{StackResult, recurrent_stack, runs_as_stack};
pub use recurrent::{SequenceResult, recurrent, recurrent_by};
pub use reference::body::StepTrace;
pub use reference::primitive::Primitive;
pub use reference::run::{ReferenceRun, reference_in_duals};
#[cfg(feature = "scanned-cells")]
pub use scan::{
    InputOperands, ScanOperands, ScanPlan, scan, scan_by_tensors, scan_of_input,
    scan_of_input_by_tensors,
};

/// How many bytes of memory are available to a caller that needs `need` bytes, if the system reports it. If there are
/// too few, the kernels first give back what they keep for later calls.
pub fn available_memory(need: u128) -> Option<usize> {
    #[cfg(feature = "host")]
    return host::memory::reclaim::available_for(need);
    #[cfg(not(feature = "host"))]
    {
        let _ = need;
        None
    }
}

/// The time that products take one after the other by the kernels for host memory, in seconds: the shortest of many
/// repetitions, with packed `f32` matrices that stay in the cache. A layer whose steps have these products cannot be faster.
///
/// # Arguments
///
/// - `products`: the rows, the inner dimension and the columns of each
/// - `threads`: how many compute side by side, each its part, without waiting for each other
///
/// Returns `None` in a build without these kernels.
pub fn product_seconds(products: &[[usize; 3]], threads: usize) -> Option<f64> {
    #[cfg(feature = "host")]
    return Some(host::gemm::bounds::product_seconds(products, threads));
    #[cfg(not(feature = "host"))]
    {
        let _ = (products, threads);
        None
    }
}

/// The time in which threads read so many `f32` numbers side by side, in seconds: the shortest of many repetitions, so
/// from the cache that they fit. A step of one row cannot be faster than the reading of its weights.
///
/// Returns `None` in a build without kernels for host memory.
pub fn reading_seconds(numbers: usize, threads: usize) -> Option<f64> {
    #[cfg(feature = "host")]
    return Some(host::gemm::bounds::reading_seconds(numbers, threads));
    #[cfg(not(feature = "host"))]
    {
        let _ = (numbers, threads);
        None
    }
}

/// How many kernels of steps and sequences this thread has launched on GPUs since it began. The large products before and
/// behind a sequence do not count, nor does what copies tensors, nor the reference body.
pub fn sequence_launches() -> u64 {
    #[cfg(feature = "cube")]
    return cube::launches::so_far();
    #[cfg(not(feature = "cube"))]
    0
}

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "flex"))]
#[doc = include_str!("../README.md")]
struct Readme;
