//! Kernels for the CubeCL backends (Vulkan, WebGPU, Metal, CUDA, ROCm): one source, in CubeCL.
//!
//! From the bottom: `program` records a cell's step as a list of operations; `step_programs` are the programs of a cell;
//! `evaluate` writes a program into a kernel; `step` has what a step's kernels share; `forward_step` and `backward_step`
//! are one step of some rows and one unit, and the kernels around them; `rows` is where sequences are masked and reset;
//! `launches` counts; `packed` are the recurrent weights as the kernels read them; `sequence` runs the whole.

pub(crate) mod program;
pub(crate) mod step_programs;

#[cfg(feature = "cube")]
mod backward_step;
#[cfg(feature = "cube")]
mod evaluate;
#[cfg(feature = "cube")]
mod forward_step;
#[cfg(feature = "cube")]
pub(crate) mod launches;
#[cfg(feature = "cube")]
mod packed;
#[cfg(feature = "cube")]
mod rows;
#[cfg(feature = "cube")]
pub(crate) mod sequence;
#[cfg(feature = "cube")]
mod step;
