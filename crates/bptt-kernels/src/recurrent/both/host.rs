//! Both directions by the host kernels.

use crate::host::memory::buffer::Shared;
use crate::host::sequence::both::both;
use crate::host::sequence::forward::check_fits;
use crate::host::sequence::trace_segment::Keep;
use crate::host::simd::real::Real;
use crate::host::step::cell_steps::CellSteps;
use crate::operation::cell_layout::CellLayout;
use crate::operation::operands::{BothResults, Cotangents, Operand, Operands};
use crate::operation::plan::PlanOptions;
use crate::recurrent::host::{self, HostCell, Prepared, threads};
use crate::recurrent::host_memory::{Float, HostMemory};
use crate::recurrent::trace::{HostTrace, Numbers};
use crate::recurrent::{half, host::layer};
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Element};

/// The traces of both directions; `None` for a direction whose gradients nobody wants.
pub(super) type Traces<B> = [Option<HostTrace<FloatTensor<B>>>; 2];

/// Runs both directions forward.
pub(super) fn forward<B: HostMemory>(
    options: &[PlanOptions; 2],
    cell: &dyn HostCell,
    operands: &[Operands<FloatTensor<B>>; 2],
    keep: [bool; 2],
) -> (BothResults<FloatTensor<B>>, Traces<B>) {
    let layout = cell.layout();
    match operands[0].need(Operand::Input).dtype() {
        DType::F64 => typed_forward::<B, f64>(options, (&layout, cell.f64()), operands, keep),
        _ => typed_forward::<B, f32>(options, (&layout, cell.f32()), operands, keep),
    }
}

fn typed_forward<B: HostMemory, T: Float>(
    options: &[PlanOptions; 2],
    cell: (&CellLayout, &dyn CellSteps<T>),
    operands: &[Operands<FloatTensor<B>>; 2],
    keep: [bool; 2],
) -> (BothResults<FloatTensor<B>>, Traces<B>) {
    let input = copy_of_input::<B, T>(operands);
    let prepare =
        |d: usize| Prepared::<B, T>::new(&options[d], cell, &operands[d], keep[d], input.as_ref());
    let [first, second] = &[prepare(0), prepare(1)];
    // They have the same sizes. If only one of them has a trace, it is that one that is counted twice.
    let largest = if matches!(first.keep, Keep::Nothing) { second } else { first };
    check_fits(&largest.layer, &options[0].rows, largest.keep, 2);
    let mut outputs = first.outputs();
    let to = Shared::new(&mut outputs);
    let run = |direction: &Prepared<'_, B, T>, threads| direction.run(to, threads);
    let [(forward, trace), (backward, other_trace)] =
        both::<T, _>(&first.layer, threads(), |n| run(first, n), |n| run(second, n));
    let outputs = first.tensor_of(outputs);
    let traces = [trace, other_trace]
        .map(|trace| Some(HostTrace { outputs: outputs.clone(), numbers: T::wrap(trace?) }));
    let (hidden, memory) = first.tensors_of(forward);
    let (other_hidden, other_memory) = second.tensors_of(backward);
    let dtype = operands[0].need(Operand::Input).dtype();
    let results = BothResults {
        outputs: half::narrowed::<B>(outputs, dtype),
        hidden: [hidden, other_hidden],
        memory: [memory, other_memory],
    };
    (results, traces)
}

/// Whether both directions have the same input.
fn one_input<B: HostMemory>([first, second]: &[Operands<FloatTensor<B>>; 2]) -> bool {
    B::is_same(first.need(Operand::Input), second.need(Operand::Input))
}

/// A copy of the input for both directions, if the kernels cannot read it in place.
fn copy_of_input<B: HostMemory, T: Real + Element>(
    operands: &[Operands<FloatTensor<B>>; 2],
) -> Option<FloatTensor<B>> {
    let input = operands[0].need(Operand::Input);
    let is_needed = one_input::<B>(operands) && B::rows::<T>(input).is_none();
    is_needed.then(|| half::widened::<B, T>(input.clone()))
}

/// Runs both directions backward: those that have a trace.
///
/// # Arguments
///
/// - `d_outputs`: dLoss/d(outputs) of both, side by side as the outputs
/// - `d_states`: of the final states of each
/// - `wanted`: the operands whose gradient is wanted
pub(super) fn backward<B: HostMemory>(
    options: &[PlanOptions; 2],
    cell: &dyn HostCell,
    operands: &[Operands<FloatTensor<B>>; 2],
    traces: Traces<B>,
    (d_outputs, d_states): (Option<FloatTensor<B>>, [Cotangents<FloatTensor<B>>; 2]),
    wanted: &[Operands<()>; 2],
) -> [Operands<FloatTensor<B>>; 2] {
    let threads = threads();
    let is_f64 = traces.iter().flatten().any(|trace| matches!(trace.numbers, Numbers::F64(_)));
    // One copy serves both, if there has to be one.
    let (d_outputs, input) = match is_f64 {
        true => (d_outputs.map(half::widened::<B, f64>), copy_of_input::<B, f64>(operands)),
        false => (d_outputs.map(half::widened::<B, f32>), copy_of_input::<B, f32>(operands)),
    };
    let are_both = traces.iter().all(Option::is_some);
    let [first, second] = traces;
    let [d_first, d_second] = d_states.map(|d| Cotangents { outputs: d_outputs.clone(), ..d });
    let run = |d: usize, trace: Option<HostTrace<_>>, d_results, threads| match trace {
        Some(trace) => {
            let (options, operands) = (&options[d], &operands[d]);
            let with = (threads, input.as_ref());
            host::backward::<B>(options, cell, operands, trace, d_results, &wanted[d], with)
        }
        None => Operands::new(),
    };
    let is_observed = options.iter().any(|options| options.observer.is_some());
    if is_observed || !are_both {
        // Observers are called in the order of Burn's tape, the last direction first.
        let backward = run(1, second, d_second, threads);
        return [run(0, first, d_first, threads), backward];
    }
    let layout = cell.layout();
    let forward = |threads| run(0, first, d_first, threads);
    let backward = |threads| run(1, second, d_second, threads);
    match is_f64 {
        true => {
            let layer = layer::<B, f64>(&options[0], &layout, &operands[0]);
            both::<f64, _>(&layer, threads, forward, backward)
        }
        false => {
            let layer = layer::<B, f32>(&options[0], &layout, &operands[0]);
            both::<f32, _>(&layer, threads, forward, backward)
        }
    }
}
