//! Conversions of states: `[B, H]` or `[2, B, H]` in `burn::nn`, `[L·D, B, H]` in bptt.

use crate::burn_nn::refuse::refuse;
use crate::error::ConversionError;
use crate::state::{GruState, LstmState, RnnState};
use burn::Tensor;
use burn::nn;

/// `[B, H]` as `[1, B, H]`.
fn one(state: Tensor<2>) -> Tensor<3> {
    state.unsqueeze_dim(0)
}

/// `[1, B, H]` as `[B, H]`.
fn only(state: Tensor<3>) -> Result<Tensor<2>, ConversionError> {
    match state.dims()[0] {
        1 => Ok(state.squeeze_dim(0)),
        rows => refuse(format!(
            "the state is of {rows} layers or directions, and this layer of burn::nn has one"
        )),
    }
}

/// `[2, B, H]` as it is.
fn both(state: Tensor<3>) -> Result<Tensor<3>, ConversionError> {
    match state.dims()[0] {
        2 => Ok(state),
        rows => refuse(format!(
            "the state is of {rows} layers or directions, and this layer of burn::nn has two"
        )),
    }
}

impl From<nn::LstmState<2>> for LstmState {
    /// That of a `burn::nn::Lstm`.
    fn from(state: nn::LstmState<2>) -> Self {
        Self { hidden: one(state.hidden), cell: one(state.cell) }
    }
}

impl From<nn::LstmState<3>> for LstmState {
    /// That of a `burn::nn::BiLstm`.
    fn from(state: nn::LstmState<3>) -> Self {
        Self { hidden: state.hidden, cell: state.cell }
    }
}

impl TryFrom<LstmState> for nn::LstmState<2> {
    type Error = ConversionError;

    /// For a `burn::nn::Lstm`; refused unless it is of one layer in one direction.
    fn try_from(state: LstmState) -> Result<Self, ConversionError> {
        // This does not use Burn's `new`, which takes the cell first: fields cannot be mixed up.
        Ok(Self { cell: only(state.cell)?, hidden: only(state.hidden)? })
    }
}

impl TryFrom<LstmState> for nn::LstmState<3> {
    type Error = ConversionError;

    /// For a `burn::nn::BiLstm`; refused unless it is of one layer in two directions.
    fn try_from(state: LstmState) -> Result<Self, ConversionError> {
        Ok(Self { cell: both(state.cell)?, hidden: both(state.hidden)? })
    }
}

impl From<nn::RnnState<2>> for RnnState {
    /// That of a `burn::nn::Rnn`.
    fn from(state: nn::RnnState<2>) -> Self {
        Self { hidden: one(state.hidden) }
    }
}

impl From<nn::RnnState<3>> for RnnState {
    /// That of a `burn::nn::BiRnn`.
    fn from(state: nn::RnnState<3>) -> Self {
        Self { hidden: state.hidden }
    }
}

impl TryFrom<RnnState> for nn::RnnState<2> {
    type Error = ConversionError;

    /// For a `burn::nn::Rnn`; refused unless it is of one layer in one direction.
    fn try_from(state: RnnState) -> Result<Self, ConversionError> {
        Ok(Self { hidden: only(state.hidden)? })
    }
}

impl TryFrom<RnnState> for nn::RnnState<3> {
    type Error = ConversionError;

    /// For a `burn::nn::BiRnn`; refused unless it is of one layer in two directions.
    fn try_from(state: RnnState) -> Result<Self, ConversionError> {
        Ok(Self { hidden: both(state.hidden)? })
    }
}

impl From<Tensor<2>> for GruState {
    /// That of a `burn::nn::Gru`, `[B, H]`.
    fn from(state: Tensor<2>) -> Self {
        Self { hidden: one(state) }
    }
}

impl From<Tensor<3>> for GruState {
    /// That of a `burn::nn::BiGru`, `[2, B, H]`.
    fn from(state: Tensor<3>) -> Self {
        Self { hidden: state }
    }
}

impl TryFrom<GruState> for Tensor<2> {
    type Error = ConversionError;

    /// For a `burn::nn::Gru`; refused unless it is of one layer in one direction.
    fn try_from(state: GruState) -> Result<Self, ConversionError> {
        only(state.hidden)
    }
}

impl TryFrom<GruState> for Tensor<3> {
    type Error = ConversionError;

    /// For a `burn::nn::BiGru`; refused unless it is of one layer in two directions.
    fn try_from(state: GruState) -> Result<Self, ConversionError> {
        both(state.hidden)
    }
}
