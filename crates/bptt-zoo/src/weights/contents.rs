//! What a file of weights holds, whatever its format.

use crate::weights::array::Array;
use std::collections::BTreeMap;

/// Tensors by name.
pub type Tensors = BTreeMap<String, Array>;

/// The other texts in a file, by key.
pub type Metadata = BTreeMap<String, String>;

/// A tensor of a type that is not read: complex and quantized numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct UnreadTensor {
    /// Its shape, where the file says one.
    pub shape: Vec<usize>,
    /// Its type, by the name that the file has for it.
    pub what: String,
}

/// Tensors that were left out, by name.
pub type UnreadTensors = BTreeMap<String, UnreadTensor>;

/// All that a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// Its tensors.
    pub tensors: Tensors,
    /// Those of a type that is not read.
    pub left_out: UnreadTensors,
    /// Its other texts.
    pub metadata: Metadata,
}
