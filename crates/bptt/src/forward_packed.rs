//! Packed sequences by a layer.

use crate::cell::SequenceCell;
use crate::layer::RecurrentLayer;
use crate::packed::PackedSequence;
use crate::recurrent::Recurrent;
use crate::sequence_options::SequenceOptions;

impl<C: SequenceCell> Recurrent<C> {
    /// As [`forward_lengths`](Self::forward_lengths), but with a packed input and packed outputs.
    ///
    /// # Arguments
    ///
    /// - `input`: a packed sequence with `I` numbers for each step
    /// - `state`: the state to start from, its rows in the batch's own order; `None` means zeros
    ///
    /// # Returns
    ///
    /// - the hidden states of the last layer, `D·P` numbers for each step
    /// - the final state, its rows in the batch's own order
    ///
    /// # Panics
    ///
    /// As [`forward_lengths`](Self::forward_lengths).
    pub fn forward_packed(
        &self,
        input: &PackedSequence,
        state: Option<C::State>,
    ) -> (PackedSequence, C::State) {
        self.forward_packed_with(input, &SequenceOptions::new(), state)
    }

    /// As [`forward_packed`](Self::forward_packed), with resets.
    ///
    /// # Arguments
    ///
    /// - `options`: without lengths or a mask, because the packed sequence has its lengths. Resets are `[B, T]`, with
    ///   the rows in the batch's own order and `T` the length of the longest row. The outputs have no masked steps
    ///
    /// # Panics
    ///
    /// As [`forward_with`](Self::forward_with), and if the options have lengths or a mask.
    pub fn forward_packed_with(
        &self,
        input: &PackedSequence,
        options: &SequenceOptions<C::State>,
        state: Option<C::State>,
    ) -> (PackedSequence, C::State) {
        RecurrentLayer::forward_packed_with(self, input, options, state)
    }
}
