//! Temporal order: in which order did two symbols come?
//!
//! S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), task 6a; in this form R. Pascanu, T.
//! Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013. A sequence has `T` symbols,
//! all of them one of four distractors, but for one in the second tenth of the sequence and one in the fifth tenth, each
//! of which is X or Y. The answer is one of XX, XY, YX and YY. A model that guesses has a loss of ln 4 = 1.3863 nats, and
//! is right a quarter of the time.

use crate::error::Error;
use crate::folder_files::FolderInfo;
use crate::model_config::ModelConfig;
use crate::option::{LONGEST, TaskOption};
use crate::random::{Purpose, generator};
use crate::settings::Settings;
use crate::task::{Scores, SequenceSize, Task};
use crate::tasks::parity::{Classifier, ClassifierConfig};
use crate::tasks::parts::{
    drawn_batches, share_right, smoothed_cross_entropy, validated, with_chrono,
};
use bptt::{AnyLayer, AnyState};
use bptt_probe::readout::{Batch, Input, Reads, Target};
use burn::Tensor;
use burn::tensor::{Device, Int, TensorData};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// How many distractors there are. X and Y have the numbers after them.
const DISTRACTORS: usize = 4;
const SYMBOLS: usize = DISTRACTORS + 2;
const CLASSES: usize = 4;

/// The options of [`TemporalOrder`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemporalOrderOptions {
    /// Symbols in a sequence, `T`.
    pub length: usize,
}

impl Default for TemporalOrderOptions {
    fn default() -> Self {
        Self { length: 100 }
    }
}

/// The temporal order problem.
#[derive(Clone, Debug)]
pub struct TemporalOrder {
    settings: Settings,
    /// Symbols in a sequence, `T`.
    time: usize,
}

impl TemporalOrder {
    /// The config of the model: six symbols (one-hot) at each step, four classes.
    pub fn config(&self) -> ClassifierConfig {
        ClassifierConfig::new(self.settings.layer_config(SYMBOLS), CLASSES)
    }

    /// Symbols `[B, T]`, row by row, and classes `[B]`.
    fn draw(&self, purpose: Purpose, index: u64, batch: usize) -> (Vec<usize>, Vec<i32>) {
        let mut random = generator(self.settings.seed, purpose, index);
        let time = self.time;
        let mut classes = Vec::with_capacity(batch);
        let mut symbols = vec![0; batch * time];
        for row in symbols.chunks_mut(time) {
            row.fill_with(|| random.random_range(0..DISTRACTORS));
            let mut class = 0;
            for tenths in [1, 4] {
                let at = random.random_range(tenths * time / 10..(tenths + 1) * time / 10);
                let which = usize::from(random.random::<bool>());
                row[at] = DISTRACTORS + which;
                class = 2 * class + which as i32;
            }
            classes.push(class);
        }
        (symbols, classes)
    }

    /// Inputs `[B, T, 6]` and classes `[B]`.
    fn tensors(
        &self,
        (symbols, classes): (Vec<usize>, Vec<i32>),
        device: &Device,
    ) -> (Tensor<3>, Tensor<1, Int>) {
        let mut input = vec![0.0f32; symbols.len() * SYMBOLS];
        for (step, symbol) in input.chunks_mut(SYMBOLS).zip(symbols) {
            step[symbol] = 1.0;
        }
        let input = TensorData::new(input, [classes.len(), self.time, SYMBOLS]);
        (Tensor::from_data(input, device), Tensor::from_data(&classes[..], device))
    }

    fn readout_batch(&self, purpose: Purpose, index: u64, batch: usize, device: &Device) -> Batch {
        let (input, classes) = self.tensors(self.draw(purpose, index, batch), device);
        Batch::new(Input::Values(input), Target::Classes(classes))
    }
}

impl Task for TemporalOrder {
    const NAME: &'static str = "temporal-order";
    const ABOUT: &'static str = "Say in which order two symbols came among others: a classifier";
    const LOSS: &'static str = "nats per sequence";
    const METRIC: &'static str = "accuracy";
    const LEARNS_LABELS: bool = true;
    const OPTIONS: &'static [TaskOption] =
        &[TaskOption::size("length", "T", "symbols in a sequence", 10, LONGEST)];

    type Options = TemporalOrderOptions;
    type Model = Classifier<AnyLayer>;

    fn defaults() -> Settings {
        let common = Settings::new(Self::NAME, &TemporalOrderOptions::default());
        Settings { hidden: 32, batch: 32, steps: Some(600), validate_every: 100, ..common }
    }

    fn adapted(settings: Settings) -> Settings {
        // With other biases a model guesses for thousands of steps.
        let length = settings.options().map_or(0, |TemporalOrderOptions { length }| length);
        with_chrono(settings, length)
    }

    fn new(settings: &Settings) -> Result<Self, Error> {
        let TemporalOrderOptions { length } = settings.options()?;
        Ok(Self { settings: settings.clone(), time: length })
    }

    fn sequence_size(options: &TemporalOrderOptions) -> SequenceSize {
        SequenceSize { time: options.length, input: SYMBOLS, input_has_gradients: false }
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
        let (input, classes) = self.tensors(drawn, device);
        let smoothing = self.settings.recipe.label_smoothing;
        let scores = model.forward(input, None);
        (smoothed_cross_entropy(scores, classes, smoothing).mean(), None)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        validated(&self.settings, |index, batch| {
            let drawn = self.draw(Purpose::Validation, index, batch);
            let (input, classes) = self.tensors(drawn, device);
            let scores = model.forward(input, None);
            let metric = share_right(scores.clone(), classes.clone());
            let loss = model.loss(scores, classes).into_scalar::<f32>();
            Scores { loss: loss.into(), metric }
        })
    }

    drawn_batches!(Reads::LastHidden);

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "sequences")
    }

    fn describe(&self) -> String {
        format!("sequences of {} symbols; guessing has loss 1.3863 (accuracy 0.25)", self.time)
    }

    fn info(&self) -> FolderInfo {
        FolderInfo::of_model(&self.config())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bptt::{BiasInitializer, CellKind};

    #[test]
    fn cells_with_gates_remember_as_long_as_the_sequence() {
        let of = |cell: CellKind| {
            let settings = TemporalOrder::defaults().with_option("length", 70);
            TemporalOrder::adapted(Settings { cell: cell.into(), ..settings })
        };
        assert_eq!(of(CellKind::Lstm).bias_init, "chrono:70".parse().unwrap());
        assert_eq!(of(CellKind::Rnn).bias_init, BiasInitializer::Torch);
    }

    #[test]
    fn the_class_is_the_order_of_two_symbols_that_come_early() {
        for length in [10, 37, 100] {
            let settings = TemporalOrder::defaults().with_option("length", length);
            let task = TemporalOrder::new(&settings).unwrap();
            let (symbols, classes) = task.draw(Purpose::Training, 3, 200);
            for (row, class) in symbols.chunks(length).zip(&classes) {
                let marked: Vec<_> = (0..length).filter(|&t| row[t] >= DISTRACTORS).collect();
                assert_eq!(marked.len(), 2);
                assert!((length / 10..2 * length / 10).contains(&marked[0]), "{marked:?}");
                assert!((4 * length / 10..5 * length / 10).contains(&marked[1]), "{marked:?}");
                let [first, second] = [row[marked[0]], row[marked[1]]].map(|s| s - DISTRACTORS);
                assert_eq!(*class as usize, 2 * first + second);
            }
            assert!((0..4).all(|class| classes.contains(&class)));
            assert_eq!((symbols, classes), task.draw(Purpose::Training, 3, 200));
        }
    }
}
