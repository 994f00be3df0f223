//! What the forward pass of the host kernels keeps for the backward pass.

use crate::host::sequence::trace as host_trace;
use crate::reference::body::StepTrace;

/// A trace of the kernel that ran forward.
#[derive(Clone, Debug)]
pub enum AnyTrace<T> {
    /// The trace of the reference body.
    Reference(Vec<StepTrace<T>>),
    /// The trace of the host kernels.
    Host(HostTrace<T>),
}

/// What the host kernels keep besides the outputs, which the trace shares with their owner.
///
/// With `Hp = H` padded to whole registers (at most 15 more), `K` saved values of the cell, `M` memories and `N` valid
/// steps of all rows (`T · B` without lengths and masks): `N · K · Hp + (N + B) · M · Hp` numbers, and `N · Hp` more
/// with a projection, unless the plan has a budget. Diagonal weights are not kept. An LSTM keeps five numbers for each unit and valid step, a GRU
/// four, an RNN none. For operands in `bf16` and `f16` these numbers are `f32`, and the trace has outputs of its own in
/// `f32`, `T · B · P` numbers.
#[derive(Clone, Debug)]
pub struct HostTrace<T> {
    pub(super) outputs: T,
    pub(super) numbers: Numbers,
}

#[derive(Clone, Debug)]
pub(crate) enum Numbers {
    F32(host_trace::Trace<f32>),
    F64(host_trace::Trace<f64>),
}
