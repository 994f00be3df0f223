//! Lyapunov exponents of the network on its own data.

use crate::dynamics::options::{DynamicsOptions, DynamicsProgress};
use crate::dynamics::section::Section;
use crate::dynamics::trained::Trained;
use crate::error::Error;
use bptt_probe::dynamics::random::EXPONENTS;
use bptt_probe::dynamics::{Settings, System, lyapunov};
use bptt_probe::picture::{Chart, Curve, Figure};
use serde::Serialize;

/// The Lyapunov exponents of all layers together, while the network reads its validation sequences one after the other.
/// Its state is not set back between them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DrivenSpectrum {
    /// The number of measured steps.
    pub time: usize,
    /// The number of steps before these: of the state alone, and with directions.
    pub transient: usize,
    /// The number of steps before these with the directions.
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
}

impl DrivenSpectrum {
    pub(super) fn measure(
        trained: &Trained,
        options: &DynamicsOptions,
        progress: &mut dyn FnMut(DynamicsProgress),
    ) -> Result<Self, Error> {
        let size = trained.network(None)?.size();
        let count = options.exponents.unwrap_or(size.min(EXPONENTS));
        let settings = Settings::new(count, options.time, options.seed);
        let named = |why: String| Error::input(format!("{}: {why}", trained.run));
        settings.check(size).map_err(named)?;
        let total = settings.steps();
        let mut network = trained.network(Some(trained.drive(total)))?;
        let mut tell =
            |done| progress(DynamicsProgress { stage: "Lyapunov exponents", done, total });
        let found = lyapunov(&mut network, &vec![0.0; size], &settings, &trained.device, &mut tell);
        let found = found.map_err(named)?;
        Ok(Self {
            time: settings.time,
            transient: settings.transient,
            alignment: settings.alignment,
            exponents: count,
            convergence: found.convergence(5),
            sum_log_det: found.mean_log_det,
            kaplan_yorke: found.kaplan_yorke(),
            entropy_rate: found.entropy_rate(),
            lyapunov: found.exponents,
            lyapunov_error: found.errors,
        })
    }
}

impl Section for DrivenSpectrum {
    fn lines(&self) -> Vec<String> {
        vec![format!(
            "largest exponent  {:.4} ± {:.4} nats per step on its own data",
            self.lyapunov[0], self.lyapunov_error[0]
        )]
    }

    fn figures(runs: &[(&str, &Self)]) -> Vec<Figure> {
        let curve = |(k, (name, found)): (usize, &(&str, &Self))| Curve {
            dashed: k % 2 == 1,
            name: name.to_string(),
            ..Curve::new((1..).zip(&found.lyapunov).map(|(k, x)| [f64::from(k), *x]).collect())
        };
        let curves: Vec<_> = runs.iter().enumerate().map(curve).collect();
        let chart = Chart {
            title: "Lyapunov spectrum",
            axes: ["exponent, by rank", "λ, nats per step"],
            floor: None,
            logarithmic: [false, false],
            curves: &curves,
            marks: &[],
        };
        vec![Figure {
            heading: "Lyapunov spectrum".into(),
            svg: chart.svg(),
            reading: "The rate at which each direction of the state space grows or shrinks in the long run.".into(),
        }]
    }
}
