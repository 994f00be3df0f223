//! What each thread does in the backward pass: its part of the steps, and pieces of the large products.

use crate::host::gemm::dispatch::Gemm;
use crate::host::gemm::panels::Packed;
use crate::host::gemm::product::{Product, begins_with_last};
use crate::host::gemm::rows::Rows;
use crate::host::gemm::transposed_product::Tiles;
use crate::host::layout::sizes::Layer;
use crate::host::layout::thread_plan::{Parallelism, Shard, TimeBlock};
use crate::host::layout::valid_rows::StepRows;
use crate::host::memory::buffer::Shared;
use crate::host::sequence::backward_memory::StateGradient;
use crate::host::sequence::backward_shared::{Sequence, SharedSegment};
use crate::host::sequence::heads::HeadProduct;
use crate::host::step::gates::{Part, StepBackward};
use crate::host::threads::team::Member;
use crate::operation::observer::PATHS;
use std::ops::Range;

/// Rows of a matrix, from their first column on.
type At<'a, T> = (*mut T, Rows<'a>);

impl<T: Gemm> Sequence<'_, T> {
    /// What one thread does over the steps of a segment. A block may have its first steps
    /// among them, or its last.
    ///
    /// Threads that have no steps, or have finished them, compute the large products of the block before.
    pub(super) fn run(&self, member: &Member<'_>, segment: &SharedSegment<'_, T>) {
        for index in 0..self.blocks.len() {
            let (block, slot) = self.block(index);
            let of_block = &block.steps;
            let steps =
                of_block.start.max(segment.steps.start)..of_block.end.min(segment.steps.end);
            if steps.is_empty() {
                continue;
            }
            let (begins, ends) = (steps.end == of_block.end, steps.start == of_block.start);
            let has_steps = block.parallelism != Parallelism::Pipeline || member.index == 0;
            // Which part of the factors of the large products this thread lays out as tiles.
            let part = match block.parallelism {
                Parallelism::Pipeline if member.count > 1 => {
                    member.index.checked_sub(1).map(|index| (index, member.count - 1))
                }
                _ => Some((member.index, member.count)),
            };
            if let (true, Some((part, parts))) = (begins, part) {
                self.lay_out(of_block.clone(), slot, part, parts);
            }
            if has_steps {
                for k in steps.clone().rev() {
                    self.step(k, block, slot, member, segment);
                }
            }
            if self.input_by_steps {
                let count = |start, end| self.valid_rows.count(&(start..end));
                let first = count(of_block.start, steps.start);
                let rows = first..first + count(steps.start, steps.end);
                self.input_gradient(of_block, slot, rows);
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

    /// What one thread does after all steps.
    pub(super) fn complete(&self, member: &Member<'_>) {
        if let (true, Some(last)) = (self.slots > 1, self.blocks.len().checked_sub(1)) {
            self.sums(last);
        }
        member.wait();
        self.finish(member);
    }

    /// Step `k` of a block.
    fn step(
        &self,
        k: usize,
        block: &TimeBlock,
        slot: usize,
        member: &Member<'_>,
        segment: &SharedSegment<'_, T>,
    ) {
        // Where the rows of the step begin in the block, and where this thread's rows begin in the trace.
        let first = self.valid_rows.count(&(block.steps.start..k));
        let Layer { hp, pp, isa, row, .. } = *self.layer;
        let t = self.layer.time_of(k);
        let d_planes = self.buffers.d_planes[slot];
        let shard = &block.shards[member.index];
        let rows = self.valid_rows.step_rows(k, &shard.rows);
        let traced = self.valid_rows.count(&(segment.steps.start..k)) + rows.places.start;
        self.held_backward(k, shard);
        self.observe(t, &rows, shard, member.index);
        // This thread's valid rows in a buffer with a row for each row of the batch, and their places in the block.
        let of_batch = |buffer: Shared<'_, T>, row: usize| {
            let (start, rows) = rows.in_batch(row);
            (buffer.at(start, 0), rows)
        };
        let first_place = first + rows.places.start;
        let in_block =
            |buffer: Shared<'_, T>, row: usize| (buffer.at(first_place * row, 0), Rows::plain(row));
        let product =
            |(a, a_rows): At<'_, T>, b: Packed<'_, T>, panels, (c, c_rows): At<'_, T>, add| {
                let from_last = begins_with_last(k, rows.len());
                let (a, rows) = (a.cast_const(), 0..rows.len());
                let product = Product { a, a_rows, b, panels, c, c_rows, rows, add, from_last };
                // SAFETY: `a` has these rows, and no thread writes to them now; the rows of `c` are this thread's own.
                unsafe { product.run(isa) };
            };
        let memory_before = |b| self.valid_rows.traced_before(segment.steps.start, k, b);
        self.set_candidates(t, (&rows, shard), segment.memory, &memory_before);
        let hidden_before = |b| self.hidden_before(k, b);
        let (memory_next, memory_after) = self.own_memory_after(segment, traced);
        let gates = |part| {
            let step = StepBackward {
                layer: self.layer,
                rows: rows.clone(),
                units: shard.units.clone(),
                part,
                d_planes,
                d_planes_row: first_place,
                d_hidden: self.state.d_hidden,
                d_own: self.state.d_own,
                d_output: self.d_outputs,
                time: t,
                d_memory: self.state.d_memory,
                saved: segment.saved,
                saved_row: traced,
                memory: segment.memory,
                memory_before: &memory_before,
                memory_after,
                memory_next,
                diagonal: self.diagonal,
                hidden_before: &hidden_before,
                own: segment.own.map(|own| (own, traced)),
                outputs: self.outputs,
                d_gated: self.state.d_gated,
                gated: self.buffers.gated_hidden.map(|gated| gated[slot]),
            };
            self.runner.steps.backward(isa, &step);
        };
        if let (Some(project), Some(d_projected), Some(d_own), Some(own)) =
            (self.project, self.buffers.d_projected, self.state.d_own, segment.own)
        {
            let d_projected = d_projected[slot];
            self.projected_gradient(t, &rows, first_place, d_projected);
            self.zone_out_hidden_backward(t, (&rows, shard), Some((d_projected, first_place)));
            if let Some(tiles) = self.buffers.own_tiles {
                let of_block = self.valid_rows.count(&block.steps);
                self.lay_out_own((own, traced), rows.len(), (first_place, of_block), tiles[slot]);
            }
            let (a, c) = (in_block(d_projected, pp), of_batch(d_own, hp));
            product(a, project, 0..project.value.count, c, false);
        } else {
            self.zone_out_hidden_backward(t, (&rows, shard), None);
        }
        self.zone_out_memory_backward(t, &rows, shard);
        gates(Part::Step);
        if let (Some(gated), Some(d_gated)) = (self.gated, self.state.d_gated) {
            let (a, a_rows) = in_block(d_planes, row);
            let a = (a.wrapping_add(self.layer.of_gated().0), a_rows);
            product(a, gated, 0..gated.value.count, of_batch(d_gated, hp), false);
            self.gated_by_heads(shard, in_block(d_planes, row), &rows);
            self.mask_gated((&rows, shard), d_gated, None);
            gates(Part::Completion);
            self.mask_gated_operand((&rows, shard), slot, first_place);
        }
        if block.parallelism == Parallelism::Hidden {
            member.wait();
        }
        // The planes of this step are written; other threads did so before the barrier.
        self.through_hidden_terms(k, (&rows, shard), slot, first_place);
        self.add_kept(&rows, shard);
        self.reset_backward(k, shard);
    }

    /// Step `k` backward through `U`: the gradient of `h` before the step from those of this thread's rows of planes, which
    /// begin with this row of the block.
    fn through_hidden_terms(
        &self,
        k: usize,
        (rows, shard): (&StepRows<'_>, &Shard),
        slot: usize,
        first: usize,
    ) {
        let Layer { pp, isa, row, .. } = *self.layer;
        let planes = self.buffers.d_planes[slot].at(first * row, 0);
        let a = planes.cast_const().wrapping_add(self.layer.of_h().0);
        // To what the cell handed on by itself, if it can.
        let add = self.layer.hands_on_hidden && !self.layer.masks_state;
        let to = self.state.d_masked.unwrap_or(self.state.d_hidden);
        let (start, c_rows) = rows.in_batch(pp);
        let from_last = begins_with_last(k, rows.len());
        for panels in self.weight_hh.value.of_units(&shard.units, from_last) {
            let (a_rows, c) = (Rows::plain(row), to.at(start, 0));
            let (b, rows) = (self.weight_hh, 0..rows.len());
            let product = Product { a, a_rows, b, panels, c, c_rows, rows, add, from_last };
            // SAFETY: the planes have these rows, and no thread writes to them now; the rows and units of `c` are this
            // thread's own.
            unsafe { product.run(isa) };
        }
        self.by_heads(shard, (planes, Rows::plain(row)), rows);
        if let Some(d_masked) = self.state.d_masked {
            self.masked_backward(rows, shard, d_masked);
        }
    }

    /// Where the memories are that the cell computed, and in which row those of this place of the trace.
    fn own_memory_after<'s>(
        &self,
        segment: &SharedSegment<'s, T>,
        traced: usize,
    ) -> (Shared<'s, T>, usize) {
        let batch = self.layer.batch;
        let first = match segment.own_memory {
            Some(_) => traced,
            None => batch + self.valid_rows.reset_states() + traced,
        };
        (segment.own_memory.unwrap_or(segment.memory), first)
    }

    /// In heads: dLoss/dh before the step of these rows, or dLoss/d(m ⊙ h), by their planes.
    fn by_heads(&self, shard: &Shard, planes: At<'_, T>, rows: &StepRows<'_>) {
        let Some(heads) = self.heads else { return };
        let (start, c_rows) = rows.in_batch(self.layer.pp);
        let c = (self.state.d_masked.unwrap_or(self.state.d_hidden).at(start, 0), c_rows);
        // To what the cell handed on by itself, if it can.
        let has_direct = self.layer.hands_on_hidden && !self.layer.masks_state;
        let product = HeadProduct::new(self.layer, shard, planes, c, rows.len(), has_direct);
        // SAFETY: the planes of this step are written; these rows and units are this thread's own.
        unsafe { heads.outer(product) };
    }

    /// In heads: dLoss/d(gated hidden state) of these rows, by their planes.
    fn gated_by_heads(&self, shard: &Shard, planes: At<'_, T>, rows: &StepRows<'_>) {
        let (Some(heads), Some(d_gated)) = (self.heads, self.state.d_gated) else { return };
        let (start, c_rows) = rows.in_batch(self.layer.hp);
        let c = (d_gated.at(start, 0), c_rows);
        let product = HeadProduct::new(self.layer, shard, planes, c, rows.len(), false);
        // SAFETY: as above.
        unsafe { heads.gated(product) };
    }

    /// For rows that are reset before step `k`: hands the gradient on to the reset state, and not to the steps before.
    fn reset_backward(&self, k: usize, shard: &Shard) {
        let Layer { memories, hp, pp, .. } = *self.layer;
        let units = if self.layer.projected { 0..pp } else { shard.units.clone() };
        let take = |from: Shared<'_, T>, to: Option<Shared<'_, T>>, at: usize, count: usize| {
            // SAFETY: these rows and units are this thread's own.
            let from = unsafe { from.slice_mut(at, count) };
            if let Some(to) = to {
                // SAFETY: as above.
                let to = unsafe { to.slice_mut(at, count) };
                to.iter_mut().zip(from.iter()).for_each(|(to, &d)| *to = T::plus(*to, d));
            }
            from.fill(T::ZERO);
        };
        let StateGradient { d_hidden, d_memory, reset_hidden, reset_memory, .. } = self.state;
        for &b in self.valid_rows.reset_among(k, &shard.rows) {
            take(d_hidden, reset_hidden, b * pp + units.start, units.len());
            for m in 0..memories {
                let at = (b * memories + m) * hp + shard.units.start;
                take(d_memory, reset_memory, at, shard.units.len());
            }
        }
    }

    /// The units of `h` that this thread has.
    pub(super) fn outputs_of(&self, shard: &Shard) -> Range<usize> {
        let output = self.layer.output;
        let units = if self.layer.projected { 0..output } else { shard.units.clone() };
        units.start.min(output)..units.end.min(output)
    }

    /// Adds the squares of the gradient of the state after step `t`, for this thread's rows and units.
    fn observe(&self, t: usize, rows: &StepRows<'_>, shard: &Shard, member: usize) {
        let Some(squares) = self.squares else { return };
        let to = squares.part((member * self.layer.time + t) * PATHS, PATHS);
        let Layer { hidden, memories, diagonal_weights, hp, pp, .. } = *self.layer;
        let units = self.outputs_of(shard);
        let own = shard.units.start.min(hidden)..shard.units.end.min(hidden);
        let mut sums = [0.0; PATHS];
        for b in rows.iter() {
            let d_output = &self.d_outputs.row(self.layer.output_at(t, b), pp)[units.clone()];
            // SAFETY: these rows and units are this thread's own.
            let d_hidden = unsafe { self.state.d_hidden.slice(b * pp + units.start, units.len()) };
            for (output, gates) in d_output.iter().zip(d_hidden) {
                let (output, gates) = (output.to_f64(), gates.to_f64());
                sums[0] += output * output;
                sums[1] += gates * gates;
                sums[2] += (output + gates) * (output + gates);
            }
            for m in 0..memories - diagonal_weights {
                let at = (b * memories + m) * hp + own.start;
                // SAFETY: as above.
                let d_memory = unsafe { self.state.d_memory.slice(at, own.len()) };
                sums[3] += d_memory.iter().map(|d| d.to_f64() * d.to_f64()).sum::<f64>();
            }
        }
        // SAFETY: each thread has sums of its own.
        let to = unsafe { to.slice_mut(0, PATHS) };
        to.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
    }

    /// dLoss/d(`h` behind the projection) of this thread's rows of a step: by its outputs, and by the steps after it.
    fn projected_gradient(&self, t: usize, rows: &StepRows<'_>, first: usize, to: Shared<'_, T>) {
        let Layer { output, pp, .. } = *self.layer;
        for (nth, b) in rows.iter().enumerate() {
            // SAFETY: rows of this thread's own.
            let to = unsafe { to.slice_mut((first + nth) * pp, pp) };
            // SAFETY: as above.
            let d_hidden = unsafe { self.state.d_hidden.slice(b * pp, output) };
            let d_output = self.d_outputs.row(self.layer.output_at(t, b), pp);
            for ((to, &a), &b) in to.iter_mut().zip(d_hidden).zip(d_output) {
                *to = T::plus(a, b);
            }
        }
    }

    /// Lays out `h` before the projection, of some rows of the trace, as tiles for the projection's gradient.
    fn lay_out_own(
        &self,
        (own, traced): (Shared<'_, T>, usize),
        count: usize,
        (first, of_block): (usize, usize),
        tiles: Shared<'_, T>,
    ) {
        let Layer { hidden, hp, isa, .. } = *self.layer;
        // SAFETY: the trace is only read.
        let own = (0..count).map(|nth| unsafe { own.slice((traced + nth) * hp, hidden) });
        // SAFETY: these rows of the tiles are this thread's own.
        unsafe { self.lay(Tiles::new(isa, hidden), own, first..first + count, of_block, tiles) };
    }

    /// For rows that are masked at step `k` and whose output is the held state: adds the gradient of the output to
    /// that of `h`.
    fn held_backward(&self, k: usize, shard: &Shard) {
        let Layer { pp, held, .. } = *self.layer;
        if !held {
            return;
        }
        let units = self.outputs_of(shard);
        for b in shard.rows.clone().filter(|&b| !self.valid_rows.is_valid(k, b)) {
            let output_at = self.layer.output_at(self.layer.time_of(k), b);
            let d_output = self.d_outputs.row(output_at, pp);
            // SAFETY: these rows and units are this thread's own.
            let d_hidden =
                unsafe { self.state.d_hidden.slice_mut(b * pp + units.start, units.len()) };
            for (to, &d) in d_hidden.iter_mut().zip(&d_output[units.clone()]) {
                *to = T::plus(*to, d);
            }
        }
    }
}
