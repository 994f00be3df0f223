//! What a sweep found.

use crate::dynamics::measured::Measured;
use crate::dynamics::sweep::parameter::Parameter;
use crate::picture::sparkline;
use serde::Serialize;

/// What was measured. All of it is in the JSON of `bptt dynamics --sweep`, under these names. What is not finite is `null`
/// there.
#[derive(Clone, Debug, Serialize)]
pub struct SweepReport {
    /// What changes: `gain`, `radius` or `forget-bias`.
    pub sweep: Parameter,
    /// Its values, ascending.
    pub values: Vec<f64>,
    /// The number of hidden units.
    pub hidden: usize,
    /// The gain of the weights in a sweep over the forget bias.
    pub gain: Option<f64>,
    /// See [`Sweep::seed`](crate::dynamics::sweep::Sweep::seed).
    pub seed: u64,
    /// The number of measured steps of each network.
    pub time: usize,
    /// The number of steps before, with the state alone.
    pub transient: usize,
    /// The number of steps before, with the directions.
    pub alignment: usize,
    /// For each cell what was found.
    pub cells: Vec<CellReport>,
}

/// What was found of a cell.
#[derive(Clone, Debug, Serialize)]
pub struct CellReport {
    /// The cell's name.
    pub cell: &'static str,
    /// Whether it has what changes. If not, all its points are the same.
    pub changes: bool,
    /// The number of numbers of the state: hidden units, and memories.
    pub state_size: usize,
    /// The number of exponents.
    pub exponents: usize,
    /// For each value what was found.
    pub points: Vec<Point>,
}

/// What was found of a network.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// The value of what changes.
    pub value: f64,
    /// The exponents, in nats per step, descending.
    pub lyapunov: Vec<f64>,
    /// Their standard errors.
    pub lyapunov_error: Vec<f64>,
    /// The largest modulus of `eigenvalues`.
    pub spectral_radius: f64,
    /// `[re, im]` of the eigenvalues of the Jacobian at the last state, the largest first.
    pub eigenvalues: Vec<(f64, f64)>,
    /// See [`jacobian_norms`](crate::dynamics::jacobian_norms); from the last state on.
    pub log10_jacobian_norms: Vec<f64>,
}

impl Point {
    /// # Panics
    ///
    /// If the state is so large that there are no eigenvalues.
    pub(super) fn new(value: f64, measured: Measured) -> Self {
        let eigenvalues = measured.eigenvalues.expect("the size was checked");
        Self {
            value,
            lyapunov: measured.spectrum.exponents,
            lyapunov_error: measured.spectrum.errors,
            spectral_radius: eigenvalues[0].0.hypot(eigenvalues[0].1),
            eigenvalues,
            log10_jacobian_norms: measured.log10_jacobian_norms,
        }
    }
}

impl CellReport {
    /// The first value from which on the largest exponent is positive, beyond two standard errors.
    pub fn chaotic_from(&self) -> Option<f64> {
        let chaotic = |point: &&Point| point.lyapunov[0] > 2.0 * point.lyapunov_error[0];
        self.points.iter().find(chaotic).map(|point| point.value)
    }
}

impl SweepReport {
    /// A summary for the terminal.
    pub fn summary(&self) -> String {
        let Self { sweep, values, hidden, seed, time, .. } = self;
        let gain = self.gain.map_or(String::new(), |gain| format!(" gain {gain}"));
        let mut lines = vec![
            format!(
                "{} from {} to {}, {} values; N {hidden}{gain} seed {seed}: {time} steps each, after {} to settle",
                sweep.name(),
                values[0],
                values[values.len() - 1],
                values.len(),
                self.transient + self.alignment,
            ),
            "largest exponent, nats per step".to_string(),
        ];
        for report in &self.cells {
            let largest: Vec<_> = report.points.iter().map(|point| point.lyapunov[0]).collect();
            let (first, last) = (largest[0], largest[largest.len() - 1]);
            let name = report.cell;
            lines.push(match report.changes {
                false => format!("{name:8} {first:.4}: it has no gate that forgets, and does not change"),
                true => format!(
                    "{name:8} {}  {first:.4} to {last:.4}{}",
                    sparkline(&largest),
                    match report.chaotic_from() {
                        Some(value) => format!("; positive from {value} on: chaos, and gradients that explode"),
                        None => "; never positive: gradients do not explode".to_string(),
                    },
                ),
            });
        }
        lines.join("\n").replace("-inf", "−∞")
    }
}
