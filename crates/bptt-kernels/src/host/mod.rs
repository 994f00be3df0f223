//! Whole-sequence kernels for host memory: one source for flex and ndarray, f32 and f64, any cell.
//!
//! What is computed is what the reference body computes (`reference/body.rs`); how, from below:
//!
//! - `simd/`: a register of numbers as a cell's `Number`, so that the cells' own `step` and `step_backward`
//!   run here, with sigmoid and tanh good to two units in the last place. The instruction set is found out
//!   at run time, by `pulp`.
//! - `threads/`: a team of threads, and where they come from.
//! - `memory/`: memory that threads share, results, what is kept of both for the next; how much the system has.
//! - `gemm/`: packed matrices, and products with them.
//! - `layout/`: sizes, the order of planes, which rows are in which step, who works on what.
//! - `step/`: one step of the cell over rows and units, in plain numbers or in dual ones.
//! - `sequence/`: forward, backward, backward with a bounded trace; what would not fit is refused before
//!   anything is allocated.
//!
//! Each knows those above it in this list, none below. This module itself exports nothing: whoever uses something
//! imports it from the file that defines it. A test in `tools/` holds the crate to both.
//!
//! Threads share the work by rows, by units or by stages, and no sum depends on how: the same bits
//! for any number of them. Only in this module is there unsafe code, for memory that threads share
//! and for loops without bounds checks; each block says why it is sound.
#![allow(unsafe_code, reason = "the kernels; see above")]
#![allow(clippy::excessive_precision, reason = "coefficients as they were published")]

pub(crate) mod gemm;
pub(crate) mod layout;
pub(crate) mod memory;
pub(crate) mod sequence;
pub(crate) mod simd;
pub(crate) mod step;
#[cfg(all(test, feature = "flex"))]
mod tests;
pub(crate) mod threads;
