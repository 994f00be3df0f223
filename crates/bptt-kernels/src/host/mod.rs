//! Whole-sequence kernels for host memory: one source for flex and ndarray, f32 and f64, any cell.
//!
//! They compute what the reference body computes (`reference/body.rs`). The layers, from the lowest to the highest:
//!
//! - `simd/`: SIMD vectors as a cell's `Number`, so that the cells' own `step` and `step_backward` run here;
//!   sigmoid and tanh with errors of at most two units in the last place; 16 bits to and from `f32`. `pulp` detects
//!   the instruction set at run time.
//! - `threads/`: a team of threads, and the idle workers from which it is made.
//! - `memory/`: memory that threads share, memory of results, pools that keep both, and how much the system has.
//! - `gemm/`: packed matrices, and products with them.
//! - `layout/`: sizes, the order of planes, the valid rows of each step, how threads share the work.
//! - `step/`: one step of the cell over rows and units, in plain or in dual numbers.
//! - `scan/`: linear recurrences, over blocks of time.
//! - `sequence/`: forward and backward, also with a bounded trace. A sequence that would not fit the memory is refused
//!   before anything is allocated.
//!
//! Each may import from those above it in this list, and not from those below. Import from the file that defines a
//! thing: this module exports nothing. A test in `tools/` checks both.
//!
//! Threads share the rows, the hidden units or the stages of a pipeline, and no sum depends on how they share them.
//! So the results have the same bits for any number of threads. Unsafe code is in this module only, for memory that
//! threads share and for loops without bounds checks. Each block says why it is sound. `README.md` beside this file
//! has the reasons for the layout, the sizes and the threads.
#![allow(unsafe_code, reason = "the kernels; see above")]
#![allow(clippy::excessive_precision, reason = "coefficients as they were published")]

pub(crate) mod gemm;
pub(crate) mod layout;
pub(crate) mod memory;
#[cfg(feature = "scanned-cells")]
pub(crate) mod scan;
pub(crate) mod sequence;
pub(crate) mod simd;
pub(crate) mod step;
#[cfg(all(test, feature = "flex"))]
mod tests;
pub(crate) mod threads;
