//! Recordings of waves of three shapes, with noise, of any pitch and phase, and of different lengths. A recording may
//! begin with the end of another wave.

use burn::Tensor;
use burn::data::dataloader::batcher::Batcher;
use burn::tensor::{Bool, Device, Int, TensorData};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The longest wave, in samples.
pub const LONGEST: usize = 40;

/// The most samples of another wave before it.
pub const MOST_BEFORE: usize = 12;

/// What there is to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A sine.
    Sine,
    /// Up, down, and nothing in between.
    Square,
    /// A ramp, and back at once.
    Sawtooth,
}

impl Shape {
    /// All, in the order of their class.
    pub const ALL: [Self; 3] = [Self::Sine, Self::Square, Self::Sawtooth];

    /// At `phase`, in periods.
    fn at(self, phase: f32) -> f32 {
        let phase = phase.fract();
        match self {
            Self::Sine => (phase * std::f32::consts::TAU).sin(),
            Self::Square if phase < 0.5 => 1.0,
            Self::Square => -1.0,
            Self::Sawtooth => 2.0 * phase - 1.0,
        }
    }
}

/// A recording of a wave, and its shape.
#[derive(Clone, Debug)]
pub struct Wave {
    /// Up to [`MOST_BEFORE`] of another wave, then 20 to [`LONGEST`] of this one.
    pub samples: Vec<f32>,
    /// Where the wave begins.
    pub start: usize,
    /// What it is.
    pub shape: Shape,
}

/// That many waves; the same seed gives the same ones.
pub fn waves(count: usize, seed: u64) -> Vec<Wave> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut recorded = |shape: Shape, length: usize| {
        let (phase, pitch) = (random.random::<f32>(), random.random_range(0.08..0.15f32));
        let noisy = |t| shape.at(phase + pitch * t as f32) + random.random_range(-0.1..0.1f32);
        (0..length).map(noisy).collect::<Vec<f32>>()
    };
    // Another generator, because `recorded` holds the first one.
    let mut lengths = StdRng::seed_from_u64(!seed);
    let mut wave = |k: usize| {
        let shape = Shape::ALL[k % Shape::ALL.len()];
        let other = Shape::ALL[lengths.random_range(0..Shape::ALL.len())];
        let start = lengths.random_range(0..=MOST_BEFORE);
        let mut samples = recorded(other, start);
        samples.extend(recorded(shape, lengths.random_range(20..=LONGEST)));
        Wave { samples, start, shape }
    };
    (0..count).map(&mut wave).collect()
}

/// Recordings side by side, the shorter ones filled up.
#[derive(Clone, Debug)]
pub struct WaveBatch {
    /// `[B, T, 1]`
    pub samples: Tensor<3>,
    /// How much of each row is recording.
    pub lengths: Vec<usize>,
    /// True where the wave of a row begins, `[B, T]`. What was before it says nothing about it.
    pub resets: Tensor<2, Bool>,
    /// The class of each, `[B]`.
    pub shapes: Tensor<1, Int>,
}

/// Makes batches of waves.
#[derive(Clone, Copy, Debug, Default)]
pub struct WaveBatcher;

impl Batcher<Wave, WaveBatch> for WaveBatcher {
    fn batch(&self, waves: Vec<Wave>, device: &Device) -> WaveBatch {
        let lengths: Vec<usize> = waves.iter().map(|wave| wave.samples.len()).collect();
        let (rows, longest) = (waves.len(), lengths.iter().copied().max().unwrap_or(0));
        let mut samples = vec![0.0f32; rows * longest];
        for (row, wave) in samples.chunks_mut(longest.max(1)).zip(&waves) {
            row[..wave.samples.len()].copy_from_slice(&wave.samples);
        }
        let mut resets = vec![false; rows * longest];
        for (row, wave) in resets.chunks_mut(longest.max(1)).zip(&waves) {
            row[wave.start] = true;
        }
        let shapes: Vec<i32> = waves.iter().map(|wave| wave.shape as i32).collect();
        WaveBatch {
            samples: Tensor::from_data(TensorData::new(samples, [rows, longest, 1]), device),
            lengths,
            resets: Tensor::from_data(TensorData::new(resets, [rows, longest]), device),
            shapes: Tensor::from_data(TensorData::new(shapes, [rows]), device),
        }
    }
}
