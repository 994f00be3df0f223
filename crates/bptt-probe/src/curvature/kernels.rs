//! One layer in one direction in dual numbers, by the host kernels: what `sequence.rs` does in tensor
//! operations.

use crate::curvature::sequence::{Matrix, Operands, Results, SequenceSpec};
use crate::curvature::stacking;
use bptt::Recorded;
use bptt::cells::{Cell, Dual};
use bptt_kernels::{self as kernels, AnyTensor, Cotangents, DualRun, Operand, Plan};
use burn::Tensor;
use burn::tensor::{DType, Device, Shape, TensorData};

/// The forward pass, with what the backward pass needs.
pub(super) struct ForwardPass<C> {
    run: DualRun<C>,
    /// Where results are wanted.
    device: Device,
    /// Those of a sequence: `[T, B]`, or `[B, T]`.
    rows: [usize; 2],
    batch: usize,
}

/// Whether there are kernels for such numbers, where they are.
pub(super) fn take(x: &Tensor<3>) -> bool {
    kernels::in_host_memory(x) && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// The sequence forward.
pub(super) fn forward<C: Cell>(
    cell: C,
    spec: &SequenceSpec,
    operands: Operands,
) -> (Results, ForwardPass<C>) {
    let SequenceSpec { time, batch, batch_first, .. } = *spec;
    let rows = if batch_first { [batch, time] } else { [time, batch] };
    let device = operands.input.value.0.device();
    let [_, width] = operands.input.value.0.dims();
    let vector = |x: &Matrix| -> Dual<AnyTensor> {
        x.linear(|x| {
            let [_, width] = x.0.dims();
            x.0.clone().reshape([width]).into()
        })
    };
    let all = kernels::Operands::new()
        .with(Operand::Input, cube(&operands.input, [rows[0], rows[1], width]))
        .with(Operand::WeightIh, matrix(&operands.weight_ih))
        .with(Operand::WeightHh, matrix(&operands.weight_hh))
        .with_optional(Operand::BiasIh, operands.bias_ih.as_ref().map(vector))
        .with_optional(Operand::BiasHh, operands.bias_hh.as_ref().map(vector))
        .with_optional(Operand::WeightHr, operands.weight_hr.as_ref().map(matrix))
        .with(Operand::Hidden, matrix(&operands.hidden))
        .with_optional(Operand::Memory, stacked(&operands.memory));
    let plan = Plan::new(cell)
        .with_reverse(spec.reverse)
        .with_batch_first(batch_first)
        .with_mask(spec.mask.clone())
        .with_masked_output(spec.masked_output);
    let (results, run) = kernels::in_duals(&plan, all).expect("`take` was asked");
    let passed = ForwardPass { run, device, rows, batch };
    let results = Results {
        outputs: passed.rows(results.outputs, time * batch),
        hidden: passed.rows(results.hidden, batch),
        memory: results.memory.map_or_else(Vec::new, |memory| passed.planes(memory)),
    };
    (results, passed)
}

impl<C: Cell> ForwardPass<C> {
    /// The sequence backward: dLoss/d(operand), and how that changes along the direction.
    pub(super) fn backward(self, d_results: Results) -> Operands {
        let Self { run, device, rows: [steps, of], batch } = self;
        let [_, output] = d_results.hidden.value.0.dims();
        let mut d = run.backward(Cotangents {
            outputs: Some(cube(&d_results.outputs, [steps, of, output])),
            hidden: Some(matrix(&d_results.hidden)),
            memory: stacked(&d_results.memory),
        });
        let mut take = |operand| d.take(operand);
        let whole = |x: Dual<TensorData>| {
            let rows = match *x.value.shape().to_vec() {
                [_] => 1,
                [rows, _] => rows,
                [a, b, ..] => a * b,
                [] => 1,
            };
            on(&device, x, rows)
        };
        let needed = "each operand has a gradient";
        Operands {
            input: whole(take(Operand::Input).expect(needed)),
            weight_ih: whole(take(Operand::WeightIh).expect(needed)),
            weight_hh: whole(take(Operand::WeightHh).expect(needed)),
            bias_ih: take(Operand::BiasIh).map(whole),
            bias_hh: take(Operand::BiasHh).map(whole),
            weight_hr: take(Operand::WeightHr).map(whole),
            hidden: whole(take(Operand::Hidden).expect(needed)),
            memory: take(Operand::Memory).map_or_else(Vec::new, |c| planes(&device, c, batch)),
        }
    }

    fn rows(&self, x: Dual<TensorData>, rows: usize) -> Matrix {
        on(&self.device, x, rows)
    }

    fn planes(&self, x: Dual<TensorData>) -> Vec<Matrix> {
        planes(&self.device, x, self.batch)
    }
}

fn matrix(x: &Matrix) -> Dual<AnyTensor> {
    x.linear(|x| x.0.clone().into())
}

/// A matrix as a sequence of this shape.
fn cube(x: &Matrix, shape: [usize; 3]) -> Dual<AnyTensor> {
    x.linear(|x| x.0.clone().reshape(shape).into())
}

/// The same numbers in another shape.
fn shaped(data: TensorData, shape: Shape) -> TensorData {
    let (bytes, _, dtype) = data.into_parts();
    TensorData::from_bytes(bytes, shape, dtype)
}

/// `[M, B, H]`, of matrices `[B, H]`.
fn stacked(all: &[Matrix]) -> Option<Dual<AnyTensor>> {
    if all.is_empty() {
        return None;
    }
    let all = stacking::stacked(all);
    Some(all.linear(|x| x.clone().into()))
}

/// A matrix of so many rows.
fn on(device: &Device, x: Dual<TensorData>, rows: usize) -> Matrix {
    let tensor = |data: TensorData| {
        let (columns, dtype) = (data.num_elements() / rows, data.dtype());
        let data = shaped(data, [rows, columns].into());
        Recorded(Tensor::from_data(data, (device, dtype)))
    };
    Dual { value: tensor(x.value), tangent: x.tangent.map(tensor) }
}

/// Matrices of so many rows, one after the other in memory.
fn planes(device: &Device, x: Dual<TensorData>, rows: usize) -> Vec<Matrix> {
    let count = x.value.shape()[0];
    let all = on(device, x, count * rows);
    let plane = |k: usize| all.linear(|x| Recorded(x.0.clone().slice([k * rows..(k + 1) * rows])));
    (0..count).map(plane).collect()
}
