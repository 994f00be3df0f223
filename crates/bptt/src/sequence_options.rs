//! What a sequence brings beside its input: lengths or a mask, and resets.

use bptt_kernels::{MaskedOutput, SequenceMask};
use burn::Tensor;
use burn::tensor::Bool;
use std::sync::Arc;

/// What a sequence brings beside its input, in any combination: lengths or a mask, what masked outputs are, and resets.
/// [`Recurrent::forward_with`](crate::Recurrent::forward_with) takes it. `S` is the layer's state; the compiler finds it.
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
    pub(crate) lengths: Option<Arc<[usize]>>,
    pub(crate) mask: Option<Tensor<2, Bool>>,
    pub(crate) masked_output: MaskedOutput,
    pub(crate) resets: Option<Tensor<2, Bool>>,
    pub(crate) reset_state: Option<S>,
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

    /// The length of each row, `0 ..= T`, as [`forward_lengths`](crate::Recurrent::forward_lengths) takes them. Not together
    /// with a mask.
    pub fn with_lengths(mut self, lengths: &[usize]) -> Self {
        self.lengths = Some(lengths.into());
        self
    }

    /// Which steps are valid, `[B, T]` with either layout, as [`forward_masked`](crate::Recurrent::forward_masked) takes it.
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

    /// The same options with another type of state.
    #[cfg(feature = "scanned-cells")]
    pub(crate) fn map_state<T>(self, to: impl Fn(S) -> T) -> SequenceOptions<T> {
        let Self { lengths, mask, masked_output, resets, reset_state } = self;
        SequenceOptions { lengths, mask, masked_output, resets, reset_state: reset_state.map(to) }
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
