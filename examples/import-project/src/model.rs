//! The model: a recurrent layer, and a linear one behind its last state.

use crate::data::{Shape, WaveBatch};
use bptt::{Lstm, LstmConfig, LstmState, SequenceOptions};
use burn::Tensor;
use burn::config::Config;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use burn::tensor::activation::softmax;
use burn::train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};

/// What a [`Classifier`] is made of.
#[derive(Config, Debug)]
pub struct ClassifierConfig {
    /// The recurrent layer: configs of `bptt` are Burn configs, and stand in one like any other.
    #[config(default = "LstmConfig::new(1, 24)")]
    pub recurrent: LstmConfig,
}

/// Tells the shape of a wave.
#[derive(Module, Debug)]
pub struct Classifier {
    recurrent: Lstm,
    head: Linear,
}

impl ClassifierConfig {
    /// Makes the model.
    ///
    /// # Errors
    ///
    /// If the layer's options do not go together.
    pub fn init(&self, device: &Device) -> Result<Classifier, crate::Error> {
        let recurrent = self.recurrent.try_init(device)?;
        let head = LinearConfig::new(recurrent.d_output(), Shape::ALL.len()).init(device);
        Ok(Classifier { recurrent, head })
    }
}

impl Classifier {
    /// The scores of each class, `[B, 3]`, after the last sample of each recording.
    ///
    /// The layer forgets what was before the wave: its state is reset there, and no gradient goes further back.
    pub fn forward(&self, batch: &WaveBatch) -> Tensor<2> {
        let options =
            SequenceOptions::new().with_lengths(&batch.lengths).with_resets(batch.resets.clone());
        let (_, state) = self.recurrent.forward_with(batch.samples.clone(), &options, None);
        self.head.forward(state.hidden.squeeze_dim(0))
    }

    /// What it thinks of waves that are still going on, one sample later.
    ///
    /// # Arguments
    ///
    /// - `samples`: the next of each wave, `[B, 1]`
    /// - `state`: what the call before returned; `None` where a wave begins
    ///
    /// # Returns
    ///
    /// The probability of each class, `[B, 3]`, and the state for the next call.
    pub fn listen(&self, samples: Tensor<2>, state: Option<LstmState>) -> (Tensor<2>, LstmState) {
        let (hidden, state) = self.recurrent.step(samples, state);
        (softmax(self.head.forward(hidden), 1), state)
    }

    /// Scores and loss.
    pub fn evaluate(&self, batch: WaveBatch) -> ClassificationOutput {
        let output = self.forward(&batch);
        let cross_entropy = CrossEntropyLossConfig::new().init(&output.device());
        let loss = cross_entropy.forward(output.clone(), batch.shapes.clone());
        ClassificationOutput::new(loss, output, batch.shapes)
    }
}

impl TrainStep for Classifier {
    type Input = WaveBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: WaveBatch) -> TrainOutput<ClassificationOutput> {
        let output = self.evaluate(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Classifier {
    type Input = WaveBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: WaveBatch) -> ClassificationOutput {
        self.evaluate(batch)
    }
}
