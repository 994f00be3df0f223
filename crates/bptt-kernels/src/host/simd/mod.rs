//! A register of numbers: which instructions the machine has, the operations on `f32` and `f64`, sigmoid
//! and tanh, a register as a cell's number. Nothing here knows of memory, threads or layers.

pub(crate) mod functions;
pub(crate) mod isa;
pub(crate) mod prefetch;
pub(crate) mod real;
pub(crate) mod vectors;
