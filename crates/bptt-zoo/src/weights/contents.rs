//! What a file of weights holds, whatever its format.

use crate::weights::array::Array;
use std::collections::BTreeMap;

/// Tensors by name.
pub type Tensors = BTreeMap<String, Array>;

/// What a file says besides, key by key.
pub type Metadata = BTreeMap<String, String>;

/// A tensor of a type that is not read: complex and quantized numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct UnreadTensor {
    /// Its shape, where the file says one.
    pub shape: Vec<usize>,
    /// Its type, by the name that the file has for it.
    pub what: String,
}

/// Tensors that were passed over, by name.
pub type UnreadTensors = BTreeMap<String, UnreadTensor>;
