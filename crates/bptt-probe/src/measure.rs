//! One run: outputs, final states and every gradient of a problem.

use crate::feed::Results;
use crate::problem::{Array, Problem};
use bptt::{Engine, Kernel, Recurrent, SequenceCell};
use burn::Tensor;
use burn::module::Param;
use burn::tensor::{Device, TensorData};
use std::collections::BTreeMap;

/// A float type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32 bits.
    F32,
    /// 64 bits.
    F64,
}

impl DType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::F64, Self::F32];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// Whether a device computes in it.
    pub fn works_on(self, name: &str, device: &Device) -> bool {
        // Shaders have no f64, whatever a driver says of itself.
        let shaders = matches!(name, "wgpu" | "vulkan" | "metal");
        !(shaders && self == Self::F64) && device.supports_dtype(self.burn())
    }

    fn burn(self) -> burn::tensor::DType {
        match self {
            Self::F32 => burn::tensor::DType::F32,
            Self::F64 => burn::tensor::DType::F64,
        }
    }
}

/// How a problem is run.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Which engine differentiates.
    pub engine: Engine,
    /// Which kernel the manual engine runs.
    pub kernel: Kernel,
    /// Where, without autodiff.
    pub device: Device,
    /// In which type.
    pub dtype: DType,
}

/// Outputs, final states and every gradient, by the names of the reference format.
pub type Outcome = BTreeMap<String, Array>;

/// `‖a − b‖₂ / max(‖b‖₂, tiny)`; infinite if a value is not a number.
pub fn relative_error(a: &Array, b: &Array) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut a.values.iter().zip(&b.values).map(|(a, b)| a - b));
    let size = norm(&mut b.values.iter().copied());
    let error = difference / size.max(TINY);
    if error.is_nan() || a.shape != b.shape { f64::INFINITY } else { error }
}

/// Below this a norm counts as zero: it would be lost in f32 anyway.
const TINY: f64 = 1e-30;

/// A layer with the problem's numbers.
pub(crate) struct Loaded<C: SequenceCell> {
    pub(crate) layer: Recurrent<C>,
    pub(crate) input: Tensor<3>,
    pub(crate) hidden: Option<Tensor<3>>,
    pub(crate) cell: Option<Tensor<3>>,
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
            weights.bias_hh = Some(vector(problem, format!("bias_hh{suffix}"), &device, dtype));
        }
        if problem.options.proj_size > 0 {
            weights.weight_hr = Some(matrix(problem, format!("weight_hr{suffix}"), &device, dtype));
        }
    }
    let leaf = |name: &str| {
        let leaf = tensor::<3>(problem.given.get(name)?, &device, dtype);
        Some(if device.is_autodiff() { leaf.require_grad() } else { leaf })
    };
    Loaded {
        layer: layer.with_engine(setting.engine).with_kernel(setting.kernel),
        input: leaf("input").expect("a problem has an input"),
        hidden: leaf("h_0"),
        cell: leaf("c_0"),
        setting: setting.clone(),
        device,
    }
}

impl<C: SequenceCell> Loaded<C> {
    /// `Σ output ⊙ cotangent.output + Σ h_n ⊙ cotangent.h_n [+ Σ c_n ⊙ cotangent.c_n]`
    pub(crate) fn loss(&self, problem: &Problem, (output, hidden, memory): Results) -> Tensor<1> {
        self.weighted(problem, output, "output") + self.loss_of_state(problem, hidden, memory)
    }

    /// The part of the final state.
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

/// Runs the problem: outputs, final states and every gradient.
///
/// # Errors
///
/// One line, if the options do not make a layer.
pub fn measure(problem: &Problem, setting: &Setting) -> Result<Outcome, String> {
    let device = setting.device.clone().autodiff();
    let layer = problem.options.config().try_init(&device).map_err(|error| error.to_string())?;
    Ok(measure_layer(problem, setting, layer))
}

/// As [`measure`], with a layer of any cell that has the problem's shapes.
pub fn measure_layer<C: SequenceCell>(
    problem: &Problem,
    setting: &Setting,
    layer: Recurrent<C>,
) -> Outcome {
    let device = setting.device.clone().autodiff();
    let loaded = load(problem, layer, setting, device);
    let (results, gradients) = loaded.differentiated(problem);
    let mut outcome = Outcome::new();
    outcome.insert("output".into(), array(results.0.clone().inner()));
    outcome.insert("h_n".into(), array(results.1.clone().inner()));
    if let Some(memory) = &results.2 {
        outcome.insert("c_n".into(), array(memory.clone().inner()));
    }

    // A gradient that is not there is a gradient of zero: nothing led to the loss.
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
        for (suffix, weights) in loaded.layer.suffixes().zip(&loaded.layer.weights) {
            let name = |name: &str| format!("{name}{suffix}");
            add(name("weight_ih"), weights.weight_ih.grad(part).map(array));
            add(name("weight_hh"), weights.weight_hh.grad(part).map(array));
            for (which, bias) in [("bias_ih", &weights.bias_ih), ("bias_hh", &weights.bias_hh)] {
                if let Some(bias) = bias {
                    add(name(which), bias.grad(part).map(array));
                }
            }
            if let Some(weight) = &weights.weight_hr {
                add(name("weight_hr"), weight.grad(part).map(array));
            }
        }
        add("input".into(), loaded.input.grad(part).map(array));
        for (name, state) in [("h_0", &loaded.hidden), ("c_0", &loaded.cell)] {
            if let Some(state) = state {
                add(name.into(), state.grad(part).map(array));
            }
        }
    }
    outcome
}

/// The problem's loss alone, forward only, nothing recorded.
///
/// # Errors
///
/// One line, if the options do not make a layer.
pub fn loss(problem: &Problem, setting: &Setting) -> Result<f64, String> {
    let device = setting.device.clone();
    let layer = problem.options.config().try_init(&device).map_err(|error| error.to_string())?;
    let loaded = load(problem, layer, setting, device);
    let results = loaded.forward(problem);
    // Summed on the host in f64, so that no difference is lost in a device's sum.
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
