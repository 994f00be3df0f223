//! What all witnesses share: the results so far, and how a comparison is judged.

use crate::case::{self, Case};
use crate::device;
use crate::measure::{Outcome, measure, relative_error};
use crate::problem::{Array, Problem};
use crate::report::{Row, kernel_name};
use crate::sabotage;
use crate::scalar::Values;
use crate::setting::{DType, Setting};
use crate::ulp::Ulps;
use crate::verify::left_out::LeftOut;
use bptt::{Engine, Kernel, LayerKind, Nonlinearity};
use burn::tensor::Device;

/// The results of a verification.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// One row for each tensor compared.
    pub rows: Vec<Row>,
    /// What was left out, and why.
    pub skipped: Vec<LeftOut>,
    /// Rows whose tolerance was widened by a condition number, with the number.
    pub conditions: Vec<String>,
    /// Reference files that could not be read, one line each.
    pub broken: Vec<String>,
    /// The errors in units in the last place, if the true value is known.
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
#[derive(Clone, Copy, Debug)]
pub struct Implementation {
    /// Which engine differentiates.
    pub engine: Engine,
    /// Which kernel the manual engine runs.
    pub kernel: Kernel,
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

/// One witness on one device in one type, with the results of all witnesses so far.
pub struct Session<'a> {
    /// Only this cell.
    pub(super) cell: Option<LayerKind>,
    /// What runs in place of [`Kernel::Auto`].
    pub(super) kernel: Kernel,
    /// The gate with the wrong sign in the manual backward step of the LSTM.
    pub(super) sabotage: Option<usize>,
    /// The witness's name.
    pub(super) witness: &'static str,
    /// The largest error that passes here.
    pub(super) tolerance: f64,
    pub(super) target: &'a Target,
    pub(super) found: &'a mut Verification,
}

impl Session<'_> {
    /// The device's name.
    pub fn device_name(&self) -> &str {
        &self.target.name
    }

    /// The type.
    pub fn dtype(&self) -> DType {
        self.target.dtype
    }

    /// Whether the manual engine has a wrong gate on purpose.
    pub fn is_sabotaged(&self) -> bool {
        self.sabotage.is_some()
    }

    /// Whether the request includes this cell.
    pub fn wants(&self, cell: LayerKind) -> bool {
        self.cell.is_none_or(|wanted| wanted == cell)
    }

    /// The setting for an engine, on this device and in this type.
    pub fn setting(&self, engine: Engine) -> Setting {
        Setting {
            engine,
            kernel: Kernel::Auto,
            device: self.target.device.clone(),
            dtype: self.target.dtype,
        }
    }

    /// Outputs, final states and every gradient of a problem.
    ///
    /// # Errors
    ///
    /// One line, if the options do not make a layer.
    pub fn measure(
        &self,
        problem: &Problem,
        implementation: impl Into<Implementation>,
    ) -> Result<Outcome, String> {
        let Implementation { engine, kernel } = self.meant(problem, implementation.into());
        let setting = Setting { kernel, ..self.setting(engine) };
        match self.sabotage {
            Some(gate) => sabotage::measure(problem, &setting, gate),
            None => measure(problem, &setting),
        }
    }

    /// The implementation with the kernel that the request asks for. A layer that runs as a scan has no such kernels.
    fn meant(&self, problem: &Problem, by: Implementation) -> Implementation {
        let is_auto = by.kernel == Kernel::Auto && by.engine == Engine::Manual;
        match is_auto && problem.options.cell.cell().is_some() {
            true => Implementation { kernel: self.kernel, ..by },
            false => by,
        }
    }

    /// The cases of the table: all cases on the host, and only the brief ones on devices that compile a shader for each
    /// shape.
    pub fn cases(&mut self) -> Vec<Case> {
        let full = device::is_host(&self.target.name);
        let wanted = |case: &Case| self.wants(case.options.cell) && (full || case.brief);
        let cases: Vec<_> = case::table().into_iter().filter(wanted).collect();
        if !full {
            let name = &self.target.name;
            let text = format!(
                "all but the brief cases on {name}: each new shape compiles a shader there"
            );
            self.found.skipped.push(text.into());
        }
        cases
    }

    /// The cases; in types with 16 bits only those in which tensor operations stay near the true value. In long and in
    /// saturated cases their errors grow, and they may open rectifiers.
    pub fn well_conditioned_cases(&mut self) -> Vec<Case> {
        let cases = self.cases();
        if !self.target.dtype.is_half() {
            return cases;
        }
        let is_fine = |case: &Case| {
            let is_moderate = case.options.time < 40 && case.gain <= 1.0;
            is_moderate && self.can_compare(case, Engine::Autograd)
        };
        let (cases, others): (Vec<_>, Vec<_>) = cases.into_iter().partition(is_fine);
        self.say_left_out(&others, "errors of 16 bits grow too large in them");
        cases
    }

    /// Whether an implementation rounds each of its operations to 16 bits. Only the kernels for host memory compute in
    /// f32, and round each result once; in a layer that runs as a scan, the products are tensor operations beside them.
    pub fn rounds_each_operation(&self, cell: LayerKind, by: impl Into<Implementation>) -> bool {
        let Implementation { engine, kernel } = by.into();
        let is_fast = (engine, kernel) == (Engine::Manual, Kernel::Auto) && cell.cell().is_some();
        self.target.dtype.is_half() && !(is_fast && device::is_host(&self.target.name))
    }

    /// Whether an implementation has a gradient near the true one in a case. If each operation is rounded to 16 bits, a
    /// rectifier that is shut may open, and then the gradient is another one; so it is with the candidate of the forms with
    /// logarithms, whose slope is 1/4 below zero and 1 above; and in a stack of sLSTMs the exponentials enlarge the errors.
    pub fn can_compare(&self, case: &Case, by: impl Into<Implementation>) -> bool {
        let options = &case.options;
        // Of an RNN or an IndRNN; of a minGRU or a minLSTM.
        let has_rectifier = options.nonlinearity == Nonlinearity::Relu || options.log_space;
        // Its gates are exponentials of rounded numbers, and in a stack those of rounded outputs.
        let is_exponential = options.cell.name() == "slstm" && options.num_layers > 1;
        !((has_rectifier || is_exponential) && self.rounds_each_operation(options.cell, by))
    }

    /// The cases that are small enough to check every entry, and the other cases.
    pub fn tiny_and_larger(&mut self) -> (Vec<Case>, Vec<Case>) {
        self.cases().into_iter().partition(|case| case.tiny)
    }

    /// The kernels that differ on this device.
    pub fn kernels_here(&self) -> Vec<Kernel> {
        match self.kernel {
            Kernel::Reference => vec![Kernel::Reference],
            _ => vec![Kernel::Auto, Kernel::Reference],
        }
    }

    /// All implementations that are measured here: the manual engine with each kernel, and the autograd engine.
    pub fn all_implementations(&self) -> Vec<Implementation> {
        let manual = self.kernels_here().into_iter().map(Implementation::from);
        manual.chain([Implementation::from(Engine::Autograd)]).collect()
    }

    /// Compares each tensor of what was measured with what the witness expects.
    pub fn compare(
        &mut self,
        problem: &Problem,
        implementation: impl Into<Implementation>,
        (measured, expected): (&Outcome, &Outcome),
    ) {
        let by = implementation.into();
        for (tensor, expected) in expected {
            let error = measured
                .get(tensor)
                .map_or(f64::INFINITY, |measured| relative_error(measured, expected));
            self.add_row(problem, by, (tensor.clone(), error, expected.values.len()));
        }
    }

    /// Measures all implementations, and compares each with what the witness expects.
    ///
    /// # Errors
    ///
    /// As [`measure`](Self::measure).
    pub fn compare_all(&mut self, problem: &Problem, expected: &Outcome) -> Result<(), String> {
        for by in self.all_implementations() {
            let measured = self.measure(problem, by)?;
            self.compare(problem, by, (&measured, expected));
        }
        Ok(())
    }

    /// Adds one tensor's row: its name, its error, and how many numbers it has.
    pub fn add_row(
        &mut self,
        problem: &Problem,
        by: Implementation,
        (tensor, error, entries): (String, f64, usize),
    ) {
        let Implementation { engine, kernel } = self.meant(problem, by);
        self.found.rows.push(Row {
            case: problem.name.clone(),
            cell: problem.options.cell_name().to_string(),
            engine: engine.name().to_string(),
            kernel: kernel_name(engine, kernel).to_string(),
            device: self.target.name.clone(),
            dtype: self.target.dtype.name().to_string(),
            witness: self.witness.to_string(),
            tensor,
            error,
            tolerance: self.tolerance,
            pass: error <= self.tolerance,
            entries,
        });
    }

    /// How many rows there are.
    pub fn row_count(&self) -> usize {
        self.found.rows.len()
    }

    /// The errors in units in the last place.
    pub fn ulps(&mut self) -> &mut Vec<Ulps> {
        &mut self.found.ulps
    }

    /// Records what was left out on this device, and why.
    pub fn skip(&mut self, why: &str) {
        let text = format!("{} on {}: {why}", self.witness, self.target.name);
        self.found.skipped.push(text.into());
    }

    /// Whether the type is f64. If it is not, records why the witness is left out.
    pub fn only_f64(&mut self, why: &str) -> bool {
        let is_f64 = self.target.dtype == DType::F64;
        if !is_f64 {
            self.skip_dtype(why);
        }
        is_f64
    }

    /// Records why this type is left out.
    pub fn skip_dtype(&mut self, why: &str) {
        let (dtype, name) = (self.target.dtype.name(), &self.target.name);
        let text = format!("{} in {dtype} on {name}: {why}", self.witness);
        self.found.skipped.push(text.into());
    }

    /// Records which cases were left out, and why.
    pub fn say_left_out(&mut self, cases: &[Case], why: &str) {
        if !cases.is_empty() {
            self.found.skipped.push(LeftOut {
                what: format!("{} on {}", self.witness, self.target.name),
                cases: cases.iter().map(|case| case.name.clone()).collect(),
                why: why.to_string(),
            });
        }
    }

    /// Judges the failed rows from `first` on again, with a tolerance that allows for their condition number. This is
    /// for rows in f32 and in 16 bits, and with an exact witness (`None`) also for rows in f64.
    ///
    /// The condition number of a gradient is its relative change, in f64 and by autograd alone, when all inputs are
    /// rounded to f32, divided by that rounding (half a unit in the last place). An error that rounding the inputs
    /// alone would cause is not an error of the engine. In f32, the difference between the witness in f32 and the witness in
    /// f64 may be larger than that, because the slope of a saturated gate is the difference of two close numbers. Then
    /// twice this difference is allowed, because two results may be on opposite sides of the true one.
    ///
    /// # Errors
    ///
    /// As [`measure`](Self::measure).
    pub fn judge_by_condition(
        &mut self,
        problem: &Problem,
        witness: Option<&Outcome>,
        first: usize,
    ) -> Result<(), String> {
        // Without f64 here, the rows keep their tolerance.
        if !DType::F64.works_on(&self.target.name, &self.target.device) {
            return Ok(());
        }
        let device = self.target.device.clone();
        self.judge_by_condition_on(&device, problem, witness, first)
    }

    /// The same with a condition number from another device, for devices that have no f64.
    ///
    /// # Errors
    ///
    /// As [`measure`](Self::measure).
    pub fn judge_by_condition_on(
        &mut self,
        device: &Device,
        problem: &Problem,
        witness: Option<&Outcome>,
        first: usize,
    ) -> Result<(), String> {
        let dtype = self.target.dtype;
        let all_pass = self.found.rows[first..].iter().all(|row| row.pass);
        if all_pass || (dtype == DType::F64 && witness.is_some()) {
            return Ok(());
        }
        // With 16 bits the kernels for host memory round each result once, so an exact witness excuses nothing.
        let is_half = dtype.is_half();
        let is_scanned = problem.options.cell.cell().is_none();
        let rounds_once = |row: &Row| {
            let is_fast = row.engine == "manual" && row.kernel == "auto" && !is_scanned;
            is_half && witness.is_none() && is_fast && device::is_host(&row.device)
        };
        let (engine, kernel, device) = (Engine::Autograd, Kernel::Auto, device.clone());
        let setting = Setting { engine, kernel, device, dtype: DType::F64 };
        let mut rounded = problem.clone();
        rounded.round_to(DType::F32);
        let (exact, moved) = (measure(problem, &setting)?, measure(&rounded, &setting)?);
        let failed = |row: &&mut Row| !row.pass && !rounds_once(row);
        for row in self.found.rows[first..].iter_mut().filter(failed) {
            let change = relative_error(&moved[&row.tensor], &exact[&row.tensor]);
            let condition = (change / (DType::F32.epsilon() / 2.0)).max(1.0);
            // With 16 bits a witness may be far from f64 itself, and would excuse anything.
            let own = witness
                .filter(|_| !is_half)
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

/// Values of the scalar layer by name, with their shapes.
pub(super) fn outcome(problem: &Problem, values: &Values<f64>) -> Outcome {
    let shapes = problem.options.results().expect("the table's sizes are small");
    let array = |(name, shape): (String, Vec<usize>)| {
        let values = values[&name].clone();
        (name, Array { shape, values })
    };
    shapes.into_iter().map(array).collect()
}
