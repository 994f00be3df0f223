//! SIMD: which instruction set the machine has, the operations on vectors of `f32` and `f64`, sigmoid and tanh,
//! conversions from and to 16 bits, and SIMD vectors as a cell's number. Nothing here knows of shared memory, threads or layers.

pub(crate) mod functions;
pub(crate) mod half;
pub(crate) mod isa;
pub(crate) mod prefetch;
pub(crate) mod real;
pub(crate) mod vectors;
