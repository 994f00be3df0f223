//! The candidate of minGRU and minLSTM: as it is, or made positive.
//!
//! ```text
//! g(x) = x + 1/2   for x ≥ 0
//!      = σ(x)      for x < 0
//! ```
//!
//! Feng et al. (2024, appendix B) make the candidate positive, so that a scan can be computed with logarithms: all of
//! `a`, `b` and `h` are then positive. The scans here need no logarithm, because they never divide by a product of
//! many `a`; they compute the same function.

use crate::number::Rectify;

/// A candidate, and what its slope is read from.
#[derive(Clone, Debug)]
pub struct Candidate<N> {
    /// `x`, or `g(x)`.
    pub(super) value: N,
    /// `max(-x, 0)`
    below: N,
    /// `σ(min(x, 0))`
    sigmoid: N,
}

impl<N: Rectify> Candidate<N> {
    #[inline(always)]
    pub(super) fn new(x: N, positive: bool) -> Self {
        if !positive {
            return Self { value: x.clone(), below: x.clone(), sigmoid: x };
        }
        let below = (-x.clone()).relu();
        let sigmoid = (-below.clone()).sigmoid();
        // x - min(x, 0) is zero below zero. (Its slope at zero is 1, as that of g.)
        Self { value: x + &below + &sigmoid, below, sigmoid }
    }

    /// dLoss/dx from `d` = dLoss/d(value). The slope at zero is 1.
    #[inline(always)]
    pub(super) fn backward(&self, d: N, positive: bool) -> N {
        if !positive {
            return d;
        }
        let excess = &d - &d * self.sigmoid.sigmoid_slope();
        d - self.below.relu_backward(&excess)
    }
}
