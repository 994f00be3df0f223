//! How the dynamics of random networks change with their gain, their spectral radius or their forget bias: what
//! `bptt dynamics --sweep` measures.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use bptt::CellKind;
//! use bptt_probe::dynamics::sweep::{Parameter, Sweep, page, sweep};
//! use burn::tensor::Device;
//!
//! let values = Parameter::Gain.values([0.5, 2.0], 4);
//! let cells = vec![CellKind::Rnn, CellKind::Gru];
//! let wanted = Sweep { cells, hidden: 8, time: 40, ..Sweep::new(Parameter::Gain, values) };
//! let report = sweep(&wanted, &Device::flex(), &mut |_| ()).unwrap();
//! let largest = |k: usize| report.cells[0].points[k].lyapunov[0];
//! assert!(largest(0) < largest(3), "a larger gain, a larger exponent");
//! assert!(page(&report).contains("type=\"range\""));
//! # }
//! ```

mod page;
mod panel;
mod parameter;
mod report;

pub use page::page;
pub use parameter::Parameter;
pub use report::{CellReport, Point, SweepReport};

use crate::dynamics::eigen::eigenvalues;
use crate::dynamics::lyapunov::Settings;
use crate::dynamics::matrix::Matrix;
use crate::dynamics::measured::{LARGEST_JACOBIAN, measure};
use crate::dynamics::random::{EXPONENTS, Progress};
use crate::dynamics::recurrent::{LayerNumbers, Network, random_weights};
use bptt::{CellKind, SequenceCell};
use burn::tensor::Device;

/// Which networks, and for how long each.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// What changes.
    pub parameter: Parameter,
    /// Its values, ascending, at least two.
    pub values: Vec<f64>,
    /// The cells that are compared.
    pub cells: Vec<CellKind>,
    /// The number of hidden units, `N`.
    pub hidden: usize,
    /// The gain, where it is not that what changes: the recurrent weights are drawn from `N(0, gain² / N)`.
    pub gain: f64,
    /// The number of measured steps of each network.
    pub time: usize,
    /// How many exponents; `None`: all, but not more than [`EXPONENTS`].
    pub exponents: Option<usize>,
    /// The seed of the weights, of the initial state and of all directions: the same for all networks, so that only the
    /// parameter changes.
    pub seed: u64,
}

impl Sweep {
    /// Of RNN, LSTM and GRU with 64 hidden units and a gain of 1, over 1000 steps, with seed 1.
    pub fn new(parameter: Parameter, values: Vec<f64>) -> Self {
        let cells = vec![CellKind::Rnn, CellKind::Lstm, CellKind::Gru];
        Self {
            parameter,
            values,
            cells,
            hidden: 64,
            gain: 1.0,
            time: 1000,
            exponents: None,
            seed: 1,
        }
    }

    /// Checks all settings.
    ///
    /// # Errors
    ///
    /// One line, if something is out of its range, or if none of the cells has what is to change.
    pub fn check(&self) -> Result<(), String> {
        let Self { parameter, values, cells, hidden, gain, .. } = self;
        let name = parameter.name();
        if *hidden == 0 {
            return Err("0 hidden units: expected at least 1".into());
        }
        if !(*gain > 0.0 && gain.is_finite()) {
            return Err(format!("a gain of {gain}: expected a positive number"));
        }
        if values.len() < 2 || !values.is_sorted_by(|a, b| a < b) {
            return Err(format!("a sweep over {name}: expected at least two values that ascend"));
        }
        let least = if *parameter == Parameter::ForgetBias { f64::NEG_INFINITY } else { 0.0 };
        if let Some(value) = values.iter().find(|value| !(value.is_finite() && **value > least)) {
            return Err(match *parameter {
                Parameter::ForgetBias => format!("a {name} of {value}: expected a finite number"),
                _ => format!("a {name} of {value}: expected a positive number"),
            });
        }
        if cells.is_empty() {
            return Err("a sweep of no cell: expected at least one".into());
        }
        if !cells.iter().any(|cell| parameter.changes(*cell)) {
            let names: Vec<_> = cells.iter().map(|cell| cell.name()).collect();
            return Err(format!(
                "a sweep over {name} of {}: expected at least one cell with a gate that forgets, lstm or gru",
                names.join(", "),
            ));
        }
        cells.iter().try_for_each(|cell| self.settings(*cell).map(|_| ()))
    }

    fn settings(&self, cell: CellKind) -> Result<Settings, String> {
        let size = self.hidden * (1 + cell.default_cell().memories());
        if size > LARGEST_JACOBIAN {
            return Err(format!(
                "{} hidden units: a state of {} has {size} numbers, and a sweep takes at most {LARGEST_JACOBIAN}",
                self.hidden,
                cell.name(),
            ));
        }
        let exponents = self.exponents.unwrap_or(size.min(EXPONENTS)).min(size);
        let settings = Settings::new(exponents, self.time, self.seed);
        settings.check(size)?;
        Ok(settings)
    }

    /// The values of a cell that make different networks.
    fn values_of(&self, cell: CellKind) -> &[f64] {
        if self.parameter.changes(cell) { &self.values } else { &self.values[..1] }
    }
}

/// Draws the networks and measures them.
///
/// # Errors
///
/// One line, if something is out of its range, or if a network does not stay finite.
pub fn sweep(
    wanted: &Sweep,
    device: &Device,
    progress: &mut dyn FnMut(Progress),
) -> Result<SweepReport, String> {
    wanted.check()?;
    let Sweep { parameter, values, cells, hidden, gain, seed, time, .. } = wanted;
    let networks: usize = cells.iter().map(|cell| wanted.values_of(*cell).len()).sum();
    let settings = |cell| wanted.settings(cell);
    let total = networks * settings(cells[0])?.steps();
    let mut done = 0;
    let mut reports = Vec::with_capacity(cells.len());
    for &cell in cells {
        let settings = settings(cell)?;
        let drawn = Drawn::new(wanted, cell)?;
        let mut points = Vec::with_capacity(values.len());
        for &value in wanted.values_of(cell) {
            let numbers = [drawn.numbers(wanted, value)];
            let mut network = Network::from_numbers(&cell.default_cell(), &numbers, None, device);
            let mut tell = |step| progress(Progress { done: done + step, total });
            let measured =
                measure(&mut network, &settings, device, &mut tell).map_err(|error| {
                    format!("{} with a {} of {value}: {error}", cell.name(), parameter.name())
                })?;
            points.push(Point::new(value, measured));
            done += settings.steps();
        }
        // A cell without what changes is the same network at every value.
        while points.len() < values.len() {
            points.push(Point { value: values[points.len()], ..points[0].clone() });
        }
        reports.push(CellReport {
            cell: cell.name(),
            changes: parameter.changes(cell),
            state_size: hidden * (1 + cell.default_cell().memories()),
            exponents: settings.exponents,
            points,
        });
    }
    let Settings { transient, alignment, .. } = settings(cells[0])?;
    Ok(SweepReport {
        sweep: *parameter,
        values: values.clone(),
        hidden: *hidden,
        gain: (*parameter == Parameter::ForgetBias).then_some(*gain),
        seed: *seed,
        time: *time,
        transient,
        alignment,
        cells: reports,
    })
}

/// The random numbers of a cell, which are the same at every value.
struct Drawn {
    cell: CellKind,
    /// With a gain of 1, for a radius.
    weights: Matrix,
    /// For each row of weights the spectral radius of its gate, for a radius.
    radii: Vec<f64>,
}

impl Drawn {
    fn new(wanted: &Sweep, cell: CellKind) -> Result<Self, String> {
        let weights = random_weights(cell, wanted.hidden, 1.0, wanted.seed);
        let radii = match wanted.parameter {
            Parameter::Radius => radii(&weights)?,
            _ => Vec::new(),
        };
        Ok(Self { cell, weights, radii })
    }

    fn numbers(&self, wanted: &Sweep, value: f64) -> LayerNumbers {
        let Sweep { parameter, hidden, gain, seed, .. } = *wanted;
        let of = |weights| LayerNumbers::of_cell(self.cell, hidden, weights);
        match parameter {
            // As `bptt dynamics --random` draws them, to the bit.
            Parameter::Gain => of(random_weights(self.cell, hidden, value, seed)),
            Parameter::Radius => {
                let mut weights = self.weights.clone();
                for (row, radius) in self.radii.iter().enumerate() {
                    weights.row_mut(row).iter_mut().for_each(|weight| *weight *= value / radius);
                }
                of(weights)
            }
            Parameter::ForgetBias => {
                let mut numbers = of(random_weights(self.cell, hidden, gain, seed));
                if let Some(gate) = parameter.gate(self.cell) {
                    numbers.bias_ih[gate * hidden..(gate + 1) * hidden].fill(value);
                }
                let shift = parameter.shift(self.cell).zip(numbers.weight_diag.as_mut());
                if let Some((shift, diagonal)) = shift {
                    diagonal.row_mut(shift).fill(value);
                }
                numbers
            }
        }
    }
}

/// For each row the spectral radius of its gate's matrix. Rows that make no matrix are diagonals.
fn radii(weights: &Matrix) -> Result<Vec<f64>, String> {
    let size = weights.columns();
    if weights.rows() < size {
        let largest = |row| weights.row(row).iter().fold(0.0, |most, x| f64::max(most, x.abs()));
        return Ok((0..weights.rows()).map(largest).collect());
    }
    let mut all = Vec::with_capacity(weights.rows());
    for gate in 0..weights.rows() / size {
        let (re, im) = eigenvalues(&weights.rows_of(gate * size..(gate + 1) * size))?[0];
        all.resize(all.len() + size, re.hypot(im));
    }
    Ok(all)
}
