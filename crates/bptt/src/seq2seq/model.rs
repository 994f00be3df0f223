//! The model: encoder, bridge, attention, decoder, output layer; and one step of the decoder.

use crate::attention::{Attended, Attention, Keys};
use crate::engine::Engine;
use crate::layer::RecurrentLayer;
use crate::seq2seq::bridge::Bridge;
use crate::seq2seq::decoder_state::DecoderState;
use crate::state::RecurrentState;
use burn::module::Module;
use burn::nn::{Dropout, Embedding, Linear};
use burn::tensor::{DType, Int, Tensor};
use serde::{Deserialize, Serialize};

/// What a decoder reads beside the vector of a symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Feeding {
    /// The attentional hidden state of the step before, so that it knows what it attended to: the input feeding of Luong,
    /// Pham & Manning (2015).
    #[default]
    Attentional,
    /// The context, which the state of the step before attends to: Bahdanau, Cho & Bengio (2015).
    Context,
}

/// An encoder and a decoder with attention. Made by [`Seq2SeqConfig`](crate::seq2seq::Seq2SeqConfig).
///
/// Encoder and decoder may have another type than the rest ([`cast`](crate::cast)): what goes into them and what comes out
/// is converted.
///
/// In code that is generic over the layers, Burn's `Module` of the model needs `ModuleDisplay` of both, beside
/// [`RecurrentLayer`].
///
/// Shapes: `B` batch, `Ts` steps of the source, `Tt` steps of the target, `V` target symbols, `A` the size of the
/// attentional hidden state.
#[derive(Module, Debug)]
pub struct Seq2Seq<E: Module, D: Module> {
    /// The vectors of the source's symbols.
    pub source_embedding: Embedding,
    /// Any recurrent layer, in one direction or both.
    pub encoder: E,
    /// Makes the decoder's first state.
    pub bridge: Bridge,
    /// The vectors of the target's symbols.
    pub target_embedding: Embedding,
    /// The decoder attends to the encoder's outputs.
    pub attention: Attention,
    /// A recurrent layer that runs forward only.
    pub decoder: D,
    /// `W_c`, from a context and a hidden state of the decoder to `A`, without a bias.
    pub attentional: Linear,
    /// Dropout of the attentional hidden state, while training.
    pub dropout: Dropout,
    /// `W_s` and a bias, from `A` to `V`.
    pub output: Linear,
    /// The symbol that the decoder reads first.
    pub begin: usize,
    /// The symbol that ends a target.
    pub end: usize,
    #[module(skip)]
    pub(super) feeding: Feeding,
}

/// What one step of a decoder returns.
#[derive(Clone, Debug)]
pub struct DecoderStep<S> {
    /// The scores of the next symbol, `[B, V]`; their softmax is its distribution.
    pub scores: Tensor<2>,
    /// How much the step attended to each step of the source, `[B, Ts]`.
    pub weights: Tensor<2>,
    /// The state after the step.
    pub state: DecoderState<S>,
}

impl<E: RecurrentLayer, D: RecurrentLayer> Seq2Seq<E, D> {
    /// The same model with the same parameters, whose layers are differentiated by another engine.
    pub fn with_engine(self, engine: Engine) -> Self {
        let (encoder, decoder) =
            (self.encoder.with_engine(engine), self.decoder.with_engine(engine));
        Self { encoder, decoder, ..self }
    }

    /// Reads a batch of sources.
    ///
    /// # Arguments
    ///
    /// - `source`: symbols, `[B, Ts]`; past a row's length any symbols of the vocabulary
    /// - `lengths`: one for each row, `0 ..= Ts`; `None`: all rows have the full length
    ///
    /// # Returns
    ///
    /// - what the decoder attends to
    /// - its first state
    ///
    /// # Panics
    ///
    /// If the lengths do not fit, or there is no step or no row.
    pub fn encode(
        &self,
        source: Tensor<2, Int>,
        lengths: Option<&[usize]>,
    ) -> (Keys, DecoderState<D::State>) {
        let swap = |x: Tensor<3>| if self.encoder.is_batch_first() { x } else { x.swap_dims(0, 1) };
        let vectors = swap(self.source_embedding.forward(source));
        let outer = vectors.dtype();
        let input = vectors.cast(self.encoder.dtype());
        let (outputs, state) = match lengths {
            Some(lengths) => self.encoder.forward_lengths(input, lengths, None),
            None => self.encoder.forward(input, None),
        };
        let keys = self.attention.keys(swap(outputs).cast(outer), lengths);
        let layers: D::State = self.bridge.forward(converted(state, outer));
        let (hidden, _) = layers.clone().into_parts();
        let [all, batch, size] = hidden.dims();
        let carried = match self.feeding {
            Feeding::Attentional => {
                let [_, width] = self.attentional.weight.dims();
                Tensor::zeros([batch, width], (&hidden.device(), outer))
            }
            Feeding::Context => hidden.slice([all - 1..all]).reshape([batch, size]),
        };
        let layers = converted(layers, self.decoder.dtype());
        (keys, DecoderState { layers, carried })
    }

    /// Runs one step of the decoder.
    ///
    /// # Arguments
    ///
    /// - `symbols`: the symbols before, `[B]`; first [`begin`](Self::begin)
    /// - `state`: the state after the step before; first that of [`encode`](Self::encode)
    /// - `keys`: what [`encode`](Self::encode) returned
    ///
    /// # Panics
    ///
    /// If symbols, state and keys have different rows.
    pub fn step(
        &self,
        symbols: Tensor<1, Int>,
        state: DecoderState<D::State>,
        keys: &Keys,
    ) -> DecoderStep<D::State> {
        let rows = symbols.dims()[0];
        let (attentional, weights, state) = self.advance(self.vectors(symbols), state, keys);
        let [_, time] = keys.dims();
        DecoderStep {
            scores: self.output.forward(attentional),
            weights: weights.reshape([rows, time]),
            state,
        }
    }

    /// The vectors of symbols `[B]`: `[B, E]`.
    pub(super) fn vectors(&self, symbols: Tensor<1, Int>) -> Tensor<2> {
        self.target_embedding.forward(symbols.unsqueeze_dim(1)).squeeze_dim(1)
    }

    /// A step up to the attentional hidden state `[B, A]`; the weights `[B, 1, Ts]`, and the state after the step.
    ///
    /// # Arguments
    ///
    /// - `vectors`: of the symbols before, `[B, E]`
    pub(super) fn advance(
        &self,
        vectors: Tensor<2>,
        state: DecoderState<D::State>,
        keys: &Keys,
    ) -> (Tensor<2>, Tensor<3>, DecoderState<D::State>) {
        let DecoderState { layers, carried } = state;
        match self.feeding {
            Feeding::Attentional => {
                let input = Tensor::cat(vec![vectors, carried], 1);
                let (hidden, layers) = self.step_layers(input, layers);
                let (context, weights) = self.attend(hidden.clone(), keys);
                let attentional = self.attentional(context, hidden);
                let state = DecoderState { layers, carried: attentional.clone() };
                (attentional, weights, state)
            }
            Feeding::Context => {
                let (context, weights) = self.attend(carried, keys);
                let input = Tensor::cat(vec![vectors, context.clone()], 1);
                let (hidden, layers) = self.step_layers(input, layers);
                let attentional = self.attentional(context, hidden.clone());
                (attentional, weights, DecoderState { layers, carried: hidden })
            }
        }
    }

    /// A step of the decoder's layers, `[B, I]` to `[B, P]`.
    fn step_layers(&self, input: Tensor<2>, state: D::State) -> (Tensor<2>, D::State) {
        let outer = input.dtype();
        let (hidden, state) = self.decoder.step(input.cast(self.decoder.dtype()), Some(state));
        (hidden.cast(outer), state)
    }

    /// The context `[B, K]` and the weights `[B, 1, Ts]` of one query in each row, `[B, P]`.
    fn attend(&self, query: Tensor<2>, keys: &Keys) -> (Tensor<2>, Tensor<3>) {
        let Attended { context, weights } = self.attention.forward(query.unsqueeze_dim(1), keys);
        (context.squeeze_dim(1), weights)
    }

    /// `h̃ = tanh(W_c [c; s])`
    fn attentional(&self, context: Tensor<2>, hidden: Tensor<2>) -> Tensor<2> {
        let both = Tensor::cat(vec![context, hidden], 1);
        self.dropout.forward(self.attentional.forward(both).tanh())
    }
}

/// A state in another type.
fn converted<S: RecurrentState>(state: S, dtype: DType) -> S {
    let (hidden, memory) = state.into_parts();
    S::from_parts(hidden.cast(dtype), memory.map(|memory| memory.cast(dtype)))
}
