//! The suite that has to notice a mutant: the case table, by the manual engine against autograd.

use bptt::{Engine, Kernel};
use bptt_probe::case::{self, Case};
use bptt_probe::verify::Engines;
use bptt_probe::{DType, Outcome, Problem, Setting, Witness, measure, relative_error};
use burn::tensor::Device;
use std::cell::OnceCell;

/// The comparison that noticed a mutant.
#[derive(Clone, Debug, PartialEq)]
pub struct Catch {
    /// The case of the table.
    pub case: String,
    /// The first tensor that is wrong.
    pub tensor: String,
    /// Its norm-relative error; infinite if a value is not a number.
    pub error: f64,
}

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// A comparison failed.
    Caught(Catch),
    /// All comparisons passed.
    Survived,
    /// The process ended before all comparisons were done, and no comparison had failed. This says
    /// nothing of the suite.
    Died(String),
}

impl From<Option<Catch>> for Fate {
    fn from(found: Option<Catch>) -> Self {
        found.map_or(Self::Survived, Self::Caught)
    }
}

/// One mutant, and what became of it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The cell, or the file of the source.
    pub place: String,
    /// The kernel that ran it.
    pub kernel: String,
    /// What was wrong.
    pub mutation: String,
    /// What became of it.
    pub fate: Fate,
}

/// The cases that a mutant is run through until one catches it, cheap ones first, with the autograd
/// engine's result of each.
pub struct Suite {
    /// What is expected is computed when it is first asked for.
    cases: Vec<(Problem, OnceCell<Outcome>)>,
    device: Device,
}

impl Suite {
    /// The cases of the table that are `wanted`, in f64 on a device.
    pub fn new(device: &Device, wanted: impl Fn(&Case) -> bool) -> Self {
        let mut cases: Vec<_> = case::table().into_iter().filter(wanted).collect();
        cases.sort_by_key(|case| {
            let o = &case.options;
            o.time * o.batch * o.hidden_size * o.hidden_size * o.num_layers
        });
        let cases = cases.iter().map(|case| (case.problem(), OnceCell::new())).collect();
        Self { cases, device: device.clone() }
    }

    /// The first thing that is wrong, by a function that measures a problem by the manual engine.
    ///
    /// # Errors
    ///
    /// As the function, and if a case does not run.
    pub fn first_failure(
        &self,
        kernel: Kernel,
        mut run: impl FnMut(&Problem, &Setting) -> Result<Outcome, String>,
    ) -> Result<Option<Catch>, String> {
        let tolerance = Engines.tolerance(DType::F64, "flex");
        let setting = Setting {
            engine: Engine::Manual,
            kernel,
            device: self.device.clone(),
            dtype: DType::F64,
        };
        for (problem, expected) in &self.cases {
            let measured = run(problem, &setting)?;
            let expected = match expected.get() {
                Some(expected) => expected,
                None => {
                    let by = Setting { engine: Engine::Autograd, ..setting.clone() };
                    let outcome = measure(problem, &by)?;
                    expected.get_or_init(|| outcome)
                }
            };
            for (tensor, expected) in expected {
                let error = relative_error(&measured[tensor], expected);
                if error > tolerance {
                    let (case, tensor) = (problem.name.clone(), tensor.clone());
                    return Ok(Some(Catch { case, tensor, error }));
                }
            }
        }
        Ok(None)
    }

    /// How many cases there are.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }
}
