//! What is done to the state around each step, besides the cell: zoneout, and dropout of the state.

use crate::operation::cell_layout::CellLayout;
use std::sync::Arc;

/// What is done to the state around each step of a sequence, the same by every engine and kernel:
///
/// ```text
/// U h           becomes  U (m ⊙ h)                          the state's dropout; also of a gated hidden state
/// h_t = h̃_t     becomes  h_t = k ⊙ h_{t-1} + (1 - k) ⊙ h̃_t    zoneout; h̃ is what the cell computes
/// c_t = c̃_t     becomes  c_t = k ⊙ c_{t-1} + (1 - k) ⊙ c̃_t
/// d                                                         the mask of the candidate, where a cell has one
/// ```
///
/// While training, `k` is drawn from {0, 1}; in evaluation it is the probability. With a projection, `h̃` is what comes
/// out of it. The path that reads `h` without a matrix reads it without `m`. Diagonal weights are no state. At a masked
/// step the state is copied on, and nothing else is done to it. A reset comes before the step, so `h_{t-1}` is the reset
/// state there.
///
/// D. Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations", ICLR 2017. Y. Gal and Z.
/// Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks", NIPS 2016.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepNoise {
    pub(crate) state_mask: Option<Arc<[f32]>>,
    pub(crate) kept_hidden: Option<Kept>,
    pub(crate) kept_memory: Option<Kept>,
    pub(crate) candidate: Option<Arc<[f32]>>,
}

/// Which share of the state before a step is kept, `k`.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    /// The same of all units in all steps.
    Constant(f64),
    /// Of each unit in each step, `[T, B, width]`, in the order of time.
    Steps(Arc<[f32]>),
}

impl StepNoise {
    /// Nothing is done.
    pub fn new() -> Self {
        Self::default()
    }

    /// `m`, `[B, P]`: what the hidden state is multiplied with where it enters a recurrent product.
    pub fn with_state_mask(mut self, mask: Option<Arc<[f32]>>) -> Self {
        self.state_mask = mask;
        self
    }

    /// `k` of the hidden state, `[T, B, P]`.
    pub fn with_kept_hidden(mut self, kept: Option<Kept>) -> Self {
        self.kept_hidden = kept;
        self
    }

    /// `k` of the memories, `[T, B, H]`. All memories of a unit are kept together.
    pub fn with_kept_memory(mut self, kept: Option<Kept>) -> Self {
        self.kept_memory = kept;
        self
    }

    /// `d`, `[T, B, H]`, or `[B, H]` for all steps: the mask that a cell such as
    /// [`LstmDropped`](bptt_cells::LstmDropped) has as its last memory. It is set before each step.
    pub fn with_candidate_mask(mut self, mask: Option<Arc<[f32]>>) -> Self {
        self.candidate = mask;
        self
    }

    /// See [`with_candidate_mask`](Self::with_candidate_mask).
    pub fn candidate_mask(&self) -> Option<&[f32]> {
        self.candidate.as_deref()
    }

    /// See [`with_state_mask`](Self::with_state_mask).
    pub fn state_mask(&self) -> Option<&[f32]> {
        self.state_mask.as_deref()
    }

    /// See [`with_kept_hidden`](Self::with_kept_hidden).
    pub fn kept_hidden(&self) -> Option<&Kept> {
        self.kept_hidden.as_ref()
    }

    /// See [`with_kept_memory`](Self::with_kept_memory).
    pub fn kept_memory(&self) -> Option<&Kept> {
        self.kept_memory.as_ref()
    }

    /// Whether it does nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that there is a number for each unit.
    ///
    /// # Panics
    ///
    /// If there is not.
    pub(crate) fn check(
        &self,
        cell: &CellLayout,
        [time, batch]: [usize; 2],
        [hidden, output]: [usize; 2],
    ) {
        let check = |what: &str, found: usize, expected: usize| {
            assert!(
                found == expected,
                "{}: {what} has {found} numbers, expected {expected} for {time} steps of {batch} rows",
                cell.name,
            );
        };
        if let Some(mask) = &self.state_mask {
            check("the mask of the state", mask.len(), batch * output);
            assert!(
                cell.has_recurrent_weights(),
                "{}: a mask of the state goes with cells that have a recurrent product",
                cell.name,
            );
        }
        if let Some(Kept::Steps(kept)) = &self.kept_hidden {
            check("what is kept of the hidden state", kept.len(), time * batch * output);
        }
        if let Some(Kept::Steps(kept)) = &self.kept_memory {
            check("what is kept of the memories", kept.len(), time * batch * hidden);
        }
        if let Some(mask) = &self.candidate {
            let is_one = mask.len() == batch * hidden;
            let expected = if is_one { batch } else { time * batch } * hidden;
            check("the mask of the candidate", mask.len(), expected);
        }
        assert!(
            (self.kept_memory.is_none() && self.candidate.is_none()) || cell.states() > 0,
            "{}: zoneout of the memory, or a mask of the candidate, goes with cells that have one",
            cell.name,
        );
    }
}
