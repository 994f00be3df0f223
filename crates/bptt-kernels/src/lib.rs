//! Whole-sequence recurrent operations behind Burn's backend extension.
//!
//! [`RecurrentBackend::recurrent`] runs one layer in one direction over a whole sequence: one call,
//! and on an autodiff backend one node on the tape. Its parts:
//!
//! - [`Operands`]: the tensors that go in; [`Plan`]: the cell, the direction, the lengths.
//!   [`Results`]: those that come out.
//! - [`SequenceKernel`]: how a plain backend runs the sequence forward (keeping a [`Trace`]) and
//!   backward. Its default is the reference body in tensor operations (`recurrent/reference.rs`),
//!   which reads like the derivation and runs everywhere.
//! - `recurrent/autodiff.rs`: the node, with a gradient for each operand that is tracked.
//! - [`Influenced`]: real-time recurrent learning, gradients carried forwards instead.
//! - [`Primitive`]: a backend's tensor as a [`Number`](bptt_cells::Number), so that the reference
//!   body runs the cells' own `step` and `step_backward`.
//!
//! This crate chooses no backend. Each feature (`flex`, `ndarray`, `wgpu`, `cuda`, …) turns on
//! Burn's feature of that name and implements the operation for it.
//!
//! Layers that people use are in the crate `bptt`; this one is for whoever writes another layer
//! on the same operation, or a kernel for another backend.

#[cfg(feature = "host")]
mod host;
mod ops;
mod primitive;
mod recurrent;
mod schedule;

pub use primitive::Primitive;
pub use recurrent::{
    AnyTensor, Cotangents, DualRun, Influenced, Kernel, Operand, Operands, Plan, Presence,
    Recurred, RecurrentBackend, RecurrentOperands, RecurrentResults, Results, SequenceKernel,
    Skipped, StepTrace, Trace, WeightCache, in_duals, in_host_memory, recurrent, rtrl_bytes,
};
pub use schedule::{TraceCost, TraceSchedule, hidden_state_cost, internal_state_cost};

#[cfg(feature = "host")]
pub use recurrent::HostTrace;

/// How many bytes of memory the machine can still give to somebody who needs so many, where the system says
/// so; what these kernels keep for later is given back first if there would else be too few.
pub fn available_memory(need: u128) -> Option<usize> {
    #[cfg(feature = "host")]
    return host::available_for(need);
    #[cfg(not(feature = "host"))]
    {
        let _ = need;
        None
    }
}
