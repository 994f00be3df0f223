//! Two layers by the host kernels.

use crate::host::layout::sizes::Layer;
use crate::host::layout::thread_plan::ThreadPlan;
use crate::host::memory::buffer::Shared;
use crate::host::memory::values::Values;
use crate::host::sequence::backward::Job;
use crate::host::sequence::forward::{FinalState, check_fits};
use crate::host::sequence::pair;
use crate::host::sequence::stack::Stage;
use crate::host::sequence::trace as host_trace;
use crate::host::sequence::trace_segment::Keep;
use crate::host::simd::isa::Isa;
use crate::host::step::cell_steps::{CellRunner, CellSteps};
use crate::operation::cell_layout::CellLayout;
use crate::operation::operands::{BothResults, Cotangents, Operand, Operands};
use crate::operation::plan::{PlanOptions, Sizes, heads_of};
use crate::recurrent::host::{
    self, HostCell, copies, gradient_tensors, layer, slices, tensor, threads,
};
use crate::recurrent::host_memory::{Float, HostMemory};
use crate::recurrent::trace::{HostTrace, Numbers};
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape};

/// The traces of both layers, the lower one first.
pub(super) type Traces<B> = [HostTrace<FloatTensor<B>>; 2];

/// Whether two layers of these sizes run beside each other.
pub(super) fn pays(cell: &CellLayout, sizes: [Sizes; 2], heads: usize) -> bool {
    let layers = sizes.map(|sizes| {
        let (options, projected) = (PlanOptions::default(), sizes.output != sizes.hidden);
        let strides = [sizes.batch * sizes.input, sizes.input];
        let isa = Isa::detect();
        let layer = Layer::new::<f32>(cell, &options, &sizes, strides, projected, isa);
        Layer { heads, ..layer }
    });
    Layer::pair_plan::<f32>(layers.each_ref(), threads()).is_some()
}

/// Both layers' operands, with the outputs of the lower one as the input of the upper one.
pub(super) fn with_input<B: HostMemory>(
    [lower, upper]: [Operands<FloatTensor<B>>; 2],
    traces: &Traces<B>,
) -> [Operands<FloatTensor<B>>; 2] {
    [lower, upper.with(Operand::Input, traces[0].outputs.clone())]
}

/// Runs both layers forward, with a trace. The upper one has no input yet.
pub(super) fn forward<B: HostMemory>(
    options: &[PlanOptions; 2],
    cell: &dyn HostCell,
    operands: &[Operands<FloatTensor<B>>; 2],
) -> (BothResults<FloatTensor<B>>, Traces<B>) {
    let layout = cell.layout();
    match operands[0].need(Operand::Input).dtype() {
        DType::F64 => typed_forward::<B, f64>(options, (&layout, cell.f64()), cell, operands),
        _ => typed_forward::<B, f32>(options, (&layout, cell.f32()), cell, operands),
    }
}

fn typed_forward<B: HostMemory, T: Float>(
    options: &[PlanOptions; 2],
    (layout, steps): (&CellLayout, &dyn CellSteps<T>),
    cell: &dyn HostCell,
    operands: &[Operands<FloatTensor<B>>; 2],
) -> (BothResults<FloatTensor<B>>, Traces<B>) {
    let device = operands[0].need(Operand::Input).device();
    let lower = layer::<B, T>(&options[0], layout, &operands[0]);
    let upper = upper_layer::<B, T>(&options[1], layout, &operands[1], &lower);
    let Some(chunk) = Layer::pair_plan::<T>([&lower, &upper], threads()) else {
        return one_after_the_other::<B>(options, cell, operands);
    };
    let larger = if lower.input > upper.input { &lower } else { &upper };
    check_fits(larger, &options[0].rows, Keep::All, 2);
    let [mut inner, mut outputs] = [&lower, &upper]
        .map(|layer| Values::<T>::new(&[layer.time, layer.batch, layer.output], true));
    let to = [Shared::new(&mut inner), Shared::new(&mut outputs)];
    let copies = [0, 1].map(|index| copies::<B, T>(&operands[index], &Operand::ALL, None));
    let of = [0, 1]
        .map(|index| slices::<B, T>(&operands[index], copies[index].as_deref(), &Operand::ALL));
    let input = *of[0].need(Operand::Input);
    let runner = CellRunner { steps, tangents: None };
    let [of_lower, of_upper] = of;
    let stages = [
        Stage::new(runner, lower.clone(), of_lower, threads()),
        Stage::new(runner, upper.clone(), of_upper, threads()),
    ];
    let [(lower_state, lower_trace), (upper_state, upper_trace)] =
        pair::forward(stages, input, to, chunk);
    let shape = |layer: &Layer, options: &PlanOptions| {
        let Layer { time, batch, input, hidden, output, memories, .. } = *layer;
        options.outputs_shape(&Sizes { time, batch, input, hidden, output, memories })
    };
    let inner = tensor::<B, T>(inner, shape(&lower, &options[0]), &device);
    let outputs = tensor::<B, T>(outputs, shape(&upper, &options[1]), &device);
    let trace = |outputs: &FloatTensor<B>, trace| HostTrace {
        outputs: outputs.clone(),
        numbers: T::wrap(trace),
    };
    let traces = [trace(&inner, lower_trace), trace(&outputs, upper_trace)];
    let state = |layer: &Layer, state: FinalState<T>| {
        let Layer { batch, hidden, output, memories, .. } = *layer;
        let memory = |memory| tensor::<B, T>(memory, [memories, batch, hidden], &device);
        let of_hidden = tensor::<B, T>(state.hidden, [batch, output], &device);
        (of_hidden, state.memory.map(memory))
    };
    let (of_lower, in_lower) = state(&lower, lower_state);
    let (of_upper, in_upper) = state(&upper, upper_state);
    let results =
        BothResults { outputs, hidden: [of_lower, of_upper], memory: [in_lower, in_upper] };
    (results, traces)
}

/// The upper layer, whose input is the outputs of the lower one.
fn upper_layer<B: HostMemory, T: Float>(
    options: &PlanOptions,
    layout: &CellLayout,
    operands: &Operands<FloatTensor<B>>,
    lower: &Layer,
) -> Layer {
    let Layer { time, batch, output: width, .. } = *lower;
    let shape = |operand| match operand {
        Operand::Input => Shape::new([time, batch, width]),
        _ => operands.need(operand).shape(),
    };
    let sizes = Sizes::of(layout, shape);
    let (strides, projected) = ([batch * width, width], operands.has(Operand::WeightHr));
    let layer = Layer::new::<T>(layout, options, &sizes, strides, projected, Isa::detect());
    let weight_hh = operands.get(Operand::WeightHh).map(|weight| weight.shape());
    Layer { heads: heads_of(weight_hh.as_ref()), ..layer }
}

fn one_after_the_other<B: HostMemory>(
    options: &[PlanOptions; 2],
    cell: &dyn HostCell,
    operands: &[Operands<FloatTensor<B>>; 2],
) -> (BothResults<FloatTensor<B>>, Traces<B>) {
    let (lower, trace) = host::forward::<B>(&options[0], cell, &operands[0], true);
    let of_upper = operands[1].clone().with(Operand::Input, lower.outputs);
    let (upper, upper_trace) = host::forward::<B>(&options[1], cell, &of_upper, true);
    let results = BothResults {
        outputs: upper.outputs,
        hidden: [lower.hidden, upper.hidden],
        memory: [lower.memory, upper.memory],
    };
    (results, [trace, upper_trace].map(|trace| trace.expect("it was kept")))
}

/// Runs both layers backward.
///
/// # Arguments
///
/// - `operands`: with the input of both
/// - `d_outputs`: dLoss/d(outputs) of the upper layer
/// - `d_states`: of the final states of each
/// - `wanted`: the operands whose gradient is wanted, without the input of the upper layer
pub(super) fn backward<B: HostMemory>(
    options: &[PlanOptions; 2],
    cell: &dyn HostCell,
    operands: &[Operands<FloatTensor<B>>; 2],
    [lower, upper]: Traces<B>,
    (d_outputs, [d_lower, d_upper]): (Option<FloatTensor<B>>, [Cotangents<FloatTensor<B>>; 2]),
    [of_lower, of_upper]: &[Operands<()>; 2],
) -> [Operands<FloatTensor<B>>; 2] {
    let d_upper = Cotangents { outputs: d_outputs, ..d_upper };
    let is_needed = of_lower.iter().next().is_some();
    let of_upper = of_upper.clone().with_optional(Operand::Input, is_needed.then_some(()));
    let wanted = [of_lower, &of_upper];
    let layout = cell.layout();
    let outputs = [lower.outputs, upper.outputs];
    let numbers = [lower.numbers, upper.numbers];
    let numbers = match numbers {
        [Numbers::F32(mut lower), Numbers::F32(mut upper)] if is_needed => {
            let traces = [&mut lower, &mut upper];
            let cell = (&layout, cell.f32());
            let d = ([&d_lower, &d_upper], wanted);
            match typed_backward::<B, f32>(options, cell, operands, (&outputs, traces), d) {
                Some(gradients) => return gradients,
                None => [Numbers::F32(lower), Numbers::F32(upper)],
            }
        }
        [Numbers::F64(mut lower), Numbers::F64(mut upper)] if is_needed => {
            let traces = [&mut lower, &mut upper];
            let cell = (&layout, cell.f64());
            let d = ([&d_lower, &d_upper], wanted);
            match typed_backward::<B, f64>(options, cell, operands, (&outputs, traces), d) {
                Some(gradients) => return gradients,
                None => [Numbers::F64(lower), Numbers::F64(upper)],
            }
        }
        numbers => numbers,
    };
    let ([inner, outputs], [lower, upper]) = (outputs, numbers);
    let run = |index: usize, trace, d_results, wanted| {
        let (options, operands) = (&options[index], &operands[index]);
        let with = (threads(), None);
        host::backward::<B>(options, cell, operands, trace, d_results, wanted, with)
    };
    let trace = HostTrace { outputs, numbers: upper };
    let mut upper = run(1, trace, d_upper, &of_upper);
    let trace = HostTrace { outputs: inner, numbers: lower };
    let d_lower = Cotangents { outputs: upper.take(Operand::Input), ..d_lower };
    let lower = if is_needed { run(0, trace, d_lower, of_lower) } else { Operands::new() };
    [lower, upper]
}

/// Runs both layers beside each other; `None` if that does not pay, or if their traces were not made so.
#[allow(clippy::type_complexity, reason = "what belongs together, lower layer and upper layer")]
fn typed_backward<B: HostMemory, T: Float>(
    options: &[PlanOptions; 2],
    (layout, steps): (&CellLayout, &dyn CellSteps<T>),
    operands: &[Operands<FloatTensor<B>>; 2],
    (outputs, traces): (&[FloatTensor<B>; 2], [&mut host_trace::Trace<T>; 2]),
    (d, wanted): ([&Cotangents<FloatTensor<B>>; 2], [&Operands<()>; 2]),
) -> Option<[Operands<FloatTensor<B>>; 2]> {
    let layers = [0, 1].map(|index| layer::<B, T>(&options[index], layout, &operands[index]));
    let [lower_trace, upper_trace] = traces;
    Layer::pair_plan::<T>(layers.each_ref(), threads())
        .filter(|_| pair::has_chunks([lower_trace, upper_trace]))?;
    let copies = [0, 1].map(|index| copies::<B, T>(&operands[index], &Operand::ALL, None));
    let of = [0, 1]
        .map(|index| slices::<B, T>(&operands[index], copies[index].as_deref(), &Operand::ALL));
    let outputs = outputs.each_ref().map(|outputs| B::contiguous::<T>(outputs.clone()));
    let d = d.map(|d| d.clone().map(B::contiguous::<T>));
    let job = |index: usize| Job {
        runner: CellRunner { steps, tangents: None },
        layer: &layers[index],
        operands: &of[index],
        rows: &options[index].rows,
        outputs: B::numbers(&outputs[index]),
        d_results: Cotangents {
            outputs: d[index].outputs.as_ref().map(B::numbers),
            hidden: d[index].hidden.as_ref().map(B::numbers),
            memory: d[index].memory.as_ref().map(B::numbers),
        },
        wanted: wanted[index],
        threads: ThreadPlan { count: 1, parallelism: None },
    };
    let [lower, mut upper] = pair::backward((job(0), lower_trace), (job(1), upper_trace));
    // It was for the lower layer alone.
    upper.take(Operand::Input);
    let tensors = |index: usize, d| gradient_tensors::<B, T>(&operands[index], d);
    Some([tensors(0, lower), tensors(1, upper)])
}
