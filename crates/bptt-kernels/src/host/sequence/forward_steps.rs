//! What each thread does in the forward pass.

use crate::host::gemm::dispatch::Gemm;
use crate::host::gemm::panels::Packed;
use crate::host::gemm::product::{Product, begins_with_last};
use crate::host::gemm::rows::Rows;
use crate::host::layout::noise_rows::NoiseRows;
use crate::host::layout::plain_rows::{Slices, row_of};
use crate::host::layout::sizes::Layer;
use crate::host::layout::thread_plan::{Parallelism, Shard};
use crate::host::layout::valid_rows::{Origin, StepRows, ValidRows};
use crate::host::memory::buffer::Shared;
use crate::host::sequence::heads::{HeadProduct, PackedHeads};
use crate::host::sequence::phase::Phase;
use crate::host::simd::isa::Isa;
use crate::host::step::cell_steps::CellRunner;
use crate::host::step::gates::{Part, StepForward};
use crate::host::threads::team::{Member, part};
use crate::operation::operands::Operand;
use std::ops::Range;

/// `C += A B`, in the columns of some units; every second time from the last on.
///
/// # Safety
///
/// As for [`Product::run`].
unsafe fn multiply<T: Gemm>(
    isa: Isa,
    b: Packed<'_, T>,
    units: &Range<usize>,
    (a, a_rows): (*const T, Rows<'_>),
    (c, c_rows): (*mut T, Rows<'_>),
    (rows, from_last): (Range<usize>, bool),
) {
    for panels in b.value.of_units(units, from_last) {
        let (rows, add) = (rows.clone(), true);
        // SAFETY: the caller's promise.
        unsafe { Product { a, a_rows, b, panels, c, c_rows, rows, add, from_last }.run(isa) };
    }
}

/// What all threads of the forward pass share.
pub(super) struct Forward<'a, T> {
    pub(super) runner: CellRunner<'a, T>,
    pub(super) layer: &'a Layer,
    pub(super) operands: &'a Slices<'a, T>,
    pub(super) valid_rows: &'a ValidRows,
    pub(super) noise: &'a NoiseRows<'a, T>,
    /// The packed weights: for `x`, for `h`, for the gated hidden state, and for the projection.
    pub(super) weight_ih: Packed<'a, T>,
    pub(super) weight_hh: Packed<'a, T>,
    pub(super) gated: Option<Packed<'a, T>>,
    pub(super) project: Option<Packed<'a, T>>,
    /// In heads, the blocks of `U`.
    pub(super) heads: Option<PackedHeads<'a, T>>,
    /// The biases, in the order of a row of planes; in dual numbers, also their tangents.
    pub(super) bias: [&'a [T]; 2],
    /// The first step of the pass.
    pub(super) first: usize,
    /// The pre-activations of one block, or of two.
    pub(super) planes: [Shared<'a, T>; 2],
    /// `h` before and after a step, in turn.
    pub(super) hidden: [Shared<'a, T>; 2],
    /// The memories. Each step replaces them; if the trace is kept, it begins with the memories before the pass, and
    /// those after each step follow.
    pub(super) memory: Shared<'a, T>,
    /// The diagonal weights, `[parts, V, Hp]`.
    pub(super) diagonal: Shared<'a, T>,
    pub(super) saved: Option<Shared<'a, T>>,
    /// `h` before the projection or zoneout: of all valid rows if the trace is kept, else of one step. The memories
    /// before zoneout are alike.
    pub(super) own: Option<Shared<'a, T>>,
    pub(super) own_memory: Option<Shared<'a, T>>,
    /// `m ⊙ h` before a step and before the next one, in turn, if the state has a mask.
    pub(super) masked: Option<[Shared<'a, T>; 2]>,
    pub(super) keep: bool,
    pub(super) gated_hidden: Option<Shared<'a, T>>,
    /// The outputs of all steps; `None` if they are known already.
    pub(super) outputs: Option<Shared<'a, T>>,
}

/// Where a step's rows lie, forward.
pub(super) struct Places<'a> {
    /// `h` before the projection or zoneout: from this row on.
    pub(super) own: usize,
    /// The memories: where each row of the batch has them before the step, and from which row on these rows have them
    /// after it; `None`: in the same place.
    pub(super) memory_before: &'a (dyn Fn(usize) -> usize + Sync),
    pub(super) memory_after: Option<usize>,
}

impl<T: Gemm> Forward<'_, T> {
    /// What one thread does.
    pub(super) fn run(&self, member: &Member<'_>, phases: &[Phase<'_>], steps: &Range<usize>) {
        for phase in phases {
            self.work_phase(member, phase);
            // In the next phase, other threads may have these rows.
            member.wait();
        }
        if let (true, Some(outputs)) = (self.layer.held, self.outputs) {
            for b in member.part(self.layer.batch, 1) {
                self.hold(outputs, steps, b);
            }
        }
    }

    fn work_phase(&self, member: &Member<'_>, phase: &Phase<'_>) {
        let Phase { blocks, parallelism, .. } = *phase;
        let (shard, row_offset) = (&phase.shards[member.index], phase.row_offsets[member.index]);
        match parallelism {
            Parallelism::Batch | Parallelism::Hidden => {
                for block in blocks {
                    let places = |k| self.valid_rows.places(k, &shard.rows).len();
                    let count = block.clone().map(places).sum();
                    self.input_products(block, 0, shard, row_offset, 0..count);
                    let mut first = row_offset;
                    for k in block.clone() {
                        self.step(k, first, 0, shard);
                        first += places(k);
                        if parallelism == Parallelism::Hidden {
                            member.wait();
                        }
                    }
                }
            }
            Parallelism::Pipeline => {
                let products = |index: usize, part: Range<usize>| {
                    self.input_products(&blocks[index], index % 2, shard, row_offset, part);
                };
                if let Some(first) = blocks.first() {
                    products(0, member.part(self.valid_rows.count(first), self.layer.parts));
                }
                member.wait();
                for (index, block) in blocks.iter().enumerate() {
                    if member.index == 0 {
                        for k in block.clone() {
                            let first = row_offset + self.valid_rows.count(&(block.start..k));
                            self.step(k, first, index % 2, shard);
                        }
                    } else if let Some(next) = blocks.get(index + 1) {
                        let count = self.valid_rows.count(next);
                        let (at, of) = (member.index - 1, member.count - 1);
                        products(index + 1, part(at, of, count, self.layer.parts));
                    }
                    member.wait();
                }
            }
        }
    }

    /// Writes the outputs of a row at masked steps: the state that is held.
    fn hold(&self, outputs: Shared<'_, T>, steps: &Range<usize>, b: usize) {
        let output = self.layer.output;
        let at = |k| self.layer.output_at(self.layer.time_of(k), b);
        for k in steps.clone().filter(|&k| !self.valid_rows.is_valid(k, b)) {
            // SAFETY: the outputs of row `b` are this thread's own, and those of two steps do not overlap.
            unsafe {
                let row = |operand| row_of(self.operands, operand, b, output);
                let from = match self.valid_rows.before(k, b) {
                    Origin::Initial => row(Operand::Hidden),
                    Origin::Reset => row(Operand::ResetHidden),
                    Origin::Step(before) => Some(outputs.slice(at(before), output)),
                };
                set_row(outputs.slice_mut(at(k), output), from);
            }
        }
    }

    /// Computes `W x + b` for a part of this thread's rows of a block, and sets planes without `W x` to their biases.
    /// The thread's rows lie one after the other from row `row_offset` on.
    fn input_products(
        &self,
        steps: &Range<usize>,
        slot: usize,
        shard: &Shard,
        row_offset: usize,
        part: Range<usize>,
    ) {
        let Layer { isa, parts, row, input_strides: [stride, input_row], .. } = *self.layer;
        let planes = self.planes[slot];
        let x = self.operands.need(Operand::Input);
        let mut from = Vec::new();
        let (a, a_rows) = if self.valid_rows.rows(steps.start).is_none() {
            // The thread has some rows of each step.
            let a_rows = Rows::groups(shard.rows.len(), self.layer.step_stride(stride), input_row);
            (self.layer.input_at(self.layer.time_of(steps.start), shard.rows.start), a_rows)
        } else {
            let pairs = self.valid_rows.pairs(steps.clone(), shard.rows.clone());
            from.extend(pairs.map(|(k, b)| self.layer.input_at(self.layer.time_of(k), b)));
            (0, Rows::listed(&from, 1))
        };
        for index in part.clone() {
            let copy = |column: usize, count: usize| {
                // SAFETY: these rows and units are this thread's own.
                let to = unsafe { planes.slice_mut((row_offset + index) * row + column, count) };
                to.copy_from_slice(&self.bias[index % parts][column..column + count]);
            };
            if shard.units == (0..self.layer.hp) {
                copy(0, row);
                continue;
            }
            for plane in 0..self.layer.planes() {
                for (column, units) in self.layer.pieces(plane, &shard.units) {
                    copy(column, units.len());
                }
            }
        }
        // A pointer into the whole input, because in a reversed layer later steps lie before the first one.
        let a = (x.as_ptr().wrapping_add(a), a_rows);
        let c = (planes.at(row_offset * row + self.layer.of_x().0, 0), Rows::plain(row));
        // SAFETY: the input has these rows; the rows and units of the planes are this thread's own.
        unsafe { multiply(isa, self.weight_ih, &shard.units, a, c, (part, false)) };
    }

    /// Computes step `k`. This thread's rows of it begin with row `first` of the planes.
    fn step(&self, k: usize, first: usize, slot: usize, shard: &Shard) {
        let (before, after) = self.hiddens(k);
        let rows = self.valid_rows.step_rows(k, &shard.rows);
        self.carry_masked(k, [before, after], shard);
        if !self.keep {
            self.reset_memory(k, shard);
        }
        if rows.len() > 0 {
            self.step_of_rows(k, first, slot, shard, rows);
        }
        self.reset_after(k, after, shard);
        self.mask_hidden(k, after, shard);
    }

    /// The valid rows of step `k`.
    fn step_of_rows(&self, k: usize, first: usize, slot: usize, shard: &Shard, rows: StepRows<'_>) {
        let Layer { output, hp, pp, isa, row, .. } = *self.layer;
        let t = self.layer.time_of(k);
        let (before, after) = self.hiddens(k);
        let planes = self.planes[slot];
        let from_last = begins_with_last(k, rows.len());
        // These rows in a buffer with a row for each row of the batch.
        let of_batch = |buffer: Shared<'_, T>, row: usize| {
            let (start, rows) = rows.in_batch(row);
            (buffer.at(start, 0), rows)
        };
        let add = |(a, a_rows): (*mut T, Rows<'_>), b: Packed<'_, T>, column: usize| {
            let c = planes.at(first * row + column, 0);
            let (a, c) = ((a.cast_const(), a_rows), (c, Rows::plain(row)));
            // SAFETY: `a` has these rows, and no thread writes to them now; the rows and units of the planes are this
            // thread's own.
            unsafe { multiply(isa, b, &shard.units, a, c, (0..rows.len(), from_last)) };
        };
        // Where these rows are in the trace. Without a trace, their memories stay in place, and their `h` before the
        // projection is in this thread's rows of the batch, because another thread may use the step's places next.
        let traced = self.valid_rows.count(&(self.first..k)) + rows.places.start;
        let memory_before = |b| match self.keep {
            true => self.valid_rows.traced_before(self.first, k, b),
            false => b,
        };
        let own_row = if self.keep { traced } else { shard.rows.start };
        let places = Places {
            own: own_row,
            memory_before: &memory_before,
            memory_after: self.memory_after(traced),
        };
        if self.layer.masks_candidate {
            self.set_candidates(k, (&rows, shard), &places);
        }
        let gates = |part| {
            let step = StepForward {
                layer: self.layer,
                rows: rows.clone(),
                units: shard.units.clone(),
                part,
                planes,
                planes_row: first,
                hidden: before,
                hidden_next: after,
                memory: self.memory,
                memory_before: &memory_before,
                memory_after: self.own_memory.map_or(places.memory_after, |_| Some(own_row)),
                memory_next: self.own_memory.unwrap_or(self.memory),
                diagonal: self.diagonal,
                saved: self.saved.map(|saved| (saved, traced)),
                own: self.own.map(|own| (own, own_row)),
                gated: self.gated_hidden,
                output: self.outputs,
                time: t,
            };
            self.runner.steps.forward(isa, &step);
        };
        let by_heads = |(a, a_rows): (*mut T, Rows<'_>), is_gated: bool| {
            let Some(heads) = self.heads else { return };
            let c = (planes.at(first * row, 0), Rows::plain(row));
            let product = HeadProduct::new(self.layer, shard, (a, a_rows), c, rows.len(), true);
            // SAFETY: as in `add`.
            unsafe { if is_gated { heads.gated(product) } else { heads.outer(product) } };
        };
        let operand = self.masked(k).unwrap_or(before);
        add(of_batch(operand, pp), self.weight_hh, self.layer.of_h().0);
        by_heads(of_batch(operand, pp), false);
        if let Some(gated) = self.gated {
            gates(Part::Inner);
            let operand = self.gated_hidden.expect("there is room for it");
            self.mask_rows(&rows, &shard.units, operand);
            add(of_batch(operand, hp), gated, self.layer.of_gated().0);
            by_heads(of_batch(operand, hp), true);
        }
        gates(Part::Step);
        if let (Some(project), Some(own)) = (self.project, self.own) {
            for b in rows.iter() {
                // SAFETY: these rows are this thread's own.
                unsafe { after.slice_mut(b * pp, pp) }.fill(T::ZERO);
            }
            let a = (own.at(own_row * hp, 0).cast_const(), Rows::plain(hp));
            // SAFETY: as above.
            unsafe {
                let after = of_batch(after, pp);
                multiply(isa, project, &(0..pp), a, after, (0..rows.len(), from_last));
            };
        }
        self.zone_out_memory(k, (&rows, shard), &places);
        if self.layer.zones_hidden {
            self.zone_out_hidden(k, [before, after], (&rows, shard), &places);
        } else if let (true, Some(outputs)) = (self.layer.projected, self.outputs) {
            for b in rows.iter() {
                // SAFETY: as above.
                unsafe {
                    let out = outputs.slice_mut(self.layer.output_at(t, b), output);
                    out.copy_from_slice(after.slice(b * pp, output));
                }
            }
        }
    }

    /// `h` before and after step `k`.
    fn hiddens(&self, k: usize) -> (Shared<'_, T>, Shared<'_, T>) {
        // The index within this pass.
        let nth = k - self.first;
        (self.hidden[nth % 2], self.hidden[(nth + 1) % 2])
    }

    /// `m ⊙ h` before step `k`.
    pub(super) fn masked(&self, k: usize) -> Option<Shared<'_, T>> {
        self.masked.map(|masked| masked[(k - self.first) % 2])
    }

    /// With a trace: where the memory after a step begins for rows at this place of the trace.
    fn memory_after(&self, traced: usize) -> Option<usize> {
        self.keep.then(|| self.layer.batch + self.valid_rows.reset_states() + traced)
    }

    /// The units of `h` that this thread has.
    pub(super) fn units_of_hidden(&self, shard: &Shard) -> Range<usize> {
        if self.layer.projected { 0..self.layer.pp } else { shard.units.clone() }
    }

    /// Copies the `h` of rows that are masked in this step, if they were valid in the step before or were reset. Other
    /// masked rows have the same `h` in both buffers already.
    fn carry_masked(&self, k: usize, [before, after]: [Shared<'_, T>; 2], shard: &Shard) {
        if self.valid_rows.rows(k).is_none() {
            return;
        }
        let pp = self.layer.pp;
        let units = self.units_of_hidden(shard);
        let reset = self.valid_rows.reset_among(k, &shard.rows);
        let worked = (k > self.first).then(|| self.valid_rows.step_rows(k - 1, &shard.rows));
        let worked = worked.iter().flat_map(StepRows::iter);
        let is_masked = |b: &usize| !self.valid_rows.is_valid(k, *b);
        for b in worked.chain(reset.iter().copied()).filter(is_masked) {
            let at = b * pp + units.start;
            // SAFETY: these rows and units are this thread's own; the two buffers do not overlap.
            unsafe {
                after.slice_mut(at, units.len()).copy_from_slice(before.slice(at, units.len()))
            };
        }
    }

    /// Without a trace, memories stay in place: replaces those of rows that are reset before step `k`.
    fn reset_memory(&self, k: usize, shard: &Shard) {
        let Layer { batch, hp, .. } = *self.layer;
        let memories = self.layer.states();
        let (first, count) = (shard.units.start, shard.units.len());
        for &b in self.valid_rows.reset_among(k, &shard.rows) {
            for m in 0..memories {
                let at = |row: usize| (row * memories + m) * hp + first;
                // SAFETY: these rows and units are this thread's own, and nobody writes to the reset states.
                unsafe {
                    let from = self.memory.slice(at(batch + b), count);
                    self.memory.slice_mut(at(b), count).copy_from_slice(from);
                }
            }
        }
    }

    /// Replaces the `h` of rows that are reset before the step after `k`.
    fn reset_after(&self, k: usize, after: Shared<'_, T>, shard: &Shard) {
        if k + 1 == self.layer.time {
            return;
        }
        let Layer { output, pp, .. } = *self.layer;
        let units = self.units_of_hidden(shard);
        let known = units.start.min(output)..units.end.min(output);
        for &b in self.valid_rows.reset_among(k + 1, &shard.rows) {
            let row = row_of(self.operands, Operand::ResetHidden, b, output);
            // SAFETY: these rows and units are this thread's own. (Nothing reads what is behind the outputs.)
            let to = unsafe { after.slice_mut(b * pp + known.start, known.len()) };
            set_row(to, row.map(|row| &row[known.clone()]));
        }
    }
}

/// Copies a row; `None` is zeros.
fn set_row<T: Gemm>(to: &mut [T], from: Option<&[T]>) {
    match from {
        Some(from) => to.copy_from_slice(from),
        None => to.fill(T::ZERO),
    }
}
