//! The sequence backward: the gradients of the operands from those of the results.

use crate::host::gemm::dispatch::Gemm;
use crate::host::gemm::panels::Panels;
use crate::host::gemm::product::KC;
use crate::host::layout::noise_rows::NoiseRows;
use crate::host::layout::plain_rows::{DOutputs, Slices};
use crate::host::layout::sizes::Layer;
use crate::host::layout::thread_plan::{ThreadPlan, TimeBlock};
use crate::host::layout::valid_rows::ValidRows;
use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::memory::values::Values;
use crate::host::sequence::backward_memory::{BlockBuffers, Gradients, StateGradient, Totals};
use crate::host::sequence::backward_shared::Sequence;
use crate::host::sequence::heads::head_sums;
use crate::host::sequence::passes::{Forwarder, Outputs, diagonal_weights};
use crate::host::sequence::trace::Trace;
use crate::host::sequence::trace_segment::TraceSegment;
use crate::host::sequence::weights::Weights;
use crate::host::step::cell_steps::CellRunner;
use crate::host::threads::team::team;
use crate::operation::observer::{GradientObserver, PATHS, StateGradientNorms};
use crate::operation::operands::{Cotangents, Operand, Operands};
use crate::operation::sequence_rows::SequenceRows;
use std::sync::atomic::AtomicUsize;

/// How many rows of gradients a time block has, before the large products use them: as many as a block of the inner
/// dimension. There are fewer if one thread computes the steps and others could be waiting. There are twice as many
/// if they stay in the second-level cache, because threads wait for each other after each block.
fn rows_per_block<T>(layer: &Layer, rows_a_step: usize) -> usize {
    // In dual numbers, the values are summed in the same blocks as in plain numbers.
    let Layer { parts, row, input, output, .. } = *layer;
    let is_small = (row + input + output).saturating_mul(2 * KC * size_of::<T>()) <= CACHE / 2;
    parts
        * match rows_a_step / parts {
            0..8 => KC / 2,
            _ if is_small => 2 * KC,
            _ => KC,
        }
}

/// The norms of the state's gradient, from each thread's sums of squares.
fn norms(layer: &Layer, of_threads: &[f64]) -> StateGradientNorms {
    let mut squares = vec![0.0; layer.time * PATHS];
    for of_thread in of_threads.chunks_exact(squares.len().max(1)) {
        squares.iter_mut().zip(of_thread).for_each(|(sum, square)| *sum += square);
    }
    StateGradientNorms::of_squares(&squares, layer.states() > 0)
}

/// The size of a second-level cache, in bytes, of processors with AVX-512. Two blocks are in it.
const CACHE: usize = 1 << 20;

/// The inputs of the backward pass besides the operands.
pub(crate) struct BackwardInputs<'a, T> {
    pub(crate) trace: &'a mut Trace<T>,
    /// The outputs of the forward pass.
    pub(crate) outputs: &'a [T],
    pub(crate) d_results: Cotangents<&'a [T]>,
    /// What reads the gradient of the state.
    pub(crate) observer: Option<&'a dyn GradientObserver>,
}

/// A layer that is run backward.
pub(crate) struct Job<'a, T: Gemm> {
    pub(crate) runner: CellRunner<'a, T>,
    pub(crate) layer: &'a Layer,
    pub(crate) operands: &'a Slices<'a, T>,
    pub(crate) rows: &'a SequenceRows,
    /// The outputs of the forward pass.
    pub(crate) outputs: &'a [T],
    pub(crate) d_results: Cotangents<&'a [T]>,
    /// The operands whose gradients are computed.
    pub(crate) wanted: &'a Operands<()>,
    pub(crate) threads: ThreadPlan,
}

/// Runs the sequence backward: dLoss/d(operand) for each wanted operand. In dual numbers those of
/// weights and biases are values, then tangents.
pub(crate) fn backward<T: Gemm>(
    runner: CellRunner<'_, T>,
    layer: &Layer,
    operands: &Slices<'_, T>,
    rows: &SequenceRows,
    BackwardInputs { trace, outputs, d_results, observer }: BackwardInputs<'_, T>,
    wanted: &Operands<()>,
    threads: ThreadPlan,
) -> Operands<Values<T>> {
    let job = Job { runner, layer, operands, rows, outputs, d_results, wanted, threads };
    let with = With { observer, ..With::default() };
    job.run(with, |sequence| {
        let over = |mut segment: TraceSegment<T>| {
            let segment = segment.shared();
            team(threads.count, |member| sequence.run(member, &segment));
        };
        assert!(!trace.segments.is_empty(), "a trace is used once");
        while let Some(segment) = trace.segments.pop() {
            over(segment);
        }
        if let Some(mut recompute) = trace.recompute.take() {
            let rows_of = (sequence.valid_rows, sequence.noise);
            let forwarder = Forwarder::new(runner, layer, operands, rows_of, None, threads);
            while let Some(pass) = recompute.next(&forwarder, Outputs::Known(outputs)) {
                over(pass.into_segment());
            }
        }
        team(threads.count, |member| sequence.complete(member));
    })
}

/// What a layer is run backward with, if it is more than a job.
pub(super) struct With<'a, T> {
    pub(super) observer: Option<&'a dyn GradientObserver>,
    /// dLoss/d(outputs), which another thread still computes; else they are in the job.
    pub(super) d_outputs: Option<Shared<'a, T>>,
    /// See [`Sequence`].
    pub(super) input_by_steps: bool,
}

impl<T> Default for With<'_, T> {
    fn default() -> Self {
        Self { observer: None, d_outputs: None, input_by_steps: false }
    }
}

impl<T: Gemm> Job<'_, T> {
    /// Prepares everything, lets `work` run the steps and complete the sums, and returns the gradients.
    pub(super) fn run(
        self,
        With { observer, d_outputs, input_by_steps }: With<'_, T>,
        work: impl FnOnce(&Sequence<'_, T>),
    ) -> Operands<Values<T>> {
        let Self { runner, layer, operands, rows, outputs, d_results, wanted, threads } = self;
        let count = threads.count;
        let zeros = vec![T::ZERO; layer.pp];
        let given = d_outputs.or_else(|| d_results.outputs.map(Shared::read_only));
        let d_outputs = DOutputs {
            numbers: given.unwrap_or_else(|| Shared::read_only(&zeros)),
            is_one: given.is_none(),
        };

        let new = |operands| Weights::new(layer, operands, wanted.has(Operand::Input), count);
        let (weights, tangents) = (new(operands), runner.tangents.map(new));
        let packed = |of: fn(&Weights<T>) -> Option<&Panels<T>>| {
            Some(of(&weights)?.beside(tangents.as_ref().and_then(of)))
        };

        let valid_rows = ValidRows::new(layer, rows);
        let noise = NoiseRows::new(layer, rows.noise.as_ref());
        let rows_of = |rows_a_step| rows_per_block::<T>(layer, rows_a_step);
        let blocks = valid_rows.blocks(0..layer.time, rows_of);
        let slots = count.min(2);
        let mut buffers = BlockBuffers::new(layer, valid_rows.largest(&blocks), slots > 1);
        let block = |steps| TimeBlock::new::<T>(layer, &valid_rows, threads, steps);
        let blocks: Vec<_> = blocks.into_iter().map(block).collect();
        let mut state = StateGradient::new(layer, &d_results, wanted);
        let mut diagonal = diagonal_weights(layer, operands);
        let head_sums = head_sums::<T>(layer);
        let mut totals = Totals::new(layer, &head_sums);
        // Each thread has sums of its own.
        let squares = if observer.is_some() { count * layer.time * PATHS } else { 0 };
        let mut squares = Buffer::<f64>::zeros(&[squares]);
        let mut gradients = Gradients::new(layer, wanted, rows.mask.is_none());

        work(&Sequence {
            runner,
            layer,
            operands,
            valid_rows: &valid_rows,
            noise: &noise,
            wanted,
            outputs,
            d_outputs,
            zeros: &zeros,
            weight_hh: weights.hh.beside(tangents.as_ref().map(|of| &of.hh)),
            weight_ih: packed(|of| of.ih.as_ref()),
            gated: packed(|of| of.gated.as_ref()),
            project: packed(|of| of.project.as_ref()),
            heads: (weights.heads.as_ref())
                .map(|heads| heads.beside(tangents.as_ref().and_then(|of| of.heads.as_ref()))),
            head_sums: &head_sums,
            blocks: &blocks,
            slots,
            taken: blocks.iter().map(|_| AtomicUsize::new(0)).collect(),
            buffers: buffers.shared(),
            state: state.shared(),
            diagonal: diagonal.shared(),
            totals: totals.shared(),
            gradients: gradients.shared(),
            input_by_steps,
            squares: observer.is_some().then(|| squares.shared()),
        });
        if let Some(observer) = observer {
            observer.observe(norms(layer, squares.as_slice()));
        }

        let Gradients { input, weight_ih, weight_hh, weight_hr } = gradients;
        let mut d = Operands::new()
            .with_optional(Operand::Input, input)
            .with_optional(Operand::WeightIh, weight_ih)
            .with_optional(Operand::WeightHh, weight_hh)
            .with_optional(Operand::WeightHr, weight_hr);
        for operand in [Operand::BiasIh, Operand::BiasHh] {
            if wanted.has(operand) {
                d = d.with(operand, totals.bias(layer, operand));
            }
        }
        state.add_to(layer, wanted, &mut d);
        d
    }
}
