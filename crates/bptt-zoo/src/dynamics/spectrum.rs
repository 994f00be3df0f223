//! Lyapunov exponents of the network: on its own data, and without input.

use crate::dynamics::draw::row_of;
use crate::dynamics::options::{DynamicsOptions, DynamicsProgress};
use crate::dynamics::section::Section;
use crate::dynamics::trained::Trained;
use crate::error::Error;
use bptt_probe::dynamics::random::EXPONENTS;
use bptt_probe::dynamics::{Network, Settings, Spectrum, System, lyapunov};
use bptt_probe::picture::{Figure, Plot, sparkline};
use serde::Serialize;

/// The Lyapunov exponents of all layers together, while the network reads its validation sequences one after the other.
/// Its state is not set back between them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DrivenSpectrum {
    /// The number of measured steps.
    pub time: usize,
    /// The number of steps before these, of the state alone.
    pub transient: usize,
    /// The number of steps before these, with the directions.
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
    /// The dimension of Kaplan and Yorke.
    pub kaplan_yorke: Option<f64>,
    /// The sum of the positive exponents.
    pub entropy_rate: Option<f64>,
    /// The same without input, from the last state on.
    pub autonomous: AutonomousSpectrum,
}

/// The Lyapunov exponents of the network whose input is zero. See [`DrivenSpectrum`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AutonomousSpectrum {
    /// The exponents, in nats per step, descending.
    pub lyapunov: Vec<f64>,
    /// Their standard errors.
    pub lyapunov_error: Vec<f64>,
    /// The dimension of Kaplan and Yorke.
    pub kaplan_yorke: Option<f64>,
    /// The sum of the positive exponents.
    pub entropy_rate: Option<f64>,
}

impl DrivenSpectrum {
    pub(super) fn measure(
        trained: &Trained,
        options: &DynamicsOptions,
        progress: &mut dyn FnMut(DynamicsProgress),
    ) -> Result<Self, Error> {
        let mut network = trained.network(None)?;
        let size = network.size();
        let count = options.exponents.unwrap_or(size.min(EXPONENTS));
        let settings = Settings::new(count, options.time, options.seed);
        let named = |why: String| Error::input(format!("{}: {why}", trained.run));
        settings.check(size).map_err(named)?;
        let steps = settings.steps();
        let mut spectrum = |network: &mut Network, state: &[f64], before: usize| {
            let mut tell = |done| {
                let (done, total) = (before + done, 2 * steps);
                progress(DynamicsProgress { stage: "Lyapunov exponents", done, total });
            };
            lyapunov(network, state, &settings, &trained.device, &mut tell).map_err(named)
        };
        network.set_input(&trained.drive(steps));
        let driven = spectrum(&mut network, &vec![0.0; size], 0)?;
        network.clear_input();
        let alone = spectrum(&mut network, &driven.state, steps)?;
        Ok(Self {
            time: settings.time,
            transient: settings.transient,
            alignment: settings.alignment,
            exponents: count,
            convergence: driven.convergence(5),
            sum_log_det: driven.mean_log_det,
            kaplan_yorke: driven.kaplan_yorke(),
            entropy_rate: driven.entropy_rate(),
            lyapunov: driven.exponents,
            lyapunov_error: driven.errors,
            autonomous: AutonomousSpectrum::of(alone),
        })
    }
}

impl AutonomousSpectrum {
    fn of(found: Spectrum) -> Self {
        Self {
            kaplan_yorke: found.kaplan_yorke(),
            entropy_rate: found.entropy_rate(),
            lyapunov: found.exponents,
            lyapunov_error: found.errors,
        }
    }
}

impl Section for DrivenSpectrum {
    fn lines(&self) -> Vec<String> {
        let alone = &self.autonomous;
        let mut lines = vec![
            format!(
                "largest exponent  {:.4} ± {:.4} nats per step on its own data; {:.4} ± {:.4} without input",
                self.lyapunov[0],
                self.lyapunov_error[0],
                alone.lyapunov[0],
                alone.lyapunov_error[0],
            ),
            format!(
                "spectrum          {}  {:.4} to {:.4}, {} exponents over {} steps",
                sparkline(&self.lyapunov),
                self.lyapunov[0],
                self.lyapunov[self.exponents - 1],
                self.exponents,
                self.time,
            ),
        ];
        if let Some(dimension) = self.kaplan_yorke {
            lines.push(format!("dimension         {dimension:.3} (Kaplan and Yorke)"));
        }
        if let Some(det) = self.sum_log_det {
            let sum: f64 = self.lyapunov.iter().sum();
            lines.push(format!("sum               {sum:.6}; mean of ln |det J|: {det:.6}"));
        }
        lines
    }

    fn figures(runs: &[(&str, &Self)]) -> Vec<Figure> {
        let points = |all: &[f64]| -> Vec<(f64, f64)> {
            (1..).map(f64::from).zip(all.iter().copied()).collect()
        };
        let all = runs.iter().flat_map(|(_, found)| {
            points(&found.lyapunov).into_iter().chain(points(&found.autonomous.lyapunov))
        });
        let all: Vec<_> = all.chain([(1.0, 0.0)]).filter(|(_, x)| x.is_finite()).collect();
        let mut plot = Plot::new(all.iter().copied(), 300.0);
        plot.level(0.0, "zero");
        for (class, (name, found)) in row_of(runs) {
            plot.dots_of(class, points(&found.lyapunov).into_iter(), 2.2);
            plot.line(points(&found.autonomous.lyapunov).into_iter(), class);
            plot.legend(class, &format!("{name}: dots on its own data, line without input"));
        }
        vec![plot.figure(
            "Lyapunov spectrum",
            "exponent, by rank",
            "λ, nats per step",
            "The rate at which small differences of the state grow or shrink in the long run, direction by direction: on \
             validation sequences, one after the other, and without input. Above 0 they grow: the network is chaotic. A \
             direction with λ = −0.01 keeps a gradient for about 100 steps, one with λ = −1 for one. What is near 0 is what \
             the network can remember, and over how many directions.",
        )]
    }
}
