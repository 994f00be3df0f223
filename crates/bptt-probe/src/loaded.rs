//! A layer with the numbers of a problem, on a device.

use crate::in_pool::seen_from_a_pool;
use crate::problem::{Array, Problem};
use crate::setting::{DType, Setting};
use bptt::{Kernel, Recurrent, RecurrentLayer, SequenceCell};
use burn::Tensor;
use burn::module::Param;
use burn::tensor::{Device, Gradients, TensorData};

/// Outputs, final hidden state and final memory.
pub(crate) type Results = (Tensor<3>, Tensor<3>, Option<Tensor<3>>);

/// A layer that a problem is measured by: its parameters by the names of the reference format.
pub trait MeasuredLayer: RecurrentLayer {
    /// The layer with a problem's parameters, on a device, in a type.
    fn with_parameters(self, problem: &Problem, device: &Device, dtype: DType) -> Self;

    /// The layer with this kernel, unless it has one of its own.
    fn with_kernel_of(self, kernel: Kernel) -> Self;

    /// The layer before its first call, with the noise of training or of evaluation.
    fn with_noise_of(self, problem: &Problem) -> Self {
        let _ = problem;
        self
    }

    /// The gradients of its parameters, as far as there are some.
    fn parameter_gradients(&self, of: &Gradients) -> Vec<(String, Array)>;

    /// The results of a pool's streams; `None` if the layer is not in a pool.
    fn seen_from_a_pool(&self, problem: &Problem) -> Option<[Array; 3]> {
        let _ = problem;
        None
    }
}

/// A layer with the problem's numbers.
pub(crate) struct Loaded<L> {
    pub(crate) layer: L,
    pub(crate) input: Tensor<3>,
    pub(crate) hidden: Option<Tensor<3>>,
    pub(crate) cell: Option<Tensor<3>>,
    pub(crate) reset_hidden: Option<Tensor<3>>,
    pub(crate) reset_cell: Option<Tensor<3>>,
    pub(crate) setting: Setting,
    pub(crate) device: Device,
}

impl<L> Loaded<L> {
    pub(crate) fn tensor<const D: usize>(&self, array: &Array) -> Tensor<D> {
        tensor(array, &self.device, self.setting.dtype)
    }
}

pub(crate) fn tensor<const D: usize>(array: &Array, device: &Device, dtype: DType) -> Tensor<D> {
    let data = TensorData::new(array.values.clone(), array.shape.clone());
    Tensor::from_data(data.convert_dtype(dtype.burn()), (device, dtype.burn()))
}

pub(crate) fn array<const D: usize>(tensor: Tensor<D>) -> Array {
    let shape = tensor.dims().to_vec();
    let values = tensor.into_data().convert::<f64>().try_to_vec().expect("converted to f64");
    Array { shape, values }
}

impl<C: SequenceCell> MeasuredLayer for Recurrent<C> {
    fn with_parameters(mut self, problem: &Problem, device: &Device, dtype: DType) -> Self {
        let suffixes: Vec<_> = self.suffixes().collect();
        for (suffix, weights) in suffixes.iter().zip(&mut self.weights) {
            let array = |name: &str| problem.array(&format!("{name}{suffix}"));
            let matrix = |name| Param::from_tensor(tensor::<2>(array(name), device, dtype));
            let vector = |name| Param::from_tensor(tensor::<1>(array(name), device, dtype));
            weights.weight_ih = matrix("weight_ih");
            let of_hidden = array("weight_hh");
            weights.weight_hh = match of_hidden.shape.len() {
                3 => Param::from_tensor(tensor::<3>(of_hidden, device, dtype)).into(),
                _ => Param::from_tensor(tensor::<2>(of_hidden, device, dtype)).into(),
            };
            if problem.options.bias {
                weights.bias_ih = Some(vector("bias_ih"));
            }
            if weights.bias_hh.is_some() {
                weights.bias_hh = Some(vector("bias_hh"));
            }
            if problem.options.proj_size > 0 {
                weights.weight_hr = Some(matrix("weight_hr"));
            }
            if weights.weight_diag.is_some() {
                weights.weight_diag = Some(matrix("weight_diag"));
            }
        }
        self
    }

    fn with_kernel_of(self, kernel: Kernel) -> Self {
        match self.custom_kernel() {
            Some(_) => self,
            None => self.with_kernel(kernel),
        }
    }

    fn with_noise_of(self, problem: &Problem) -> Self {
        let Some(noise) = self.noise() else { return self };
        let mut layer = self.with_noise_seed(noise.seed);
        layer.dropout.training = Param::from_bool(!problem.options.evaluates);
        layer
    }

    fn parameter_gradients(&self, of: &Gradients) -> Vec<(String, Array)> {
        let mut all = Vec::new();
        for (suffix, weights) in self.suffixes().zip(&self.weights) {
            let mut add = |name: &str, gradient: Option<Array>| {
                all.extend(gradient.map(|gradient| (format!("{name}{suffix}"), gradient)));
            };
            add("weight_ih", weights.weight_ih.grad(of).map(array));
            add("weight_hh", weights.weight_hh.grad(of).map(array));
            for (which, bias) in [("bias_ih", &weights.bias_ih), ("bias_hh", &weights.bias_hh)] {
                add(which, bias.as_ref().and_then(|bias| bias.grad(of)).map(array));
            }
            let others = [("weight_hr", &weights.weight_hr), ("weight_diag", &weights.weight_diag)];
            for (which, weight) in others {
                add(which, weight.as_ref().and_then(|weight| weight.grad(of)).map(array));
            }
        }
        all
    }

    fn seen_from_a_pool(&self, problem: &Problem) -> Option<[Array; 3]> {
        Some(seen_from_a_pool(self, problem))
    }
}

/// The layer with the problem's parameters, and its inputs, on a device with or without autodiff.
pub(crate) fn load<L: MeasuredLayer>(
    problem: &Problem,
    layer: L,
    setting: &Setting,
    device: Device,
) -> Loaded<L> {
    let dtype = setting.dtype;
    let leaf = |name: &str| {
        let leaf = tensor::<3>(problem.given.get(name)?, &device, dtype);
        Some(if device.is_autodiff() { leaf.require_grad() } else { leaf })
    };
    let layer = layer.with_parameters(problem, &device, dtype).with_kernel_of(setting.kernel);
    let layer = layer.with_noise_of(problem);
    Loaded {
        layer: layer.with_engine(setting.engine),
        input: leaf("input").expect("a problem has an input"),
        hidden: leaf("h_0"),
        cell: leaf("c_0"),
        reset_hidden: leaf("h_reset"),
        reset_cell: leaf("c_reset"),
        setting: setting.clone(),
        device,
    }
}

impl<L> Loaded<L> {
    /// `Σ output ⊙ cotangent.output + Σ h_n ⊙ cotangent.h_n [+ Σ c_n ⊙ cotangent.c_n]`
    pub(crate) fn loss(&self, problem: &Problem, (output, hidden, memory): Results) -> Tensor<1> {
        self.weighted(problem, output, "output") + self.loss_of_state(problem, hidden, memory)
    }

    /// The final state's part of the loss.
    pub(crate) fn loss_of_state(
        &self,
        problem: &Problem,
        hidden: Tensor<3>,
        memory: Option<Tensor<3>>,
    ) -> Tensor<1> {
        let mut loss = self.weighted(problem, hidden, "h_n");
        if let Some(memory) = memory {
            loss = loss + self.weighted(problem, memory, "c_n");
        }
        loss
    }

    fn weighted(&self, problem: &Problem, x: Tensor<3>, name: &str) -> Tensor<1> {
        (x * self.tensor::<3>(problem.array(&format!("cotangent.{name}")))).sum()
    }
}
