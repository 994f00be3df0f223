//! Whole-sequence kernels for host memory: one source for flex and ndarray, f32 and f64, any cell.
//!
//! What is computed is what the reference body computes (`recurrent/reference.rs`); how:
//!
//! - `real.rs`, `functions.rs`, `lane.rs`: a register of numbers as a cell's `Number`, so that the
//!   cells' own `step` and `step_backward` run here, with sigmoid and tanh good to two units in
//!   the last place. The instruction set is found out at run time, by
//!   `pulp` (`isa.rs`).
//! - `panels.rs`, `product.rs`, `outer_sum.rs`: packed matrices, and products with them; `rows.rs`: where
//!   their rows are; `tile.rs`: the innermost loop. `prepared.rs`: the weights, packed.
//! - `layer.rs`: sizes, the order of planes, who works on what. `roster.rs`: which rows in which
//!   step. `team.rs`: the threads, and `workers.rs` where they come from.
//! - `buffer.rs`: memory that threads share; `values.rs`: results; `pool.rs`: what is kept of both for the
//!   next.
//! - `limits.rs`: what would not fit is refused before anything is allocated.
//! - `gates.rs`: one step of the cell over rows and units, in plain numbers or in dual ones; `planes.rs`:
//!   the registers of a row.
//! - `forward.rs`, `backward.rs`: the sequence; `walk.rs`: backward with a bounded trace.
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
