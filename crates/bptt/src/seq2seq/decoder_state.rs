//! The state of a decoder between two symbols.

use crate::state::RecurrentState;
use burn::tensor::{Int, Tensor};

/// The state of a decoder between two symbols.
#[derive(Clone, Debug)]
pub struct DecoderState<S> {
    /// The state of the decoder's layers.
    pub layers: S,
    /// What the next step reads beside it: the attentional hidden state with [`Feeding::Attentional`], `[B, A]`; the top
    /// layer's hidden state with [`Feeding::Context`], `[B, P]`.
    ///
    /// [`Feeding::Attentional`]: crate::seq2seq::Feeding::Attentional
    /// [`Feeding::Context`]: crate::seq2seq::Feeding::Context
    pub carried: Tensor<2>,
}

impl<S: RecurrentState> DecoderState<S> {
    /// These rows of the batch, in this order. A row may occur several times, as when a hypothesis of a beam is continued
    /// in several ways.
    pub fn select_rows(self, rows: Tensor<1, Int>) -> Self {
        let carried = self.carried.select(0, rows.clone());
        Self { layers: self.layers.select_rows(rows), carried }
    }
}
