//! Cells whose state follows a linear recurrence, so that all steps of a sequence can be computed at once.
//!
//! ```text
//! h_t = a_t ⊙ h_{t-1} + b_t        a_t and b_t depend on the input, and not on the state
//! ```
//!
//! Such a recurrence is an associative scan: two steps one after the other are a step of the same form,
//! `(a, b)` and then `(a', b')` is `(a' a, a' b + b')`. The backward pass is a scan as well, from the last step to the
//! first:
//!
//! ```text
//! d_b_t     = d_h_t + a_{t+1} ⊙ d_b_{t+1}     d_h_t: what comes from the output of step t
//! d_a_t     = d_b_t ⊙ h_{t-1}
//! d_h_{t-1} = a_t ⊙ d_b_t
//! ```
//!
//! (If the numbers are complex, `a_{t+1}` and `h_{t-1}` are conjugated there.)
//!
//! A [`ScannedCell`] is the pointwise mathematics of a step: from its gates, which a layer computes for all steps by
//! one product, to `a` and `b`, and back from `d_a` and `d_b`. It knows no time.
//!
//! G. E. Blelloch, "Prefix sums and their applications" (1990); E. Martin and C. Cundy, "Parallelizing linear recurrent
//! neural nets over sequence length", ICLR 2018.

mod candidate;
mod cell;
mod diagonal;
mod given;
mod linear;
mod min_gru;
mod min_lstm;
mod number;
mod rg_lru;

pub use cell::{Coefficients, ScannedCell};
pub use diagonal::Diagonal;
pub use given::Given;
pub use linear::Linear;
pub use min_gru::MinGru;
pub use min_lstm::MinLstm;
pub use number::{ScanNumber, TINY};
pub use rg_lru::RgLru;

#[cfg(test)]
mod tests;
