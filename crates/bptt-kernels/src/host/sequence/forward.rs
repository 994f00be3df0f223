//! The sequence forward: its results, and what is kept for the backward pass.

use crate::host::gemm::dispatch::Gemm;
use crate::host::layout::noise_rows::NoiseRows;
use crate::host::layout::plain_rows::Slices;
use crate::host::layout::sizes::Layer;
use crate::host::layout::thread_plan::ThreadPlan;
use crate::host::layout::valid_rows::ValidRows;
use crate::host::memory::buffer::Shared;
use crate::host::memory::reclaim::available_for;
use crate::host::memory::values::Values;
use crate::host::sequence::limits::{self, Keeper};
use crate::host::sequence::packed_weights::PackedWeights;
use crate::host::sequence::passes::{Forwarder, Outputs};
use crate::host::sequence::recompute::Recompute;
use crate::host::sequence::trace::Trace;
use crate::host::sequence::trace_segment::Keep;
use crate::host::step::cell_steps::CellRunner;
use crate::operation::operands::{Operand, Results};
use crate::operation::sequence_rows::SequenceRows;
use std::sync::Arc;

/// Checks that the sequence fits the available memory: `times` of it, if so many run with the same sizes.
///
/// # Panics
///
/// If it does not.
pub(crate) fn check_fits(layer: &Layer, rows: &SequenceRows, keep: Keep, times: u8) {
    let worked = match &rows.mask {
        Some(mask) => mask.count(layer.time),
        None => layer.time.saturating_mul(layer.batch),
    };
    let available = |need: u128| {
        let all = available_for(need.saturating_mul(times.into()));
        all.map(|bytes| bytes / usize::from(times))
    };
    let fits = limits::check(layer, worked, keep, Keeper::Host, available);
    fits.unwrap_or_else(|error| panic!("{error}"));
}

/// Runs the sequence. Returns its results and, with `keep`, the trace, which is within the budget if there is one.
///
/// # Panics
///
/// If it does not fit the budget or the available memory.
pub(crate) fn forward<T: Gemm>(
    runner: CellRunner<'_, T>,
    layer: &Layer,
    operands: &Slices<'_, T>,
    rows: &SequenceRows,
    keep: Keep,
    packed: Option<Arc<PackedWeights<T>>>,
    threads: ThreadPlan,
) -> (Results<Values<T>>, Option<Trace<T>>) {
    check_fits(layer, rows, keep, 1);
    // The outputs of masked steps are not written.
    let mut outputs =
        Values::new(&[layer.time, layer.batch, layer.output_row], rows.mask.is_none());
    let to = Shared::new(&mut outputs);
    let (state, trace) = forward_to(to, runner, (layer, rows, keep), operands, packed, threads);
    let FinalState { hidden, memory } = state;
    (Results { outputs, hidden, memory }, trace)
}

/// The state after the last step.
pub(crate) struct FinalState<T: Gemm> {
    /// `[B, P]`
    pub(crate) hidden: Values<T>,
    /// `[M, B, H]`
    pub(crate) memory: Option<Values<T>>,
}

/// As [`forward`], with the outputs written to memory of the caller, which has checked that all of it fits.
///
/// # Panics
///
/// If the trace does not fit the budget.
pub(crate) fn forward_to<T: Gemm>(
    outputs: Shared<'_, T>,
    runner: CellRunner<'_, T>,
    (layer, rows, keep): (&Layer, &SequenceRows, Keep),
    operands: &Slices<'_, T>,
    packed: Option<Arc<PackedWeights<T>>>,
    threads: ThreadPlan,
) -> (FinalState<T>, Option<Trace<T>>) {
    let Layer { time, batch, hidden, output, memories, hp, pp, .. } = *layer;
    let valid_rows = ValidRows::new(layer, rows);
    let noise = NoiseRows::new(layer, rows.noise.as_ref());
    let rows_of = (&valid_rows, &noise);
    let forwarder = Forwarder::new(runner, layer, operands, rows_of, packed, threads);
    let outputs = Outputs::Wanted(outputs);
    let mut recompute = match keep {
        Keep::Within(budget) => Recompute::new(layer.name, layer, budget),
        Keep::All | Keep::Nothing => None,
    };
    let pass = match &mut recompute {
        Some(recompute) => recompute.next(&forwarder, outputs).expect("the last steps"),
        None => {
            let keep = !matches!(keep, Keep::Nothing);
            forwarder.pass(0..time, forwarder.first_memory(), outputs, keep)
        }
    };
    let last = pass.hidden.as_slice();
    let mut last_hidden = Vec::with_capacity(batch * output);
    for b in 0..batch {
        last_hidden.extend_from_slice(&last[b * pp..][..output]);
    }
    let of = pass.memory.as_slice();
    let mut last_memory = Vec::with_capacity(memories * batch * hidden);
    let states = layer.states();
    for m in 0..states {
        for b in 0..batch {
            last_memory.extend_from_slice(&of[(b * states + m) * hp..][..hidden]);
        }
    }
    if layer.diagonal_weights > 0 {
        // They are as they were.
        let memory = operands.need(Operand::Memory);
        last_memory.extend_from_slice(&memory[states * batch * hidden..]);
    }
    let memory = (memories > 0).then(|| last_memory.into());
    let state = FinalState { hidden: last_hidden.into(), memory };
    let trace = pass.segment.map(|segment| Trace { segments: vec![segment], recompute });
    (state, trace)
}
