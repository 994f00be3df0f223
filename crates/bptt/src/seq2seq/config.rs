//! The config of an encoder and a decoder.

use crate::attention::{AttentionConfig, Score};
use crate::draw::drawn;
use crate::error::ConfigError;
use crate::layer::RecurrentLayer;
use crate::seq2seq::bridge::{Bridge, BridgeKind, Planes};
use crate::seq2seq::model::{Feeding, Seq2Seq};
use burn::config::Config;
use burn::nn::{DropoutConfig, EmbeddingConfig, LinearConfig};
use burn::tensor::{Device, Tensor};

/// Makes a [`Seq2Seq`].
#[derive(Config, Debug)]
#[non_exhaustive]
pub struct Seq2SeqConfig {
    /// How many symbols a source may have.
    pub source_symbols: usize,
    /// How many symbols a target may have, `V`, with those that begin and end it.
    pub target_symbols: usize,
    /// The size of a target symbol's vector. (A source symbol's is as large as the encoder's input.)
    pub d_embedding: usize,
    /// The size of the attentional hidden state, `A`; `None`: `d_embedding`.
    pub d_attentional: Option<usize>,
    /// The symbol that the decoder reads first.
    #[config(default = 0)]
    pub begin: usize,
    /// The symbol that ends a target.
    #[config(default = 1)]
    pub end: usize,
    /// What the decoder reads beside a symbol.
    #[config(default = "Feeding::Attentional")]
    pub feeding: Feeding,
    /// How the decoder scores the encoder's outputs.
    #[config(default = "Score::Additive")]
    pub score: Score,
    /// How many units the additive score has; `None`: the decoder's output size.
    pub d_attention: Option<usize>,
    /// How the decoder's first state follows from the encoder's last one.
    #[config(default = "BridgeKind::Linear")]
    pub bridge: BridgeKind,
    /// The probability of dropping a unit of the attentional hidden state, while training.
    #[config(default = 0.0)]
    pub dropout: f64,
}

impl Seq2SeqConfig {
    /// Makes the model. See [`try_init`](Self::try_init).
    ///
    /// # Panics
    ///
    /// If the options do not go together; [`try_init`](Self::try_init) returns this as an error.
    pub fn init<E: RecurrentLayer, D: RecurrentLayer>(
        &self,
        encoder: E,
        decoder: impl FnOnce(usize) -> D,
        device: &Device,
    ) -> Seq2Seq<E, D> {
        self.try_init(encoder, decoder, device).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Makes the model.
    ///
    /// # Arguments
    ///
    /// - `encoder`: any layer, in one direction or both
    /// - `decoder`: makes the decoder, a layer that runs forward only, for the size of its input
    ///
    /// # Errors
    ///
    /// One line that says which options do not go together.
    ///
    /// # Panics
    ///
    /// If the decoder cannot run step by step.
    pub fn try_init<E: RecurrentLayer, D: RecurrentLayer>(
        &self,
        encoder: E,
        decoder: impl FnOnce(usize) -> D,
        device: &Device,
    ) -> Result<Seq2Seq<E, D>, ConfigError> {
        self.check()?;
        let d_attentional = self.d_attentional.unwrap_or(self.d_embedding);
        let fed = match self.feeding {
            Feeding::Attentional => d_attentional,
            Feeding::Context => encoder.d_output(),
        };
        let d_input = self.d_embedding + fed;
        let decoder = decoder(d_input);
        if decoder.d_input() != d_input {
            return Err(ConfigError::new(format!(
                "seq2seq: the decoder has d_input = {}, expected {d_input}, which its function was given",
                decoder.d_input(),
            )));
        }
        let encoded = Planes::of(encoder.forward(zeros(&encoder, device).unsqueeze_dim(1), None).1);
        let decoded = Planes::of(decoder.step(zeros(&decoder, device), None).1);
        let directions = encoder.d_output() / encoded.d_state();
        let linear = |from, to| LinearConfig::new(from, to);
        let both = encoder.d_output() + decoder.d_output();
        let (sources, targets) = (self.source_symbols, self.target_symbols);
        // Drawn in this order.
        Ok(Seq2Seq {
            attention: AttentionConfig::new(decoder.d_output(), encoder.d_output())
                .with_score(self.score)
                .with_d_attention(self.d_attention)
                .try_init(device)?,
            source_embedding: drawn(EmbeddingConfig::new(sources, encoder.d_input()).init(device)),
            target_embedding: drawn(EmbeddingConfig::new(targets, self.d_embedding).init(device)),
            bridge: drawn(Bridge::new(self.bridge, encoded, decoded, directions, device)?),
            attentional: drawn(linear(both, d_attentional).with_bias(false).init(device)),
            dropout: DropoutConfig::new(self.dropout).init(),
            output: drawn(linear(d_attentional, targets).init(device)),
            encoder,
            decoder,
            begin: self.begin,
            end: self.end,
            feeding: self.feeding,
        })
    }

    fn check(&self) -> Result<(), ConfigError> {
        let error = |message: String| Err(ConfigError::new(format!("seq2seq: {message}")));
        let sizes = [
            ("source_symbols", self.source_symbols),
            ("target_symbols", self.target_symbols),
            ("d_embedding", self.d_embedding),
            ("d_attentional", self.d_attentional.unwrap_or(1)),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return error(format!("{name} is 0, and has to be at least 1"));
        }
        let symbols = self.target_symbols;
        for (name, symbol) in [("begin", self.begin), ("end", self.end)] {
            if symbol >= symbols {
                return error(format!(
                    "{name} is {symbol}, and has to be below target_symbols = {symbols}"
                ));
            }
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return error(format!("dropout is {}, and has to be in [0, 1)", self.dropout));
        }
        Ok(())
    }
}

/// An input of one step and one row, `[1, I]`. A layer's state tells its sizes, and one step of it makes a state.
fn zeros<R: RecurrentLayer>(layer: &R, device: &Device) -> Tensor<2> {
    Tensor::zeros([1, layer.d_input()], (device, layer.dtype()))
}
