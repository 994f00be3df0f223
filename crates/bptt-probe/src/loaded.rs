//! A layer with the numbers of a problem, on a device.

use crate::problem::{Array, Problem};
use crate::setting::{DType, Setting};
use bptt::{Recurrent, SequenceCell};
use burn::Tensor;
use burn::module::Param;
use burn::tensor::{Device, TensorData};

/// Outputs, final hidden state and final memory.
pub(crate) type Results = (Tensor<3>, Tensor<3>, Option<Tensor<3>>);

/// A layer with the problem's numbers.
pub(crate) struct Loaded<C: SequenceCell> {
    pub(crate) layer: Recurrent<C>,
    pub(crate) input: Tensor<3>,
    pub(crate) hidden: Option<Tensor<3>>,
    pub(crate) cell: Option<Tensor<3>>,
    pub(crate) reset_hidden: Option<Tensor<3>>,
    pub(crate) reset_cell: Option<Tensor<3>>,
    pub(crate) setting: Setting,
    pub(crate) device: Device,
}

impl<C: SequenceCell> Loaded<C> {
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

/// The layer with the problem's parameters, and its inputs, on a device with or without autodiff.
pub(crate) fn load<C: SequenceCell>(
    problem: &Problem,
    mut layer: Recurrent<C>,
    setting: &Setting,
    device: Device,
) -> Loaded<C> {
    fn matrix(problem: &Problem, name: String, d: &Device, dtype: DType) -> Param<Tensor<2>> {
        Param::from_tensor(tensor(problem.array(&name), d, dtype))
    }
    fn vector(problem: &Problem, name: String, d: &Device, dtype: DType) -> Param<Tensor<1>> {
        Param::from_tensor(tensor(problem.array(&name), d, dtype))
    }
    let dtype = setting.dtype;
    let suffixes: Vec<_> = layer.suffixes().collect();
    for (suffix, weights) in suffixes.iter().zip(&mut layer.weights) {
        weights.weight_ih = matrix(problem, format!("weight_ih{suffix}"), &device, dtype);
        weights.weight_hh = matrix(problem, format!("weight_hh{suffix}"), &device, dtype);
        if problem.options.bias {
            weights.bias_ih = Some(vector(problem, format!("bias_ih{suffix}"), &device, dtype));
        }
        if weights.bias_hh.is_some() {
            weights.bias_hh = Some(vector(problem, format!("bias_hh{suffix}"), &device, dtype));
        }
        if problem.options.proj_size > 0 {
            weights.weight_hr = Some(matrix(problem, format!("weight_hr{suffix}"), &device, dtype));
        }
        if weights.weight_diag.is_some() {
            let name = format!("weight_diag{suffix}");
            weights.weight_diag = Some(matrix(problem, name, &device, dtype));
        }
    }
    let leaf = |name: &str| {
        let leaf = tensor::<3>(problem.given.get(name)?, &device, dtype);
        Some(if device.is_autodiff() { leaf.require_grad() } else { leaf })
    };
    // A layer with a kernel of its own keeps it.
    layer = match layer.custom_kernel() {
        Some(_) => layer,
        None => layer.with_kernel(setting.kernel),
    };
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

impl<C: SequenceCell> Loaded<C> {
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
