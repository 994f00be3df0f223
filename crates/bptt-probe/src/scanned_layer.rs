//! Layers that run as a scan, with the numbers of a problem.

use crate::loaded::{MeasuredLayer, array, tensor};
use crate::problem::{Array, Problem};
use crate::setting::DType;
use bptt::Kernel;
use bptt::scanned::{Scanned, ScannedLayer};
use burn::Tensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients};

impl<L: ScannedLayer> MeasuredLayer for Scanned<L> {
    fn with_parameters(self, problem: &Problem, device: &Device, dtype: DType) -> Self {
        let path = Path { directions: problem.options.directions(), names: vec![] };
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
