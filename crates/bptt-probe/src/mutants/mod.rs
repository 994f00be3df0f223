//! A test of the tests: the hand-written backward passes, one term wrong at a time.
//!
//! A *mutant* is a backward pass with one thing changed: a sign, a missing term or factor, two gates
//! swapped, a time index that is one off. A suite that lets one pass does not test the term. Since a
//! cell's text is generic over its number, a mutant needs no compiler: `Mutated` runs the cell's own
//! `step_backward` on a number that counts its operations and does the chosen one wrong, through
//! either kernel. (What is around the cells, the pass over the sequence, is mutated in its source:
//! `benches/examples/mutants.rs`.)
//!
//! After R. DeMillo, R. Lipton and F. Sayward, "Hints on test data selection: help for the practicing
//! programmer", Computer 11 (4), 1978, 34–41.

mod cell;
mod number;

pub use cell::{Function, Mutated, Mutation, mutations};
pub use number::{Change, Mutant, Operation};

use crate::case::{self, Case};
use crate::measure::{Outcome, measure, measure_layer, relative_error};
use crate::problem::Problem;
use crate::setting::{DType, Setting};
use crate::verify::witness::Witness;
use bptt::cells::{
    Cell, Clipped, GruResetAfter, GruResetBefore, Lstm, LstmCoupled, RnnRelu, RnnTanh,
};
use bptt::{Engine, Kernel};
use burn::tensor::Device;
use serde::Serialize;
use std::cell::OnceCell;

/// What noticed a mutant.
#[derive(Clone, Debug, Serialize)]
pub struct Catch {
    /// The case of the table.
    pub case: String,
    /// The first tensor that is wrong.
    pub tensor: String,
    /// Its norm-relative error, and what would have been allowed.
    pub error: f64,
    /// See there.
    pub tolerance: f64,
}

/// What became of one mutant.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The cell, or the file of the source.
    pub place: String,
    /// The kernel that ran it.
    pub kernel: String,
    /// What was wrong.
    pub mutation: String,
    /// By what it was caught; `None` if it survived.
    pub caught: Option<Catch>,
}

/// The cases that a mutant is run through until one catches it, cheap ones first, with what the
/// autograd engine says to each.
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
        let tolerance = Witness::Engines.tolerance(DType::F64, "flex");
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
                    return Ok(Some(Catch { case, tensor, error, tolerance }));
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

/// All mutants of all cells by both kernels, through the tiny cases of the table or through all.
///
/// # Errors
///
/// One line: if a case does not run, or if the cells are not right to begin with.
pub fn of_cells(device: &Device, tiny: bool) -> Result<Vec<Verdict>, String> {
    let mut all = Vec::new();
    let of = |name: &str, clip: Option<f64>| -> Suite {
        Suite::new(device, |case| {
            let o = &case.options;
            // A bound is another cell; and each bound again.
            let same = o.cell_name() == name && o.clip == clip;
            same && (case.tiny || !tiny)
        })
    };
    let clip = 0.4;
    mutate(RnnTanh, "rnn-tanh", of("rnn-tanh", None), &mut all)?;
    mutate(RnnRelu, "rnn-relu", of("rnn-relu", None), &mut all)?;
    mutate(Lstm, "lstm", of("lstm", None), &mut all)?;
    mutate(LstmCoupled, "lstm-coupled", of("lstm-coupled", None), &mut all)?;
    let cell = Clipped { cell: Lstm, bound: clip };
    mutate(cell, "lstm, clipped", of("lstm", Some(clip)), &mut all)?;
    let cell = Clipped { cell: LstmCoupled, bound: clip };
    mutate(cell, "lstm-coupled, clipped", of("lstm-coupled", Some(clip)), &mut all)?;
    mutate(GruResetAfter, "gru", of("gru", None), &mut all)?;
    mutate(GruResetBefore, "gru-reset-before", of("gru-reset-before", None), &mut all)?;
    Ok(all)
}

fn mutate<C: Cell>(
    cell: C,
    place: &str,
    suite: Suite,
    all: &mut Vec<Verdict>,
) -> Result<(), String> {
    let wrong = |mutation, kernel| {
        suite.first_failure(kernel, |problem, setting| {
            let cell = Mutated { cell, mutation };
            let device = setting.device.clone().autodiff();
            let layer = problem.options.config().stack().try_init(cell, &device);
            Ok(measure_layer(problem, setting, layer.map_err(|error| error.to_string())?))
        })
    };
    for kernel in [Kernel::Auto, Kernel::Reference] {
        // Otherwise each mutant would be caught, whatever it did.
        if suite.is_empty() {
            return Err(format!("{place}: no case of the table has it"));
        }
        if let Some(Catch { case, tensor, error, .. }) = wrong(Mutation::None, kernel)? {
            return Err(format!(
                "{place}: {case} {tensor} is off by {error:.1e} without a mutation"
            ));
        }
        for mutation in mutations(&cell) {
            all.push(Verdict {
                place: place.to_string(),
                kernel: kernel.name().to_string(),
                mutation: mutation.to_string(),
                caught: wrong(mutation, kernel)?,
            });
        }
    }
    Ok(())
}
