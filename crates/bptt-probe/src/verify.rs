//! Comparison of gradients with independent witnesses.

mod exact;
mod rtrl;
pub(crate) mod session;
pub(crate) mod witness;

pub use session::{Request, Verification};
pub use witness::Witness;

use crate::measure::{Outcome, loss};
use crate::problem::{Array, Problem};
use crate::setting::DType;
use crate::verify::exact::Truths;
use crate::verify::session::{Session, Target};
use crate::{device, reference};
use bptt::{Engine, Kernel};

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

impl Session<'_> {
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
