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

mod backward;
mod buffer;
mod columns;
mod forward;
mod functions;
mod gates;
mod isa;
mod lane;
mod layer;
mod limits;
mod outer_sum;
mod panels;
mod planes;
mod pool;
mod prepared;
mod product;
mod real;
mod roster;
mod rows;
mod team;
#[cfg(all(test, feature = "flex"))]
mod tests;
mod tile;
mod values;
mod walk;
mod workers;

#[cfg(test)]
use crate::recurrent::Operand;
use crate::recurrent::Operands;
use std::ops::Range;
use walk::Walk;

pub(crate) use backward::{Given, backward};
pub(crate) use buffer::Buffer;
pub(crate) use forward::{Keep, forward};
pub(crate) use gates::Work;
pub(crate) use isa::Isa;
pub(crate) use layer::Layer;
pub(crate) use limits::{Keeper, available_for, check};
pub(crate) use prepared::Prepared;
pub(crate) use real::Real;
pub(crate) use values::Values;
pub(crate) use walk::{schedule, whole};

/// The operands' numbers, row after row.
pub(crate) type Slices<'a, T> = Operands<&'a [T]>;

/// What the forward pass keeps for the backward pass, beside the outputs. How much that is:
/// [`HostTrace`](crate::HostTrace).
#[derive(Clone, Debug)]
pub(crate) struct Trace<T> {
    /// The last steps; all of them without a budget.
    window: Option<Window<T>>,
    /// What there is of the steps before.
    walk: Option<Walk<T>>,
}

/// All that the backward pass needs of some steps.
#[derive(Clone, Debug)]
pub(crate) struct Window<T> {
    /// Counted as they were worked. `N` rows took part in them, all steps together, and each has a row
    /// here, one step's behind the other's.
    steps: Range<usize>,
    /// `[N, K, Hp]`
    kept: Buffer<T>,
    /// The memories before the steps, of the whole batch; and those that each row was left with,
    /// `[B + N, M, Hp]`.
    memory: Buffer<T>,
    /// `h` in front of the projection, `[N, Hp]`.
    own: Option<Buffer<T>>,
}

impl<T: Real> Trace<T> {
    /// How much memory it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.window.as_ref().map_or(0, Window::bytes) + self.walk.as_ref().map_or(0, Walk::bytes)
    }
}

impl<T: Real> Window<T> {
    fn bytes(&self) -> usize {
        self.kept.bytes() + self.memory.bytes() + self.own.as_ref().map_or(0, Buffer::bytes)
    }
}
