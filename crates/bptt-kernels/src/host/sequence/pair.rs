//! Two layers of a stack with a trace, one thread each: the upper layer some steps behind the lower one; backward, the lower
//! layer some steps behind the upper one.

use crate::host::gemm::dispatch::Gemm;
use crate::host::layout::sizes::Layer;
use crate::host::memory::buffer::Shared;
use crate::host::memory::values::Values;
use crate::host::sequence::backward::{Job, With};
use crate::host::sequence::backward_shared::Sequence;
use crate::host::sequence::forward::FinalState;
use crate::host::sequence::stack::Stage;
use crate::host::sequence::trace::Trace;
use crate::host::sequence::trace_segment::TraceSegment;
use crate::host::threads::progress::Progress;
use crate::host::threads::team::{side_by_side, team};
use crate::operation::operands::Operands;

/// Runs both layers forward. Returns the final state and the trace of each, the lower layer first.
///
/// # Arguments
///
/// - `input`: of the lower layer, which says where its steps and rows are
/// - `outputs`: of both layers
/// - `chunk`: how many steps the upper layer is behind
pub(crate) fn forward<T: Gemm>(
    stages: [Stage<'_, T>; 2],
    input: &[T],
    [of_lower, of_upper]: [Shared<'_, T>; 2],
    chunk: usize,
) -> [(FinalState<T>, Trace<T>); 2] {
    let [mut lower, mut upper] = stages.map(Stage::kept);
    let Layer { time, batch, output, input_strides: [stride, _], .. } = *lower.layer();
    let chunks: Vec<_> =
        (0..time).step_by(chunk).map(|start| start..(start + chunk).min(time)).collect();
    let size = batch * output;
    let progress = Progress::default();
    let (chunks, progress) = (&chunks, &progress);
    side_by_side(
        move || {
            progress.lead(|| {
                for steps in chunks {
                    lower.run_among_all(steps, &input[steps.start * stride..], of_lower, 1);
                    progress.advance();
                }
            });
            lower.into_results()
        },
        move || {
            for (nth, steps) in chunks.iter().enumerate() {
                progress.wait_for(nth + 1);
                // SAFETY: the lower layer has written the outputs of these steps, and writes only later ones.
                let input = unsafe { of_lower.slice(steps.start * size, steps.len() * size) };
                upper.run_among_all(steps, input, of_upper, 1);
            }
            upper.into_results()
        },
    )
}

/// Whether traces were made in the same chunks of steps, so that [`backward`] can run them.
pub(crate) fn has_chunks<T>(traces: [&Trace<T>; 2]) -> bool {
    let steps = |trace: &Trace<T>| -> Vec<_> {
        trace.segments.iter().map(|segment| segment.steps.clone()).collect()
    };
    let [lower, upper] = traces.map(steps);
    lower.len() > 1 && lower == upper
}

/// Runs both layers backward. Returns the gradients of each, the lower layer first.
///
/// # Arguments
///
/// - `lower`, `upper`: with their traces; the gradient of the upper layer's input is wanted, and is that of the lower
///   layer's outputs
pub(crate) fn backward<T: Gemm>(
    (lower, of_lower): (Job<'_, T>, &mut Trace<T>),
    (upper, of_upper): (Job<'_, T>, &mut Trace<T>),
) -> [Operands<Values<T>>; 2] {
    let [of_lower, of_upper] = [of_lower, of_upper].map(last_first);
    let progress = &Progress::default();
    let mut d_lower = None;
    let with = With { input_by_steps: true, ..With::default() };
    let d_upper = upper.run(with, |upper| {
        let with = With { d_outputs: upper.gradients.input, ..With::default() };
        d_lower = Some(lower.run(with, |lower| {
            side_by_side(
                || {
                    progress.lead(|| {
                        for segment in of_upper {
                            over(upper, segment);
                            progress.advance();
                        }
                        team(1, |member| upper.complete(member));
                    });
                },
                || {
                    for (nth, segment) in of_lower.into_iter().enumerate() {
                        progress.wait_for(nth + 1);
                        over(lower, segment);
                    }
                    team(1, |member| lower.complete(member));
                },
            );
        }));
    });
    [d_lower.expect("it ran"), d_upper]
}

/// The segments of a trace, the last one first.
fn last_first<T>(trace: &mut Trace<T>) -> Vec<TraceSegment<T>> {
    std::mem::take(&mut trace.segments).into_iter().rev().collect()
}

/// Runs the steps of a segment backward by this thread.
fn over<T: Gemm>(sequence: &Sequence<'_, T>, mut segment: TraceSegment<T>) {
    let segment = segment.shared();
    team(1, |member| sequence.run(member, &segment));
}
