//! The copy problem: ten symbols, a long pause, and the same ten symbols again.
//!
//! S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997); in this form M. Arjovsky,
//! A. Shah and Y. Bengio, "Unitary evolution recurrent neural networks", ICML 2016: ten symbols out of eight kinds,
//! `T - 1` blanks, a mark, ten blanks. The label is blank at each of the first `T + 10` steps. After the mark, the
//! labels are the symbols in order. A model that has learned everything but the symbols has a loss of
//! `10 · ln 8 / (T + 20)` nats per step.

use crate::error::Error;
use crate::folder_files::FolderInfo;
use crate::model_config::ModelConfig;
use crate::option::{LONGEST, TaskOption};
use crate::random::{Purpose, generator};
use crate::recipe::Recipe;
use crate::schedule::Schedule;
use crate::settings::Settings;
use crate::task::{Scores, SequenceSize, Task};
use crate::tasks::parts::{
    SHORT, cross_entropy, drawn_batches, run, sequence_model, share_right, smoothed_cross_entropy,
    validated, with_chrono,
};
use bptt::{
    AnyLayer, AnyLayerConfig, AnyState, CellKind, RecurrentLayer, SequenceCell, WeightInitializer,
};
use bptt_probe::readout::{Batch, Input, Reads, Target};
use burn::Tensor;
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Int, TensorData};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// How many symbols have to be remembered.
const REMEMBERED: usize = 10;
/// How many kinds of symbols there are.
const SYMBOLS: usize = 8;
/// The number of the blank, also as a label.
const BLANK: usize = SYMBOLS;
/// The number of the mark after which the model has to output the symbols.
const GO: usize = SYMBOLS + 1;

/// The config of a [`Tagger`].
#[derive(Config, Debug)]
pub struct TaggerConfig {
    /// The recurrent layers.
    pub recurrent: AnyLayerConfig,
    /// How many labels there are, `C`.
    pub labels: usize,
}

/// Scores the labels of each step: recurrent layers, and a linear layer on each output.
#[derive(Module, Debug)]
pub struct Tagger<R: Module> {
    /// Any recurrent layer. With both directions, the scores of a step also depend on the steps after it.
    pub recurrent: R,
    /// `D·P -> C`
    pub head: Linear,
}

impl ModelConfig for TaggerConfig {
    type Model = Tagger<AnyLayer>;
    const KIND: &'static str = "tagger";

    fn recurrent(&self) -> &AnyLayerConfig {
        &self.recurrent
    }

    fn outputs(&self) -> usize {
        self.labels
    }

    fn model(&self, recurrent: AnyLayer, head: Linear) -> Self::Model {
        Tagger { recurrent, head }
    }
}

impl<R: RecurrentLayer> Tagger<R> {
    /// The scores of the labels at each step, `[B, T, C]`. Scores past a row's length have no meaning.
    ///
    /// # Arguments
    ///
    /// - `input`: `[B, T, I]`
    /// - `lengths`: how many steps of each row belong to the sequence; `None`: all
    ///
    /// # Panics
    ///
    /// If shapes or lengths do not fit.
    pub fn forward(&self, input: Tensor<3>, lengths: Option<&[usize]>) -> Tensor<3> {
        self.head.forward(run(&self.recurrent, input, lengths).0)
    }

    /// The mean cross entropy in nats per step, over the steps within the lengths; NaN if there are none.
    ///
    /// # Arguments
    ///
    /// - `scores`: `[B, T, C]`
    /// - `labels`: `[B, T]`; past a row's length they are ignored, but have to be below `C`
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

sequence_model!(Tagger);

/// The options of [`Copying`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CopyOptions {
    /// Steps between the last symbol and the first answer.
    pub length: usize,
    /// In how many training steps the pause grows to that; 0: it always has this length.
    pub curriculum: u64,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self { length: 10, curriculum: 0 }
    }
}

impl CopyOptions {
    /// Steps in a sequence, `T + 20`.
    fn time(&self) -> usize {
        self.length + 2 * REMEMBERED
    }
}

/// The copy problem.
#[derive(Clone, Debug)]
pub struct Copying {
    settings: Settings,
    options: CopyOptions,
}

impl Copying {
    /// The config of the model: an input of ten symbols (one-hot) at each step, nine labels.
    pub fn config(&self) -> TaggerConfig {
        TaggerConfig::new(self.settings.layer_config(GO + 1), BLANK + 1)
    }

    /// The pause of a batch. In a curriculum it is uniform from 1 to a longest one, which grows with the steps.
    fn pause(&self, purpose: Purpose, index: u64, random: &mut impl RngExt) -> usize {
        let CopyOptions { length, curriculum } = self.options;
        if purpose != Purpose::Training || curriculum == 0 {
            return length;
        }
        let grown = (length as u64).saturating_mul(index.min(curriculum)) / curriculum;
        random.random_range(1..=length.min(grown as usize + 1))
    }

    /// Symbols and labels, `[B, T + 20]` each, row by row.
    fn draw(&self, purpose: Purpose, index: u64, batch: usize) -> (Vec<usize>, Vec<i32>) {
        let mut random = generator(self.settings.seed, purpose, index);
        let pause = self.pause(purpose, index, &mut random);
        let (time, go) = (pause + 2 * REMEMBERED, REMEMBERED + pause - 1);
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

    /// Inputs `[B, T + 20, 10]` and labels `[B, T + 20]` of a batch.
    fn tensors(
        (symbols, labels): (Vec<usize>, Vec<i32>),
        batch: usize,
        device: &Device,
    ) -> (Tensor<3>, Tensor<2, Int>) {
        let time = symbols.len() / batch;
        let mut input = vec![0.0f32; symbols.len() * (GO + 1)];
        for (step, symbol) in input.chunks_mut(GO + 1).zip(symbols) {
            step[symbol] = 1.0;
        }
        let input = Tensor::from_data(TensorData::new(input, [batch, time, GO + 1]), device);
        let labels = Tensor::from_data(TensorData::new(labels, [batch, time]), device);
        (input, labels)
    }

    fn readout_batch(&self, purpose: Purpose, index: u64, batch: usize, device: &Device) -> Batch {
        let (input, labels) = Self::tensors(self.draw(purpose, index, batch), batch, device);
        let labels = labels.flatten(0, 1);
        Batch::new(Input::Values(input), Target::Classes(labels))
    }
}

impl Task for Copying {
    const NAME: &'static str = "copy";
    const ABOUT: &'static str = "Say ten symbols again after a pause: a tagger";
    const LOSS: &'static str = "nats per step";
    const METRIC: &'static str = "recalled";
    const LEARNS_LABELS: bool = true;
    const OPTIONS: &'static [TaskOption] = &[
        TaskOption::size("length", "T", "the pause", 2, LONGEST),
        TaskOption::size(
            "curriculum",
            "N",
            "training steps in which the pause grows from 1 to T",
            0,
            LONGEST,
        ),
    ];

    type Options = CopyOptions;
    type Model = Tagger<AnyLayer>;

    fn defaults() -> Settings {
        // An LSTM takes many times as long to learn what to remember.
        let common = Settings::new(Self::NAME, &CopyOptions::default());
        Settings { cell: CellKind::Gru.into(), hidden: 128, ..common }
    }

    fn adapted(settings: Settings) -> Settings {
        let length = settings.options().map_or(0, |CopyOptions { length, .. }| length);
        if length <= SHORT {
            return settings;
        }
        let settings = Settings { batch: 32, validate_every: 500, ..settings };
        let Some(cell) = settings.cell.cell() else {
            // What is linear in time learns one delay, and no pauses of different lengths.
            let recipe = Recipe { schedule: Schedule::Cosine, ..settings.recipe };
            return Settings { recipe, hidden: 256, ..settings };
        };
        let mut settings = Settings { steps: Some(8000), ..with_chrono(settings, length) };
        if cell.default_cell().layout().has_recurrent_weights() {
            settings.recurrent_init = WeightInitializer::Orthogonal { gain: 1.0 };
        }
        settings.with_option("curriculum", 6000)
    }

    fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self { settings: settings.clone(), options: settings.options()? })
    }

    fn sequence_size(options: &CopyOptions) -> SequenceSize {
        SequenceSize { time: options.time(), input: GO + 1, input_has_gradients: false }
    }

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
        let (input, labels) = Self::tensors(drawn, self.settings.batch, device);
        let scores = model.forward(input, None);
        let [batch, time, count] = scores.dims();
        let (scores, labels) =
            (scores.reshape([batch * time, count]), labels.reshape([batch * time]));
        let smoothing = self.settings.recipe.label_smoothing;
        (smoothed_cross_entropy(scores, labels, smoothing).mean(), None)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        validated(&self.settings, |index, batch| {
            let drawn = self.draw(Purpose::Validation, index, batch);
            let (input, labels) = Self::tensors(drawn, batch, device);
            let scores = model.forward(input, None);
            let [_, time, count] = scores.dims();
            let (from, rows) = (time - REMEMBERED, batch * REMEMBERED);
            let recalled = scores.clone().slice([0..batch, from..time]).reshape([rows, count]);
            let expected = labels.clone().slice([0..batch, from..time]).reshape([rows]);
            let metric = share_right(recalled, expected);
            let loss = model.loss(scores, labels, None).into_scalar::<f32>();
            Scores { loss: loss.into(), metric }
        })
    }

    drawn_batches!(Reads::EveryStep);

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "sequences")
    }

    fn describe(&self) -> String {
        let baseline = REMEMBERED as f64 * (SYMBOLS as f64).ln() / self.options.time() as f64;
        let CopyOptions { length, curriculum } = self.options;
        let growing = match curriculum {
            0 => String::new(),
            _ => format!("; in {curriculum} training steps the longest pause grows from 1 to it"),
        };
        format!(
            "{REMEMBERED} symbols and a pause of {length}; remembering none has loss {baseline:.4} \
             (recalled {}){growing}",
            1.0 / SYMBOLS as f64,
        )
    }

    fn info(&self) -> FolderInfo {
        FolderInfo::of_model(&self.config())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_labels_are_the_first_symbols() {
        for length in [1, 2, 30] {
            let task = Copying::new(&Copying::defaults().with_option("length", length)).unwrap();
            let (symbols, labels) = task.draw(Purpose::Training, 3, 40);
            assert_eq!((symbols.len(), labels.len()), (40 * (length + 20), 40 * (length + 20)));
            for (symbols, labels) in symbols.chunks(length + 20).zip(labels.chunks(length + 20)) {
                let (first, rest) = symbols.split_at(10);
                let (silent, said) = labels.split_at(length + 10);
                assert!(first.iter().zip(said).all(|(&a, &b)| a < 8 && a as i32 == b));
                assert!(silent.iter().all(|&label| label == 8));
                // There is one mark, at the step before the answer.
                let marked = rest.iter().enumerate().filter(|(_, symbol)| **symbol != 8);
                assert_eq!(marked.collect::<Vec<_>>(), [(length - 1, &9)]);
            }
        }
    }

    #[test]
    fn long_pauses_have_a_preset_that_the_cell_can_have() {
        let of = |cell: CellKind, length: usize| {
            let settings = Settings { cell: cell.into(), ..Copying::defaults() };
            let adapted = Copying::adapted(settings.with_option("length", length));
            adapted.check().unwrap();
            let Settings { bias_init, recurrent_init, .. } = &adapted;
            let curriculum = adapted.options::<CopyOptions>().unwrap().curriculum;
            (bias_init.to_string(), recurrent_init.to_string(), curriculum)
        };
        let usual = || "torch".to_string();
        assert_eq!(of(CellKind::Gru, 100), (usual(), usual(), 0));
        let orthogonal = WeightInitializer::Orthogonal { gain: 1.0 }.to_string();
        assert_eq!(of(CellKind::Gru, 500), ("chrono:500".to_string(), orthogonal.clone(), 6000));
        assert_eq!(of(CellKind::Rnn, 500), (usual(), orthogonal, 6000));
    }

    #[test]
    fn the_pause_of_a_curriculum_grows() {
        let settings = Copying::defaults().with_option("length", 50).with_option("curriculum", 100);
        let task = Copying::new(&settings).unwrap();
        let pause = |purpose, index| task.draw(purpose, index, 3).0.len() / 3 - 20;
        let pauses = |steps: std::ops::Range<u64>| steps.map(|k| pause(Purpose::Training, k));
        assert_eq!(pause(Purpose::Training, 0), 1);
        assert!((10..26).contains(&pauses(0..50).max().unwrap()));
        let late: Vec<_> = pauses(100..500).collect();
        assert_eq!((late.iter().max(), late.iter().min()), (Some(&50), Some(&1)));
        assert!(pauses(100..500).eq(late));
        assert!((0..20).all(|k| pause(Purpose::Validation, k) == 50));
    }
}
