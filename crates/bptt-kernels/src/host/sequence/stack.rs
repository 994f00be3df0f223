//! A stack of layers forward in time, without a trace: some steps of all layers, then the next steps. So the outputs of the
//! inner layers are there for some steps only, and layers can run at the same time, each some steps behind the one
//! below.

use crate::host::gemm::dispatch::Gemm;
use crate::host::layout::plain_rows::Slices;
use crate::host::layout::sizes::Layer;
use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::sequence::forward::{FinalState, forward_to};
use crate::host::sequence::packed_weights::PackedWeights;
use crate::host::sequence::trace::Trace;
use crate::host::sequence::trace_segment::{Keep, TraceSegment};
use crate::host::step::cell_steps::CellRunner;
use crate::host::threads::team::team;
use crate::operation::operands::Operand;
use crate::operation::sequence_rows::SequenceRows;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// A layer of a stack.
pub(crate) struct Stage<'a, T: Gemm> {
    runner: CellRunner<'a, T>,
    /// With the outputs of all steps for the last layer, and of some steps for the others.
    layer: Layer,
    /// Without the input.
    operands: Slices<'a, T>,
    packed: Arc<PackedWeights<T>>,
    rows: SequenceRows,
    /// The state after the steps that are done.
    state: Option<FinalState<T>>,
    keep: Keep,
    /// With a trace, those of the steps that are done.
    segments: Vec<TraceSegment<T>>,
}

impl<'a, T: Gemm> Stage<'a, T> {
    pub(crate) fn new(
        runner: CellRunner<'a, T>,
        layer: Layer,
        operands: Slices<'a, T>,
        threads: usize,
    ) -> Self {
        let packed = Arc::new(PackedWeights::new(&layer, &operands, threads));
        let (rows, state) = (SequenceRows::default(), None);
        Self { runner, layer, operands, packed, rows, state, keep: Keep::Nothing, segments: vec![] }
    }

    /// With a trace.
    pub(super) fn kept(self) -> Self {
        Self { keep: Keep::All, ..self }
    }

    pub(crate) fn layer(&self) -> &Layer {
        &self.layer
    }

    /// The state after the last step.
    pub(crate) fn into_state(self) -> FinalState<T> {
        self.state.expect("there is a step")
    }

    /// The state after the last step, and the trace.
    pub(super) fn into_results(mut self) -> (FinalState<T>, Trace<T>) {
        let trace = Trace { segments: std::mem::take(&mut self.segments), recompute: None };
        (self.into_state(), trace)
    }

    /// Runs some steps on their input, and writes their outputs among those of all steps.
    pub(super) fn run_among_all(
        &mut self,
        steps: &Range<usize>,
        input: &[T],
        outputs: Shared<'_, T>,
        threads: usize,
    ) {
        let layer = self.layer.some_steps(steps);
        self.run(&layer, input, outputs, threads);
        if let Some(last) = self.segments.last_mut() {
            last.steps = steps.clone();
        }
    }

    /// Runs some steps on their input. The layer says where their outputs are.
    fn run(&mut self, layer: &Layer, input: &[T], outputs: Shared<'_, T>, threads: usize) {
        let mut operands = self.operands.clone();
        operands.set(Operand::Input, Some(input));
        if let Some(state) = &self.state {
            operands.set(Operand::Hidden, Some(&state.hidden));
            operands.set(Operand::Memory, state.memory.as_deref());
        }
        let of = (layer, &self.rows, self.keep);
        let (packed, plan) = (Some(self.packed.clone()), layer.thread_plan::<T>(threads));
        let (state, trace) = forward_to(outputs, self.runner, of, &operands, packed, plan);
        self.state = Some(state);
        self.segments.extend(trace.into_iter().flat_map(|trace| trace.segments));
    }
}

/// Layers that run one after the other for each chunk of steps.
struct Group<'s, 'a, T: Gemm> {
    stages: &'s mut [Stage<'a, T>],
    /// The outputs of a chunk, of each layer but the last.
    inner: Vec<Buffer<T>>,
    threads: usize,
}

impl<'s, 'a, T: Gemm> Group<'s, 'a, T> {
    fn new(stages: &'s mut [Stage<'a, T>], chunk: usize, threads: usize) -> Self {
        let inner = stages.iter().take(stages.len() - 1);
        let inner = inner.map(|stage| of_chunk(&stage.layer, chunk)).collect();
        Self { stages, inner, threads }
    }

    /// Runs the steps of a chunk. `is_last`: whether the last layer of the group writes its outputs among all steps.
    fn run(&mut self, steps: &Range<usize>, input: &[T], outputs: Shared<'_, T>, is_last: bool) {
        let last = self.stages.len() - 1;
        for index in 0..=last {
            let (below, here) = self.inner.split_at_mut(index);
            let input = match below.last() {
                Some(below) if index > 0 => below.as_slice(),
                _ => input,
            };
            let stage = &mut self.stages[index];
            let layer = match index == last && is_last {
                true => stage.layer.some_steps(steps),
                false => Layer { time: steps.len(), ..stage.layer.clone() },
            };
            let outputs = if index == last { outputs } else { here[0].shared() };
            stage.run(&layer, input, outputs, self.threads);
        }
    }
}

/// Memory for the outputs of a chunk.
fn of_chunk<T: Gemm>(layer: &Layer, chunk: usize) -> Buffer<T> {
    Buffer::scratch(&[chunk, layer.batch, layer.output])
}

/// Runs a stack.
///
/// # Arguments
///
/// - `input`: of the first layer, which says where its steps and rows are
/// - `outputs`: of the last layer
/// - `chunk`: how many steps a layer runs before the next layer runs the same steps
/// - `split`: how many layers run beside the others; 0: one layer after the other
pub(crate) fn forward<T: Gemm>(
    stages: &mut [Stage<'_, T>],
    input: &[T],
    outputs: Shared<'_, T>,
    (chunk, split): (usize, usize),
    threads: usize,
) {
    let Layer { time, input_strides: [stride, _], .. } = stages[0].layer;
    let chunks: Vec<_> =
        (0..time).step_by(chunk).map(|start| start..(start + chunk).min(time)).collect();
    let input_of = |steps: &Range<usize>| &input[steps.start * stride..];
    if split == 0 {
        let mut all = Group::new(stages, chunk, threads);
        for steps in &chunks {
            all.run(steps, input_of(steps), outputs, true);
        }
        return;
    }
    let (lower, upper) = stages.split_at_mut(split);
    // The upper layers read the one while the lower layers write the other.
    let edge = &lower[split - 1].layer;
    let size = edge.batch * edge.output;
    let mut between = [of_chunk::<T>(edge, chunk), of_chunk::<T>(edge, chunk)];
    let between = between.each_mut().map(Buffer::shared);
    let each = threads / 2;
    let lower = Mutex::new(Group::new(lower, chunk, each));
    let upper = Mutex::new(Group::new(upper, chunk, threads - each));
    team(2, |member| {
        // Each has one user.
        let group = if member.index == 0 { &lower } else { &upper };
        let mut group = group.lock().unwrap_or_else(PoisonError::into_inner);
        for tick in 0..=chunks.len() {
            if member.index == 0 && tick < chunks.len() {
                let steps = &chunks[tick];
                group.run(steps, input_of(steps), between[tick % 2], false);
            }
            if member.index == 1 && tick > 0 {
                let steps = &chunks[tick - 1];
                // SAFETY: it was written before the last barrier, and the other is written now.
                let input = unsafe { between[(tick - 1) % 2].slice(0, steps.len() * size) };
                group.run(steps, input, outputs, true);
            }
            member.wait();
        }
    });
}
