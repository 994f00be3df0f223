//! What the forward pass keeps for the backward pass.

#[cfg(feature = "host")]
use crate::host::sequence::trace as host_trace;
use crate::reference::body::StepTrace;

/// What the forward pass keeps for the backward pass, by the kernel that ran it.
#[derive(Clone, Debug)]
pub enum Trace<T> {
    /// Of the reference body: an entry for each step, in the order in which the steps ran.
    ///
    /// Beyond the outputs: `T · B · (K + M) · H` numbers, with `K` the number of values that
    /// the cell saves (LSTM 4, GRU 4 or 3, RNN 0) and `M` its memories (LSTM 1); behind a
    /// projection another `T · B · H` for the hidden states in front of it. The hidden states are
    /// shared with the output where the backend shares slices, else `T · B · P` more.
    Steps(Vec<StepTrace<T>>),
    /// Of the host kernels.
    #[cfg(feature = "host")]
    Host(HostTrace<T>),
}

/// What the host kernels keep, besides the outputs. The trace shares those with their owner.
///
/// With `Hp = H` padded to whole registers (at most 15 more), `K` saved values of the cell, `M` memories
/// and `N` valid steps of all rows (`T · B` without lengths and masks): `N · K · Hp + (N + B) · M · Hp`
/// numbers, and `N · Hp` more behind a projection, unless the plan has a budget. An LSTM keeps five
/// numbers for each unit and valid step, a GRU four, an RNN none.
#[cfg(feature = "host")]
#[derive(Clone, Debug)]
pub struct HostTrace<T> {
    pub(crate) outputs: T,
    pub(crate) numbers: Numbers,
}

#[cfg(feature = "host")]
#[derive(Clone, Debug)]
pub(crate) enum Numbers {
    F32(host_trace::Trace<f32>),
    F64(host_trace::Trace<f64>),
}

#[cfg(feature = "host")]
impl<T> HostTrace<T> {
    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        match &self.numbers {
            Numbers::F32(trace) => trace.bytes(),
            Numbers::F64(trace) => trace.bytes(),
        }
    }
}
