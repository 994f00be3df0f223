//! Chorales: which notes sound at the next step?
//!
//! N. Boulanger-Lewandowski, Y. Bengio and P. Vincent, "Modeling temporal dependencies in high-dimensional sequences", ICML
//! 2012: four-part chorales of J. S. Bach, in steps of a quaver, each step the sounding ones of 88 notes. Each note has a
//! probability of its own, and the loss is the negative log-likelihood of a step, over all of its notes, in nats. A model
//! that knows only how often each note sounds has about 11 nats.
//!
//! The file is JSON: `{"train": [[[NOTE…]…]…], "valid": …, "test": …}`, for each part its chorales, for each chorale its
//! steps, for each step its notes, 0 to 87 (MIDI numbers less 21). It does not come with bptt, because its licence is not stated.

use crate::average::Average;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::folder_files::{FolderInfo, SeriesInfo};
use crate::model_config::ModelConfig;
use crate::noise_settings::NoiseSettings;
use crate::optimizer::OptimizerKind;
use crate::option::TaskOption;
use crate::random::{Purpose, generator};
use crate::read;
use crate::recipe::Recipe;
use crate::schedule::Schedule;
use crate::settings::Settings;
use crate::task::{Scores, SequenceSize, Task, TestScores};
use crate::tasks::flip_flop::{Regressor, RegressorConfig};
use bptt::{AnyLayer, AnyState, CellKind, Engine, NoiseRates, RaggedBatch};
use burn::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::{Device, TensorData};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How many notes there are.
const NOTES: usize = 88;
/// The longest chorale that is read.
const MOST_STEPS: usize = 1 << 16;

/// The options of [`Chorales`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChoralesOptions {
    /// The file with the chorales.
    pub data: Option<String>,
}

/// The steps of a chorale, each with the notes that sound.
type Chorale = Vec<Vec<usize>>;

/// The content of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    train: Vec<Chorale>,
    valid: Vec<Chorale>,
    test: Vec<Chorale>,
}

/// Chorales, to be continued note by note.
#[derive(Debug)]
pub struct Chorales {
    settings: Settings,
    parts: Parts,
    fingerprint: u64,
}

impl Chorales {
    /// The config of the model: 88 notes at each step, and a score for each of them.
    pub fn config(&self) -> RegressorConfig {
        RegressorConfig::new(self.settings.layer_config(NOTES), NOTES)
    }

    /// The sums over all steps of some chorales: the negative log-likelihood as a tensor, the number of steps, and how many
    /// notes are said rightly, and said or right.
    fn sums(
        &self,
        model: &Regressor<AnyLayer>,
        chorales: &[&Chorale],
        device: &Device,
    ) -> (Tensor<1>, usize, [f64; 2]) {
        let frame = |notes: &Vec<usize>| {
            let mut frame = vec![0.0f32; NOTES];
            notes.iter().for_each(|&note| frame[note] = 1.0);
            frame
        };
        let rows: Vec<Vec<f32>> = chorales
            .iter()
            .map(|chorale| chorale[..chorale.len() - 1].iter().flat_map(frame).collect())
            .collect();
        let RaggedBatch { input, lengths, .. } = RaggedBatch::pad(&rows, NOTES, device);
        let time = input.dims()[1];
        let mut next = vec![0.0f32; chorales.len() * time * NOTES];
        let mut within = vec![0.0f32; chorales.len() * time];
        for (row, chorale) in chorales.iter().enumerate() {
            for (step, notes) in chorale[1..].iter().enumerate() {
                let at = row * time + step;
                within[at] = 1.0;
                next[at * NOTES..(at + 1) * NOTES].copy_from_slice(&frame(notes));
            }
        }
        let next = TensorData::new(next, [chorales.len(), time, NOTES]);
        let next = Tensor::<3>::from_data(next, device);
        let within = TensorData::new(within, [chorales.len(), time, 1]);
        let within = Tensor::<3>::from_data(within, device);
        let scores = model.forward(input, Some(&lengths));
        let said = scores.clone().detach().greater_scalar(0.0).float() * within.clone();
        let both = (said.clone() * next.clone()).sum().into_scalar::<f32>();
        let either = (said + next.clone()).sum().into_scalar::<f32>() - both;
        let losses = negative_log_likelihood(scores, next) * within;
        let counts = [both, either].map(f64::from);
        (losses.sum(), lengths.iter().sum(), counts)
    }

    fn scores(&self, model: &Regressor<AnyLayer>, chorales: &[Chorale], device: &Device) -> Scores {
        let (mut loss, mut steps, mut notes) = (0.0, 0, [0.0; 2]);
        let all: Vec<&Chorale> = chorales.iter().collect();
        for batch in all.chunks(self.settings.batch) {
            let (sum, count, [both, either]) = self.sums(model, batch, device);
            loss += f64::from(sum.into_scalar::<f32>());
            steps += count;
            notes = [notes[0] + both, notes[1] + either];
        }
        Scores { loss: loss / steps as f64, metric: notes[0] / notes[1].max(1.0) }
    }

    /// The loss on the test part of a model that knows how often each note sounds in the training part.
    fn baseline(&self) -> f64 {
        let frames = |part: &[Chorale]| -> Vec<Vec<usize>> {
            part.iter().flat_map(|chorale| chorale[1..].iter().cloned()).collect()
        };
        let train = frames(&self.parts.train);
        let mut counts = [0.5; NOTES];
        train.iter().flatten().for_each(|&note| counts[note] += 1.0);
        let shares = counts.map(|count: f64| count / (train.len() + 1) as f64);
        let silent: f64 = shares.iter().map(|share| -(1.0 - share).ln()).sum();
        let test = frames(&self.parts.test);
        let sounding = |&note: &usize| (1.0 - shares[note]).ln() - shares[note].ln();
        silent + test.iter().flatten().map(sounding).sum::<f64>() / test.len() as f64
    }
}

/// `log(1 + e^z) - y z` of scores and of what is right, without an overflow.
fn negative_log_likelihood(scores: Tensor<3>, right: Tensor<3>) -> Tensor<3> {
    relu(scores.clone()) - scores.clone() * right + scores.abs().neg().exp().log1p()
}

/// Reads the file.
fn read_parts(path: &Path) -> Result<(Parts, u64), Error> {
    let failed = |why: &dyn std::fmt::Display| Error::file("read", path, why);
    let bytes = read::data(path)?;
    let parts: Parts = serde_json::from_slice(&bytes).map_err(|why| {
        failed(&format!(
            "{why}; expected {{\"train\": [[[NOTE, …], …], …], \"valid\": …, \"test\": …}}"
        ))
    })?;
    for (name, part) in [("train", &parts.train), ("valid", &parts.valid), ("test", &parts.test)] {
        if part.is_empty() {
            return Err(failed(&format!("`{name}` has no chorale")));
        }
        for (k, chorale) in part.iter().enumerate() {
            if !(2..=MOST_STEPS).contains(&chorale.len()) {
                return Err(failed(&format!(
                    "chorale {k} of `{name}` has {} steps, and has to have 2 to {MOST_STEPS}",
                    chorale.len()
                )));
            }
            if let Some(note) = chorale.iter().flatten().find(|note| **note >= NOTES) {
                return Err(failed(&format!(
                    "chorale {k} of `{name}` has the note {note}, and notes are 0 to {}",
                    NOTES - 1
                )));
            }
        }
    }
    Ok((parts, Fingerprint::of(bytes)))
}

impl Task for Chorales {
    const NAME: &'static str = "chorales";
    const ABOUT: &'static str = "Say which notes of a chorale come next";
    const LOSS: &'static str = "nats per step";
    const METRIC: &'static str = "frame_accuracy";
    const LOGARITHMIC: bool = false;
    const HAS_TEST: bool = true;
    const ONE_DIRECTION: Option<&'static str> =
        Some("the backward direction would read the notes that are to be said");
    const OPTIONS: &'static [TaskOption] = &[TaskOption::file(
        "data",
        "the chorales as JSON, lists of notes by step: MIDI numbers less 21",
    )
    .required()];

    type Options = ChoralesOptions;
    type Model = Regressor<AnyLayer>;

    fn defaults() -> Settings {
        let common = Settings::new(Self::NAME, &ChoralesOptions::default());
        let sizes = Settings { cell: CellKind::Gru.into(), hidden: 192, batch: 16, ..common };
        let (schedule, average) = (Schedule::Cosine, Average::Ema(0.99));
        let recipe = Recipe { schedule, average, ..Recipe::default() };
        Settings { recipe, steps: Some(2500), validate_every: 100, ..sizes }
    }

    fn adapted(mut settings: Settings) -> Settings {
        // There are few chorales, and without noise they are learned by heart.
        settings.optimizer = OptimizerKind::AdamW;
        settings.recipe.weight_decay = Some(0.05);
        let noise = NoiseSettings {
            variational_dropout: NoiseRates::Each(0.3, 0.5),
            ..NoiseSettings::default()
        };
        if settings.engine != Engine::Rtrl && noise.check(settings.cell).is_ok() {
            settings.noise = noise;
        }
        settings
    }

    fn new(settings: &Settings) -> Result<Self, Error> {
        let ChoralesOptions { data } = settings.options()?;
        let Some(path) = data else { return Err(Error::input("chorales: give --data FILE")) };
        let (parts, fingerprint) = read_parts(Path::new(&path))?;
        Ok(Self { settings: settings.clone(), parts, fingerprint })
    }

    fn sequence_size(_options: &ChoralesOptions) -> SequenceSize {
        SequenceSize { time: 160, input: NOTES, input_has_gradients: false }
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
        let mut random = generator(self.settings.seed, Purpose::Training, step);
        let train = &self.parts.train;
        let mut one = || &train[random.random_range(0..train.len())];
        let batch: Vec<_> = (0..self.settings.batch).map(|_| one()).collect();
        let (sum, steps, _) = self.sums(model, &batch, device);
        (sum.mul_scalar(1.0 / steps as f64), None)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        self.scores(model, &self.parts.valid, device)
    }

    fn test(&self, model: &Self::Model, device: &Device) -> Option<TestScores> {
        let test = &self.parts.test;
        Some(TestScores::new(test.len(), self.scores(model, test, device)))
    }

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "chorales")
    }

    fn describe(&self) -> String {
        let Parts { train, valid, test } = &self.parts;
        format!(
            "{} chorales for training, {} for validation, {} for the test; knowing how often each note sounds has loss {:.4} \
             on the test part",
            train.len(),
            valid.len(),
            test.len(),
            self.baseline(),
        )
    }

    fn info(&self) -> FolderInfo {
        let Parts { train, valid, test } = &self.parts;
        let steps = [train, valid, test].into_iter().flatten().map(Vec::len).sum();
        let fingerprint = format!("{:016x}", self.fingerprint);
        let series = Some(SeriesInfo { values: steps, fingerprint });
        FolderInfo { series, ..FolderInfo::of_model(&self.config()) }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, Settings) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chorales.json");
        std::fs::write(&path, text).unwrap();
        let settings = Chorales::defaults().with_option("data", path.display().to_string());
        (folder, settings)
    }

    #[test]
    fn the_loss_is_the_likelihood_of_each_note() {
        let text =
            "{\"train\": [[[3], [4, 5], []]], \"valid\": [[[1], [2]]], \"test\": [[[3], [4]]]}";
        let (_folder, settings) = file(text);
        let task = Chorales::new(&settings).unwrap();
        let device = Device::flex();
        let mut model = task.model(&device).unwrap();
        // Every note has the score 1.
        model.head.weight = model.head.weight.map(|weight| weight * 0.0);
        model.head.bias = model.head.bias.map(|bias| bias.map(|bias| bias * 0.0 + 1.0));
        let (sum, steps, [both, either]) = task.sums(&model, &[&task.parts.train[0]], &device);
        let expected = 2.0 * 88.0 * (1.0 + 1f64.exp()).ln() - 2.0;
        assert!((f64::from(sum.into_scalar::<f32>()) - expected).abs() < 1e-3);
        assert_eq!((steps, both, either), (2, 2.0, 176.0));
        // Large scores do not overflow.
        let scores = Tensor::<3>::from_floats([[[1000.0, -1000.0]]], &device);
        let right = Tensor::<3>::from_floats([[[0.0, 1.0]]], &device);
        let found: Vec<f32> = negative_log_likelihood(scores, right).into_data().iter().collect();
        assert_eq!(found, [1000.0, 1000.0]);
        // The frequencies of the two frames that are answers: (1 + 0.5) / 3 for the notes 4 and 5, else 0.5 / 3.
        let (often, rare) = (0.5f64, 0.5f64 / 3.0);
        let baseline = -(2.0 * often.ln() + 86.0 * (1.0 - rare).ln());
        assert!((task.baseline() - baseline).abs() < 1e-9, "{} {baseline}", task.baseline());
    }

    #[test]
    fn a_bad_file_is_one_line() {
        for (text, part) in [
            ("{\"train\": []", "expected {\"train\""),
            ("{\"train\": [], \"valid\": [], \"test\": []}", "`train` has no chorale"),
            (
                "{\"train\": [[[1]]], \"valid\": [], \"test\": []}",
                "chorale 0 of `train` has 1 steps",
            ),
            (
                "{\"train\": [[[88], [1]]], \"valid\": [], \"test\": []}",
                "has the note 88, and notes are 0 to 87",
            ),
        ] {
            let (_folder, settings) = file(text);
            let message = Chorales::new(&settings).unwrap_err().to_string();
            assert!(message.contains(part) && message.lines().count() == 1, "{message}");
        }
    }
}
