//! What a sequence brings beside its input: lengths or a mask, and resets.

use crate::cell::SequenceCell;
use crate::recurrent::Recurrent;
use crate::state::RecurrentState;
use bptt_kernels::{MaskedOutput, SequenceMask};
use burn::Tensor;
use burn::tensor::Bool;
use std::sync::Arc;

/// What a sequence brings beside its input, in any combination: lengths or a mask, what masked outputs are, and resets.
/// [`Recurrent::forward_with`] takes it. `S` is the layer's state; the compiler finds it.
///
/// A *reset* sets the state of a row back in the middle of a sequence: episodes of reinforcement learning one behind the
/// other, or documents packed into one row. The results are those of the parts run one by one.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::{GruConfig, SequenceOptions};
/// use burn::tensor::{Device, Distribution, Tensor};
///
/// let device = Device::flex();
/// let gru = GruConfig::new(3, 4).init(&device);
/// let input = Tensor::<3>::random([1, 5, 3], Distribution::Default, &device);
///
/// // The second document begins at step 2.
/// let resets = Tensor::from_data([[true, false, true, false, false]], &device);
/// let (both, _) = gru.forward_with(input.clone(), &SequenceOptions::new().with_resets(resets), None);
///
/// let (second, _) = gru.forward(input.slice([0..1, 2..5]), None);
/// both.slice([0..1, 2..5]).into_data().assert_eq(&second.into_data(), true);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SequenceOptions<S> {
    lengths: Option<Arc<[usize]>>,
    mask: Option<Tensor<2, Bool>>,
    masked_output: MaskedOutput,
    resets: Option<Tensor<2, Bool>>,
    reset_state: Option<S>,
}

impl<S> Default for SequenceOptions<S> {
    fn default() -> Self {
        Self {
            lengths: None,
            mask: None,
            masked_output: MaskedOutput::Zero,
            resets: None,
            reset_state: None,
        }
    }
}

impl<S> SequenceOptions<S> {
    /// A sequence of full length without resets.
    pub fn new() -> Self {
        Self::default()
    }

    /// The length of each row, `0 ..= T`, as [`forward_lengths`](Recurrent::forward_lengths) takes them. Not together
    /// with a mask.
    pub fn with_lengths(mut self, lengths: &[usize]) -> Self {
        self.lengths = Some(lengths.into());
        self
    }

    /// Which steps are valid, `[B, T]` with either layout, as [`forward_masked`](Recurrent::forward_masked) takes it.
    /// Not together with lengths.
    pub fn with_mask(mut self, mask: Tensor<2, Bool>) -> Self {
        self.mask = Some(mask);
        self
    }

    /// What the output is at masked steps, and past a row's length.
    pub fn with_masked_output(mut self, masked_output: MaskedOutput) -> Self {
        self.masked_output = masked_output;
        self
    }

    /// Where the state of a row is reset, `[B, T]` with either layout. Where a flag is true, the state that this step
    /// reads is the [reset state](Self::with_reset_state), or zeros. No gradient crosses a reset.
    ///
    /// - At step 0, the reset state replaces the given initial state, whose gradient is then zero.
    /// - At a masked step, the state that is held becomes the reset state. At or behind a row's length, a flag has no
    ///   effect.
    /// - The direction from the last step to the first has its resets at the same places: the state is reset before that
    ///   direction reads step `t - 1`. So both directions see the same segments.
    pub fn with_resets(mut self, resets: Tensor<2, Bool>) -> Self {
        self.resets = Some(resets);
        self
    }

    /// The state that a reset sets, in place of zeros: hidden `[L·D, B, P]`, or `[L·D, 1, P]` for all rows. Gradients
    /// flow into it, so it can be learned. It goes with [`with_resets`](Self::with_resets).
    pub fn with_reset_state(mut self, state: S) -> Self {
        self.reset_state = Some(state);
        self
    }

    /// Whether it has lengths or a mask.
    pub(crate) fn has_mask(&self) -> bool {
        self.lengths.is_some() || self.mask.is_some()
    }
}

/// The options as the engines take them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowOptions {
    /// Which steps of which rows are valid; `None`: all.
    pub(crate) mask: Option<SequenceMask>,
    pub(crate) masked_output: MaskedOutput,
    /// Where rows are reset, `[T, B]`.
    pub(crate) resets: Option<Arc<[bool]>>,
    /// The reset state, `[L·D, B, P]` and `[L·D·M, B, H]`.
    pub(crate) reset_hidden: Option<Tensor<3>>,
    pub(crate) reset_memory: Option<Tensor<3>>,
}

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
    pub(crate) fn flags_by_time(
        &self,
        flags: &Tensor<2, Bool>,
        what: &str,
        input: &Tensor<3>,
    ) -> Arc<[bool]> {
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
