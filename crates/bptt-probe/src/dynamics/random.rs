//! The dynamics of a random network, measured in all ways: what `bptt dynamics --random` prints.

use crate::dynamics::lyapunov::{Settings, Spectrum};
use crate::dynamics::mean_field::tanh_network;
use crate::dynamics::measured::{Measured, measure};
use crate::dynamics::recurrent::{LayerNumbers, Network, random_weights};
use crate::dynamics::singular::singular_values;
use crate::dynamics::system::System;
use crate::picture::sparkline;
use bptt::CellKind;
use burn::tensor::Device;
use serde::Serialize;

pub use crate::dynamics::measured::LARGEST_JACOBIAN;

/// Which network, and for how long.
#[derive(Clone, Debug)]
pub struct Random {
    /// The cell.
    pub cell: CellKind,
    /// The number of hidden units, `N`.
    pub hidden: usize,
    /// The recurrent weights of every gate are drawn from `N(0, gain² / N)`. There are no biases and there is no input.
    pub gain: f64,
    /// The number of measured steps.
    pub time: usize,
    /// How many exponents; `None`: all, but not more than [`EXPONENTS`].
    pub exponents: Option<usize>,
    /// The seed of the weights, of the initial state and of all directions.
    pub seed: u64,
}

/// How many exponents are measured unless a number is given.
pub const EXPONENTS: usize = 100;

/// What was measured. All of it is in the JSON of `bptt dynamics`, under these names. What was not measured, or is not
/// finite, is `null` there.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The cell's name.
    pub cell: &'static str,
    /// The number of hidden units.
    pub hidden: usize,
    /// The number of numbers of the state: hidden units, and memories.
    pub state_size: usize,
    /// See [`Random::gain`].
    pub gain: f64,
    /// See [`Random::seed`].
    pub seed: u64,
    /// The number of measured steps.
    pub time: usize,
    /// The number of steps before, with the state alone.
    pub transient: usize,
    /// The number of steps before, with the directions.
    pub alignment: usize,
    /// The number of exponents.
    pub exponents: usize,
    /// The exponents, in nats per step, descending.
    pub lyapunov: Vec<f64>,
    /// Their standard errors.
    pub lyapunov_error: Vec<f64>,
    /// The first exponents over the first 1, 2, … blocks.
    pub convergence: Vec<Vec<f64>>,
    /// The mean of `ln |det J|`, if all exponents were measured: their sum.
    pub sum_log_det: Option<f64>,
    /// See [`Spectrum::kaplan_yorke`].
    pub kaplan_yorke: Option<f64>,
    /// See [`Spectrum::entropy_rate`].
    pub entropy_rate: Option<f64>,
    /// The largest exponent of an infinitely large network, for the cell of which it is known (`rnn`).
    pub mean_field: Option<f64>,
    /// The largest modulus of `eigenvalues`.
    pub spectral_radius: Option<f64>,
    /// `[re, im]` of the eigenvalues of the Jacobian at the last state, the largest first.
    pub eigenvalues: Option<Vec<(f64, f64)>>,
    /// The singular values of the same Jacobian, descending.
    pub singular_values: Option<Vec<f64>>,
    /// `γ σ_max(U)`, which no Jacobian's largest singular value exceeds, with the largest slope `γ = 1` of `tanh`; for the
    /// cell of which it is known (`rnn`). Below 1 it forces gradients to vanish.
    ///
    /// R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, 2.1.
    pub jacobian_bound: Option<f64>,
    /// See [`jacobian_norms`](crate::dynamics::jacobian_norms); from the last state on.
    pub log10_jacobian_norms: Vec<f64>,
}

/// How far the work is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The steps made.
    pub done: usize,
    /// All steps.
    pub total: usize,
}

impl Random {
    /// The settings of the spectrum.
    ///
    /// # Errors
    ///
    /// One line, if something is out of its range.
    pub fn settings(&self) -> Result<Settings, String> {
        let Self { hidden, gain, time, exponents, seed, .. } = *self;
        if hidden == 0 {
            return Err("0 hidden units: expected at least 1".into());
        }
        if !(gain > 0.0 && gain.is_finite()) {
            return Err(format!("a gain of {gain}: expected a positive number"));
        }
        let size = self.state_size();
        let settings = Settings::new(exponents.unwrap_or(size.min(EXPONENTS)), time, seed);
        settings.check(size)?;
        Ok(settings)
    }

    fn state_size(&self) -> usize {
        use bptt::SequenceCell;
        self.hidden * (1 + self.cell.default_cell().memories())
    }
}

/// Draws a random network and measures it.
///
/// # Errors
///
/// One line, if something is out of its range, or if the network does not stay finite.
pub fn random(
    wanted: &Random,
    device: &Device,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, String> {
    let settings = wanted.settings()?;
    let Random { cell, hidden, gain, seed, .. } = *wanted;
    let weights = random_weights(cell, hidden, gain, seed);
    let numbers = [LayerNumbers::of_cell(cell, hidden, weights.clone())];
    let mut network = Network::from_numbers(&cell.default_cell(), &numbers, None, device);
    let total = settings.steps();
    let mut tell = |done| progress(Progress { done, total });
    let measured = measure(&mut network, &settings, device, &mut tell)?;
    let Measured { spectrum, jacobian, eigenvalues, log10_jacobian_norms } = measured;
    let singular = jacobian.as_ref().map(singular_values).transpose()?;
    let bounded = jacobian.is_some() && cell == CellKind::Rnn;
    let bound = bounded.then(|| singular_values(&weights)).transpose()?;
    let Spectrum { exponents, errors, mean_log_det, .. } = &spectrum;
    Ok(Report {
        cell: cell.name(),
        hidden,
        state_size: network.size(),
        gain,
        seed,
        time: settings.time,
        transient: settings.transient,
        alignment: settings.alignment,
        exponents: settings.exponents,
        lyapunov: exponents.clone(),
        lyapunov_error: errors.clone(),
        convergence: spectrum.convergence(5),
        sum_log_det: *mean_log_det,
        kaplan_yorke: spectrum.kaplan_yorke(),
        entropy_rate: spectrum.entropy_rate(),
        mean_field: (cell == CellKind::Rnn).then(|| tanh_network(gain, 0.0).exponent),
        spectral_radius: eigenvalues.as_ref().map(|all| all[0].0.hypot(all[0].1)),
        eigenvalues,
        singular_values: singular,
        jacobian_bound: bound.map(|all| all[0]),
        log10_jacobian_norms,
    })
}

impl Report {
    /// A summary for the terminal.
    pub fn summary(&self) -> String {
        let Self { cell, hidden, gain, seed, time, exponents, state_size, .. } = self;
        let mut lines = vec![format!(
            "{cell} N {hidden} gain {gain} seed {seed}: {time} steps, after {} to settle",
            self.transient + self.alignment,
        )];
        let theory = match self.mean_field {
            Some(theory) => format!("; mean field for large N: {theory:.4}"),
            None => String::new(),
        };
        lines.push(format!(
            "largest exponent  {:.4} ± {:.4} nats per step{theory}",
            self.lyapunov[0], self.lyapunov_error[0]
        ));
        lines.push(format!(
            "spectrum          {}  {:.4} to {:.4}, {exponents} of {state_size}",
            sparkline(&self.lyapunov),
            self.lyapunov[0],
            self.lyapunov[exponents - 1],
        ));
        let positive = self.lyapunov.iter().filter(|exponent| **exponent > 0.0).count();
        let known = |number: Option<f64>, unit: &str| match number {
            Some(number) => format!("{number:.3}{unit}"),
            None => format!("unknown: more than {exponents} exponents would have to be measured"),
        };
        lines.push(format!(
            "entropy rate      {}",
            known(
                self.entropy_rate,
                &format!(" nats per step ({positive} exponents are positive)")
            )
        ));
        lines
            .push(format!("dimension         {}", known(self.kaplan_yorke, " (Kaplan and Yorke)")));
        if let Some(det) = self.sum_log_det {
            let sum: f64 = self.lyapunov.iter().sum();
            lines.push(format!("sum               {sum:.9}; mean of ln |det J|: {det:.9}"));
        }
        if let (Some(radius), Some(singular)) = (self.spectral_radius, &self.singular_values) {
            let bound = match self.jacobian_bound {
                Some(bound) => format!("; bound by the weights: {bound:.4}"),
                None => String::new(),
            };
            lines.push(format!(
                "last Jacobian     spectral radius {radius:.4}, singular values {:.4} to {:.2e}{bound}",
                singular[0],
                singular[singular.len() - 1],
            ));
        }
        let norms = &self.log10_jacobian_norms;
        lines.push(format!(
            "a gradient        {}  times 10^{:.2} over {} steps",
            sparkline(norms),
            norms[norms.len() - 1],
            norms.len() - 1,
        ));
        lines.join("\n").replace("-inf", "−∞")
    }
}
