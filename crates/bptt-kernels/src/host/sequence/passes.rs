//! Forward passes over some steps: over the whole sequence, or over a part that is computed again.

use crate::host::gemm::dispatch::Gemm;
use crate::host::gemm::panels::Panels;
use crate::host::layout::noise_rows::NoiseRows;
use crate::host::layout::plain_rows::{Slices, row_of};
use crate::host::layout::sizes::Layer;
use crate::host::layout::thread_plan::{Parallelism, ThreadPlan};
use crate::host::layout::valid_rows::{Origin, ValidRows};
use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::sequence::forward_steps::Forward;
use crate::host::sequence::packed_weights::PackedWeights;
use crate::host::sequence::phase::Phase;
use crate::host::sequence::trace_segment::TraceSegment;
use crate::host::simd::real::Real;
use crate::host::step::cell_steps::CellRunner;
use crate::host::step::elementwise::Elementwise;
use crate::host::threads::team::team;
use crate::operation::operands::Operand;
use std::ops::Range;
use std::sync::Arc;

/// How many rows of pre-activations are computed before the steps use them. There are enough rows that it is worth the
/// time to read the input's weights, and so few that they are still in the cache when the steps use them.
const ROWS: usize = 128;

/// The outputs of all steps: to be written, or known from an earlier pass.
#[derive(Clone, Copy)]
pub(crate) enum Outputs<'a, T> {
    Wanted(Shared<'a, T>),
    Known(&'a [T]),
}

impl<'a, T> Outputs<'a, T> {
    /// Some numbers of a row that has been written.
    fn row(self, at: usize, len: usize) -> &'a [T] {
        match self {
            // SAFETY: it is a row of this direction, and no thread writes to it between two passes.
            Outputs::Wanted(outputs) => unsafe { outputs.slice(at, len) },
            Outputs::Known(outputs) => &outputs[at..][..len],
        }
    }
}

/// The diagonal weights, `[parts, V, Hp]`: in dual numbers, first their values, then their tangents.
pub(super) fn diagonal_weights<T: Real>(layer: &Layer, operands: &Slices<'_, T>) -> Buffer<T> {
    let Layer { parts, batch, hidden, hp, diagonal_weights: count, .. } = *layer;
    let mut rows = Buffer::zeros(&[parts, count, hp]);
    for part in 0..parts {
        for v in 0..count {
            // They are the same in all rows of the batch; of two rows, one has values and the other has tangents.
            let from = ((layer.states() + v) * batch + part) * hidden;
            let to = &mut rows.as_mut_slice()[(part * count + v) * hp..][..hidden];
            to.copy_from_slice(&operands.need(Operand::Memory)[from..][..hidden]);
        }
    }
    rows
}

/// What passes over steps begin with: the weights, packed once for all of them.
pub(crate) struct Forwarder<'a, T> {
    runner: CellRunner<'a, T>,
    layer: &'a Layer,
    operands: &'a Slices<'a, T>,
    valid_rows: &'a ValidRows,
    noise: &'a NoiseRows<'a, T>,
    packed_weights: Arc<PackedWeights<T>>,
    /// In dual numbers, the tangents of the weights.
    tangents: Option<PackedWeights<T>>,
    threads: ThreadPlan,
}

/// The state after a pass over some steps, and their trace.
pub(crate) struct PassResult<T> {
    /// `h` after the last step, `[B, Pp]`
    pub(crate) hidden: Buffer<T>,
    /// The memories after the last step, `[B, M, Hp]`
    pub(crate) memory: Buffer<T>,
    pub(crate) segment: Option<TraceSegment<T>>,
}

impl<T: Real> PassResult<T> {
    /// The trace, which has to have been asked for.
    pub(crate) fn into_segment(self) -> TraceSegment<T> {
        self.segment.expect("the trace was asked for")
    }
}

impl<'a, T: Gemm> Forwarder<'a, T> {
    pub(crate) fn new(
        runner: CellRunner<'a, T>,
        layer: &'a Layer,
        operands: &'a Slices<'a, T>,
        (valid_rows, noise): (&'a ValidRows, &'a NoiseRows<'a, T>),
        packed_weights: Option<Arc<PackedWeights<T>>>,
        threads: ThreadPlan,
    ) -> Self {
        let new = |operands| PackedWeights::new(layer, operands, threads.count);
        let packed_weights = packed_weights.unwrap_or_else(|| Arc::new(new(operands)));
        let tangents = runner.tangents.map(new);
        Self { runner, layer, operands, valid_rows, noise, packed_weights, tangents, threads }
    }

    /// The memories before the first step, `[B, M, Hp]`.
    pub(crate) fn first_memory(&self) -> Buffer<T> {
        let Layer { batch, hp, .. } = *self.layer;
        let mut memory = Buffer::zeros(&[batch, self.layer.states(), hp]);
        self.write_memory(Operand::Memory, memory.as_mut_slice());
        memory
    }

    /// Writes the memories of this operand to rows, `[B, M, Hp]`.
    fn write_memory(&self, of: Operand, to: &mut [T]) {
        let Layer { batch, hidden, hp, .. } = *self.layer;
        let memories = self.layer.states();
        let Some(from) = self.operands.get(of) else { return to.fill(T::ZERO) };
        for (b, rows) in to.chunks_exact_mut((memories * hp).max(1)).enumerate() {
            for m in 0..memories {
                let row = &mut rows[m * hp..][..hp];
                row[..hidden].copy_from_slice(&from[(m * batch + b) * hidden..][..hidden]);
                row[hidden..].fill(T::ZERO);
            }
        }
    }

    /// `h` before step `k`, in padded rows.
    fn hidden_before(&self, k: usize, outputs: Outputs<'_, T>) -> Buffer<T> {
        let Layer { batch, output, pp, .. } = *self.layer;
        let h_0 = self.operands.need(Operand::Hidden);
        let mut hidden = Buffer::zeros(&[batch, pp]);
        for b in 0..batch {
            let from = match self.valid_rows.before(k, b) {
                Origin::Initial => &h_0[b * output..][..output],
                Origin::Reset => match row_of(self.operands, Operand::ResetHidden, b, output) {
                    Some(row) => row,
                    None => continue,
                },
                Origin::Step(k) => {
                    let at = self.layer.output_at(self.layer.time_of(k), b);
                    outputs.row(at, output)
                }
            };
            hidden.as_mut_slice()[b * pp..][..output].copy_from_slice(from);
        }
        hidden
    }

    /// `h` before the first step of a pass, times the mask of the state; and room for that of the next step.
    fn masked(&self, hidden: &Buffer<T>) -> [Buffer<T>; 2] {
        let Layer { batch, output, pp, isa, .. } = *self.layer;
        let mut masked = Buffer::zeros(&[batch, pp]);
        for b in 0..batch {
            let Some(mask) = self.noise.mask(b) else { continue };
            Elementwise::Multiply.run(
                isa,
                mask,
                &hidden.as_slice()[b * pp..][..output],
                &mut masked.as_mut_slice()[b * pp..][..output],
            );
        }
        [masked, Buffer::zeros(&[batch, pp])]
    }

    /// Computes some steps, from the memories before them. The outputs of earlier steps are known.
    pub(crate) fn pass(
        &self,
        steps: Range<usize>,
        before: Buffer<T>,
        outputs: Outputs<'_, T>,
        keep: bool,
    ) -> PassResult<T> {
        let Layer { batch, hp, .. } = *self.layer;
        let layer = self.layer;
        let memories = layer.states();
        let mut diagonal = diagonal_weights(layer, self.operands);
        let blocks = self.valid_rows.blocks(steps.clone(), |_| ROWS);
        let phases = Phase::all::<T>(layer, self.valid_rows, self.threads, &blocks);
        let kinds: Vec<_> = phases.iter().map(|phase| phase.parallelism).collect();
        let rows = phases.iter().map(|phase| phase.rows).max().unwrap_or(0);
        let two = kinds.contains(&Parallelism::Pipeline);
        let mut planes = layer.rows_of_planes::<T>(rows, two);
        // A masked row has the same `h` before and after a step.
        let hidden = self.hidden_before(steps.start, outputs);
        let mut masked = layer.masks_state.then(|| self.masked(&hidden));
        let mut hiddens = [hidden.clone(), hidden];
        // Each valid row of each step has a row of saved values.
        let worked = if keep { self.valid_rows.count(&steps) } else { 0 };
        let resets = self.valid_rows.reset_states();
        let mut memory = Buffer::scratch(&[batch + resets + worked, memories, hp]);
        let state = batch * memories * hp;
        let (first, rest) = memory.as_mut_slice().split_at_mut(state);
        first.copy_from_slice(before.as_slice());
        self.write_memory(Operand::ResetMemory, &mut rest[..resets * memories * hp]);
        let mut saved = keep.then(|| Buffer::scratch(&[worked, layer.saved, hp]));
        let owns = if keep { worked } else { batch };
        let mut own = layer.has_own().then(|| Buffer::zeros(&[owns, hp]));
        let mut own_memory = layer.zones_memory.then(|| Buffer::scratch(&[owns, memories, hp]));
        let mut gated_hidden = layer.gated.then(|| Buffer::scratch(&[batch, hp]));
        let (values, tangents) = (&*self.packed_weights, self.tangents.as_ref());
        let packed = |of: fn(&PackedWeights<T>) -> Option<&Panels<T>>| {
            Some(of(values)?.beside(tangents.and_then(of)))
        };
        let forward = Forward {
            runner: self.runner,
            layer,
            operands: self.operands,
            valid_rows: self.valid_rows,
            noise: self.noise,
            weight_ih: values.weight_ih.beside(tangents.map(|of| &of.weight_ih)),
            weight_hh: values.weight_hh.beside(tangents.map(|of| &of.weight_hh)),
            gated: packed(|of| of.gated.as_ref()),
            project: packed(|of| of.project.as_ref()),
            heads: (values.heads.as_ref())
                .map(|heads| heads.beside(tangents.and_then(|of| of.heads.as_ref()))),
            bias: [values.bias.as_slice(), tangents.map_or(&[], |of| of.bias.as_slice())],
            first: steps.start,
            planes: planes.each_mut().map(Buffer::shared),
            hidden: hiddens.each_mut().map(Buffer::shared),
            memory: memory.shared(),
            diagonal: diagonal.shared(),
            saved: saved.as_mut().map(Buffer::shared),
            own: own.as_mut().map(Buffer::shared),
            own_memory: own_memory.as_mut().map(Buffer::shared),
            masked: masked.as_mut().map(|masked| masked.each_mut().map(Buffer::shared)),
            keep,
            gated_hidden: gated_hidden.as_mut().map(Buffer::shared),
            outputs: match outputs {
                Outputs::Wanted(outputs) => Some(outputs),
                Outputs::Known(_) => None,
            },
        };
        team(self.threads.count, |member| forward.run(member, &phases, &steps));

        let [even, odd] = hiddens;
        let hidden = if steps.len().is_multiple_of(2) { even } else { odd };
        let mut after = before;
        for (b, to) in after.as_mut_slice().chunks_exact_mut((memories * hp).max(1)).enumerate() {
            let row =
                if keep { self.valid_rows.traced_before(steps.start, steps.end, b) } else { b };
            to.copy_from_slice(&memory.as_slice()[row * memories * hp..][..to.len()]);
        }
        let segment = saved.map(|saved| TraceSegment {
            steps,
            saved,
            memory,
            own,
            own_memory: own_memory.map(Box::new),
        });
        PassResult { hidden, memory: after, segment }
    }
}
