//! A test of the tests: the hand-written backward passes, one thing wrong at a time.
//!
//! A *mutant* is a backward pass with one thing changed: a sign, a missing term or factor, two gates
//! swapped, a time index that is one off. A suite that lets one pass does not test the term. There are
//! two kinds:
//!
//! - A cell's text is generic over its number, so its mutants need no compiler: [`Mutated`] runs the
//!   cell's own `step_backward` on a number that counts its operations and does the chosen one wrong,
//!   through either kernel ([`of_cells`]).
//! - What is around the cells, the pass over the sequence, is mutated in its source ([`sites`]), and each
//!   mutant runs in a process of its own ([`child`]).
//!
//! After R. DeMillo, R. Lipton and F. Sayward, "Hints on test data selection: help for the practicing
//! programmer", Computer 11 (4), 1978, 34–41.

mod cell;
mod cells;
pub mod child;
mod number;
mod scan_sites;
pub mod site;
pub mod sites;
pub mod suite;

pub use cell::{Function, Mutated, Mutation, mutations};
pub use cells::of_cells;
pub use number::{Change, Mutant, Operation};
