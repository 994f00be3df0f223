//! What a character model needs of its layers.

#[cfg(feature = "scanned-cells")]
use crate::hybrid::Hybrid;
#[cfg(feature = "scanned-cells")]
use bptt::AnyState;
use bptt::{RecurrentLayer, RecurrentState};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::DType;

/// Layers that read streams, chunk by chunk or step by step, and carry a state: all recurrent layers, and
/// [`Hybrid`](crate::Hybrid).
pub trait StreamLayer: Module {
    /// The layers' state.
    type State: RecurrentState;

    /// A chunk: `[B, T, I]` -> `[B, T, O]`, and the state after it.
    fn chunk(&self, input: Tensor<3>, state: Option<Self::State>) -> (Tensor<3>, Self::State);

    /// A step: `[B, I]` -> `[B, O]`, and the state after it.
    fn one_step(&self, input: Tensor<2>, state: Option<Self::State>) -> (Tensor<2>, Self::State);

    /// The size of the input, `I`.
    fn input_size(&self) -> usize;

    /// The size of the output, `O`.
    fn output_size(&self) -> usize;

    /// The type of the parameters.
    fn parameter_dtype(&self) -> DType;
}

impl<R: RecurrentLayer> StreamLayer for R {
    type State = R::State;

    fn chunk(&self, input: Tensor<3>, state: Option<R::State>) -> (Tensor<3>, R::State) {
        self.forward(input, state)
    }

    fn one_step(&self, input: Tensor<2>, state: Option<R::State>) -> (Tensor<2>, R::State) {
        self.step(input, state)
    }

    fn input_size(&self) -> usize {
        self.d_input()
    }

    fn output_size(&self) -> usize {
        self.d_output()
    }

    fn parameter_dtype(&self) -> DType {
        self.dtype()
    }
}

#[cfg(feature = "scanned-cells")]
impl StreamLayer for Hybrid {
    type State = AnyState;

    fn chunk(&self, input: Tensor<3>, state: Option<AnyState>) -> (Tensor<3>, AnyState) {
        self.forward(input, state)
    }

    fn one_step(&self, input: Tensor<2>, state: Option<AnyState>) -> (Tensor<2>, AnyState) {
        self.step(input, state)
    }

    fn input_size(&self) -> usize {
        self.d_input()
    }

    fn output_size(&self) -> usize {
        self.d_output()
    }

    fn parameter_dtype(&self) -> DType {
        self.dtype()
    }
}
