//! The witnesses that differentiate the scalar layer: exact, and without a step backward.

use crate::case::Case;
use crate::measure::Outcome;
use crate::problem::{Array, Problem};
use crate::report::kernel_name;
use crate::scalar::{self, DoubleDouble, Dual, Scalar, Values};
use crate::setting::DType;
use crate::ulp::{Ulps, ulp};
use crate::verify::session::{Implementation, Session};
use crate::verify::witness::Witness;
use bptt::Engine;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};
use std::collections::BTreeMap;

/// True gradients by case and type: they are the same for all devices.
pub(super) type Truths = BTreeMap<(String, &'static str), Values<DoubleDouble>>;

/// How many derivatives are taken at once.
const COLUMNS: usize = 16;

/// How many random directions stand for a tensor that has too many entries.
const DIRECTIONS: usize = 4;

impl Session<'_> {
    /// All that is measured here: the manual engine by each kernel, and the autograd engine.
    pub(super) fn all_ways(&self) -> Vec<Implementation> {
        let manual = self.kernels_here().into_iter().map(Implementation::from);
        manual.chain([Implementation::from(Engine::Autograd)]).collect()
    }

    /// Whether the type is f64; says so if it is not.
    pub(super) fn only_f64(&mut self, witness: Witness, why: &str) -> bool {
        let f64 = self.target.dtype == DType::F64;
        if !f64 {
            let (dtype, name) = (self.target.dtype.name(), &self.target.name);
            self.found.skipped.push(format!("{} in {dtype} on {name}: {why}", witness.name()));
        }
        f64
    }

    pub(super) fn complex_step(&mut self) -> Result<(), String> {
        let witness = Witness::ComplexStep;
        if !self.only_f64(witness, "it is exact in f64; double-double measures f32") {
            return Ok(());
        }
        let (tiny, larger) = self.tiny_and_larger();
        let mut kinks = Vec::new();
        for case in tiny {
            let Some(cell) = scalar::analytic(&case.options) else {
                kinks.push(case.name);
                continue;
            };
            let problem = case.problem();
            let expected = outcome(&problem, &scalar::complex_step(&*cell, &problem));
            self.compare_all(&problem, witness, &expected)?;
        }
        let name = &self.target.name;
        if !kinks.is_empty() {
            self.found.skipped.push(format!(
                "complex-step on {name}: {} cases with a rectifier or a bound, which are not analytic \
                 ({}); dual checks them",
                kinks.len(),
                kinks.join(", "),
            ));
        }
        self.say_left_out(witness, &larger, "it takes a run for every entry; dual checks them");
        Ok(())
    }

    pub(super) fn dual(&mut self) -> Result<(), String> {
        let witness = Witness::Dual;
        if !self.only_f64(witness, "it is exact in f64; double-double measures f32") {
            return Ok(());
        }
        let (tiny, larger) = self.tiny_and_larger();
        for case in tiny {
            let problem = case.problem();
            let cell = scalar::real::<Dual<f64, COLUMNS>>(&case.options);
            let expected = outcome(&problem, &scalar::columns(&*cell, &problem));
            self.compare_all(&problem, witness, &expected)?;
        }
        // The tolerance is for moderate inputs: `s (1 - s)` of a saturated gate loses digits in f64,
        // whoever computes it.
        let (saturated, larger): (Vec<_>, Vec<_>) =
            larger.into_iter().partition(|case| case.gain > 1.0);
        for case in larger {
            let first = self.found.rows.len();
            let problem = case.problem();
            self.directions(&problem)?;
            // Long layers alone are allowed for their condition.
            if case.options.time >= 400 {
                self.judge_by_condition(&problem, None, first)?;
            }
        }
        self.say_left_out(witness, &saturated, "its tolerance is for gates that do not saturate");
        Ok(())
    }

    /// `⟨u, J v⟩ = ⟨Jᵀ u, v⟩`, tensor by tensor, for random normal `v`.
    ///
    /// The mean of `⟨g − g*, v⟩²` over normal `v` is `‖g − g*‖²`: so what is reported is an estimate of
    /// the norm-relative error itself.
    fn directions(&mut self, problem: &Problem) -> Result<(), String> {
        let ways = self.all_ways();
        let measured =
            ways.iter().map(|&by| self.measure(problem, by)).collect::<Result<Vec<_>, _>>()?;
        let cell = scalar::real::<Dual<f64, DIRECTIONS>>(&problem.options);
        let mut rng = StdRng::seed_from_u64(1);
        for (name, array) in problem.given.iter().filter(|(n, _)| !n.starts_with("cotangent.")) {
            let directions: [Values<f64>; DIRECTIONS] = std::array::from_fn(|_| {
                let v = array.values.iter().map(|_| StandardNormal.sample(&mut rng)).collect();
                Values::from([(name.clone(), v)])
            });
            let forwards = scalar::directions(&*cell, problem, &directions);
            for (&by, measured) in ways.iter().zip(&measured) {
                let tensor = format!("grad.{name}");
                let gradient = &measured[&tensor].values;
                let off = |(v, forwards): (&Values<f64>, f64)| {
                    (dot(gradient, &v[name]) - forwards).powi(2)
                };
                let off = directions.iter().zip(forwards).map(off).sum::<f64>();
                let off = (off / DIRECTIONS as f64).sqrt();
                let error = off / dot(gradient, gradient).sqrt().max(f64::MIN_POSITIVE);
                let error = if error.is_nan() { f64::INFINITY } else { error };
                self.add_row(problem, by, Witness::Dual, (tensor, error, array.values.len()));
            }
        }
        Ok(())
    }

    /// The true value to 30 digits, for exactly the numbers that the device is given.
    pub(super) fn double_double(&mut self, truths: &mut Truths) -> Result<(), String> {
        let witness = Witness::DoubleDouble;
        let (tiny, larger) = self.tiny_and_larger();
        for case in tiny {
            let mut problem = case.problem();
            if self.target.dtype == DType::F32 {
                problem.round_to_f32();
            }
            let key = (case.name.clone(), self.target.dtype.name());
            let truth = truths.entry(key).or_insert_with(|| {
                let cell = scalar::real::<Dual<DoubleDouble, COLUMNS>>(&case.options);
                scalar::columns(&*cell, &problem)
            });
            let first = self.found.rows.len();
            for by in self.all_ways() {
                let measured = self.measure(&problem, by)?;
                for (tensor, truth) in truth.iter() {
                    let error = self.in_ulps(&problem, by, tensor, (&measured[tensor], truth));
                    self.add_row(&problem, by, witness, (tensor.clone(), error, truth.len()));
                }
            }
            if self.target.dtype == DType::F32 {
                self.judge_by_condition(&case.problem(), None, first)?;
            }
        }
        self.say_left_out(witness, &larger, "it takes too long; dual checks them in f64");
        Ok(())
    }

    /// Notes the error of each entry in units in the last place; returns the norm-relative error.
    fn in_ulps(
        &mut self,
        problem: &Problem,
        Implementation { engine, kernel }: Implementation,
        tensor: &str,
        (measured, truth): (&Array, &[DoubleDouble]),
    ) -> f64 {
        let (device, dtype) = (self.target.name.clone(), self.target.dtype);
        let ulps = Ulps::of(
            &mut self.found.ulps,
            [&device, dtype.name(), engine.name(), kernel_name(engine, kernel)],
        );
        let norm = |all: &[f64]| all.iter().map(|x| x * x).sum::<f64>().sqrt();
        let values: Vec<f64> = truth.iter().map(Scalar::value).collect();
        let floor = norm(&values) / (values.len() as f64).sqrt();
        let off: Vec<f64> = (measured.values.iter().zip(truth))
            .map(|(&measured, truth)| (DoubleDouble::new(measured) - truth).value())
            .collect();
        for (i, (off, value)) in off.iter().zip(&values).enumerate() {
            let unit = ulp(dtype, value.abs().max(floor));
            ulps.add(off.abs() / unit, || format!("{} {tensor}[{i}]", problem.name));
        }
        let error = norm(&off) / norm(&values).max(1e-30);
        if error.is_nan() || measured.values.len() != truth.len() { f64::INFINITY } else { error }
    }

    fn compare_all(
        &mut self,
        problem: &Problem,
        witness: Witness,
        expected: &Outcome,
    ) -> Result<(), String> {
        for by in self.all_ways() {
            let measured = self.measure(problem, by)?;
            self.compare(problem, by, witness, (&measured, expected));
        }
        Ok(())
    }

    fn tiny_and_larger(&mut self) -> (Vec<Case>, Vec<Case>) {
        self.cases().into_iter().partition(|case| case.tiny)
    }

    pub(super) fn say_left_out(&mut self, witness: Witness, cases: &[Case], why: &str) {
        if !cases.is_empty() {
            let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
            self.found.skipped.push(format!(
                "{} on {}: {} cases: {why} ({})",
                witness.name(),
                self.target.name,
                names.len(),
                names.join(", "),
            ));
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Values by name with their shapes.
fn outcome(problem: &Problem, values: &Values<f64>) -> Outcome {
    let shapes = problem.options.results().expect("the table's sizes are small");
    let array = |(name, shape): (String, Vec<usize>)| {
        let values = values[&name].clone();
        (name, Array { shape, values })
    };
    shapes.into_iter().map(array).collect()
}
