//! From the encoder's last state to the decoder's first one.

use crate::error::ConfigError;
use crate::state::RecurrentState;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// How the decoder's first state follows from the encoder's last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BridgeKind {
    /// Linear layers over the states of all layers and directions: `tanh(W h + b)` for the hidden states, `V c + d` for the
    /// memories (`V h + d` if the encoder has none). It fits any two layers. Bahdanau, Cho & Bengio (2015) have
    /// `s_0 = tanh(W_s h)` for one layer.
    #[default]
    Linear,
    /// The state itself; of an encoder with two directions, those of both side by side. It fits a decoder of the same cell
    /// with as many layers, each as large as the encoder's output.
    Same,
    /// Zeros: the decoder knows of the source by attention only.
    Zeros,
}

/// From the encoder's last state to the decoder's first one. See [`BridgeKind`].
#[derive(Module, Debug)]
pub struct Bridge {
    /// `W` and `b`, of a linear bridge.
    pub hidden: Option<Linear>,
    /// `V` and `d`, of a linear bridge to a decoder with memories.
    pub memory: Option<Linear>,
    #[module(skip)]
    kind: BridgeKind,
    /// How many directions the encoder has.
    directions: usize,
    #[module(skip)]
    decoder: Planes,
}

/// The sizes of a state without its batch: the hidden states `[L·D, P]` and the memories `[L·D·M, H]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planes {
    hidden: [usize; 2],
    memory: Option<[usize; 2]>,
}

impl Planes {
    pub(super) fn of<S: RecurrentState>(state: S) -> Self {
        let sizes = |x: &Tensor<3>| [x.dims()[0], x.dims()[2]];
        let (hidden, memory) = state.into_parts();
        Self { hidden: sizes(&hidden), memory: memory.as_ref().map(sizes) }
    }

    /// The size of one direction's hidden state.
    pub(super) fn d_state(&self) -> usize {
        self.hidden[1]
    }

    /// Both directions side by side.
    fn side_by_side(&self, directions: usize) -> Self {
        let both = |[planes, size]: [usize; 2]| [planes / directions, size * directions];
        Self { hidden: both(self.hidden), memory: self.memory.map(both) }
    }
}

impl Bridge {
    pub(super) fn new(
        kind: BridgeKind,
        encoder: Planes,
        decoder: Planes,
        directions: usize,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        let mut bridge = Self { hidden: None, memory: None, kind, directions, decoder };
        match kind {
            BridgeKind::Linear => {
                let flat = |[planes, size]: [usize; 2]| planes * size;
                let linear = |from, to| LinearConfig::new(flat(from), flat(to)).init(device);
                bridge.hidden = Some(linear(encoder.hidden, decoder.hidden));
                let from = encoder.memory.unwrap_or(encoder.hidden);
                bridge.memory = decoder.memory.map(|to| linear(from, to));
            }
            BridgeKind::Same => {
                let found = encoder.side_by_side(directions);
                if found != decoder {
                    return Err(ConfigError::new(format!(
                        "seq2seq: the encoder's state, with its directions side by side, has hidden \
                         {:?} and memories {:?} ([L, P] and [L·M, H]), and the decoder's has {:?} and \
                         {:?}: expected the same, or `BridgeKind::Linear`",
                        found.hidden, found.memory, decoder.hidden, decoder.memory,
                    )));
                }
            }
            BridgeKind::Zeros => {}
        }
        Ok(bridge)
    }

    /// The decoder's first state, from the encoder's last one.
    pub fn forward<E: RecurrentState, D: RecurrentState>(&self, state: E) -> D {
        let (hidden, memory) = state.into_parts();
        let Planes { hidden: to_hidden, memory: to_memory } = self.decoder;
        match self.kind {
            BridgeKind::Linear => {
                let apply = |linear: &Option<Linear>, x: Tensor<3>, to| {
                    linear.as_ref().map(|linear| through(linear, x, to))
                };
                let from = memory.unwrap_or_else(|| hidden.clone());
                let memory = to_memory.and_then(|to| apply(&self.memory, from, to));
                let hidden = apply(&self.hidden, hidden, to_hidden);
                D::from_parts(hidden.expect("a linear bridge").tanh(), memory)
            }
            BridgeKind::Same => {
                let layers = to_hidden[0];
                let both = |x| side_by_side(x, layers, self.directions);
                D::from_parts(both(hidden), memory.map(both))
            }
            BridgeKind::Zeros => {
                let [_, batch, _] = hidden.dims();
                let options = (&hidden.device(), hidden.dtype());
                let zeros =
                    |[planes, size]: [usize; 2]| Tensor::zeros([planes, batch, size], options);
                D::from_parts(zeros(to_hidden), to_memory.map(zeros))
            }
        }
    }
}

/// All planes of a row `[N, B, P]`, as one vector, through a linear layer.
fn through(linear: &Linear, x: Tensor<3>, [planes, size]: [usize; 2]) -> Tensor<3> {
    let [from, batch, width] = x.dims();
    let flat = x.swap_dims(0, 1).reshape([batch, from * width]);
    linear.forward(flat).reshape([batch, planes, size]).swap_dims(0, 1)
}

/// From `[L·D·M, B, H]` to `[L·M, B, D·H]`.
fn side_by_side(x: Tensor<3>, layers: usize, directions: usize) -> Tensor<3> {
    let [planes, batch, size] = x.dims();
    let memories = planes / (layers * directions);
    x.reshape([layers, directions, memories, batch, size]).permute([0, 2, 3, 1, 4]).reshape([
        layers * memories,
        batch,
        directions * size,
    ])
}
