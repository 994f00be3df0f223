//! Handwritten digits, pixel by pixel: which digit was read?
//!
//! Q. V. Le, N. Jaitly and G. E. Hinton, "A simple way to initialize recurrent networks of rectified linear units",
//! arXiv:1504.00941, 2015, read the pixels of pictures one after the other, in order or in a fixed random one (permuted). The
//! pictures here are small, 8×8 pixels: "Optical recognition of handwritten digits" of E. Alpaydin and C. Kaynak, UCI
//! Machine Learning Repository, 1998 (doi:10.24432/C50P49, CC BY 4.0), the 1,797 of its test file. `--mnist` reads those of
//! that paper, of 28×28 pixels.

mod mnist;

use crate::average::Average;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::folder_files::{FolderInfo, LabelledInfo};
use crate::labelled::confusion::Confusion;
use crate::labelled::scaling::Scaling;
use crate::labelled::score::{likeliest, log_probabilities};
use crate::model_config::ModelConfig;
use crate::option::TaskOption;
use crate::random::{Purpose, generator};
use crate::recipe::Recipe;
use crate::schedule::Schedule;
use crate::settings::Settings;
use crate::task::{Scores, SequenceSize, Task, TestScores};
use crate::tasks::parity::{Classifier, ClassifierConfig};
use crate::tasks::parts::{readout, smoothed_cross_entropy};
use bptt::{AnyCell, AnyLayer, AnyState, CellKind};
use bptt_probe::readout::{Batch, Input, Readout, Reads, Target};
use burn::Tensor;
use burn::tensor::{Device, Int, TensorData};
use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A line of 64 pixels and the digit for each picture. A pixel is 0 to 9 or a to g: 16 is black.
const PICTURES: &str = include_str!("digits.txt");
const SIDE: usize = 8;
/// What black is in that file.
const BLACK: u8 = 16;
const CLASSES: usize = 10;
/// What divides the pictures and permutes the pixels, whatever the seed of a run is.
const FIXED: u64 = 1;
/// How many of those pictures are for validation, and as many for the test.
const HELD: usize = 180;
/// Of so many pictures for training of MNIST, one is for validation.
const MNIST_HELD: usize = 12;

/// The options of [`Digits`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DigitsOptions {
    /// What is read at a step.
    pub by: ReadBy,
    /// Whether the pixels are in a random order, the same for all pictures.
    pub permuted: bool,
    /// A folder with the files of MNIST; `None`: the pictures that come with bptt.
    pub mnist: Option<String>,
}

impl DigitsOptions {
    /// Steps, and pixels in a step.
    fn shape(&self) -> [usize; 2] {
        let side = if self.mnist.is_some() { mnist::SIDE } else { SIDE };
        match self.by {
            ReadBy::Pixels => [side * side, 1],
            ReadBy::Rows => [side; 2],
        }
    }
}

/// What is read at a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadBy {
    /// A pixel: 64 steps, or 784 of MNIST.
    #[default]
    Pixels,
    /// A row: 8 steps with 8 pixels each, or 28 with 28.
    Rows,
}

/// A picture with its digit.
#[derive(Clone, Debug, PartialEq)]
struct Picture {
    pixels: Vec<u8>,
    digit: usize,
}

/// Handwritten digits.
#[derive(Clone, Debug)]
pub struct Digits {
    settings: Settings,
    shape: [usize; 2],
    /// What black is.
    black: u8,
    /// A hash of the pictures of MNIST.
    fingerprint: Option<u64>,
    train: Vec<Picture>,
    valid: Vec<Picture>,
    test: Vec<Picture>,
}

impl Digits {
    /// The config of the model: a pixel or a row at each step, ten classes.
    pub fn config(&self) -> ClassifierConfig {
        ClassifierConfig::new(self.settings.layer_config(self.shape[1]), CLASSES)
    }

    /// Inputs `[B, T, I]` and digits `[B]`.
    fn tensors(&self, pictures: &[&Picture], device: &Device) -> (Tensor<3>, Tensor<1, Int>) {
        // From -1 for white to 1 for black.
        let scale = 2.0 / f32::from(self.black);
        let pixels = pictures.iter().flat_map(|picture| &picture.pixels);
        let pixels: Vec<f32> = pixels.map(|pixel| f32::from(*pixel) * scale - 1.0).collect();
        let digits: Vec<i32> = pictures.iter().map(|picture| picture.digit as i32).collect();
        let [time, width] = self.shape;
        let pixels = TensorData::new(pixels, [pictures.len(), time, width]);
        (Tensor::from_data(pixels, device), Tensor::from_data(&digits[..], device))
    }

    fn readout_batch(&self, pictures: &[&Picture], device: &Device) -> Batch {
        let (input, digits) = self.tensors(pictures, device);
        Batch::new(Input::Values(input), Target::Classes(digits))
    }

    /// The pictures of a training step, drawn with replacement.
    fn drawn(&self, step: u64) -> Vec<&Picture> {
        let mut random = generator(self.settings.seed, Purpose::Training, step);
        let mut one = || &self.train[random.random_range(0..self.train.len())];
        (0..self.settings.batch).map(|_| one()).collect()
    }

    /// The mean loss, and what is said where each digit is right.
    fn judged(
        &self,
        model: &Classifier<AnyLayer>,
        pictures: &[Picture],
        device: &Device,
    ) -> (f64, Confusion) {
        let names: Vec<String> = (0..CLASSES).map(|digit| digit.to_string()).collect();
        let (mut sum, mut confusion) = (0.0, Confusion::new(&names));
        let pictures: Vec<&Picture> = pictures.iter().collect();
        for batch in pictures.chunks(self.settings.batch) {
            let (input, _) = self.tensors(batch, device);
            let scores = model.forward(input, None).unsqueeze_dim::<3>(1);
            for (picture, logs) in
                batch.iter().zip(log_probabilities(scores, &vec![1; batch.len()]))
            {
                sum -= logs[picture.digit];
                confusion.add(picture.digit, likeliest(&logs));
            }
        }
        (sum / pictures.len() as f64, confusion)
    }
}

/// All pictures that come with bptt.
fn pictures() -> Vec<Picture> {
    let shade = |c: char| c.to_digit(u32::from(BLACK) + 1).map(|shade| shade as u8);
    let of = |line: &str| {
        let (pixels, digit) = line.split_once(' ')?;
        let pixels = pixels.chars().map(shade).collect::<Option<Vec<_>>>()?;
        let digit = digit.parse().ok()?;
        (pixels.len() == SIDE * SIDE && digit < CLASSES).then_some(Picture { pixels, digit })
    };
    let lines = PICTURES.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| of(line).expect("the file is part of the program")).collect()
}

/// The pictures of MNIST for training and for the test, and their hash.
fn of_mnist(folder: &str) -> Result<([Vec<Picture>; 2], u64), Error> {
    let mut hash = Fingerprint::new();
    let parts = mnist::read(Path::new(folder))?.map(|part| {
        let of = |(pixels, digit): (Vec<u8>, u8)| Picture { pixels, digit: usize::from(digit) };
        let pictures: Vec<_> = part.pixels.into_iter().zip(part.digits).map(of).collect();
        for picture in &pictures {
            hash.add(picture.pixels.iter().copied().chain([picture.digit as u8]));
        }
        pictures
    });
    Ok((parts, hash.value()))
}

impl Task for Digits {
    const NAME: &'static str = "digits";
    const ABOUT: &'static str = "Say which handwritten digit was read pixel by pixel: a classifier";
    const LOSS: &'static str = "nats per picture";
    const METRIC: &'static str = "accuracy";
    const LEARNS_LABELS: bool = true;
    const HAS_TEST: bool = true;
    const OPTIONS: &'static [TaskOption] = &[
        TaskOption::text(
            "by",
            "WHAT",
            "what is read at a step: pixels, 64 of them (784 with --mnist), or rows, 8 of 8 pixels (28 of 28)",
        ),
        TaskOption::switch(
            "permuted",
            "the pixels are in a random order, the same for all pictures",
        ),
        TaskOption::folder(
            "mnist",
            "a folder with the four files of MNIST, unpacked, in place of the small pictures that come with bptt",
        ),
    ];

    type Options = DigitsOptions;
    type Model = Classifier<AnyLayer>;

    fn defaults() -> Settings {
        let common = Settings::new(Self::NAME, &DigitsOptions::default());
        let sizes = Settings { cell: CellKind::Gru.into(), hidden: 128, ..common };
        let schedule = Schedule::Plateau { patience: 3, factor: 0.5 };
        let recipe = Recipe { schedule, average: Average::Ema(0.99), ..Recipe::default() };
        Settings { recipe, lr: 5e-3, validate_every: 100, ..sizes }
    }

    fn adapted(settings: Settings) -> Settings {
        match settings.cell.cell() {
            Some(_) => settings,
            // One layer that runs as a scan is linear in the pixels, or nearly so.
            None => Settings { hidden: 96, layers: 2, dropout: 0.5, ..settings },
        }
    }

    fn new(settings: &Settings) -> Result<Self, Error> {
        let options: DigitsOptions = settings.options()?;
        let mut random = generator(FIXED, Purpose::Split, 0);
        let ([mut train, mut test], black, fingerprint) = match &options.mnist {
            Some(folder) => {
                let (parts, hash) = of_mnist(folder)?;
                (parts, u8::MAX, Some(hash))
            }
            None => ([pictures(), Vec::new()], BLACK, None),
        };
        train.shuffle(&mut random);
        if options.permuted {
            let [time, width] = options.shape();
            let mut order: Vec<usize> = (0..time * width).collect();
            order.shuffle(&mut random);
            for picture in train.iter_mut().chain(&mut test) {
                picture.pixels = order.iter().map(|&k| picture.pixels[k]).collect();
            }
        }
        let mut held = |count: usize| train.split_off(train.len() - count);
        let valid = match &options.mnist {
            None => {
                test = held(HELD);
                held(HELD)
            }
            Some(folder) => {
                let count = train.len() / MNIST_HELD;
                if count == 0 || test.is_empty() {
                    return Err(Error::input(format!(
                        "{folder}: {} pictures for training and {} for the test, and {MNIST_HELD} and 1 are needed",
                        train.len(),
                        test.len(),
                    )));
                }
                train.split_off(train.len() - count)
            }
        };
        let (settings, shape) = (settings.clone(), options.shape());
        Ok(Self { settings, shape, black, fingerprint, train, valid, test })
    }

    fn sequence_size(options: &DigitsOptions) -> SequenceSize {
        let [time, input] = options.shape();
        SequenceSize { time, input, input_has_gradients: false }
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
        let (input, digits) = self.tensors(&self.drawn(step), device);
        let smoothing = self.settings.recipe.label_smoothing;
        let scores = model.forward(input, None);
        (smoothed_cross_entropy(scores, digits, smoothing).mean(), None)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        let (loss, confusion) = self.judged(model, &self.valid, device);
        Scores { loss, metric: confusion.accuracy() }
    }

    fn test(&self, model: &Self::Model, device: &Device) -> Option<TestScores> {
        let (test_loss, confusion) = self.judged(model, &self.test, device);
        let scores = Scores { loss: test_loss, metric: confusion.accuracy() };
        Some(TestScores {
            test_macro_f1: Some(confusion.macro_f1()),
            confusion: Some(confusion),
            ..TestScores::new(self.test.len(), scores)
        })
    }

    fn readout(
        &self,
        model: &Self::Model,
        device: &Device,
    ) -> Option<(Readout<AnyCell>, Vec<Batch>)> {
        let model = readout(&model.recurrent, &model.head, Reads::LastHidden)?;
        let valid: Vec<&Picture> = self.valid.iter().collect();
        let batches = valid.chunks(self.settings.batch).map(|pictures| {
            let share = pictures.len() as f64 / valid.len() as f64;
            Batch { share, ..self.readout_batch(pictures, device) }
        });
        Some((model, batches.collect()))
    }

    fn training_batch(&self, device: &Device) -> Option<Batch> {
        Some(self.readout_batch(&self.drawn(0), device))
    }

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "pictures")
    }

    fn describe(&self) -> String {
        let mut counts = [0; CLASSES];
        self.train.iter().for_each(|picture| counts[picture.digit] += 1);
        let most = (0..CLASSES).max_by_key(|&digit| counts[digit]).unwrap_or(0);
        let right = self.test.iter().filter(|picture| picture.digit == most).count();
        format!(
            "{} pictures of digits in {} steps: {} for training, {} for validation, {} for the test; always \
             saying {most} has accuracy {:.4} on the test part",
            self.train.len() + self.valid.len() + self.test.len(),
            self.shape[0],
            self.train.len(),
            self.valid.len(),
            self.test.len(),
            right as f64 / self.test.len() as f64,
        )
    }

    fn info(&self) -> FolderInfo {
        let labelled = self.fingerprint.map(|hash| LabelledInfo {
            sequences: self.train.len() + self.valid.len() + self.test.len(),
            fingerprint: format!("{hash:016x}"),
            features: None,
            labels: (0..CLASSES).map(|digit| digit.to_string()).collect(),
            scaling: Scaling {
                mean: vec![f64::from(self.black) / 2.0; self.shape[1]],
                deviation: vec![f64::from(self.black) / 2.0; self.shape[1]],
            },
            answers: None,
        });
        FolderInfo { labelled, ..FolderInfo::of_model(&self.config()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pictures_are_those_of_the_collection_in_fixed_parts() {
        let all = pictures();
        assert_eq!(all.len(), 1797);
        // What the collection says about itself: how often each digit is there, and its first picture.
        let counts: Vec<_> =
            (0..10).map(|digit| all.iter().filter(|p| p.digit == digit).count()).collect();
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        assert_eq!((&all[0].pixels[..8], all[0].digit), (&[0, 0, 5, 13, 9, 1, 0, 0][..], 0));
        assert!(all.iter().flat_map(|p| &p.pixels).all(|pixel| *pixel <= BLACK));

        let of = |seed, permuted: bool| {
            let settings = Settings { seed, ..Digits::defaults() };
            Digits::new(&settings.with_option("permuted", permuted)).unwrap()
        };
        let (task, other) = (of(1, false), of(2, false));
        assert_eq!((task.train.len(), task.valid.len(), task.test.len()), (1437, 180, 180));
        assert_eq!((&task.train, &task.test), (&other.train, &other.test));
        assert_ne!(task.drawn(0), other.drawn(0));
        // The same pictures with their pixels in another order.
        let mixed = of(1, true);
        let sorted = |picture: &Picture| {
            let mut pixels = picture.pixels.clone();
            pixels.sort_unstable();
            (pixels, picture.digit)
        };
        assert_ne!(task.test, mixed.test);
        assert!(task.test.iter().map(sorted).eq(mixed.test.iter().map(sorted)));
    }

    #[test]
    fn pictures_of_mnist_have_their_own_test_and_their_pixels_in_order() {
        let folder = tempfile::tempdir().unwrap();
        mnist::tests::write(folder.path(), [24, 5]);
        let of = |by: &str, permuted: bool| {
            let settings =
                Digits::defaults().with_option("by", by).with_option("permuted", permuted);
            Digits::new(&settings.with_option("mnist", folder.path().to_str().unwrap())).unwrap()
        };
        let task = of("pixels", false);
        assert_eq!((task.train.len(), task.valid.len(), task.test.len()), (22, 2, 5));
        assert_eq!((task.shape, of("rows", true).shape), ([784, 1], [28, 28]));
        // The k-th picture of the test has k in each pixel.
        assert_eq!((task.test[3].pixels[500], task.test[3].digit), (3, 3));
        let info = |task: &Digits| task.info().labelled.unwrap();
        assert_eq!(info(&task).sequences, 29);
        mnist::tests::write(folder.path(), [24, 6]);
        assert_ne!(info(&task).fingerprint, info(&of("pixels", false)).fingerprint);
        mnist::tests::write(folder.path(), [11, 6]);
        let settings = Digits::defaults().with_option("mnist", folder.path().to_str().unwrap());
        let why = Digits::new(&settings).unwrap_err().to_string();
        assert!(why.contains("11 pictures for training and 6 for the test"), "{why}");
    }

    #[cfg(feature = "flex")]
    #[test]
    fn pixels_go_from_white_to_black() {
        let task = Digits::new(&Digits::defaults()).unwrap();
        let picture = Picture { pixels: (0..64).map(|k| k % 17).collect(), digit: 3 };
        let (input, _) = task.tensors(&[&picture], &Device::flex());
        let found: Vec<f32> = input.into_data().iter().take(17).collect();
        let expected: Vec<f32> = (0..17).map(|shade| shade as f32 / 8.0 - 1.0).collect();
        assert_eq!(found, expected);
    }
}
