//! The libraries whose names and layouts are read.

use serde::Serialize;

/// The library whose names and layouts a file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Library {
    /// PyTorch, whose names and layouts this project has too.
    #[default]
    Torch,
    /// Keras's.
    Keras,
    /// Flax's.
    Flax,
    /// haste's: LSTM, GRU, IndRNN, and the first two with layer normalisation.
    Haste,
    /// The operators of ONNX, also with peepholes.
    Onnx,
    /// `LSTMCell` of TensorFlow 1, also with peepholes.
    TensorFlow,
    /// The IndRNN of StefOe's `indrnn-pytorch`.
    #[serde(rename = "indrnn-pytorch")]
    IndRnnPytorch,
    /// sLSTM of NX-AI's `xlstm`.
    Xlstm,
    /// The GRU of DreamerV3 and of its ports to PyTorch, `dreamerv3-torch` and `sheeprl`.
    Dreamer,
    /// LEM of its authors, `tk-rusch/LEM`.
    Lem,
    /// minGRU and minLSTM of lucidrains' `minGRU-pytorch`.
    #[serde(rename = "mingru-pytorch")]
    MinGruPytorch,
    /// The LRU of Zucchet's `minimal-LRU`.
    #[serde(rename = "minimal-lru")]
    MinimalLru,
    /// lindermanlab's `S5`.
    S5,
    /// The RG-LRU of `recurrentgemma`, and of Hugging Face's `transformers`.
    RecurrentGemma,
}

impl Library {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Torch,
        Self::Keras,
        Self::Flax,
        Self::Haste,
        Self::Onnx,
        Self::TensorFlow,
        Self::IndRnnPytorch,
        Self::Xlstm,
        Self::Dreamer,
        Self::Lem,
        Self::MinGruPytorch,
        Self::MinimalLru,
        Self::S5,
        Self::RecurrentGemma,
    ];

    /// Whether its layers have inputs `[B, T, I]` by default.
    pub(super) fn is_batch_first(self) -> bool {
        !matches!(self, Self::Torch | Self::Haste | Self::Onnx | Self::IndRnnPytorch | Self::Lem)
    }
}
