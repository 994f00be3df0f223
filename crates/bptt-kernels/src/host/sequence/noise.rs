//! The noise around the steps: zoneout, and the mask of the state.

use crate::host::gemm::dispatch::Gemm;
use crate::host::layout::noise_rows::NoiseRows;
use crate::host::layout::sizes::Layer;
use crate::host::layout::thread_plan::Shard;
use crate::host::layout::valid_rows::StepRows;
use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::sequence::backward_shared::Sequence;
use crate::host::sequence::forward_steps::{Forward, Places};
use crate::host::step::elementwise::Elementwise;
use std::ops::Range;

/// Some units of a state that have numbers.
fn known(units: &Range<usize>, width: usize) -> Range<usize> {
    units.start.min(width)..units.end.min(width)
}

/// Sets the mask of the candidate, the last memory of a cell, before the step at time `t`: in some units of the row of a
/// row of the batch.
///
/// # Safety
///
/// No other thread reads or writes these units of the row.
unsafe fn set_candidate<T: Gemm>(
    (layer, noise): (&Layer, &NoiseRows<'_, T>),
    (t, b): (usize, usize),
    units: &Range<usize>,
    (memory, row): (Shared<'_, T>, usize),
) {
    let Some(mask) = noise.candidate(t, b) else { return };
    let Layer { hp, parts, .. } = *layer;
    let at = (row * layer.states() + layer.states() - 1) * hp + units.start;
    // SAFETY: the caller's promise.
    let to = unsafe { memory.slice_mut(at, units.len()) };
    match b % parts {
        0 => to.copy_from_slice(&mask[units.clone()]),
        // It is a constant, so its tangent is zero.
        _ => to.fill(T::ZERO),
    }
}

impl<T: Gemm> Forward<'_, T> {
    /// Sets the mask of the candidate before step `k`.
    pub(super) fn set_candidates(
        &self,
        k: usize,
        (rows, shard): (&StepRows<'_>, &Shard),
        places: &Places<'_>,
    ) {
        let t = self.layer.time_of(k);
        let units = known(&shard.units, self.layer.hidden);
        for b in rows.iter() {
            let to = (self.memory, (places.memory_before)(b));
            // SAFETY: these rows and units are this thread's own.
            unsafe { set_candidate((self.layer, self.noise), (t, b), &units, to) };
        }
    }

    /// Zoneout of the hidden state after step `k`, and its outputs.
    pub(super) fn zone_out_hidden(
        &self,
        k: usize,
        [before, after]: [Shared<'_, T>; 2],
        (rows, shard): (&StepRows<'_>, &Shard),
        places: &Places<'_>,
    ) {
        let Layer { output, hp, pp, isa, projected, .. } = *self.layer;
        let t = self.layer.time_of(k);
        let units = known(&self.units_of_hidden(shard), output);
        let of = |b: usize| b * pp + units.start;
        for (nth, b) in rows.iter().enumerate() {
            let kept = &self.noise.hidden(t, b).expect("there is zoneout")[units.clone()];
            // SAFETY: these rows and units are this thread's own, and the buffers do not overlap.
            unsafe {
                let before = before.slice(of(b), units.len());
                let after = after.slice_mut(of(b), units.len());
                match (projected, self.own) {
                    (false, Some(own)) => {
                        let now = own.slice((places.own + nth) * hp + units.start, units.len());
                        after.copy_from_slice(before);
                        Elementwise::Mix.run(isa, kept, now, after);
                    }
                    // The product was written to its place.
                    _ => Elementwise::MixInto.run(isa, kept, before, after),
                }
                if let Some(outputs) = self.outputs {
                    let at = self.layer.output_at(t, b) + units.start;
                    outputs.slice_mut(at, units.len()).copy_from_slice(after);
                }
            }
        }
    }

    /// Zoneout of the memories after step `k`.
    pub(super) fn zone_out_memory(
        &self,
        k: usize,
        (rows, shard): (&StepRows<'_>, &Shard),
        places: &Places<'_>,
    ) {
        let Some(own) = self.own_memory else { return };
        let Layer { hidden, hp, isa, .. } = *self.layer;
        let (t, states) = (self.layer.time_of(k), self.layer.states());
        let Range { start, end } = shard.units;
        let units = known(&shard.units, hidden);
        for (nth, b) in rows.iter().enumerate() {
            let kept = &self.noise.memory(t, b).expect("there is zoneout")[units.clone()];
            for m in 0..states {
                let at = |row: usize| (row * states + m) * hp + start;
                let before = at((places.memory_before)(b));
                let after = places.memory_after.map(|first| at(first + nth));
                // SAFETY: these rows and units are this thread's own, and the rows do not overlap.
                unsafe {
                    let now = own.slice(at(places.own + nth), end - start);
                    let to = self.memory.slice_mut(after.unwrap_or(before), end - start);
                    if after.is_some() {
                        to.copy_from_slice(self.memory.slice(before, end - start));
                    }
                    let (to, padding) = to.split_at_mut(units.len());
                    let (now, behind) = now.split_at(units.len());
                    Elementwise::Mix.run(isa, kept, now, to);
                    padding.copy_from_slice(behind);
                }
            }
        }
    }

    /// Multiplies rows `[B, width]` with the mask of the state, in place.
    pub(super) fn mask_rows(&self, rows: &StepRows<'_>, units: &Range<usize>, of: Shared<'_, T>) {
        let Layer { output, hp, isa, .. } = *self.layer;
        let units = known(units, output);
        for b in rows.iter() {
            let Some(mask) = self.noise.mask(b) else { return };
            // SAFETY: these rows and units are this thread's own.
            let row = unsafe { of.slice_mut(b * hp + units.start, units.len()) };
            let mask = &mask[units.clone()];
            Elementwise::Scale.run(isa, mask, mask, row);
        }
    }

    /// What enters the recurrent product of the step after `k`: all of this thread's rows of `h`, times the mask.
    pub(super) fn mask_hidden(&self, k: usize, after: Shared<'_, T>, shard: &Shard) {
        let Some(masked) = self.masked(k + 1) else { return };
        let Layer { output, pp, isa, .. } = *self.layer;
        let units = known(&self.units_of_hidden(shard), output);
        for b in shard.rows.clone() {
            let Some(mask) = self.noise.mask(b) else { return };
            let at = b * pp + units.start;
            // SAFETY: these rows and units are this thread's own; the two buffers do not overlap.
            unsafe {
                let h = after.slice(at, units.len());
                let to = masked.slice_mut(at, units.len());
                Elementwise::Multiply.run(isa, &mask[units.clone()], h, to);
            }
        }
    }
}

impl<T: Gemm> Sequence<'_, T> {
    /// Sets the mask of the candidate again before a step at time `t`. (The state that a reset sets has another mask in
    /// each step.)
    pub(super) fn set_candidates(
        &self,
        t: usize,
        (rows, shard): (&StepRows<'_>, &Shard),
        memory: Shared<'_, T>,
        memory_before: &dyn Fn(usize) -> usize,
    ) {
        if !self.layer.masks_candidate {
            return;
        }
        let units = known(&shard.units, self.layer.hidden);
        for b in rows.iter() {
            let to = (memory, memory_before(b));
            // SAFETY: these rows and units are this thread's own.
            unsafe { set_candidate((self.layer, self.noise), (t, b), &units, to) };
        }
    }

    /// Zoneout backward, of the hidden state: splits the gradient of `h` after the step into that of what the cell
    /// computed, and that which goes to the state before the step.
    ///
    /// With a projection, `projected` has the gradient of `h`, from this row on.
    pub(super) fn zone_out_hidden_backward(
        &self,
        t: usize,
        (rows, shard): (&StepRows<'_>, &Shard),
        projected: Option<(Shared<'_, T>, usize)>,
    ) {
        let Some(kept_hidden) = self.state.kept_hidden else { return };
        let Layer { hp, pp, isa, .. } = *self.layer;
        let units = self.outputs_of(shard);
        let count = units.len();
        for (nth, b) in rows.iter().enumerate() {
            let kept = &self.noise.hidden(t, b).expect("there is zoneout")[units.clone()];
            let at = b * pp + units.start;
            // SAFETY: these rows and units are this thread's own, and the buffers do not overlap.
            unsafe {
                let to_before = kept_hidden.slice_mut(at, count);
                if let Some((d_projected, first)) = projected {
                    let d = d_projected.slice_mut((first + nth) * pp + units.start, count);
                    Elementwise::Multiply.run(isa, kept, d, to_before);
                    Elementwise::ScaleRest.run(isa, kept, kept, d);
                    continue;
                }
                let d = self.state.d_hidden.slice_mut(at, count);
                let d_output = self.d_outputs.row(self.layer.output_at(t, b), pp);
                for (d, &d_output) in d.iter_mut().zip(&d_output[units.clone()]) {
                    *d = T::plus(*d, d_output);
                }
                let d_own = self.state.d_own.expect("there is room for it");
                let d_own = d_own.slice_mut(b * hp + units.start, count);
                Elementwise::Multiply.run(isa, kept, d, to_before);
                Elementwise::MultiplyRest.run(isa, kept, d, d_own);
            }
        }
    }

    /// The same of the memories.
    pub(super) fn zone_out_memory_backward(&self, t: usize, rows: &StepRows<'_>, shard: &Shard) {
        let Some(kept_memory) = self.state.kept_memory else { return };
        let Layer { hidden, hp, isa, memories, .. } = *self.layer;
        let units = known(&shard.units, hidden);
        let states = self.layer.states();
        for b in rows.iter() {
            let kept = &self.noise.memory(t, b).expect("there is zoneout")[units.clone()];
            for m in 0..states {
                // SAFETY: these rows and units are this thread's own, and the buffers do not overlap.
                unsafe {
                    let at = (b * memories + m) * hp + units.start;
                    let d = self.state.d_memory.slice_mut(at, units.len());
                    let at = (b * states + m) * hp + units.start;
                    let to_before = kept_memory.slice_mut(at, units.len());
                    Elementwise::Multiply.run(isa, kept, d, to_before);
                    Elementwise::ScaleRest.run(isa, kept, kept, d);
                }
            }
        }
    }

    /// Adds what zoneout kept to the gradient of the state before the step.
    pub(super) fn add_kept(&self, rows: &StepRows<'_>, shard: &Shard) {
        let Layer { hidden, hp, pp, memories, .. } = *self.layer;
        let states = self.layer.states();
        let of_hidden = self.outputs_of(shard);
        let of_memory = known(&shard.units, hidden);
        let add = |to: Shared<'_, T>, at: usize, from: Shared<'_, T>, kept: usize, count: usize| {
            // SAFETY: these rows and units are this thread's own, and the buffers do not overlap.
            let (to, from) = unsafe { (to.slice_mut(at, count), from.slice(kept, count)) };
            to.iter_mut().zip(from).for_each(|(to, &d)| *to = T::plus(*to, d));
        };
        for b in rows.iter() {
            if let Some(kept) = self.state.kept_hidden {
                let at = b * pp + of_hidden.start;
                add(self.state.d_hidden, at, kept, at, of_hidden.len());
            }
            if let Some(kept) = self.state.kept_memory {
                for m in 0..states {
                    let at = |planes: usize| (b * planes + m) * hp + of_memory.start;
                    add(self.state.d_memory, at(memories), kept, at(states), of_memory.len());
                }
            }
        }
    }

    /// Multiplies the gated hidden state of a step, in rows of a block, with the mask of the state.
    pub(super) fn mask_gated_operand(
        &self,
        of: (&StepRows<'_>, &Shard),
        slot: usize,
        first: usize,
    ) {
        if let Some(gated) = self.buffers.gated_hidden {
            self.mask_gated(of, gated[slot], Some(first));
        }
    }

    /// Multiplies the gradient of the gated hidden state, or the gated hidden state itself, with the mask of the state:
    /// rows of the batch, or rows from `first` on.
    pub(super) fn mask_gated(
        &self,
        (rows, shard): (&StepRows<'_>, &Shard),
        of: Shared<'_, T>,
        first: Option<usize>,
    ) {
        let Layer { output, hp, isa, .. } = *self.layer;
        let units = known(&shard.units, output);
        for (nth, b) in rows.iter().enumerate() {
            let Some(mask) = self.noise.mask(b) else { return };
            let row = first.map_or(b, |first| first + nth);
            // SAFETY: these rows and units are this thread's own.
            let row = unsafe { of.slice_mut(row * hp + units.start, units.len()) };
            let mask = &mask[units.clone()];
            Elementwise::Scale.run(isa, mask, mask, row);
        }
    }

    /// Adds the gradient of `m ⊙ h`, times the mask, to that of `h`; `d_hidden` has what the cell handed on by itself.
    pub(super) fn masked_backward(
        &self,
        rows: &StepRows<'_>,
        shard: &Shard,
        d_masked: Shared<'_, T>,
    ) {
        let Layer { pp, isa, hands_on_hidden, .. } = *self.layer;
        let units = self.outputs_of(shard);
        for b in rows.iter() {
            let mask = &self.noise.mask(b).expect("there is a mask")[units.clone()];
            let at = b * pp + units.start;
            // SAFETY: these rows and units are this thread's own, and the buffers do not overlap.
            unsafe {
                let d = d_masked.slice(at, units.len());
                let to = self.state.d_hidden.slice_mut(at, units.len());
                match hands_on_hidden {
                    true => Elementwise::AddProduct.run(isa, mask, d, to),
                    false => Elementwise::Multiply.run(isa, mask, d, to),
                }
            }
        }
    }

    /// `m ⊙ h` before each of some rows of a block, `[rows, P]`.
    pub(super) fn masked_hidden(&self, steps: &Range<usize>, rows: Range<usize>) -> Buffer<T> {
        let Layer { output, isa, .. } = *self.layer;
        let mut masked = Buffer::scratch(&[rows.len(), output]);
        let worked = self.valid_rows.worked(steps.start, rows.start);
        for ((k, b), to) in worked.zip(masked.as_mut_slice().chunks_exact_mut(output)) {
            let mask = self.noise.mask(b).expect("there is a mask");
            Elementwise::Multiply.run(isa, mask, &self.hidden_before(k, b)[..output], to);
        }
        masked
    }
}
