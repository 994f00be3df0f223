//! The sequence backward: the steps here, what is summed over them in `sums.rs`.

use crate::host::gemm::dispatch::Gemm;
use crate::host::gemm::panels::{Packed, Panels};
use crate::host::gemm::product::{DEPTH, Product};
use crate::host::gemm::rows::Rows;
use crate::host::gemm::transposed_product::Tiles;
use crate::host::layout::partition::{Block, Schedule, Share, Split};
use crate::host::layout::plain_rows::{DOutputs, Slices, padded_row};
use crate::host::layout::sizes::Layer;
use crate::host::layout::valid_rows::Roster;
use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::memory::values::Values;
use crate::host::sequence::passes::{Forwarder, Outputs};
use crate::host::sequence::trace::Trace;
use crate::host::sequence::weights::Weights;
use crate::host::sequence::window::Window;
use crate::host::step::gates::{Part, StepBackward, Work};
use crate::host::threads::team::{Member, team};
use crate::operation::operands::{Cotangents, Operand, Operands};
use crate::operation::plan::Presence;
use bptt_cells::Cell;
use std::ops::Range;
use std::sync::atomic::AtomicUsize;

/// How many rows of gradients are gathered before the large products take them: a block of their inner
/// dimension; fewer where one thread works the steps, and others could be waiting; two, where they stay in the
/// second-level cache, for threads wait for each other after each.
fn rows_per_block<T>(layer: &Layer, rows_a_step: usize) -> usize {
    // In dual numbers the values are summed by the same blocks as alone.
    let Layer { parts, row, input, output, .. } = *layer;
    let is_small = (row + input + output).saturating_mul(2 * DEPTH * size_of::<T>()) <= CACHE / 2;
    parts
        * match rows_a_step / parts {
            0..8 => DEPTH / 2,
            _ if is_small => 2 * DEPTH,
            _ => DEPTH,
        }
}

/// The size of a second-level cache, in bytes, as processors with AVX-512 have it; two blocks are in it.
const CACHE: usize = 1 << 20;

/// What all threads of the backward pass share. Buffers of two belong to blocks in turn.
pub(super) struct Sequence<'a, C, T> {
    pub(super) work: Work<'a, C, T>,
    pub(super) layer: &'a Layer,
    pub(super) operands: &'a Slices<'a, T>,
    pub(super) roster: &'a Roster,
    pub(super) wanted: &'a Operands<()>,
    /// The forward pass's outputs, `[T, B, P]`, and `dLoss/d` of them.
    pub(super) outputs: &'a [T],
    pub(super) d_outputs: DOutputs<'a, T>,
    /// `U`, for `h`; `W`, for `x`; the inner rows of `U`; the projection.
    pub(super) weight_hh: Packed<'a, T>,
    pub(super) weight_ih: Option<Packed<'a, T>>,
    pub(super) inner: Option<Packed<'a, T>>,
    pub(super) project: Option<Packed<'a, T>>,
    pub(super) blocks: &'a [Block],
    /// How many blocks have buffers at a time: two, where threads may be at two.
    pub(super) slots: usize,
    /// How many pieces of each block's large products are taken.
    pub(super) taken: Vec<AtomicUsize>,
    pub(super) d_planes: [Shared<'a, T>; 2],
    /// `x`, `h` before the step and the own `h` of a block, as tiles; in dual numbers all values, then
    /// all tangents.
    pub(super) x_tiles: [Shared<'a, T>; 2],
    pub(super) h_tiles: [Shared<'a, T>; 2],
    pub(super) own_tiles: Option<[Shared<'a, T>; 2]>,
    /// The inner operand, and `dLoss/dh` in front of a projection's product, of a block.
    pub(super) inner_operand: Option<[Shared<'a, T>; 2]>,
    pub(super) d_projected: Option<[Shared<'a, T>; 2]>,
    pub(super) d_hidden: Shared<'a, T>,
    pub(super) d_memory: Shared<'a, T>,
    pub(super) d_own: Option<Shared<'a, T>>,
    pub(super) d_inner: Option<Shared<'a, T>>,
    /// Sums over all steps, transposed: `[I, G·H]`, `[P, outer·H]`, `[H, H]`, `[H, P]`, the columns of the
    /// planes as they are in a row, padded to whole registers; in dual numbers values, then tangents.
    pub(super) sum_ih: Shared<'a, T>,
    pub(super) sum_hh: Shared<'a, T>,
    pub(super) sum_inner: Option<Shared<'a, T>>,
    pub(super) sum_hr: Option<Shared<'a, T>>,
    /// Of the whole row of planes.
    pub(super) sum_bias: Shared<'a, T>,
    /// The gradients, where they are wanted.
    pub(super) d_input: Option<Shared<'a, T>>,
    pub(super) d_weight_ih: Option<Shared<'a, T>>,
    pub(super) d_weight_hh: Option<Shared<'a, T>>,
    pub(super) d_weight_hr: Option<Shared<'a, T>>,
}

/// The trace of some steps, shared.
#[derive(Clone)]
struct Known<'a, T> {
    steps: Range<usize>,
    kept: Shared<'a, T>,
    memory: Shared<'a, T>,
    own: Option<Shared<'a, T>>,
}

impl<T: Gemm> Window<T> {
    fn shared(&mut self) -> Known<'_, T> {
        Known {
            steps: self.steps.clone(),
            kept: self.kept.shared(),
            memory: self.memory.shared(),
            own: self.own.as_mut().map(Buffer::shared),
        }
    }
}

/// What goes into the backward pass beside the operands: the trace, and the outputs.
pub(crate) struct Given<'a, T> {
    pub(crate) trace: &'a mut Trace<T>,
    /// The outputs of the forward pass.
    pub(crate) outputs: &'a [T],
    pub(crate) d_results: Cotangents<&'a [T]>,
}

/// Runs the sequence backward: dLoss/d(operand) for each wanted operand. In dual numbers those of
/// weights and biases are values, then tangents.
pub(crate) fn backward<C: Cell, T: Gemm>(
    work: Work<'_, C, T>,
    layer: &Layer,
    operands: &Slices<'_, T>,
    presence: Option<&Presence>,
    Given { trace, outputs, d_results }: Given<'_, T>,
    wanted: &Operands<()>,
    schedule: Schedule,
) -> Operands<Values<T>> {
    let count = schedule.count;
    let Layer { time, batch, input, hidden, output, memories, hp, pp, gates, parts, row, .. } =
        *layer;
    let sums = |columns| layer.row_of_sums::<T>(columns);
    let no_output = vec![T::ZERO; pp];
    let d_outputs = DOutputs {
        numbers: d_results.outputs.unwrap_or(&no_output),
        is_one: d_results.outputs.is_none(),
    };

    let new = |operands| Weights::new(layer, operands, wanted.has(Operand::Input), count);
    let (weights, tangents) = (new(operands), work.tangents.map(new));
    let packed = |of: fn(&Weights<T>) -> Option<&Panels<T>>| {
        Some(of(&weights)?.beside(tangents.as_ref().and_then(of)))
    };

    let roster = Roster::new(layer, presence);
    let blocks = roster.blocks(0..time, |rows_a_step| rows_per_block::<T>(layer, rows_a_step));
    let rows = roster.largest(&blocks);
    let block = |steps| Block::new::<T>(layer, &roster, schedule, steps);
    let blocks: Vec<_> = blocks.into_iter().map(block).collect();
    let slots = count.min(2);
    let two = |sizes: [usize; 2]| Buffer::one_or_two(slots > 1, &sizes);
    let mut d_planes = layer.rows_of_planes(rows, slots > 1);
    let mut x_tiles = two([rows, input]);
    let mut h_tiles = two([rows, output]);
    let mut own_tiles = layer.projected.then(|| two([rows, hidden]));
    let mut inner_operand = layer.inner.then(|| two([rows, hp]));
    let mut d_projected = layer.projected.then(|| two([rows, pp]));
    let mut d_hidden = Buffer::zeros(&[batch, pp]);
    let mut d_memory = Buffer::zeros(&[batch, memories, hp]);
    let mut d_own = layer.projected.then(|| Buffer::zeros(&[batch, hp]));
    let mut d_inner = layer.inner.then(|| Buffer::zeros(&[batch, hp]));
    let mut sum_ih = Buffer::zeros(&[parts, input, sums(layer.of_x().1)]);
    let mut sum_hh = Buffer::zeros(&[parts, output, sums(layer.of_h().1)]);
    let mut sum_inner = layer.inner.then(|| Buffer::zeros(&[parts, hidden, hp]));
    let mut sum_hr = layer.projected.then(|| Buffer::zeros(&[parts, hidden, pp]));
    let mut sum_bias = Buffer::zeros(&[parts, row]);
    final_state(layer, &d_results, d_hidden.as_mut_slice(), d_memory.as_mut_slice());

    let gradient = |operand, size: &[usize]| {
        // All of it is written; but rows of the input that leave a step out are not.
        let all_written = operand != Operand::Input || presence.is_none();
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
        work,
        layer,
        operands,
        roster: &roster,
        wanted,
        outputs,
        d_outputs,
        weight_hh: weights.hh.beside(tangents.as_ref().map(|of| &of.hh)),
        weight_ih: packed(|of| of.ih.as_ref()),
        inner: packed(|of| of.inner.as_ref()),
        project: packed(|of| of.project.as_ref()),
        blocks: &blocks,
        slots,
        taken: blocks.iter().map(|_| AtomicUsize::new(0)).collect(),
        d_planes: pair(&mut d_planes),
        x_tiles: pair(&mut x_tiles),
        h_tiles: pair(&mut h_tiles),
        own_tiles: own_tiles.as_mut().map(pair),
        inner_operand: inner_operand.as_mut().map(pair),
        d_projected: d_projected.as_mut().map(pair),
        d_hidden: d_hidden.shared(),
        d_memory: d_memory.shared(),
        d_own: d_own.as_mut().map(Buffer::shared),
        d_inner: d_inner.as_mut().map(Buffer::shared),
        sum_ih: sum_ih.shared(),
        sum_hh: sum_hh.shared(),
        sum_inner: sum_inner.as_mut().map(Buffer::shared),
        sum_hr: sum_hr.as_mut().map(Buffer::shared),
        sum_bias: sum_bias.shared(),
        d_input: shared(&mut d_input),
        d_weight_ih: shared(&mut d_weight_ih),
        d_weight_hh: shared(&mut d_weight_hh),
        d_weight_hr: shared(&mut d_weight_hr),
    };
    let over = |mut window: Window<T>| {
        let known = window.shared();
        team(count, |member| sequence.run(member, &known));
    };
    over(trace.window.take().expect("a trace is used once"));
    if let Some(mut walk) = trace.walk.take() {
        let forwarder = Forwarder::new(work, layer, operands, &roster, None, schedule);
        while let Some(passed) = walk.next(&forwarder, Outputs::Known(outputs)) {
            over(passed.into_window());
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
                Operand::BiasHh if (layer.added..layer.added + layer.apart).contains(&gate) => {
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

impl<C: Cell, T: Gemm> Sequence<'_, C, T> {
    /// The `index`th block, counted from the last to the first, and which buffers are its.
    pub(super) fn block(&self, index: usize) -> (&Block, usize) {
        (&self.blocks[self.blocks.len() - 1 - index], index % self.slots)
    }

    /// What one thread does over the steps whose trace is known. A block may have its first steps
    /// among them, or its last.
    ///
    /// The large products of a block are worked beside the steps of the next, by whoever has none or is
    /// through with them.
    fn run(&self, member: &Member<'_>, known: &Known<'_, T>) {
        for index in 0..self.blocks.len() {
            let (block, slot) = self.block(index);
            let of_block = &block.steps;
            let steps = of_block.start.max(known.steps.start)..of_block.end.min(known.steps.end);
            if steps.is_empty() {
                continue;
            }
            let (begins, ends) = (steps.end == of_block.end, steps.start == of_block.start);
            let has_steps = block.split != Split::Pipeline || member.index == 0;
            // Which part of what the sums multiply with is laid out by this thread.
            let part = match block.split {
                Split::Pipeline if member.count > 1 => {
                    member.index.checked_sub(1).map(|index| (index, member.count - 1))
                }
                _ => Some((member.index, member.count)),
            };
            if let (true, Some((part, parts))) = (begins, part) {
                self.lay_out(of_block.clone(), slot, part, parts);
            }
            if has_steps {
                for k in steps.rev() {
                    self.step(k, block, slot, member, known);
                }
            }
            if self.slots == 1 {
                if ends {
                    self.sums(index);
                }
                continue;
            }
            if let (true, Some(before)) = (ends || !has_steps, index.checked_sub(1)) {
                self.sums(before);
            }
            member.wait();
        }
    }

    /// What one thread does when all steps are worked.
    fn complete(&self, member: &Member<'_>) {
        if let (true, Some(last)) = (self.slots > 1, self.blocks.len().checked_sub(1)) {
            self.sums(last);
        }
        member.wait();
        self.finish(member);
    }

    /// `h` before step `k`, as of [`padded_row`].
    #[inline(always)]
    pub(super) fn hidden_before(&self, k: usize, b: usize) -> &[T] {
        let Layer { output, pp, .. } = *self.layer;
        match self.roster.before(k, b) {
            None => padded_row(self.operands.need(Operand::Hidden), b * output, pp),
            Some(k) => {
                let at = self.layer.output_at(self.layer.time_of(k), b);
                padded_row(self.outputs, at, pp)
            }
        }
    }

    /// Step `k` of a block.
    fn step(
        &self,
        k: usize,
        block: &Block,
        slot: usize,
        member: &Member<'_>,
        known: &Known<'_, T>,
    ) {
        // Its rows begin here in the block, and this thread's in the trace.
        let first = self.roster.count(&(block.steps.start..k));
        let Layer { batch, hidden, output, hp, pp, isa, row, .. } = *self.layer;
        let t = self.layer.time_of(k);
        let d_planes = self.d_planes[slot];
        let share = &block.shares[member.index];
        let rows = self.roster.step_rows(k, &share.rows);
        let traced = self.roster.count(&(known.steps.start..k)) + rows.places.start;
        if self.layer.held {
            self.hold_back(k, share);
        }
        // This thread's rows of the batch that take part, in a buffer; and their places in the block.
        let of_batch = |buffer: Shared<'_, T>, row: usize| {
            let (start, rows) = rows.in_batch(row);
            (buffer.at(start, 0), rows)
        };
        let first_place = first + rows.places.start;
        let in_block =
            |buffer: Shared<'_, T>, row: usize| (buffer.at(first_place * row, 0), Rows::plain(row));
        type At<'a, T> = (*mut T, Rows<'a>);
        let product =
            |(a, a_rows): At<'_, T>, b: Packed<'_, T>, panels, (c, c_rows): At<'_, T>, add| {
                let (a, rows) = (a.cast_const(), 0..rows.len());
                let product = Product { a, a_rows, b, panels, c, c_rows, rows, add };
                // SAFETY: `a` has these rows and nobody writes them now; those of `c` are this
                // thread's own.
                unsafe { product.run(isa) };
            };
        let memory_before = |b| self.roster.traced_before(known.steps.start, k, b);
        let hidden_before = |b| self.hidden_before(k, b);
        let gates = |part| {
            let step = StepBackward {
                cell: self.work.cell,
                layer: self.layer,
                rows: rows.clone(),
                units: share.units.clone(),
                part,
                d_planes,
                d_planes_row: first_place,
                d_hidden: self.d_hidden,
                d_own: self.d_own,
                d_output: self.d_outputs,
                time: t,
                d_memory: self.d_memory,
                kept: known.kept,
                kept_row: traced,
                memory: known.memory,
                memory_before: &memory_before,
                memory_after: batch + traced,
                hidden_before: &hidden_before,
                own: known.own.map(|own| (own, traced)),
                outputs: self.outputs,
                d_inner: self.d_inner,
                inner: self.inner_operand.map(|inner| inner[slot]),
            };
            self.work.backward(isa, &step);
        };
        if let (Some(project), Some(d_projected), Some(d_own), Some(own)) =
            (self.project, self.d_projected, self.d_own, known.own)
        {
            let d_projected = d_projected[slot];
            for (nth, b) in rows.iter().enumerate() {
                let place = first_place + nth;
                // SAFETY: rows of this thread's own.
                let to = unsafe { d_projected.slice_mut(place * pp, pp) };
                // SAFETY: as above.
                let d_hidden = unsafe { self.d_hidden.slice(b * pp, output) };
                let d_output = self.d_outputs.row(self.layer.output_at(t, b), pp);
                for ((to, &a), &b) in to.iter_mut().zip(d_hidden).zip(d_output) {
                    *to = T::plus(a, b);
                }
            }
            if let Some(tiles) = self.own_tiles {
                // SAFETY: the trace is only read.
                let own =
                    (0..rows.len()).map(|nth| unsafe { own.slice((traced + nth) * hp, hidden) });
                let (of_own, places) =
                    (Tiles::new(isa, hidden), first_place..first_place + rows.len());
                let all = self.roster.count(&block.steps);
                // SAFETY: these rows of the tiles are this thread's own.
                unsafe { self.lay(of_own, own, places, all, tiles[slot]) };
            }
            let (a, c) = (in_block(d_projected, pp), of_batch(d_own, hp));
            product(a, project, 0..project.value.count, c, false);
        }
        gates(Part::Step);
        if let (Some(inner), Some(d_inner)) = (self.inner, self.d_inner) {
            let (a, a_rows) = in_block(d_planes, row);
            let a = (a.wrapping_add(self.layer.of_inner().0), a_rows);
            product(a, inner, 0..inner.value.count, of_batch(d_inner, hp), false);
            gates(Part::Completion);
        }
        if block.split == Split::Units {
            member.wait();
        }
        // The planes of this step are written, in other threads before the barrier.
        let (a, a_rows) = in_block(d_planes, row);
        let a = (a.wrapping_add(self.layer.of_h().0), a_rows);
        for panels in self.weight_hh.value.of_units(&share.units) {
            // To what the cell handed on by itself, if it can.
            let add = !C::PROJECTABLE;
            product(a, self.weight_hh, panels, of_batch(self.d_hidden, pp), add);
        }
    }

    /// Rows that leave step `k` out, and have what they held as their output: its gradient joins that of
    /// `h`.
    fn hold_back(&self, k: usize, share: &Share) {
        let Layer { output, pp, .. } = *self.layer;
        let units = if self.layer.projected { 0..output } else { share.units.clone() };
        let units = units.start.min(output)..units.end.min(output);
        for b in share.rows.clone().filter(|&b| !self.roster.takes_part(k, b)) {
            let output_at = self.layer.output_at(self.layer.time_of(k), b);
            let d_output = self.d_outputs.row(output_at, pp);
            // SAFETY: rows and units of this thread's own.
            let d_hidden = unsafe { self.d_hidden.slice_mut(b * pp + units.start, units.len()) };
            for (to, &d) in d_hidden.iter_mut().zip(&d_output[units.clone()]) {
                *to = T::plus(*to, d);
            }
        }
    }
}

/// dLoss/d(final state), in padded rows, which are zero.
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
