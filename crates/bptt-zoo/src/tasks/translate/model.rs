//! The model: encoder and decoder with attention.

use super::dates::{BEGIN, END, SOURCE_SYMBOLS, TARGET_SYMBOLS};
use crate::error::Error;
use crate::settings::Settings;
use crate::task::SequenceModel;
use bptt::seq2seq::{BridgeKind, Seq2Seq, Seq2SeqConfig};
use bptt::{AnyLayer, Engine, GradientProbe, Kernel, cast};
use burn::tensor::{DType, Device};

/// An encoder and a decoder with attention, of the layers that the settings name. The decoder runs forward only.
///
/// # Arguments
///
/// - `embedding`: the size of a character's vector
pub(super) fn translator(
    settings: &Settings,
    embedding: usize,
    device: &Device,
) -> Result<Translator, Error> {
    let wrong = |error: bptt::ConfigError| Error::input(error.to_string());
    let encoder = settings.layer_config(embedding).try_init(device).map_err(wrong)?;
    let decoder = |d_input| {
        // What the encoder's config allows, the decoder's does.
        settings.layer_config(d_input).with_bidirectional(false).init(device)
    };
    // A part of sLSTM's memory is a sum of positive numbers, by which it divides. A linear layer makes no such sum.
    let bridge = match (settings.cell.name(), settings.bidirectional) {
        ("slstm", false) => BridgeKind::Same,
        ("slstm", true) => BridgeKind::Zeros,
        _ => BridgeKind::Linear,
    };
    Seq2SeqConfig::new(SOURCE_SYMBOLS, TARGET_SYMBOLS, embedding)
        .with_begin(BEGIN)
        .with_end(END)
        .with_d_attentional(Some(settings.hidden))
        .with_bridge(bridge)
        .try_init(encoder, decoder, device)
        .map_err(wrong)
}

/// The model of [`Translate`](super::Translate).
pub type Translator = Seq2Seq<AnyLayer, AnyLayer>;

/// A probe reads the encoder.
impl SequenceModel for Translator {
    fn with_engine(self, engine: Engine) -> Self {
        Self::with_engine(self, engine)
    }

    fn with_kernel(mut self, kernel: Kernel) -> Self {
        self.encoder = self.encoder.with_kernel(kernel);
        self.decoder = self.decoder.with_kernel(kernel);
        self
    }

    fn with_dtype(mut self, dtype: DType) -> Self {
        self.encoder = cast(self.encoder, dtype);
        self.decoder = cast(self.decoder, dtype);
        self
    }

    fn with_gradient_probe(mut self, probe: Option<GradientProbe>) -> Self {
        self.encoder = self.encoder.with_gradient_probe(probe);
        self
    }

    fn with_noise_seed(mut self, seed: u64) -> Self {
        // Each has numbers of its own.
        self.encoder = self.encoder.with_noise_seed(seed);
        self.decoder = self.decoder.with_noise_seed(!seed);
        self
    }
}
