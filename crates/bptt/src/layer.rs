//! What all recurrent layers share.

use crate::cell::SequenceCell;
use crate::engine::Engine;
use crate::packed::PackedSequence;
use crate::recurrent::Recurrent;
use crate::sequence_options::SequenceOptions;
use crate::state::RecurrentState;
use bptt_kernels::MaskedOutput;
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Bool, DType};

/// What all recurrent layers share, for models that are generic over the cell.
///
/// Each method calls the method of [`Recurrent`] with the same name.
pub trait RecurrentLayer: Module {
    /// The layer's state.
    type State: RecurrentState;

    /// See [`Recurrent::forward`].
    fn forward(&self, input: Tensor<3>, state: Option<Self::State>) -> (Tensor<3>, Self::State);

    /// See [`Recurrent::forward_lengths`].
    fn forward_lengths(
        &self,
        input: Tensor<3>,
        lengths: &[usize],
        state: Option<Self::State>,
    ) -> (Tensor<3>, Self::State);

    /// See [`Recurrent::forward_masked`].
    fn forward_masked(
        &self,
        input: Tensor<3>,
        mask: Tensor<2, Bool>,
        masked_output: MaskedOutput,
        state: Option<Self::State>,
    ) -> (Tensor<3>, Self::State);

    /// See [`Recurrent::forward_with`].
    fn forward_with(
        &self,
        input: Tensor<3>,
        options: &SequenceOptions<Self::State>,
        state: Option<Self::State>,
    ) -> (Tensor<3>, Self::State);

    /// See [`Recurrent::forward_packed`].
    fn forward_packed(
        &self,
        input: &PackedSequence,
        state: Option<Self::State>,
    ) -> (PackedSequence, Self::State) {
        self.forward_packed_with(input, &SequenceOptions::new(), state)
    }

    /// See [`Recurrent::forward_packed_with`].
    fn forward_packed_with(
        &self,
        input: &PackedSequence,
        options: &SequenceOptions<Self::State>,
        state: Option<Self::State>,
    ) -> (PackedSequence, Self::State) {
        assert!(
            !options.has_mask(),
            "a packed sequence with lengths or a mask beside its own lengths: expected neither",
        );
        let (padded, lengths) = input.pad(self.is_batch_first());
        let options = options.clone().with_lengths(&lengths);
        let (outputs, state) = self.forward_with(padded, &options, state);
        (PackedSequence::pack(outputs, &lengths, self.is_batch_first()), state)
    }

    /// See [`Recurrent::step`].
    fn step(&self, input: Tensor<2>, state: Option<Self::State>) -> (Tensor<2>, Self::State);

    /// See [`Recurrent::with_engine`].
    fn with_engine(self, engine: Engine) -> Self;

    /// See [`Recurrent::dtype`].
    fn dtype(&self) -> DType;

    /// See [`Recurrent::d_input`].
    fn d_input(&self) -> usize;

    /// See [`Recurrent::d_output`].
    fn d_output(&self) -> usize;

    /// See [`Recurrent::is_batch_first`].
    fn is_batch_first(&self) -> bool;

    /// See [`Recurrent::is_bidirectional`].
    fn is_bidirectional(&self) -> bool;

    /// Whether the output of a step is the hidden state after it. LRU and S5 read their outputs off a complex state.
    fn output_is_hidden(&self) -> bool {
        true
    }
}

impl<C: SequenceCell> RecurrentLayer for Recurrent<C> {
    type State = C::State;

    fn forward(&self, input: Tensor<3>, state: Option<C::State>) -> (Tensor<3>, C::State) {
        self.forward(input, state)
    }

    fn forward_lengths(
        &self,
        input: Tensor<3>,
        lengths: &[usize],
        state: Option<C::State>,
    ) -> (Tensor<3>, C::State) {
        self.forward_lengths(input, lengths, state)
    }

    fn forward_masked(
        &self,
        input: Tensor<3>,
        mask: Tensor<2, Bool>,
        masked_output: MaskedOutput,
        state: Option<C::State>,
    ) -> (Tensor<3>, C::State) {
        self.forward_masked(input, mask, masked_output, state)
    }

    fn forward_with(
        &self,
        input: Tensor<3>,
        options: &SequenceOptions<C::State>,
        state: Option<C::State>,
    ) -> (Tensor<3>, C::State) {
        self.forward_with(input, options, state)
    }

    fn step(&self, input: Tensor<2>, state: Option<C::State>) -> (Tensor<2>, C::State) {
        self.step(input, state)
    }

    fn with_engine(self, engine: Engine) -> Self {
        self.with_engine(engine)
    }

    fn dtype(&self) -> DType {
        self.dtype()
    }

    fn d_input(&self) -> usize {
        self.d_input()
    }

    fn d_output(&self) -> usize {
        self.d_output()
    }

    fn is_batch_first(&self) -> bool {
        self.is_batch_first()
    }

    fn is_bidirectional(&self) -> bool {
        self.is_bidirectional()
    }
}
