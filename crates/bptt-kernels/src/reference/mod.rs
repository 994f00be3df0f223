//! The derivation as code: a sequence forward and backward in a backend's tensor operations. It imports the module
//! `operation`, and nothing of the kernels for host memory.

pub(crate) mod body;
pub(crate) mod noise;
pub(crate) mod ops;
pub(crate) mod primitive;
pub(crate) mod recurrent_matrix;
pub(crate) mod run;
pub(crate) mod step_sums;
pub(crate) mod tensor_cell;
pub(crate) mod tensor_number;
