//! Sequences with lengths or a mask, and with resets.

use crate::cell::SequenceCell;
use crate::checks::LayerShape;
use crate::recurrent::Recurrent;
use crate::sequence_options::{RowOptions, SequenceOptions};
use crate::state::RecurrentState;
use bptt_kernels::SequenceMask;
use burn::Tensor;
use burn::tensor::Bool;

impl<C: SequenceCell> Recurrent<C> {
    /// Runs a batch of sequences with lengths or a mask, with resets, and with what masked outputs are, in any
    /// combination. [`forward`](Self::forward), [`forward_lengths`](Self::forward_lengths) and
    /// [`forward_masked`](Self::forward_masked) are short forms of it.
    ///
    /// # Arguments
    ///
    /// - `input`: `[B, T, I]`, or `[T, B, I]` without `batch_first`
    /// - `options`: see [`SequenceOptions`]
    /// - `state`: the state to start from; `None` means zeros
    ///
    /// # Returns
    ///
    /// As [`forward`](Self::forward).
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward). Also if lengths, mask, resets or reset state have another shape, if there are both
    /// lengths and a mask, or if there is a reset state without resets.
    pub fn forward_with(
        &self,
        input: Tensor<3>,
        options: &SequenceOptions<C::State>,
        state: Option<C::State>,
    ) -> (Tensor<3>, C::State) {
        let rows = options.rows(&self.shape(), &input);
        self.run(input, rows, state)
    }
}

impl<S: RecurrentState> SequenceOptions<S> {
    /// The options as the engines take them, checked for a layer and its input.
    ///
    /// # Panics
    ///
    /// As [`Recurrent::forward_with`].
    pub(crate) fn rows(&self, layer: &LayerShape, input: &Tensor<3>) -> RowOptions {
        let [batch, _] = layer.check_input(input);
        let name = layer.name;
        let SequenceOptions { lengths, mask, masked_output, resets, reset_state } = self;
        assert!(
            lengths.is_none() || mask.is_none(),
            "{name}: a sequence with lengths and a mask: expected one of them",
        );
        assert!(
            resets.is_some() || reset_state.is_none(),
            "{name}: a reset state without resets: expected `with_resets` beside `with_reset_state`",
        );
        if let Some(lengths) = lengths {
            layer.check_lengths(lengths, input);
        }
        let lengths = lengths.clone().map(SequenceMask::Lengths);
        let flags = |of: &Tensor<2, Bool>, what| layer.flags_by_time(of, what, input);
        let mask = mask.as_ref().map(|mask| SequenceMask::Steps(flags(mask, "mask")));
        let resets = resets.as_ref().map(|resets| flags(resets, "tensor of resets"));
        let (reset_hidden, reset_memory) = match reset_state.clone().map(S::into_parts) {
            Some((hidden, memory)) => {
                let all = |x: Tensor<3>| match x.dims() {
                    [parts, 1, width] => x.expand([parts, batch, width]),
                    _ => x,
                };
                (Some(all(hidden)), memory.map(all))
            }
            None => (None, None),
        };
        if let Some(hidden) = &reset_hidden {
            layer.check_state("reset state", hidden, reset_memory.as_ref(), batch);
        }
        // Without a flag that is set, there is nothing to do.
        let resets = resets.filter(|resets| reset_hidden.is_some() || resets.contains(&true));
        let (mask, masked_output) = (lengths.or(mask), *masked_output);
        RowOptions { mask, masked_output, resets, reset_hidden, reset_memory }
    }
}
