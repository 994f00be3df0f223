//! Comparison of gradients with independent witnesses.

mod exact;
mod rtrl;

use crate::case::{self, Case};
use crate::device;
use crate::measure::{DType, Outcome, Setting, loss, measure, measure_layer, relative_error};
use crate::problem::{Array, Problem};
use crate::reference;
use crate::report::{Row, kernel_name};
use crate::sabotage::Sabotaged;
use crate::ulp::Ulps;
use bptt::{CellKind, Engine, Kernel, cells};
use burn::tensor::Device;
use exact::Truths;
use std::path::PathBuf;

/// An independent way to get the same gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The other engine, on the same device in the same type.
    Engines,
    /// The reference kernel, on the same device in the same type.
    Kernels,
    /// Central differences of the loss, at every entry of the tiny cases, in f64.
    FiniteDifference,
    /// What PyTorch computed in f64.
    Reference,
    /// The scalar layer on complex numbers, at every entry of the tiny cases, in f64.
    ComplexStep,
    /// The scalar layer on dual numbers, in f64: at every entry of the tiny cases, in random
    /// directions in the others.
    Dual,
    /// The scalar layer on dual numbers of double-doubles, at every entry of the tiny cases: the true
    /// value to 30 digits.
    DoubleDouble,
    /// Real-time recurrent learning on the same device, in f64.
    Rtrl,
}

impl Witness {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Engines,
        Self::Kernels,
        Self::FiniteDifference,
        Self::Reference,
        Self::ComplexStep,
        Self::Dual,
        Self::DoubleDouble,
        Self::Rtrl,
    ];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engines => "engines",
            Self::Kernels => "kernels",
            Self::FiniteDifference => "finite-difference",
            Self::Reference => "reference",
            Self::ComplexStep => "complex-step",
            Self::Dual => "dual",
            Self::DoubleDouble => "double-double",
            Self::Rtrl => "rtrl",
        }
    }

    /// What a norm-relative error may be.
    ///
    /// Central differences with a step of 1e-5 are good to about 1e-10 of the loss, which may be
    /// larger than a gradient.
    pub fn tolerance(self, dtype: DType, device: &str) -> f64 {
        match (self, dtype) {
            (Self::Engines, DType::F64) => 1e-12,
            (Self::Engines, DType::F32) => 2e-6,
            (Self::Kernels, DType::F64) => 1e-13,
            (Self::Kernels, DType::F32) => 1e-5,
            (Self::FiniteDifference, _) => 1e-7,
            (Self::Reference, DType::F64) => 1e-11,
            (Self::Reference, DType::F32) if device::is_host(device) => 2e-5,
            (Self::Reference, DType::F32) => 1e-4,
            (Self::Rtrl, _) => 1e-12,
            (Self::ComplexStep | Self::Dual | Self::DoubleDouble, DType::F64) => 1e-13,
            // As against PyTorch in f64: what is right to many digits.
            (Self::DoubleDouble, DType::F32) => Self::Reference.tolerance(dtype, device),
            (Self::ComplexStep | Self::Dual, DType::F32) => 2e-6,
        }
    }
}

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
struct Target {
    name: String,
    device: Device,
    dtype: DType,
}

/// Verifies.
///
/// # Errors
///
/// One line, if a device or the reference folder cannot be used.
pub fn verify(request: &Request) -> Result<Verification, String> {
    let mut found = Verification::default();
    let references = if request.witnesses.contains(&Witness::Reference) {
        match &request.reference {
            Some(folder) => {
                let folder = reference::read_folder(folder)?;
                found.broken = folder.broken;
                folder.problems
            }
            None => reference::built_in(),
        }
    } else {
        vec![]
    };

    let mut truths = Truths::new();
    for name in &request.devices {
        let device = device::open(name)?;
        for &dtype in &request.dtypes {
            let target = Target { name: name.clone(), device: device.clone(), dtype };
            if !dtype.works_on(name, &device) {
                found.skipped.push(format!("{} on {name}: it has no such type", dtype.name()));
                continue;
            }
            for &witness in &request.witnesses {
                let mut session = Session { request, target: &target, found: &mut found };
                match witness {
                    Witness::Engines => session.engines()?,
                    Witness::Kernels => session.kernels()?,
                    Witness::FiniteDifference => session.finite_difference()?,
                    Witness::Reference => session.reference(&references)?,
                    Witness::ComplexStep => session.complex_step()?,
                    Witness::Dual => session.dual()?,
                    Witness::DoubleDouble => session.double_double(&mut truths)?,
                    Witness::Rtrl => session.rtrl()?,
                }
            }
        }
    }
    Ok(found)
}

/// What is measured: an engine, and its kernel.
#[derive(Clone, Copy)]
struct Implementation {
    engine: Engine,
    kernel: Kernel,
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

struct Session<'a> {
    request: &'a Request,
    target: &'a Target,
    found: &'a mut Verification,
}

impl Session<'_> {
    fn wanted(&self, cell: CellKind) -> bool {
        self.request.cell.is_none_or(|wanted| wanted == cell)
    }

    fn setting(&self, engine: Engine) -> Setting {
        Setting {
            engine,
            kernel: Kernel::Auto,
            device: self.target.device.clone(),
            dtype: self.target.dtype,
        }
    }

    fn measure(
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
            .try_init_custom(cell, &setting.device.clone().autodiff())
            .map_err(|error| error.to_string())?;
        Ok(measure_layer(problem, &setting, layer))
    }

    /// The cases of the table, in full on the host, in brief where each shape costs a shader.
    fn cases(&mut self) -> Vec<Case> {
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

    fn compare(
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
    fn add_row(
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

    fn engines(&mut self) -> Result<(), String> {
        for case in self.cases() {
            let problem = case.problem();
            let autograd = self.measure(&problem, Engine::Autograd)?;
            let first = self.found.rows.len();
            for kernel in self.kernels_here() {
                let manual = self.measure(&problem, kernel)?;
                self.compare(&problem, kernel, Witness::Engines, (&manual, &autograd));
            }
            self.judge_by_condition(&problem, Some(&autograd), first)?;
        }
        Ok(())
    }

    /// The kernels that differ on this device.
    fn kernels_here(&self) -> Vec<Kernel> {
        match device::is_host(&self.target.name) {
            true => vec![Kernel::Auto, Kernel::Reference],
            false => vec![Kernel::Auto],
        }
    }

    /// The fast kernel against the reference body, of the same engine: where there is a fast one.
    fn kernels(&mut self) -> Result<(), String> {
        if self.kernels_here().len() < 2 {
            let name = &self.target.name;
            self.found.skipped.push(format!("kernels on {name}: it has the reference alone"));
            return Ok(());
        }
        for case in self.cases() {
            let problem = case.problem();
            let fast = self.measure(&problem, Kernel::Auto)?;
            let reference = self.measure(&problem, Kernel::Reference)?;
            let first = self.found.rows.len();
            self.compare(&problem, Kernel::Auto, Witness::Kernels, (&fast, &reference));
            self.judge_by_condition(&problem, Some(&reference), first)?;
        }
        Ok(())
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
    fn judge_by_condition(
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

    fn finite_difference(&mut self) -> Result<(), String> {
        if self.target.dtype != DType::F64 {
            self.found.skipped.push(format!(
                "finite-difference in {} on {}: differences need f64",
                self.target.dtype.name(),
                self.target.name
            ));
            return Ok(());
        }
        for case in self.cases().into_iter().filter(|case| case.tiny) {
            let problem = case.problem();
            let expected = self.differences(&problem)?;
            for engine in Engine::BACKWARD {
                let measured = self.measure(&problem, engine)?;
                let pair = (&measured, &expected);
                self.compare(&problem, engine, Witness::FiniteDifference, pair);
            }
        }
        Ok(())
    }

    /// `(loss(x + h) − loss(x − h)) / 2h` at every entry of everything that goes in.
    fn differences(&self, problem: &Problem) -> Result<Outcome, String> {
        const STEP: f64 = 1e-5;
        let setting = self.setting(Engine::Autograd);
        let mut gradients = Outcome::new();
        let mut at = problem.clone();
        for (name, array) in &problem.given {
            if name.starts_with("cotangent.") {
                continue;
            }
            let mut values = Vec::with_capacity(array.values.len());
            for (k, &value) in array.values.iter().enumerate() {
                let move_to = |at: &mut Problem, value: f64| {
                    at.given.get_mut(name).expect("the same names").values[k] = value;
                };
                move_to(&mut at, value + STEP);
                let above = loss(&at, &setting)?;
                move_to(&mut at, value - STEP);
                let below = loss(&at, &setting)?;
                move_to(&mut at, value);
                values.push((above - below) / (2.0 * STEP));
            }
            let shape = array.shape.clone();
            gradients.insert(format!("grad.{name}"), Array { shape, values });
        }
        Ok(gradients)
    }

    fn reference(&mut self, problems: &[Problem]) -> Result<(), String> {
        for problem in problems {
            if !self.wanted(problem.options.cell) {
                continue;
            }
            for engine in Engine::BACKWARD {
                let measured = self.measure(problem, engine)?;
                let pair = (&measured, &problem.expected);
                self.compare(problem, engine, Witness::Reference, pair);
            }
        }
        Ok(())
    }
}
