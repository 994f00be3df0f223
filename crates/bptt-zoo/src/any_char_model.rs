//! The character model of a run, whichever it is.

#[cfg(feature = "scanned-cells")]
use crate::hybrid::Hybrid;
use crate::tasks::char_lm::CharModel;
use bptt::{AnyLayer, AnyState};
use burn::Tensor;
use burn::tensor::Int;

/// The character model of a run: of recurrent layers, or a hybrid. Made by
/// [`RunFolder::any_char_model`](crate::RunFolder::any_char_model).
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // There is one of them in a program.
pub enum AnyCharModel {
    /// Of recurrent layers.
    Recurrent(CharModel<AnyLayer>),
    /// Of RG-LRUs and local attention.
    #[cfg(feature = "scanned-cells")]
    Hybrid(CharModel<Hybrid>),
}

impl AnyCharModel {
    /// See [`CharModel::step`].
    pub fn step(&self, input: Tensor<1, Int>, state: Option<AnyState>) -> (Tensor<2>, AnyState) {
        match self {
            Self::Recurrent(model) => model.step(input, state),
            #[cfg(feature = "scanned-cells")]
            Self::Hybrid(model) => model.step(input, state),
        }
    }

    /// See [`CharModel::loss`].
    pub fn loss(
        &self,
        input: Tensor<2, Int>,
        target: Tensor<2, Int>,
        state: Option<AnyState>,
    ) -> (Tensor<1>, AnyState) {
        match self {
            Self::Recurrent(model) => model.loss(input, target, state),
            #[cfg(feature = "scanned-cells")]
            Self::Hybrid(model) => model.loss(input, target, state),
        }
    }
}
