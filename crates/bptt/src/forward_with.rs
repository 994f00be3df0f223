//! Sequences with lengths or a mask, and with resets.

use crate::cell::SequenceCell;
use crate::recurrent::Recurrent;
use crate::sequence_options::{RowOptions, SequenceOptions};
use crate::state::RecurrentState;
use bptt_kernels::SequenceMask;
use burn::Tensor;
use burn::tensor::Bool;
use std::sync::Arc;

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
        let [batch, time] = self.check_input(&input);
        let name = self.cell.name();
        let SequenceOptions { lengths, mask, masked_output, resets, reset_state } = options;
        assert!(
            lengths.is_none() || mask.is_none(),
            "{name}: a sequence with lengths and a mask: expected one of them",
        );
        assert!(
            resets.is_some() || reset_state.is_none(),
            "{name}: a reset state without resets: expected `with_resets` beside `with_reset_state`",
        );
        if let Some(lengths) = lengths {
            self.check_lengths(lengths, &input, batch, time);
        }
        let lengths = lengths.clone().map(SequenceMask::Lengths);
        let flags = |of: &Tensor<2, Bool>, what| self.flags_by_time(of, what, &input);
        let mask = mask.as_ref().map(|mask| SequenceMask::Steps(flags(mask, "mask")));
        let resets = resets.as_ref().map(|resets| flags(resets, "tensor of resets"));
        let (reset_hidden, reset_memory) = match reset_state.clone().map(C::State::into_parts) {
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
            self.check_state("reset state", hidden, reset_memory.as_ref(), batch);
        }
        // Without a flag that is set, there is nothing to do.
        let resets = resets.filter(|resets| reset_hidden.is_some() || resets.contains(&true));
        let (mask, masked_output) = (lengths.or(mask), *masked_output);
        let rows = RowOptions { mask, masked_output, resets, reset_hidden, reset_memory };
        self.run(input, rows, state)
    }

    /// Flags `[B, T]` in the order of time, `[T, B]`.
    fn flags_by_time(&self, flags: &Tensor<2, Bool>, what: &str, input: &Tensor<3>) -> Arc<[bool]> {
        let [batch, time] = self.check_input(input);
        assert!(
            flags.dims() == [batch, time],
            "{}: the {what} has shape {:?} for an input of shape {:?}: expected [B, T] = {:?}",
            self.cell.name(),
            flags.dims(),
            input.dims(),
            [batch, time],
        );
        let data = flags.to_data();
        let flags: Vec<bool> = data.iter::<bool>().collect();
        let by_time = (0..time).flat_map(|t| (0..batch).map(move |b| (b, t)));
        by_time.map(|(b, t)| flags[b * time + t]).collect()
    }
}
