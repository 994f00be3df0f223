//! Central differences of the loss, at every entry of the tiny cases, in f64.

use crate::measure::{Outcome, loss};
use crate::problem::{Array, Problem};
use crate::setting::{DType, Setting};
use crate::verify::session::{Session, Verification};
use crate::verify::witness::{Comparison, Request, Witness};
use bptt::Engine;

/// `(loss(x + h) − loss(x − h)) / 2h`
pub struct FiniteDifference;

/// `h`
const STEP: f64 = 1e-5;

impl Witness for FiniteDifference {
    fn name(&self) -> &'static str {
        "finite-difference"
    }

    fn help(&self) -> &'static str {
        "Central differences at every entry of the tiny cases"
    }

    fn description(&self) -> &'static str {
        "central differences of the loss, step 1e-5"
    }

    /// With this step, the differences have an error of about 1e-10 of the loss. The loss may be larger than a
    /// gradient.
    fn tolerance(&self, _: DType, _: &str) -> f64 {
        1e-7
    }

    fn begin(&self, _: &Request, _: &mut Verification) -> Result<Comparison, String> {
        Ok(Box::new(compare))
    }
}

fn compare(session: &mut Session<'_>) -> Result<(), String> {
    if !session.only_f64("differences need f64") {
        return Ok(());
    }
    for case in session.cases().into_iter().filter(|case| case.tiny) {
        let problem = case.problem();
        // By the kernels, which are the fastest; the outputs of both engines are compared elsewhere.
        let expected = differences(&problem, &session.setting(Engine::Manual))?;
        for engine in Engine::BACKWARD {
            let measured = session.measure(&problem, engine)?;
            session.compare(&problem, engine, (&measured, &expected));
        }
    }
    Ok(())
}

/// The differences at every entry of every input.
fn differences(problem: &Problem, setting: &Setting) -> Result<Outcome, String> {
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
            let above = loss(&at, setting)?;
            move_to(&mut at, value - STEP);
            let below = loss(&at, setting)?;
            move_to(&mut at, value);
            values.push((above - below) / (2.0 * STEP));
        }
        let shape = array.shape.clone();
        gradients.insert(format!("grad.{name}"), Array { shape, values });
    }
    Ok(gradients)
}
