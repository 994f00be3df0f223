//! Compares the two engines' gradients on the model and the batch that a run starts with.

use crate::task::SequenceModel;
use bptt::Engine;
use burn::Tensor;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use std::time::{Duration, Instant};

/// The largest [`GradientCheck::error`] that a run in f32 starts with.
pub const TOLERANCE: f64 = 1e-4;

/// The error of a small gradient is relative to this fraction of the whole gradient. Relative to itself, its error
/// could be rounding alone. A gradient that is completely wrong is still noticed if it is more than `FLOOR · TOLERANCE`
/// (a ten-millionth) of the whole.
const FLOOR: f64 = 1e-3;

/// The difference between the engines' gradients, and how long each engine took.
#[derive(Clone, Debug)]
pub struct GradientCheck {
    /// The largest norm-relative error of manual against autograd, over all parameters.
    pub error: f64,
    /// The parameter that has it.
    pub parameter: String,
    /// Forward and backward by the manual engine.
    pub manual: Duration,
    /// Forward and backward by the autograd engine.
    pub autograd: Duration,
}

impl std::fmt::Display for GradientCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { error, parameter, manual, autograd } = self;
        let verb = if error <= &TOLERANCE { "agree" } else { "differ by more than they may:" };
        write!(
            f,
            "manual and autograd gradients {verb} to {error:.1e} (worst: {parameter}); manual {}, \
             autograd {}",
            milliseconds(*manual),
            milliseconds(*autograd),
        )
    }
}

fn milliseconds(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1e3;
    let digits = if milliseconds < 10.0 { 1 } else { 0 };
    format!("{milliseconds:.digits$} ms")
}

/// Compares the gradients of a loss by both engines, parameter by parameter.
///
/// Each engine runs twice and its shorter time counts, because a first run also starts threads and allocates
/// memory. The loss has to be the same function each time, dropout included.
pub fn compare_engines<M: SequenceModel>(
    model: &M,
    mut loss: impl FnMut(&M) -> Tensor<1>,
) -> GradientCheck {
    let mut run = |engine| {
        let model = model.clone().with_engine(engine);
        let mut once = || {
            let start = Instant::now();
            let gradients = GradientsParams::from_grads(loss(&model).backward(), &model);
            let host = on_host(&model, &gradients);
            (host, start.elapsed())
        };
        let (_, first) = once();
        let (gradients, second) = once();
        (gradients, first.min(second))
    };
    let (manual, manual_time) = run(Engine::Manual);
    let (autograd, autograd_time) = run(Engine::Autograd);
    let (error, parameter) = worst(&manual, &autograd);
    GradientCheck { error, parameter, manual: manual_time, autograd: autograd_time }
}

/// The gradients of a model, by the parameters' names.
type Gradients = Vec<(String, Vec<f64>)>;

fn worst(manual: &Gradients, autograd: &Gradients) -> (f64, String) {
    let whole = norm(autograd.iter().flat_map(|(_, values)| values.iter().copied()));
    let mut worst = (0.0, "none".to_string());
    for (name, expected) in autograd {
        // A gradient that is missing or has another size is as wrong as one that is not a number.
        let error = manual
            .iter()
            .find(|(other, found)| other == name && found.len() == expected.len())
            .map(|(_, found)| {
                let difference = norm(found.iter().zip(expected).map(|(a, b)| a - b));
                let size = norm(expected.iter().copied()).max(FLOOR * whole);
                if difference == 0.0 { 0.0 } else { difference / size }
            })
            .filter(|error| !error.is_nan())
            .unwrap_or(f64::INFINITY);
        if error > worst.0 || worst.1 == "none" {
            worst = (error, name.clone());
        }
    }
    if manual.len() != autograd.len() || autograd.is_empty() {
        worst.0 = f64::INFINITY;
    }
    worst
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

fn on_host<M: Module>(model: &M, gradients: &GradientsParams) -> Gradients {
    let mut collect = Collect { gradients, path: Vec::new(), found: Vec::new() };
    model.visit(&mut collect);
    collect.found
}

struct Collect<'a> {
    gradients: &'a GradientsParams,
    path: Vec<String>,
    found: Gradients,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let values = gradient.into_data().iter::<f64>().collect();
            self.found.push((self.path.join("."), values));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradients(weight: &[f64], bias: &[f64]) -> Gradients {
        vec![("weight".to_string(), weight.to_vec()), ("bias".to_string(), bias.to_vec())]
    }

    #[test]
    fn the_worst_parameter_is_found() {
        let expected = gradients(&[3.0, 4.0], &[1.0]);
        assert_eq!(worst(&expected, &expected).0, 0.0);
        let (error, name) = worst(&gradients(&[3.0, 4.0], &[1.5]), &expected);
        assert_eq!((error, name.as_str()), (0.5, "bias"));
        let (error, name) = worst(&gradients(&[3.0, 4.5], &[1.0]), &expected);
        assert_eq!((error, name.as_str()), (0.1, "weight"));
    }

    #[test]
    fn what_cannot_be_compared_is_wrong() {
        let expected = gradients(&[3.0, 4.0], &[1.0]);
        for found in [
            gradients(&[f64::NAN, 4.0], &[1.0]),
            gradients(&[3.0], &[1.0]),
            vec![("weight".to_string(), vec![3.0, 4.0])],
            Vec::new(),
        ] {
            assert_eq!(worst(&found, &expected).0, f64::INFINITY, "{found:?}");
        }
        assert_eq!(worst(&Vec::new(), &Vec::new()).0, f64::INFINITY);
    }

    #[test]
    fn a_vanishing_gradient_is_held_against_the_whole() {
        // Rounding noise of size 1e-9 in a gradient of norm 1 passes, even if the small gradient is completely wrong.
        let expected = gradients(&[1.0], &[1e-9]);
        assert!(worst(&gradients(&[1.0], &[2e-9]), &expected).0 < TOLERANCE);
        // A gradient that is completely wrong fails at a hundred-thousandth of the whole.
        let expected = gradients(&[1.0], &[1e-5]);
        assert!(worst(&gradients(&[1.0], &[0.0]), &expected).0 > TOLERANCE);
    }
}
