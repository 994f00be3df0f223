//! The content of a file of weights, independent of its format.

use crate::weights::array::Array;
use std::collections::BTreeMap;

/// Tensors by name.
pub type Tensors = BTreeMap<String, Array>;

/// The metadata of a file: texts, by key.
pub type Metadata = BTreeMap<String, String>;

/// A tensor of a type that is not read, such as complex or quantized numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct UnreadTensor {
    /// Its shape, if the file has it.
    pub shape: Vec<usize>,
    /// Its type, by the name that the file has for it.
    pub what: String,
}

/// Tensors that were left out, by name.
pub type UnreadTensors = BTreeMap<String, UnreadTensor>;

/// The whole content of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// Its tensors.
    pub tensors: Tensors,
    /// The tensors of a type that is not read.
    pub left_out: UnreadTensors,
    /// Its metadata.
    pub metadata: Metadata,
}
