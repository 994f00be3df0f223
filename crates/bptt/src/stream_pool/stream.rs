//! One stream: its key, and the sizes of its state.

use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::hash::Hash;

/// A type that can be the key of a stream.
pub trait StreamKey: Clone + Debug + Eq + Hash {}

impl<K: Clone + Debug + Eq + Hash> StreamKey for K {}

/// How many numbers a stream has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// `I`
    pub(crate) input: usize,
    /// `L` and `P`
    pub(crate) hidden: [usize; 2],
    /// `L·M` and `H`
    pub(crate) memory: [usize; 2],
}

impl Shape {
    pub(crate) fn hidden_len(&self) -> usize {
        self.hidden.iter().product()
    }

    pub(crate) fn memory_len(&self) -> usize {
        self.memory.iter().product()
    }

    /// A state of zeros.
    pub(crate) fn zero_state(&self) -> StreamState {
        StreamState { hidden: vec![0.0; self.hidden_len()], memory: vec![0.0; self.memory_len()] }
    }
}

/// The state of one stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamState {
    /// Of each layer, `[L, P]`.
    pub hidden: Vec<f32>,
    /// Of each layer, `[L·M, H]`; empty for cells without memory.
    pub memory: Vec<f32>,
}

/// A stream that was evicted, and the state with which it can be added again
/// ([`add_from`](crate::StreamPool::add_from)).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Evicted<K> {
    /// The stream.
    pub key: K,
    /// Its state.
    pub state: StreamState,
}
