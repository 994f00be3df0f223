//! The copy problem: ten symbols, a long pause, and the same ten symbols again.
//!
//! S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997); in this
//! form M. Arjovsky, A. Shah and Y. Bengio, "Unitary evolution recurrent neural networks", ICML
//! 2016: ten of eight symbols, `T - 1` blanks, a mark that says go, ten blanks. The label is blank
//! at each of the first `T + 10` steps, and then the symbols in order. Who knows all of that but the
//! symbols has a loss of `10 · ln 8 / (T + 20)` nats per step.

use crate::error::Error;
use crate::folder_files::FolderInfo;
use crate::model_config::ModelConfig;
use crate::random::{Purpose, generator};
use crate::settings::{REMEMBERED, Settings};
use crate::tasks::parts::{cross_entropy, run, share_right, validated, with_head};
use crate::tasks::{Scores, SequenceModel, Task};
use bptt::{AnyRecurrent, AnyRecurrentConfig, AnyState, Engine, RecurrentLayer};
use burn::Tensor;
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Int, TensorData};
use rand::RngExt;

/// How many different ones there are.
const SYMBOLS: usize = 8;
/// The number of the blank; as a label too.
const BLANK: usize = SYMBOLS;
/// The mark that says go.
pub(crate) const GO: usize = SYMBOLS + 1;

/// What a [`Tagger`] is made of.
#[derive(Config, Debug)]
pub struct TaggerConfig {
    /// The recurrent layers.
    pub recurrent: AnyRecurrentConfig,
    /// How many labels there are, `C`.
    pub labels: usize,
}

/// Scores the labels of each step: recurrent layers, and a linear one on each output.
#[derive(Module, Debug)]
pub struct Tagger<R: Module> {
    /// Any recurrent layer; in both directions, a step's scores depend on what comes after it.
    pub recurrent: R,
    /// `D·P -> C`
    pub head: Linear,
}

impl ModelConfig for TaggerConfig {
    type Model = Tagger<AnyRecurrent>;
    const KIND: &'static str = "tagger";

    fn recurrent(&self) -> &AnyRecurrentConfig {
        &self.recurrent
    }

    fn outputs(&self) -> usize {
        self.labels
    }

    fn try_init(&self, device: &Device) -> Result<Self::Model, Error> {
        self.check()?;
        let (recurrent, head) = with_head(&self.recurrent, self.labels, device)?;
        Ok(Tagger { recurrent, head })
    }
}

impl<R: RecurrentLayer> Tagger<R> {
    /// The scores of the labels at each step, `[B, T, C]`. Past a row's length they mean nothing.
    ///
    /// # Arguments
    ///
    /// - `input`: `[B, T, I]`
    /// - `lengths`: how much of each row is sequence; `None`: all
    ///
    /// # Panics
    ///
    /// If shapes or lengths do not fit.
    pub fn forward(&self, input: Tensor<3>, lengths: Option<&[usize]>) -> Tensor<3> {
        self.head.forward(run(&self.recurrent, input, lengths).0)
    }

    /// The mean cross entropy in nats per step, over the steps within the lengths; not a number if
    /// there are none.
    ///
    /// # Arguments
    ///
    /// - `scores`: `[B, T, C]`
    /// - `labels`: `[B, T]`; past a row's length they are not looked at, but have to be below `C`
    /// - `lengths`: as for [`forward`](Self::forward)
    pub fn loss(
        &self,
        scores: Tensor<3>,
        labels: Tensor<2, Int>,
        lengths: Option<&[usize]>,
    ) -> Tensor<1> {
        let [batch, time, count] = scores.dims();
        let scores = scores.reshape([batch * time, count]);
        let losses = cross_entropy(scores, labels.reshape([batch * time]));
        let Some(lengths) = lengths else { return losses.mean() };
        let within = |&length: &usize| (0..time).map(move |t| f32::from(t < length));
        let within: Vec<f32> = lengths.iter().flat_map(within).collect();
        let weights = Tensor::<1>::from_data(&within[..], &losses.device());
        (losses * weights).sum() / lengths.iter().sum::<usize>() as f64
    }
}

impl SequenceModel for Tagger<AnyRecurrent> {
    fn with_engine(self, engine: Engine) -> Self {
        Self { recurrent: self.recurrent.with_engine(engine), ..self }
    }
}

/// The copy problem.
#[derive(Clone, Debug)]
pub struct Copying {
    settings: Settings,
}

impl Copying {
    /// The task for some settings.
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone() }
    }

    /// What the model is made of: one of ten symbols at each step, nine labels.
    pub fn config(&self) -> TaggerConfig {
        TaggerConfig::new(self.settings.recurrent_config(GO + 1), BLANK + 1)
    }

    /// Steps in a sequence.
    fn time(&self) -> usize {
        self.settings.length + 2 * REMEMBERED
    }

    /// Symbols and labels, `[B, T + 20]` each, row by row.
    fn draw(&self, purpose: Purpose, index: u64, batch: usize) -> (Vec<usize>, Vec<i32>) {
        let mut random = generator(self.settings.seed, purpose, index);
        let (time, go) = (self.time(), REMEMBERED + self.settings.length - 1);
        let mut symbols = vec![BLANK; batch * time];
        let mut labels = vec![BLANK as i32; batch * time];
        for (symbols, labels) in symbols.chunks_mut(time).zip(labels.chunks_mut(time)) {
            symbols[go] = GO;
            for k in 0..REMEMBERED {
                symbols[k] = random.random_range(0..SYMBOLS);
                labels[go + 1 + k] = symbols[k] as i32;
            }
        }
        (symbols, labels)
    }

    /// Scores `[B, T + 20, C]` and labels `[B, T + 20]` of a batch.
    fn batch(
        &self,
        model: &Tagger<AnyRecurrent>,
        (symbols, labels): (Vec<usize>, Vec<i32>),
        device: &Device,
    ) -> (Tensor<3>, Tensor<2, Int>) {
        let time = self.time();
        let batch = symbols.len() / time;
        let mut input = vec![0.0f32; symbols.len() * (GO + 1)];
        for (step, symbol) in input.chunks_mut(GO + 1).zip(symbols) {
            step[symbol] = 1.0;
        }
        let input = Tensor::from_data(TensorData::new(input, [batch, time, GO + 1]), device);
        let labels = Tensor::from_data(TensorData::new(labels, [batch, time]), device);
        (model.forward(input, None), labels)
    }
}

impl Task for Copying {
    type Model = Tagger<AnyRecurrent>;

    fn model(&self, device: &Device) -> Result<Self::Model, Error> {
        self.config().try_init(device)
    }

    fn loss(
        &self,
        model: &Self::Model,
        step: u64,
        _state: Option<AnyState>,
        device: &Device,
    ) -> (Tensor<1>, Option<AnyState>) {
        let drawn = self.draw(Purpose::Training, step, self.settings.batch);
        let (scores, labels) = self.batch(model, drawn, device);
        (model.loss(scores, labels, None), None)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        validated(&self.settings, |index, batch| {
            let drawn = self.draw(Purpose::Validation, index, batch);
            let (scores, labels) = self.batch(model, drawn, device);
            let [_, time, count] = scores.dims();
            let (from, rows) = (time - REMEMBERED, batch * REMEMBERED);
            let recalled = scores.clone().slice([0..batch, from..time]).reshape([rows, count]);
            let expected = labels.clone().slice([0..batch, from..time]).reshape([rows]);
            let metric = share_right(recalled, expected);
            let loss = model.loss(scores, labels, None).into_scalar::<f32>();
            Scores { loss: loss.into(), metric }
        })
    }

    fn metric_name(&self) -> &'static str {
        "recalled"
    }

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "sequences")
    }

    fn describe(&self) -> String {
        let baseline = REMEMBERED as f64 * (SYMBOLS as f64).ln() / self.time() as f64;
        format!(
            "{REMEMBERED} symbols and a pause of {}; remembering none has loss {baseline:.4} \
             (recalled {})",
            self.settings.length,
            1.0 / SYMBOLS as f64,
        )
    }

    fn logarithmic(&self) -> bool {
        true
    }

    fn info(&self) -> FolderInfo {
        FolderInfo::of_model(&self.config())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TaskKind;

    #[test]
    fn the_last_labels_are_the_first_symbols() {
        for length in [1, 2, 30] {
            let task = Copying::new(&Settings { length, ..Settings::new(TaskKind::Copy) });
            let (symbols, labels) = task.draw(Purpose::Training, 3, 40);
            assert_eq!((symbols.len(), labels.len()), (40 * (length + 20), 40 * (length + 20)));
            for (symbols, labels) in symbols.chunks(length + 20).zip(labels.chunks(length + 20)) {
                let (first, rest) = symbols.split_at(10);
                let (silent, said) = labels.split_at(length + 10);
                assert!(first.iter().zip(said).all(|(&a, &b)| a < 8 && a as i32 == b));
                assert!(silent.iter().all(|&label| label == 8));
                // One mark, on the step before the answer.
                let marked = rest.iter().enumerate().filter(|(_, symbol)| **symbol != 8);
                assert_eq!(marked.collect::<Vec<_>>(), [(length - 1, &9)]);
            }
        }
    }
}
