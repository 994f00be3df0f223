//! What the decoder reads while it is trained: the true symbols, or its own.

use burn::tensor::{Bool, Int, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// Which symbol the decoder reads at each step of a training sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Teaching {
    /// The true symbol before: teacher forcing. R. J. Williams and D. Zipser, "A learning algorithm for continually running
    /// fully recurrent neural networks", Neural Computation 1 (1989).
    #[default]
    Forced,
    /// At each step of each row, the true symbol or one that is drawn from the model's own distribution: scheduled
    /// sampling. S. Bengio, O. Vinyals, N. Jaitly and N. Shazeer, "Scheduled sampling for sequence prediction with recurrent
    /// neural networks", NeurIPS 2015. No gradient goes through the drawing.
    Scheduled {
        /// The probability of the true symbol, `0 ..= 1`; a [`TeachingSchedule`] lowers it from step to step of the training.
        truth: f64,
        /// The seed of the random numbers: the same seed draws the same numbers on every device. Take another one for each
        /// step of the training.
        seed: u64,
    },
}

/// How the probability of the true symbol falls with the steps of a training (section 2.4 of Bengio et al. 2015).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TeachingSchedule {
    /// Always the same probability.
    Constant(f64),
    /// `max(floor, start - slope · step)`
    Linear {
        /// The probability at step 0.
        start: f64,
        /// How much it falls in a step.
        slope: f64,
        /// The lowest probability.
        floor: f64,
    },
    /// `k^step`, with `k < 1`.
    Exponential {
        /// `k`
        k: f64,
    },
    /// `k / (k + exp(step / k))`, with `k ≥ 1`.
    InverseSigmoid {
        /// `k`
        k: f64,
    },
}

impl TeachingSchedule {
    /// The probability of the true symbol at a step of the training, in `[0, 1]`.
    pub fn truth(&self, step: u64) -> f64 {
        let step = step as f64;
        let truth = match *self {
            Self::Constant(truth) => truth,
            Self::Linear { start, slope, floor } => (start - slope * step).max(floor),
            Self::Exponential { k } => k.powf(step),
            // `exp` may overflow to infinity, and the quotient is then zero.
            Self::InverseSigmoid { k } => k / (k + (step / k).exp()),
        };
        truth.clamp(0.0, 1.0)
    }
}

impl Teaching {
    /// What draws the symbols; `None` if all of them are the true ones.
    pub(super) fn sampler(&self) -> Option<Sampler> {
        let Self::Scheduled { truth, seed } = *self else { return None };
        assert!(
            (0.0..=1.0).contains(&truth),
            "seq2seq: the probability of the true symbol is {truth}: expected a number in [0, 1]",
        );
        Some(Sampler { truth, random: StdRng::seed_from_u64(seed) })
    }
}

/// Draws symbols, and whether they take the place of the true ones.
pub(super) struct Sampler {
    truth: f64,
    random: StdRng,
}

impl Sampler {
    /// In each row the true symbol, or one that is drawn by its score.
    ///
    /// The symbol with the highest score plus noise of the Gumbel distribution has the distribution that is the softmax of
    /// the scores. So the random numbers do not depend on the scores, and a device needs none of its own.
    ///
    /// # Arguments
    ///
    /// - `truth`: `[B]`
    /// - `scores`: `[B, V]`
    pub(super) fn choose(&mut self, truth: Tensor<1, Int>, scores: Tensor<2>) -> Tensor<1, Int> {
        let [batch, symbols] = scores.dims();
        let device = scores.device();
        let keep: Vec<bool> = (0..batch).map(|_| self.random.random_bool(self.truth)).collect();
        // Between zero and one, and neither of them.
        let uniform = |random: &mut StdRng| (random.random::<u32>() as f64 + 0.5) / 2f64.powi(32);
        let noise: Vec<f64> =
            (0..batch * symbols).map(|_| -(-uniform(&mut self.random).ln()).ln()).collect();
        let noise = TensorData::new(noise, [batch, symbols]);
        let noise = Tensor::from_data(noise, (&device, scores.dtype()));
        let drawn = (scores + noise).argmax(1).reshape([batch]);
        let keep = Tensor::<1, Bool>::from_data(TensorData::new(keep, [batch]), &device);
        drawn.mask_where(keep, truth)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn symbols_are_drawn_by_their_probabilities() {
        const ROWS: usize = 40_000;
        let device = Device::flex();
        let probabilities = [0.5, 0.3, 0.2];
        let mut sampler = Teaching::Scheduled { truth: 0.25, seed: 1 }.sampler().expect("it draws");
        let scores = Tensor::<1>::from_data(probabilities, &device).log().add_scalar(3.0);
        let scores = scores.reshape([1, 3]).repeat_dim(0, ROWS);
        // A symbol that is never drawn, so that the true ones can be told from the others.
        let drawn = sampler.choose(Tensor::full([ROWS], 7, &device), scores).into_data();
        let mut counts = [0.0; 8];
        drawn.iter::<i64>().for_each(|symbol| counts[symbol as usize] += 1.0);
        let expected = [0.375, 0.225, 0.15, 0.0, 0.0, 0.0, 0.0, 0.25];
        for (symbol, (count, p)) in counts.into_iter().zip(expected).enumerate() {
            // Five standard deviations of a binomial distribution.
            let error = 5.0 * (ROWS as f64 * p * (1.0 - p)).sqrt();
            let mean = ROWS as f64 * p;
            assert!(
                f64::abs(count - mean) <= error,
                "{symbol}: {count}, expected {mean} ± {error}"
            );
        }
    }
}
