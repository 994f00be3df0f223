//! One run: outputs, final states and every gradient of a problem.

use crate::loaded::{MeasuredLayer, array, load};
use crate::problem::{Array, Problem};
use crate::setting::Setting;
use bptt::AnyLayer;
use burn::Tensor;
use std::collections::BTreeMap;

/// Outputs, final states and every gradient, with the names of the reference format.
pub type Outcome = BTreeMap<String, Array>;

/// `‖a − b‖₂ / max(‖b‖₂, tiny)`; infinite if a value is not a number.
pub fn relative_error(a: &Array, b: &Array) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut a.values.iter().zip(&b.values).map(|(a, b)| a - b));
    let size = norm(&mut b.values.iter().copied());
    let error = difference / size.max(TINY);
    if error.is_nan() || a.shape != b.shape { f64::INFINITY } else { error }
}

/// Norms below this count as zero. They would not be exact in f32 anyway.
const TINY: f64 = 1e-30;

/// Runs the problem: outputs, final states and every gradient.
///
/// # Errors
///
/// One line, if the options do not make a layer.
pub fn measure(problem: &Problem, setting: &Setting) -> Result<Outcome, String> {
    let device = setting.device.clone().autodiff();
    let layer = problem.options.layer_config().try_init(&device);
    Ok(match layer.map_err(|error| error.to_string())? {
        AnyLayer::Recurrent(layer) => measure_layer(problem, setting, layer),
        #[cfg(feature = "scanned-cells")]
        AnyLayer::Scanned(layer) => measure_layer(problem, setting, layer),
        other => return Err(unknown(&other)),
    })
}

/// The error for a layer that another crate has turned on.
fn unknown(layer: &AnyLayer) -> String {
    format!("{layer}: this build measures no such layer")
}

/// As [`measure`], with a layer of any cell that has the problem's shapes.
pub fn measure_layer<L: MeasuredLayer>(problem: &Problem, setting: &Setting, layer: L) -> Outcome {
    let device = setting.device.clone().autodiff();
    let loaded = load(problem, layer, setting, device);
    let (results, gradients) = loaded.differentiated(problem);
    let mut outcome = Outcome::new();
    outcome.insert("output".into(), array(results.0.clone().inner()));
    outcome.insert("h_n".into(), array(results.1.clone().inner()));
    if let Some(memory) = &results.2 {
        outcome.insert("c_n".into(), array(memory.clone().inner()));
    }

    // A missing gradient is zero, because the loss does not depend on that operand.
    for (name, array) in problem.given.iter().filter(|(name, _)| !name.starts_with("cotangent.")) {
        let zeros = Array { shape: array.shape.clone(), values: vec![0.0; array.values.len()] };
        outcome.insert(format!("grad.{name}"), zeros);
    }
    for part in &gradients {
        let mut add = |name: String, gradient: Option<Array>| {
            let Some(gradient) = gradient else { return };
            let sum = outcome.get_mut(&format!("grad.{name}")).expect("of what is given");
            sum.values.iter_mut().zip(gradient.values).for_each(|(sum, part)| *sum += part);
        };
        for (name, gradient) in loaded.layer.parameter_gradients(part) {
            add(name, Some(gradient));
        }
        add("input".into(), loaded.input.grad(part).map(array));
        let states = [
            ("h_0", &loaded.hidden),
            ("c_0", &loaded.cell),
            ("h_reset", &loaded.reset_hidden),
            ("c_reset", &loaded.reset_cell),
        ];
        for (name, state) in states {
            if let Some(state) = state {
                add(name.into(), state.grad(part).map(array));
            }
        }
    }
    outcome
}

/// Computes only the problem's loss, by a forward pass without a tape.
///
/// # Errors
///
/// One line, if the options do not make a layer.
pub fn loss(problem: &Problem, setting: &Setting) -> Result<f64, String> {
    // Without autodiff there is no noise.
    let device = match problem.options.noise {
        Some(_) => setting.device.clone().autodiff(),
        None => setting.device.clone(),
    };
    let layer = problem.options.layer_config().try_init(&device);
    let results = match layer.map_err(|error| error.to_string())? {
        AnyLayer::Recurrent(layer) => load(problem, layer, setting, device).forward(problem),
        #[cfg(feature = "scanned-cells")]
        AnyLayer::Scanned(layer) => load(problem, layer, setting, device).forward(problem),
        other => return Err(unknown(&other)),
    };
    // The sum is taken on the host in f64, because small differences could be lost in a device's sum.
    let mut sum = 0.0;
    let mut add = |x: Tensor<3>, name: &str| {
        let cotangent = problem.array(&format!("cotangent.{name}"));
        sum += array(x).values.iter().zip(&cotangent.values).map(|(x, c)| x * c).sum::<f64>();
    };
    add(results.0, "output");
    add(results.1, "h_n");
    if let Some(memory) = results.2 {
        add(memory, "c_n");
    }
    Ok(sum)
}
