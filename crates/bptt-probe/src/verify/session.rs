//! What all witnesses share: what is asked for, what was found, and how a comparison is judged.

use crate::case::{self, Case};
use crate::device;
use crate::measure::{Outcome, measure, measure_layer, relative_error};
use crate::problem::Problem;
use crate::report::{Row, kernel_name};
use crate::sabotage::Sabotaged;
use crate::setting::{DType, Setting};
use crate::ulp::Ulps;
use crate::verify::witness::Witness;
use bptt::{CellKind, Engine, Kernel, cells};
use burn::tensor::Device;
use std::path::PathBuf;

/// What to verify.
#[derive(Clone, Debug)]
pub struct Request {
    /// Only this cell.
    pub cell: Option<CellKind>,
    /// Devices by name.
    pub devices: Vec<String>,
    /// Types.
    pub dtypes: Vec<DType>,
    /// Witnesses.
    pub witnesses: Vec<Witness>,
    /// A folder of PyTorch reference files instead of those of this crate.
    pub reference: Option<PathBuf>,
    /// Turns the sign of this gate in the manual backward of the LSTM: a test of the checks.
    pub sabotage: Option<usize>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// One row for each tensor compared.
    pub rows: Vec<Row>,
    /// What was left out, and why.
    pub skipped: Vec<String>,
    /// Where a tolerance was widened by a condition number: which, and the number.
    pub conditions: Vec<String>,
    /// Reference files that could not be read, one line each.
    pub broken: Vec<String>,
    /// The errors in units in the last place, where the true value is known.
    pub ulps: Vec<Ulps>,
}

impl Verification {
    /// The rows that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.pass)
    }
}

/// One device in one type.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) device: Device,
    pub(super) dtype: DType,
}

/// What is measured: an engine, and its kernel.
#[derive(Clone, Copy)]
pub(super) struct Implementation {
    pub(super) engine: Engine,
    pub(super) kernel: Kernel,
}

impl From<Engine> for Implementation {
    fn from(engine: Engine) -> Self {
        Self { engine, kernel: Kernel::Auto }
    }
}

impl From<Kernel> for Implementation {
    fn from(kernel: Kernel) -> Self {
        Self { engine: Engine::Manual, kernel }
    }
}

/// What compares on one device in one type, and what it has found so far.
pub(super) struct Session<'a> {
    pub(super) request: &'a Request,
    pub(super) target: &'a Target,
    pub(super) found: &'a mut Verification,
}

impl Session<'_> {
    pub(super) fn wanted(&self, cell: CellKind) -> bool {
        self.request.cell.is_none_or(|wanted| wanted == cell)
    }

    pub(super) fn setting(&self, engine: Engine) -> Setting {
        Setting {
            engine,
            kernel: Kernel::Auto,
            device: self.target.device.clone(),
            dtype: self.target.dtype,
        }
    }

    pub(super) fn measure(
        &self,
        problem: &Problem,
        implementation: impl Into<Implementation>,
    ) -> Result<Outcome, String> {
        let Implementation { engine, kernel } = implementation.into();
        let setting = Setting { kernel, ..self.setting(engine) };
        let Some(gate) = self.request.sabotage else { return measure(problem, &setting) };
        if problem.options.cell_name() != "lstm" || problem.options.clip.is_some() {
            return measure(problem, &setting);
        }
        let cell = Sabotaged { cell: cells::Lstm, gate };
        let layer = problem
            .options
            .config()
            .stack()
            .try_init(cell, &setting.device.clone().autodiff())
            .map_err(|error| error.to_string())?;
        Ok(measure_layer(problem, &setting, layer))
    }

    /// The cases of the table, in full on the host, in brief where each shape costs a shader.
    pub(super) fn cases(&mut self) -> Vec<Case> {
        let full = device::is_host(&self.target.name);
        let wanted = |case: &Case| self.wanted(case.options.cell) && (full || case.brief);
        let cases: Vec<_> = case::table().into_iter().filter(wanted).collect();
        if !full {
            self.found.skipped.push(format!(
                "all but the brief cases on {}: each new shape compiles a shader there",
                self.target.name
            ));
        }
        cases
    }

    pub(super) fn compare(
        &mut self,
        problem: &Problem,
        implementation: impl Into<Implementation>,
        witness: Witness,
        (measured, expected): (&Outcome, &Outcome),
    ) {
        let by = implementation.into();
        for (tensor, expected) in expected {
            let error = measured
                .get(tensor)
                .map_or(f64::INFINITY, |measured| relative_error(measured, expected));
            self.add_row(problem, by, witness, (tensor.clone(), error, expected.values.len()));
        }
    }

    /// One tensor's error.
    pub(super) fn add_row(
        &mut self,
        problem: &Problem,
        Implementation { engine, kernel }: Implementation,
        witness: Witness,
        (tensor, error, entries): (String, f64, usize),
    ) {
        let tolerance = witness.tolerance(self.target.dtype, &self.target.name);
        self.found.rows.push(Row {
            case: problem.name.clone(),
            cell: problem.options.cell_name().to_string(),
            engine: engine.name().to_string(),
            kernel: kernel_name(engine, kernel).to_string(),
            device: self.target.name.clone(),
            dtype: self.target.dtype.name().to_string(),
            witness: witness.name().to_string(),
            tensor,
            error,
            tolerance,
            pass: error <= tolerance,
            entries,
        });
    }

    /// The kernels that differ on this device.
    pub(super) fn kernels_here(&self) -> Vec<Kernel> {
        match device::is_host(&self.target.name) {
            true => vec![Kernel::Auto, Kernel::Reference],
            false => vec![Kernel::Auto],
        }
    }

    /// Judges the rows from `first` on that failed once more, allowing for their condition: those in
    /// f32, and against an exact witness (`None`) those in f64 too.
    ///
    /// The condition number of a gradient: its relative change, in f64 and by autograd alone, when
    /// everything that goes in is rounded to f32, over that rounding (half a unit in the last
    /// place). An error that rounding the inputs alone would make is none of the engine's. Where
    /// the witness in f32 is further from itself in f64 (the slope of a saturated gate is the
    /// difference of two numbers close to each other), twice that distance is allowed: two that
    /// are as far from the truth are that far from each other.
    pub(super) fn judge_by_condition(
        &mut self,
        problem: &Problem,
        witness: Option<&Outcome>,
        first: usize,
    ) -> Result<(), String> {
        let f64_there = DType::F64.works_on(&self.target.name, &self.target.device);
        let all_pass = self.found.rows[first..].iter().all(|row| row.pass);
        if all_pass || !f64_there || (self.target.dtype != DType::F32 && witness.is_some()) {
            return Ok(());
        }
        let setting = Setting { dtype: DType::F64, ..self.setting(Engine::Autograd) };
        let mut rounded = problem.clone();
        rounded.round_to_f32();
        let (exact, moved) = (measure(problem, &setting)?, measure(&rounded, &setting)?);
        for row in self.found.rows[first..].iter_mut().filter(|row| !row.pass) {
            let change = relative_error(&moved[&row.tensor], &exact[&row.tensor]);
            let condition = (change / (f64::from(f32::EPSILON) / 2.0)).max(1.0);
            let own = witness
                .map_or(0.0, |witness| relative_error(&witness[&row.tensor], &moved[&row.tensor]));
            row.tolerance = (row.tolerance * condition).max(2.0 * own);
            row.pass = row.error <= row.tolerance;
            self.found.conditions.push(format!(
                "{} {} against {} on {} in {}: condition number {condition:.0}, the witness is \
                 {own:.1e} from f64, so {:.1e} is allowed, and the error is {:.1e}",
                row.case, row.tensor, row.witness, row.device, row.dtype, row.tolerance, row.error,
            ));
        }
        Ok(())
    }
}
