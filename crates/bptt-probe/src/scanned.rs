//! The layers that run as a scan, as problems: their configs, their parameters, and where these begin.

use crate::loaded::{MeasuredLayer, array, tensor};
use crate::problem::{Array, LayerOptions, Problem};
use crate::setting::DType;
use bptt::Kernel;
use bptt::scanned::{AnyScannedConfig, Scanned, ScannedKind, ScannedLayer};
use burn::Tensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients};

/// The config of a layer.
pub(crate) fn config(kind: ScannedKind, options: &LayerOptions) -> AnyScannedConfig {
    AnyScannedConfig::new(kind, options.input_size, options.hidden_size)
        .with_log_space(options.log_space)
        .with_bias(options.bias)
        .with_d_output(options.proj_size)
        .with_num_layers(options.num_layers)
        .with_batch_first(options.batch_first)
        .with_bidirectional(options.bidirectional)
        .with_reverse(options.reverse)
}

/// The parameters: the path of each in its layer, and the suffix of the layer, `_l0`, `_l0_reverse`, … `None` if a size is
/// too large.
pub(crate) fn parameters(
    kind: ScannedKind,
    options: &LayerOptions,
) -> Option<Vec<(String, Vec<usize>)>> {
    let above = options.directions().checked_mul(options.output_size())?;
    let mut all = Vec::new();
    for layer in 0..options.num_layers {
        let input = if layer == 0 { options.input_size } else { above };
        for reverse in ["", "_reverse"].iter().take(options.directions()) {
            let named = |(name, shape)| (format!("{name}_l{layer}{reverse}"), shape);
            all.extend(of_layer(kind, options, input)?.into_iter().map(named));
        }
    }
    Some(all)
}

/// The parameters of one layer in one direction, with an input of this size.
fn of_layer(
    kind: ScannedKind,
    options: &LayerOptions,
    input: usize,
) -> Option<Vec<(&'static str, Vec<usize>)>> {
    let (hidden, output) = (options.hidden_size, options.output_size());
    // What of the weights there is by the gates' number.
    let gated = |gates: usize, input: usize| {
        let rows = gates.checked_mul(hidden)?;
        let bias = options.bias.then(|| ("bias_ih", vec![rows]));
        Some([("weight_ih", vec![rows, input])].into_iter().chain(bias))
    };
    // What complex layers have besides their factor.
    let complex = [
        ("weight_re", vec![hidden, input]),
        ("weight_im", vec![hidden, input]),
        ("readout.weight_re", vec![output, hidden]),
        ("readout.weight_im", vec![output, hidden]),
        ("readout.weight_skip", vec![output, input]),
    ];
    let of_units = |names: [&'static str; 3]| names.map(|name| (name, vec![hidden]));
    Some(match kind {
        ScannedKind::MinGru => gated(2, input)?.collect(),
        ScannedKind::MinLstm => gated(3, input)?.collect(),
        ScannedKind::RgLru => {
            let weight_in = (input != hidden).then(|| ("weight_in", vec![hidden, input]));
            let lambda = [("lambda", vec![hidden])];
            weight_in.into_iter().chain(gated(2, hidden)?).chain(lambda).collect()
        }
        ScannedKind::Lru => {
            of_units(["nu_log", "theta_log", "gamma_log"]).into_iter().chain(complex).collect()
        }
        ScannedKind::S5 => {
            of_units(["rate_log", "frequency", "step_log"]).into_iter().chain(complex).collect()
        }
        other => unreachable!("{}: a layer without a line here", other.name()),
    })
}

/// How many numbers the weights of one layer have, for sizes `[I, H]`, without what is one number a unit. `None` if they
/// are too many.
pub(crate) fn weights(kind: ScannedKind, [input, hidden]: [usize; 2]) -> Option<usize> {
    let options = LayerOptions { hidden_size: hidden, ..LayerOptions::plain(kind) };
    let matrices =
        of_layer(kind, &options, input)?.into_iter().filter(|(_, shape)| shape.len() == 2);
    matrices
        .map(|(_, shape)| shape[0].checked_mul(shape[1]))
        .try_fold(0_usize, |sum, count| sum.checked_add(count?))
}

/// The mean of the random numbers of a parameter that is one number a unit: such that a state is forgotten in some
/// steps, and not at once. `None` for the other tensors.
pub(crate) fn mean(name: &str) -> Option<f64> {
    // The suffix is `_l0`, `_l0_reverse`, …, behind `_log` in some names.
    let (name, _) = name.rsplit_once("_l")?;
    match name {
        // a = e^(-8 softplus(Λ) r) is about e^(-0.3).
        "lambda" => Some(-2.5),
        // |λ| = e^(-e^ν) is about 0.8.
        "nu_log" => Some(-1.5),
        // |λ| = e^(-e^(ρ + δ)) likewise.
        "rate_log" | "step_log" => Some(-0.75),
        "theta_log" | "gamma_log" | "frequency" => Some(0.0),
        _ => None,
    }
}

impl<L: ScannedLayer> MeasuredLayer for Scanned<L> {
    fn with_parameters(self, problem: &Problem, device: &Device, dtype: DType) -> Self {
        let path = Path::of(&problem.options);
        self.map(&mut Loader { problem, device, dtype, path })
    }

    fn with_kernel_of(self, kernel: Kernel) -> Self {
        self.with_kernel(kernel)
    }

    fn parameter_gradients(&self, of: &Gradients) -> Vec<(String, Array)> {
        let directions = self.d_output() / self.layers[0].d_output();
        let path = Path { directions, names: vec![] };
        let mut reader = Reader { of, path, found: vec![] };
        self.visit(&mut reader);
        reader.found
    }
}

/// Where a walk through the parameters is: `layers`, the number of the layer, and the path in it.
struct Path {
    directions: usize,
    names: Vec<String>,
}

impl Path {
    fn of(options: &LayerOptions) -> Self {
        Self { directions: options.directions(), names: vec![] }
    }

    /// The name of the parameter here in a problem.
    fn name(&self) -> String {
        let [_, number, path @ ..] = &self.names[..] else {
            panic!("{:?}: expected layers, a number and a path", self.names);
        };
        let number: usize = number.parse().expect("the layers have numbers");
        let reverse = if number % self.directions == 1 { "_reverse" } else { "" };
        format!("{}_l{}{reverse}", path.join("."), number / self.directions)
    }
}

/// Puts a problem's numbers in the place of the parameters.
struct Loader<'a> {
    problem: &'a Problem,
    device: &'a Device,
    dtype: DType,
    path: Path,
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.names.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.names.pop();
    }

    fn map_float<const D: usize>(&mut self, _: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let numbers = self.problem.array(&self.path.name());
        Param::from_tensor(tensor(numbers, self.device, self.dtype))
    }
}

/// Reads the gradients of the parameters.
struct Reader<'a> {
    of: &'a Gradients,
    path: Path,
    found: Vec<(String, Array)>,
}

impl ModuleVisitor for Reader<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.names.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.names.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.grad(self.of).map(array);
        self.found.extend(gradient.map(|gradient| (self.path.name(), gradient)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_one_number_a_unit_has_a_mean() {
        let options = LayerOptions::plain(ScannedKind::S5);
        for kind in ScannedKind::ALL {
            for (name, shape) in parameters(kind, &options).expect("small sizes") {
                let is_of_units = shape.len() == 1 && !name.starts_with("bias");
                assert_eq!(mean(&name).is_some(), is_of_units, "{name}");
            }
        }
    }
}
