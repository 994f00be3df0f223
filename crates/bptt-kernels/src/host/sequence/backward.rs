//! The sequence backward: the gradients of the operands from those of the results.

use crate::host::gemm::dispatch::Gemm;
use crate::host::gemm::panels::Panels;
use crate::host::gemm::product::KC;
use crate::host::layout::plain_rows::{DOutputs, Slices};
use crate::host::layout::sizes::Layer;
use crate::host::layout::thread_plan::{ThreadPlan, TimeBlock};
use crate::host::layout::valid_rows::ValidRows;
use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::memory::values::Values;
use crate::host::sequence::backward_shared::Sequence;
use crate::host::sequence::passes::{Forwarder, Outputs};
use crate::host::sequence::trace::Trace;
use crate::host::sequence::trace_segment::TraceSegment;
use crate::host::sequence::weights::Weights;
use crate::host::step::gates::CellRunner;
use crate::host::threads::team::team;
use crate::operation::operands::{Cotangents, Operand, Operands};
use crate::operation::plan::SequenceMask;
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

/// The size of a second-level cache, in bytes, of processors with AVX-512. Two blocks are in it.
const CACHE: usize = 1 << 20;

/// The inputs of the backward pass besides the operands.
pub(crate) struct BackwardInputs<'a, T> {
    pub(crate) trace: &'a mut Trace<T>,
    /// The outputs of the forward pass.
    pub(crate) outputs: &'a [T],
    pub(crate) d_results: Cotangents<&'a [T]>,
}

/// Runs the sequence backward: dLoss/d(operand) for each wanted operand. In dual numbers those of
/// weights and biases are values, then tangents.
pub(crate) fn backward<T: Gemm>(
    runner: CellRunner<'_, T>,
    layer: &Layer,
    operands: &Slices<'_, T>,
    mask: Option<&SequenceMask>,
    BackwardInputs { trace, outputs, d_results }: BackwardInputs<'_, T>,
    wanted: &Operands<()>,
    threads: ThreadPlan,
) -> Operands<Values<T>> {
    let count = threads.count;
    let Layer { time, batch, input, hidden, output, memories, hp, pp, gates, parts, row, .. } =
        *layer;
    let sums = |columns| layer.row_of_sums::<T>(columns);
    let no_output = vec![T::ZERO; pp];
    let d_outputs = DOutputs {
        numbers: d_results.outputs.unwrap_or(&no_output),
        is_one: d_results.outputs.is_none(),
    };

    let new = |operands| Weights::new(layer, operands, wanted.has(Operand::Input), count);
    let (weights, tangents) = (new(operands), runner.tangents.map(new));
    let packed = |of: fn(&Weights<T>) -> Option<&Panels<T>>| {
        Some(of(&weights)?.beside(tangents.as_ref().and_then(of)))
    };

    let valid_rows = ValidRows::new(layer, mask);
    let blocks = valid_rows.blocks(0..time, |rows_a_step| rows_per_block::<T>(layer, rows_a_step));
    let rows = valid_rows.largest(&blocks);
    let block = |steps| TimeBlock::new::<T>(layer, &valid_rows, threads, steps);
    let blocks: Vec<_> = blocks.into_iter().map(block).collect();
    let slots = count.min(2);
    let two = |sizes: [usize; 2]| Buffer::one_or_two(slots > 1, &sizes);
    let mut d_planes = layer.rows_of_planes(rows, slots > 1);
    let mut x_tiles = two([rows, input]);
    let mut h_tiles = two([rows, output]);
    let mut own_tiles = layer.projected.then(|| two([rows, hidden]));
    let mut gated_hidden = layer.gated.then(|| two([rows, hp]));
    let mut d_projected = layer.projected.then(|| two([rows, pp]));
    let mut d_hidden = Buffer::zeros(&[batch, pp]);
    let mut d_memory = Buffer::zeros(&[batch, memories, hp]);
    let mut d_own = layer.projected.then(|| Buffer::zeros(&[batch, hp]));
    let mut d_gated = layer.gated.then(|| Buffer::zeros(&[batch, hp]));
    let mut sum_ih = Buffer::zeros(&[parts, input, sums(layer.of_x().1)]);
    let mut sum_hh = Buffer::zeros(&[parts, output, sums(layer.of_h().1)]);
    let mut sum_gated = layer.gated.then(|| Buffer::zeros(&[parts, hidden, hp]));
    let mut sum_hr = layer.projected.then(|| Buffer::zeros(&[parts, hidden, pp]));
    let mut sum_bias = Buffer::zeros(&[parts, row]);
    final_state(layer, &d_results, d_hidden.as_mut_slice(), d_memory.as_mut_slice());

    let gradient = |operand, size: &[usize]| {
        // Everything is written, except the rows of the input's gradient at masked steps.
        let all_written = operand != Operand::Input || mask.is_none();
        wanted.has(operand).then(|| Values::<T>::new(size, all_written))
    };
    let mut d_input = gradient(Operand::Input, &[time, batch, input]);
    let mut d_weight_ih = gradient(Operand::WeightIh, &[parts, gates, hidden, input]);
    let mut d_weight_hh = gradient(Operand::WeightHh, &[parts, gates, hidden, output]);
    let mut d_weight_hr = gradient(Operand::WeightHr, &[parts, output, hidden]);
    fn pair<T: Gemm>(of: &mut [Buffer<T>; 2]) -> [Shared<'_, T>; 2] {
        of.each_mut().map(Buffer::shared)
    }
    fn shared<T: Gemm>(of: &mut Option<Values<T>>) -> Option<Shared<'_, T>> {
        of.as_mut().map(|gradient| Shared::new(gradient))
    }
    let sequence = Sequence {
        runner,
        layer,
        operands,
        valid_rows: &valid_rows,
        wanted,
        outputs,
        d_outputs,
        weight_hh: weights.hh.beside(tangents.as_ref().map(|of| &of.hh)),
        weight_ih: packed(|of| of.ih.as_ref()),
        gated: packed(|of| of.gated.as_ref()),
        project: packed(|of| of.project.as_ref()),
        blocks: &blocks,
        slots,
        taken: blocks.iter().map(|_| AtomicUsize::new(0)).collect(),
        d_planes: pair(&mut d_planes),
        x_tiles: pair(&mut x_tiles),
        h_tiles: pair(&mut h_tiles),
        own_tiles: own_tiles.as_mut().map(pair),
        gated_hidden: gated_hidden.as_mut().map(pair),
        d_projected: d_projected.as_mut().map(pair),
        d_hidden: d_hidden.shared(),
        d_memory: d_memory.shared(),
        d_own: d_own.as_mut().map(Buffer::shared),
        d_gated: d_gated.as_mut().map(Buffer::shared),
        sum_ih: sum_ih.shared(),
        sum_hh: sum_hh.shared(),
        sum_gated: sum_gated.as_mut().map(Buffer::shared),
        sum_hr: sum_hr.as_mut().map(Buffer::shared),
        sum_bias: sum_bias.shared(),
        d_input: shared(&mut d_input),
        d_weight_ih: shared(&mut d_weight_ih),
        d_weight_hh: shared(&mut d_weight_hh),
        d_weight_hr: shared(&mut d_weight_hr),
    };
    let over = |mut segment: TraceSegment<T>| {
        let segment = segment.shared();
        team(count, |member| sequence.run(member, &segment));
    };
    over(trace.segment.take().expect("a trace is used once"));
    if let Some(mut recompute) = trace.recompute.take() {
        let forwarder = Forwarder::new(runner, layer, operands, &valid_rows, None, threads);
        while let Some(pass) = recompute.next(&forwarder, Outputs::Known(outputs)) {
            over(pass.into_segment());
        }
    }
    team(count, |member| sequence.complete(member));

    let mut d = Operands::new()
        .with_optional(Operand::Input, d_input)
        .with_optional(Operand::WeightIh, d_weight_ih)
        .with_optional(Operand::WeightHh, d_weight_hh)
        .with_optional(Operand::WeightHr, d_weight_hr);
    let bias = sum_bias.as_slice();
    for operand in [Operand::BiasIh, Operand::BiasHh] {
        if wanted.has(operand) {
            let plane = |gate: usize| match operand {
                Operand::BiasHh if (layer.added..layer.added + layer.separate).contains(&gate) => {
                    gates + gate - layer.added
                }
                _ => layer.plane(gate),
            };
            let of_part = |part: &'_ [T]| {
                let pieces = (0..gates).flat_map(|gate| layer.pieces(plane(gate), &(0..hidden)));
                let gradient = pieces.flat_map(|(column, units)| &part[column..][..units.len()]);
                gradient.copied().collect::<Vec<_>>()
            };
            let all: Vec<_> = bias.chunks_exact(row.max(1)).flat_map(of_part).collect();
            d = d.with(operand, all);
        }
    }
    if wanted.has(Operand::Hidden) {
        let rows = d_hidden.as_slice().chunks_exact(pp.max(1)).take(batch);
        d = d.with(
            Operand::Hidden,
            rows.flat_map(|row| &row[..output]).copied().collect::<Vec<_>>(),
        );
    }
    if wanted.has(Operand::Memory) {
        let of = d_memory.as_slice();
        let row = |m: usize, b: usize| &of[(b * memories + m) * hp..][..hidden];
        let all = (0..memories).flat_map(|m| (0..batch).flat_map(move |b| row(m, b)));
        d = d.with(Operand::Memory, all.copied().collect::<Vec<_>>());
    }
    d
}

/// dLoss/d(final state), in rows that are padded with zeros.
fn final_state<T: Gemm>(
    layer: &Layer,
    d: &Cotangents<&[T]>,
    d_hidden: &mut [T],
    d_memory: &mut [T],
) {
    let Layer { batch, hidden, output, memories, hp, pp, .. } = *layer;
    for b in 0..batch {
        if let Some(d) = d.hidden {
            d_hidden[b * pp..][..output].copy_from_slice(&d[b * output..][..output]);
        }
        for m in 0..memories {
            if let Some(d) = d.memory {
                let from = &d[(m * batch + b) * hidden..][..hidden];
                d_memory[(b * memories + m) * hp..][..hidden].copy_from_slice(from);
            }
        }
    }
}
