//! A stack by the host kernels.

use crate::host::layout::sizes::Layer;
use crate::host::memory::buffer::Shared;
use crate::host::memory::values::Values;
use crate::host::sequence::forward::check_fits;
use crate::host::sequence::stack::{Stage, forward as forward_stack};
use crate::host::sequence::trace_segment::Keep;
use crate::host::simd::isa::Isa;
use crate::host::step::cell_steps::{CellRunner, CellSteps};
use crate::operation::cell_layout::CellLayout;
use crate::operation::operands::{Operand, Operands, StackResults};
use crate::operation::plan::{PlanOptions, Sizes, heads_of};
use crate::recurrent::host::{HostCell, copies, slices, tensor, threads};
use crate::recurrent::host_memory::{Float, HostMemory};
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape};

/// Runs a stack forward.
pub(super) fn forward<B: HostMemory>(
    options: &[PlanOptions],
    cell: &dyn HostCell,
    operands: &[Operands<FloatTensor<B>>],
) -> StackResults<FloatTensor<B>> {
    let layout = cell.layout();
    match operands[0].need(Operand::Input).dtype() {
        DType::F64 => typed::<B, f64>(options, (&layout, cell.f64()), operands),
        _ => typed::<B, f32>(options, (&layout, cell.f32()), operands),
    }
}

fn typed<B: HostMemory, T: Float>(
    options: &[PlanOptions],
    (layout, steps): (&CellLayout, &dyn CellSteps<T>),
    operands: &[Operands<FloatTensor<B>>],
) -> StackResults<FloatTensor<B>> {
    let threads = threads();
    let copies: Vec<_> =
        operands.iter().map(|operands| copies::<B, T>(operands, &Operand::ALL, None)).collect();
    let last = operands.len() - 1;
    let input = operands[0].need(Operand::Input);
    let (device, of_input) = (input.device(), input.shape());
    let [time, batch] = [of_input[0], of_input[1]];
    let mut strides = B::rows::<T>(input).map(|(_, strides)| strides);
    let mut width = of_input[2];
    let mut layers = vec![];
    for (options, operands) in options.iter().zip(operands) {
        let shape = |operand| match operand {
            Operand::Input => Shape::new([time, batch, width]),
            _ => operands.need(operand).shape(),
        };
        let sizes = Sizes::of(layout, shape);
        let strides = strides.take().unwrap_or([batch * width, width]);
        let projected = operands.has(Operand::WeightHr);
        let mut layer = Layer::new::<T>(layout, options, &sizes, strides, projected, Isa::detect());
        layer.heads = heads_of(operands.get(Operand::WeightHh).map(|w| w.shape()).as_ref());
        width = layer.output;
        layers.push(layer);
    }
    check_fits(&layers[last], &options[last].rows, Keep::Nothing, 1);
    let plan = Layer::stack_plan::<T>(&layers, threads);
    let Layer { output_row, memories, hidden, output, .. } = layers[last];
    let sizes = Sizes { time, batch, input: width, hidden, output, memories };
    let mut outputs = Values::<T>::new(&[time, batch, output_row], true);
    let runner = CellRunner { steps, tangents: None };
    let of_layers: Vec<_> = operands
        .iter()
        .zip(&copies)
        .map(|(operands, copies)| slices::<B, T>(operands, copies.as_deref(), &Operand::ALL))
        .collect();
    let input = *of_layers[0].need(Operand::Input);
    let mut stages: Vec<_> = layers
        .into_iter()
        .zip(&of_layers)
        .map(|(layer, slices)| Stage::new(runner, layer, slices.clone(), threads))
        .collect();
    forward_stack(&mut stages, input, Shared::new(&mut outputs), plan, threads);
    let states = stages.into_iter().map(|stage| {
        let Layer { memories, hidden, output, .. } = *stage.layer();
        let memory = |memory| tensor::<B, T>(memory, [memories, batch, hidden], &device);
        let state = stage.into_state();
        let of_hidden = tensor::<B, T>(state.hidden, [batch, output], &device);
        (of_hidden, state.memory.map(memory))
    });
    let states = states.collect();
    let outputs = tensor::<B, T>(outputs, options[last].outputs_shape(&sizes), &device);
    StackResults { outputs, states }
}
