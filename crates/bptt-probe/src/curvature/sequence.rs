//! One layer in one direction, forward and backward in dual numbers: by the kernels for host memory, or by
//! the reference body. Both run the cell's own `step` and `step_backward`.

use crate::curvature::diagonal::{Diagonal, States};
use crate::curvature::stacking::{self, Matrix};
use bptt::cells::{Cell, Dual};
use bptt::{MaskedOutput, Recorded, SequenceMask};
use bptt_kernels::{self as kernels, AnyTensor, CellLayout, Cotangents, Operand, Plan, StepNoise};
use burn::Tensor;
use burn::tensor::{DType, Device, TensorData};
use std::sync::Arc;

/// The operands, or their gradients, with tangents. Shapes as in `bptt-kernels`, biases as rows.
#[derive(Clone, Debug)]
pub(super) struct Operands {
    /// `[T·B, I]`
    pub(super) input: Matrix,
    pub(super) weight_ih: Matrix,
    pub(super) weight_hh: Matrix,
    pub(super) bias_ih: Option<Matrix>,
    pub(super) bias_hh: Option<Matrix>,
    pub(super) weight_hr: Option<Matrix>,
    /// `[V, H]`
    pub(super) weight_diag: Option<Matrix>,
    /// `[B, P]`
    pub(super) hidden: Matrix,
    /// `[B, H]` each.
    pub(super) memory: Vec<Matrix>,
    /// `[B, P]`
    pub(super) reset_hidden: Option<Matrix>,
    /// `[B, H]` each; none for zeros.
    pub(super) reset_memory: Vec<Matrix>,
}

impl Operands {
    fn states(&mut self) -> States<'_> {
        let Self { hidden, memory, reset_hidden, reset_memory, .. } = self;
        States { hidden, memory, reset_hidden, reset_memory }
    }
}

/// The results, or dLoss/d(results).
#[derive(Clone, Debug)]
pub(super) struct Results {
    /// `[T·B, P]`
    pub(super) outputs: Matrix,
    /// `[B, P]`
    pub(super) hidden: Matrix,
    /// `[B, H]` each.
    pub(super) memory: Vec<Matrix>,
}

/// A sequence without its numbers: sizes, direction, mask, resets.
#[derive(Clone, Debug)]
pub(super) struct SequenceSpec {
    pub(super) time: usize,
    pub(super) batch: usize,
    /// Whether sequences are `[B, T, n]`. The kernels take either order, the reference body only `[T, B, n]`.
    pub(super) batch_first: bool,
    pub(super) reverse: bool,
    pub(super) mask: Option<SequenceMask>,
    pub(super) masked_output: MaskedOutput,
    /// `[T, B]`
    pub(super) resets: Option<Arc<[bool]>>,
    /// How many heads `weight_hh` has. As an operand here it is a matrix, the heads' blocks under each other.
    pub(super) heads: usize,
    /// The layer's noise in evaluation.
    pub(super) noise: Option<StepNoise>,
    /// Whether the kernels for host memory run it.
    pub(super) by_kernels: bool,
}

/// Whether there are host kernels for the type and the device of this tensor.
pub(super) fn have_kernels(x: &Tensor<3>) -> bool {
    kernels::in_host_memory(x) && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// The forward pass, with what the backward pass needs.
pub(super) struct ForwardPass {
    backward: Backward,
    /// The first two dimensions of a sequence: `[T, B]`, or `[B, T]`.
    rows: [usize; 2],
    batch: usize,
    diagonal: Diagonal,
}

/// The backward pass of the kernel that ran forward.
type Backward = Box<dyn FnOnce(Cotangents<Dual<AnyTensor>>) -> kernels::Operands<Matrix>>;

/// Runs the sequence forward.
pub(super) fn forward<C: Cell>(
    cell: C,
    spec: SequenceSpec,
    mut operands: Operands,
) -> (Results, ForwardPass) {
    let is_recurrent = CellLayout::of::<C>().has_recurrent_weights();
    let weight = match is_recurrent {
        true => operands.weight_diag.take(),
        false => Some(operands.weight_hh.clone()),
    };
    let diagonal = Diagonal::add(weight, spec.resets.is_some(), operands.states());
    let SequenceSpec { time, batch, batch_first, heads, by_kernels, .. } = spec;
    let rows = if batch_first { [batch, time] } else { [time, batch] };
    let device = operands.input.value.0.device();
    let plan = Plan::new(cell)
        .with_reverse(spec.reverse)
        .with_batch_first(batch_first)
        .with_mask(spec.mask)
        .with_masked_output(spec.masked_output)
        .with_resets(spec.resets)
        .with_noise(spec.noise);
    let all = kernels::Operands::new()
        .with(Operand::Input, cube(&operands.input, rows))
        .with(Operand::WeightIh, matrix(&operands.weight_ih))
        .with_optional(
            Operand::WeightHh,
            is_recurrent.then(|| in_heads(&operands.weight_hh, heads)),
        )
        .with_optional(Operand::BiasIh, operands.bias_ih.as_ref().map(vector))
        .with_optional(Operand::BiasHh, operands.bias_hh.as_ref().map(vector))
        .with_optional(Operand::WeightHr, operands.weight_hr.as_ref().map(matrix))
        .with(Operand::Hidden, matrix(&operands.hidden))
        .with_optional(Operand::Memory, stacked(&operands.memory))
        .with_optional(Operand::ResetHidden, operands.reset_hidden.as_ref().map(matrix))
        .with_optional(Operand::ResetMemory, stacked(&operands.reset_memory));
    let (results, backward): (_, Backward) = if by_kernels {
        let (results, run) = kernels::in_duals(&plan, all).expect("`have_kernels` was asked");
        let results = results.map(|x| of_data(&device, x));
        (results, Box::new(move |d| run.backward(d).map(|x| of_data(&device, x))))
    } else {
        let (results, run) = kernels::reference_in_duals(&plan, all);
        (results.map(of_tensor), Box::new(move |d| run.backward(d).map(of_tensor)))
    };
    let results = Results {
        outputs: results.outputs,
        hidden: results.hidden,
        memory: diagonal
            .without(results.memory.map_or_else(Vec::new, |memory| planes(&memory, batch))),
    };
    (results, ForwardPass { backward, rows, batch, diagonal })
}

impl ForwardPass {
    /// Runs the sequence backward: dLoss/d(operand), and its derivative along the direction.
    pub(super) fn backward(self, d_results: Results) -> Operands {
        let Self { backward, rows, batch, diagonal } = self;
        // The loss does not depend on the final diagonal weights.
        let memory = diagonal.with_zeros(d_results.memory);
        let mut d = backward(Cotangents {
            outputs: Some(cube(&d_results.outputs, rows)),
            hidden: Some(matrix(&d_results.hidden)),
            memory: stacked(&memory),
        });
        let mut take = |operand| d.take(operand);
        let all_planes = |x: Option<Matrix>| x.map_or_else(Vec::new, |x| planes(&x, batch));
        let needed = "each operand has a gradient";
        let d_hidden = take(Operand::Hidden).expect(needed);
        // Without recurrent products, `weight_hh` is the diagonal weights.
        let weight_hh = take(Operand::WeightHh);
        let mut all = Operands {
            input: take(Operand::Input).expect(needed),
            weight_ih: take(Operand::WeightIh).expect(needed),
            weight_hh: weight_hh.clone().unwrap_or_else(|| d_hidden.clone()),
            bias_ih: take(Operand::BiasIh),
            bias_hh: take(Operand::BiasHh),
            weight_hr: take(Operand::WeightHr),
            weight_diag: None,
            hidden: d_hidden,
            memory: all_planes(take(Operand::Memory)),
            reset_hidden: take(Operand::ResetHidden),
            reset_memory: all_planes(take(Operand::ResetMemory)),
        };
        let d_diagonal = diagonal.take(all.states());
        match weight_hh {
            Some(_) => all.weight_diag = d_diagonal,
            None => all.weight_hh = d_diagonal.expect(needed),
        }
        all
    }
}

fn vector(x: &Matrix) -> Dual<AnyTensor> {
    x.linear(|x| {
        let [_, width] = x.0.dims();
        x.0.clone().reshape([width]).into()
    })
}

fn matrix(x: &Matrix) -> Dual<AnyTensor> {
    x.linear(|x| x.0.clone().into())
}

/// A recurrent weight: whole, or blocks.
fn in_heads(x: &Matrix, heads: usize) -> Dual<AnyTensor> {
    if heads == 1 {
        return matrix(x);
    }
    x.linear(|x| {
        let [rows, width] = x.0.dims();
        x.0.clone().reshape([heads, rows / heads, width]).into()
    })
}

/// A matrix as a sequence with these first two dimensions.
fn cube(x: &Matrix, [a, b]: [usize; 2]) -> Dual<AnyTensor> {
    x.linear(|x| {
        let [_, width] = x.0.dims();
        x.0.clone().reshape([a, b, width]).into()
    })
}

/// `[M, B, H]`, of matrices `[B, H]`.
fn stacked(all: &[Matrix]) -> Option<Dual<AnyTensor>> {
    if all.is_empty() {
        return None;
    }
    let all = stacking::stacked(all);
    Some(all.linear(|x| x.clone().into()))
}

/// A matrix with the rows of a tensor.
fn of_tensor(x: Dual<AnyTensor>) -> Matrix {
    x.linear(|x| {
        Recorded(match x.clone() {
            AnyTensor::Vector(x) => x.unsqueeze(),
            AnyTensor::Matrix(x) => x,
            AnyTensor::Cube(x) => {
                let [a, b, width] = x.dims();
                x.reshape([a * b, width])
            }
        })
    })
}

/// The same for data that are not yet on the device.
fn of_data(device: &Device, x: Dual<TensorData>) -> Matrix {
    let matrix = |data: TensorData| {
        let columns = *data.shape().last().expect("a result has a dimension");
        let rows = data.num_elements() / columns;
        let (bytes, _, dtype) = data.into_parts();
        let data = TensorData::from_bytes(bytes, [rows, columns], dtype);
        Recorded(Tensor::from_data(data, (device, dtype)))
    };
    Dual { value: matrix(x.value), tangent: x.tangent.map(matrix) }
}

/// Splits a matrix into matrices of this many rows.
fn planes(all: &Matrix, rows: usize) -> Vec<Matrix> {
    let [count, _] = all.value.0.dims();
    let plane = |k: usize| all.linear(|x| Recorded(x.0.clone().slice([k * rows..(k + 1) * rows])));
    (0..count / rows).map(plane).collect()
}
