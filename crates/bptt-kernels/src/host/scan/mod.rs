//! Scans: linear recurrences `h_t = a_t ⊙ h_{t-1} + b_t` over whole sequences, whose coefficients a
//! [`ScannedCell`](bptt_cells::scanned::ScannedCell) computes from its gates.
//!
//! A pass reads each gate once and writes each state once; `a` and `b` are never in memory. Rows and units are
//! independent of each other, so threads share them. If there are few of both, and many steps, time is cut into blocks
//! (`layout.rs`), and the scan is done in three parts:
//!
//! 1. For each block but the last, the threads compute what it does to any state: `h -> A ⊙ h + B`.
//! 2. The states between the blocks, one after the other. This is little work.
//! 3. Each block as it is, from the state before it.
//!
//! The first part computes the coefficients once more, and stores nothing; so with blocks, a scan takes less than twice
//! the work of one without. Whether there are blocks depends on the sizes alone, so the results have the same bits for
//! any number of threads.
//!
//! `forward.rs` and `backward.rs` are the two passes; `units.rs` reads and writes the units of a row. `input/` computes the
//! gates, too.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod input;
pub(crate) mod layout;
mod units;

#[cfg(test)]
mod tests;
