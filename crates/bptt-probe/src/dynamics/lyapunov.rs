//! Lyapunov spectra by repeated orthonormalisation.

use crate::dynamics::gram_schmidt::orthonormalise;
use crate::dynamics::matrix::Matrix;
use crate::dynamics::system::System;
use burn::tensor::Device;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

/// How a spectrum is measured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many exponents, from the largest one on.
    pub exponents: usize,
    /// The number of steps over which growth is measured, at least [`BLOCKS`].
    pub time: usize,
    /// The number of steps before these that only the state makes, so that it gets onto its attractor.
    pub transient: usize,
    /// The number of steps after these in which the directions turn, too, but are not measured.
    pub alignment: usize,
    /// The seed of the initial directions.
    pub seed: u64,
}

impl Settings {
    /// The usual settings: a tenth of the measured time for the transient, and as much for the alignment, each at least
    /// 100 steps.
    pub fn new(exponents: usize, time: usize, seed: u64) -> Self {
        let before = (time / 10).max(100);
        Self { exponents, time, transient: before, alignment: before, seed }
    }

    /// All steps together.
    pub fn steps(&self) -> usize {
        self.transient + self.alignment + self.time
    }

    /// Checks the settings for a system with states of this size.
    ///
    /// # Errors
    ///
    /// One line.
    pub fn check(&self, size: usize) -> Result<(), String> {
        match self {
            Self { exponents: 0, .. } => Err("0 exponents: expected at least 1".into()),
            Self { exponents, .. } if *exponents > size => Err(format!(
                "{exponents} exponents: a state of {size} numbers has no more than {size}"
            )),
            Self { time, .. } if *time < BLOCKS => Err(format!(
                "a time of {time} steps: expected at least {BLOCKS}, one for each block of the error bars"
            )),
            _ => Ok(()),
        }
    }
}

/// How many blocks the measured time has; the spread of their exponents gives the error bars.
pub const BLOCKS: usize = 20;

/// Lyapunov exponents, in nats per step.
#[derive(Clone, Debug)]
pub struct Spectrum {
    /// Descending. `-∞` where a direction vanishes altogether.
    pub exponents: Vec<f64>,
    /// The standard error of each exponent: the standard deviation of the [`BLOCKS`] blocks' exponents, divided by the
    /// square root of their number. It is right if a block is longer than the system's memory.
    pub errors: Vec<f64>,
    /// For each block, in time, the exponents of that block alone, in the order of `exponents`.
    pub blocks: Vec<Vec<f64>>,
    /// The mean of `ln |det J|` over the measured steps, computed without the directions. `None` unless all exponents
    /// were measured: their sum is this mean.
    pub mean_log_det: Option<f64>,
    /// The state after the last step.
    pub state: Vec<f64>,
    /// How many steps there were between two orthonormalisations at last.
    pub interval: usize,
}

impl Spectrum {
    /// The dimension of Kaplan and Yorke: `j + (λ_1 + … + λ_j) / |λ_{j+1}|` with the largest `j` for which the sum is
    /// not negative. `None` if more exponents would have to be known.
    ///
    /// J. Kaplan and J. Yorke, "Chaotic behavior of multidimensional difference equations", Lecture Notes in
    /// Mathematics 730 (1979), 204–227.
    pub fn kaplan_yorke(&self) -> Option<f64> {
        let mut sum = 0.0;
        for (j, exponent) in self.exponents.iter().enumerate() {
            if sum + exponent < 0.0 {
                return Some(j as f64 + sum / exponent.abs());
            }
            sum += exponent;
        }
        self.is_whole().then_some(self.exponents.len() as f64)
    }

    /// The sum of the positive exponents: by Pesin's identity the entropy rate of Kolmogorov and Sinai, in nats per
    /// step. `None` if more exponents would have to be known.
    pub fn entropy_rate(&self) -> Option<f64> {
        let ends = self.exponents.last().is_some_and(|last| *last <= 0.0);
        let positive = self.exponents.iter().filter(|exponent| **exponent > 0.0);
        // Not `sum`, which is -0 for none.
        let sum = positive.fold(0.0, |sum, exponent| sum + exponent);
        (ends || self.is_whole()).then_some(sum)
    }

    /// Whether all exponents were measured.
    pub fn is_whole(&self) -> bool {
        self.exponents.len() == self.state.len()
    }

    /// The mean over the first blocks: what the first `count` exponents would be if the measurement had ended there.
    pub fn convergence(&self, count: usize) -> Vec<Vec<f64>> {
        let mut sums = vec![0.0; count.min(self.exponents.len())];
        let mean = |(n, block): (usize, &Vec<f64>)| {
            sums.iter_mut().zip(block).for_each(|(sum, exponent)| *sum += exponent);
            sums.iter().map(|sum| sum / (n + 1) as f64).collect()
        };
        self.blocks.iter().enumerate().map(mean).collect()
    }
}

/// The system with its directions, on the way.
struct Run<'a> {
    system: &'a mut dyn System,
    device: &'a Device,
    progress: &'a mut dyn FnMut(usize),
    /// Row 0 is the state, the others are the directions.
    bundle: Matrix,
    /// The steps made.
    time: usize,
    interval: usize,
}

/// Measures the largest exponents of a system, from an initial state.
///
/// A block of orthonormal directions moves with the system. Every few steps it is made orthonormal again, and the
/// logarithms of what is left of each direction are added up: their mean is the exponent. The number of steps between
/// follows from the growth itself. The directions may differ by a factor of about `e^4` in length, which costs two of
/// their sixteen digits.
///
/// `device` computes the products of large blocks; it has to have f64. `progress` is told the number of steps made, now
/// and then.
///
/// G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn, "Lyapunov characteristic exponents for smooth dynamical
/// systems", Meccanica 15 (1980), 9–20 and 21–30; R. Engelken, F. Wolf, L. F. Abbott, "Lyapunov spectra of chaotic
/// recurrent neural networks", Physical Review Research 5 (2023), 043044.
///
/// # Errors
///
/// One line, if the settings do not fit the system, or if the state becomes infinite.
pub fn lyapunov(
    system: &mut dyn System,
    state: &[f64],
    settings: &Settings,
    device: &Device,
    progress: &mut dyn FnMut(usize),
) -> Result<Spectrum, String> {
    let size = system.size();
    settings.check(size)?;
    let Settings { exponents, time, transient, alignment, seed } = *settings;
    let mut alone = Matrix::from_values(1, size, state.to_vec());
    for step in 0..transient {
        system.step(step, &mut alone);
        progress(step + 1);
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let bundle = Matrix::from_fn(1 + exponents, size, |row, column| match row {
        0 => alone.row(0)[column],
        _ => StandardNormal.sample(&mut rng),
    });
    let mut run = Run { system, device, progress, bundle, time: transient, interval: 1 };
    run.orthonormalise();
    run.advance(alignment, |_, _| ())?;

    let mut blocks = Vec::with_capacity(BLOCKS);
    let mut dets = (exponents == size).then_some(0.0);
    for block in 0..BLOCKS {
        let steps = (block + 1) * time / BLOCKS - block * time / BLOCKS;
        let logs = run.advance(steps, |run, time| {
            if let Some(sum) = &mut dets {
                *sum += run.system.log_det(time, run.bundle.row(0));
            }
        })?;
        blocks.push(logs.into_iter().map(|log| log / steps as f64).collect::<Vec<_>>());
    }
    let state = run.bundle.row(0).to_vec();
    let interval = run.interval;
    let (exponents, errors, blocks) = means(blocks, time);
    let mean_log_det = dets.map(|sum| sum / time as f64);
    Ok(Spectrum { exponents, errors, blocks, mean_log_det, state, interval })
}

impl Run<'_> {
    /// Moves on, and returns the logarithm of the growth of each direction.
    fn advance(
        &mut self,
        steps: usize,
        mut before_step: impl FnMut(&mut Self, usize),
    ) -> Result<Vec<f64>, String> {
        let mut sums = vec![0.0; self.bundle.rows() - 1];
        let end = self.time + steps;
        while self.time < end {
            let until = end.min(self.time + self.interval);
            let made = until - self.time;
            while self.time < until {
                let time = self.time;
                before_step(self, time);
                self.system.step(time, &mut self.bundle);
                self.time += 1;
                (self.progress)(self.time);
            }
            if !self.bundle.values().iter().all(|x| x.is_finite()) {
                return Err(format!("the state is no longer finite after {} steps", self.time));
            }
            let logs = self.orthonormalise();
            sums.iter_mut().zip(&logs).for_each(|(sum, log)| *sum += log);
            self.adapt(made, &logs);
        }
        Ok(sums)
    }

    fn orthonormalise(&mut self) -> Vec<f64> {
        let mut directions = self.bundle.rows_of(1..self.bundle.rows());
        let logs = orthonormalise(&mut directions, self.device);
        for row in 0..directions.rows() {
            self.bundle.row_mut(1 + row).copy_from_slice(directions.row(row));
        }
        logs
    }

    /// Chooses the steps until the next orthonormalisation from the growth over the last ones.
    fn adapt(&mut self, made: usize, logs: &[f64]) {
        /// The ratio of the longest and the shortest direction that is wanted, as a logarithm.
        const SPREAD: f64 = 4.0;
        const LONGEST: usize = 64;
        let finite = || logs.iter().copied().filter(|log| log.is_finite());
        let largest = finite().fold(f64::NEG_INFINITY, f64::max);
        let smallest = finite().fold(f64::INFINITY, f64::min);
        // Growth as such matters as well: numbers have a largest exponent.
        let spread = (largest - smallest).max(largest.abs() / 8.0).max(smallest.abs() / 8.0);
        let wanted = (made as f64 * SPREAD / spread.max(1e-3)) as usize;
        self.interval = wanted.clamp(1, LONGEST.min(2 * self.interval));
    }
}

/// Exponents, errors and blocks, in the descending order of the exponents.
fn means(blocks: Vec<Vec<f64>>, time: usize) -> (Vec<f64>, Vec<f64>, Vec<Vec<f64>>) {
    let count = blocks.len();
    let steps = |block: usize| ((block + 1) * time / count - block * time / count) as f64;
    let of = |k: usize| {
        let weighted = blocks.iter().enumerate().map(|(n, block)| block[k] * steps(n));
        let mean = weighted.sum::<f64>() / time as f64;
        let squares = blocks.iter().map(|block| (block[k] - mean).powi(2)).sum::<f64>();
        (mean, (squares / (count * (count - 1)) as f64).sqrt(), k)
    };
    let mut all: Vec<_> = (0..blocks[0].len()).map(of).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let ordered = |block: &Vec<f64>| all.iter().map(|(_, _, k)| block[*k]).collect();
    let blocks = blocks.iter().map(ordered).collect();
    (all.iter().map(|x| x.0).collect(), all.iter().map(|x| x.1).collect(), blocks)
}
