//! Runs the cell's `step` and `step_backward` over the rows and units of one step.

use crate::host::layout::plain_rows::{DOutputs, padded_row};
use crate::host::layout::sizes::{Layer, plane};
use crate::host::layout::valid_rows::StepRows;
use crate::host::memory::buffer::Shared;
use crate::host::simd::prefetch::prefetch;
use crate::host::simd::real::{Real, is_portable};
use crate::host::simd::vectors::{SimdNumber, SimdVec, SimdVecPair};
use crate::host::step::planes::{Planes, Row, Units, load_row, rows_of, store_row};
use bptt_cells::{Backward, Cell, Components as _, Dual, State};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// A step, which is computed row by row.
pub(super) trait ByRows {
    type Real: Real;

    /// How many rows it has, and which units.
    fn extent(&self) -> (usize, &Range<usize>);

    /// Computes some units of the rows from one place on, of as many rows as a number has.
    fn rows<C: Cell, S: Simd, N: SimdNumber<S, Self::Real>>(
        &self,
        cell: &C,
        simd: S,
        place: usize,
        units: Range<usize>,
    );
}

/// A step in plain numbers.
pub(super) struct ValueRows<'a, C, Step> {
    pub(super) cell: &'a C,
    pub(super) step: &'a Step,
}

impl<C: Cell, Step: ByRows> WithSimd for ValueRows<'_, C, Step> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { cell, step } = self;
        let (count, units) = step.extent();
        // With an odd number of vectors, the last vector would be alone in a pair. Then a pair is of two rows.
        // (Not on the portable path, where the time to compile such pairs is worth more.)
        let is_odd = units.len().div_ceil(Step::Real::lanes::<S>()) % 2 == 1;
        let together = if is_odd && !is_portable::<S>() { count - count % 2 } else { 0 };
        for place in (0..together).step_by(2) {
            step.rows::<C, S, SimdVecPair<S, Step::Real, 2>>(cell, simd, place, units.clone());
        }
        for place in together..count {
            step.rows::<C, S, SimdVecPair<S, Step::Real, 1>>(cell, simd, place, units.clone());
        }
    }
}

/// A step in dual numbers.
pub(super) struct DualRows<'a, C, Step> {
    pub(super) cell: &'a C,
    pub(super) step: &'a Step,
}

impl<C: Cell, Step: ByRows> WithSimd for DualRows<'_, C, Step> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { cell, step } = self;
        let (count, units) = step.extent();
        for place in (0..count).step_by(2) {
            step.rows::<C, S, Dual<SimdVec<S, Step::Real>>>(cell, simd, place, units.clone());
        }
    }
}

/// What is there in one step forward. Rows are those of the batch.
pub(crate) struct StepForward<'a, T> {
    pub(crate) layer: &'a Layer,
    /// This thread's valid rows, and its units.
    pub(crate) rows: StepRows<'a>,
    pub(crate) units: Range<usize>,
    pub(crate) part: Part,
    /// The pre-activations, from this thread's first row of this step on.
    pub(crate) planes: Shared<'a, T>,
    pub(crate) planes_row: usize,
    /// `h` before and after, `[B, pp]`.
    pub(crate) hidden: Shared<'a, T>,
    pub(crate) hidden_next: Shared<'a, T>,
    /// The memories: where each row of the batch has them before the step, and from which row on these rows have them
    /// after it; `None`: in the same place.
    pub(crate) memory: Shared<'a, T>,
    pub(crate) memory_before: &'a (dyn Fn(usize) -> usize + Sync),
    pub(crate) memory_after: Option<usize>,
    /// Where they are after the step.
    pub(crate) memory_next: Shared<'a, T>,
    /// The diagonal weights, `[parts, V, hp]`.
    pub(crate) diagonal: Shared<'a, T>,
    /// The saved values of these rows, from this row on; `None` if nothing is saved.
    pub(crate) saved: Option<(Shared<'a, T>, usize)>,
    /// `h` of these rows before the projection or zoneout, from this row on.
    pub(crate) own: Option<(Shared<'a, T>, usize)>,
    /// The gated hidden state, `[B, hp]`.
    pub(crate) gated: Option<Shared<'a, T>>,
    /// The outputs of all steps; `None` if they are known already.
    pub(crate) output: Option<Shared<'a, T>>,
    /// Which step this is.
    pub(crate) time: usize,
}

/// A part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The gated hidden state, before the step itself.
    Inner,
    /// The step itself; backward, all of it that does not need the gradient of the gated hidden state.
    Step,
    /// Backward: the rest, which needs that gradient.
    Completion,
}

impl<T: Real> ByRows for StepForward<'_, T> {
    type Real = T;

    fn extent(&self) -> (usize, &Range<usize>) {
        (self.rows.len(), &self.units)
    }

    #[inline(always)]
    fn rows<C: Cell, S: Simd, N: SimdNumber<S, T>>(
        &self,
        cell: &C,
        simd: S,
        place: usize,
        units: Range<usize>,
    ) {
        let layer = self.layer;
        let Layer { hp, pp, output, parts, .. } = *layer;
        let states = states::<C>();
        let rows = [0, N::ROWS - 1].map(|row| self.rows.row(place + row));
        let b = |row: usize| rows[row];
        let from = |first: usize| move |row: usize| first + place + row;
        // Such a cell does not read `h`, and with a projection `h` has another size.
        let reads_hidden = usize::from(!C::PROJECTABLE);
        let hidden = Row::new::<S, N>(self.hidden, b, reads_hidden, pp);
        let hidden_next = Row::new::<S, N>(self.hidden_next, b, 1, pp);
        let memory_row = |row: usize| (self.memory_before)(b(row));
        let memory = Row::new::<S, N>(self.memory, memory_row, states, hp);
        let memory_next = match self.memory_after {
            None => memory,
            Some(first) => Row::new::<S, N>(self.memory_next, from(first), states, hp),
        };
        let part = |row: usize| b(row) % parts;
        let diagonal = Row::new::<S, N>(self.diagonal, part, C::DIAGONAL_WEIGHTS, hp);
        let planes = Planes::new::<S, N>(self.planes, self.planes_row + place, layer);
        let units = Units::all::<S, T, N>(layer, units);
        // SAFETY: the rows were checked to be inside of their buffers,
        // planes and units are below the layer's, and rows and units are this thread's own.
        unsafe {
            let before = |unit: Units| State {
                hidden: match C::PROJECTABLE {
                    true => N::zero(simd),
                    false => hidden.load(simd, 0, unit),
                },
                memory: load_memory::<S, T, N, C>(simd, memory, diagonal, unit),
            };
            let gates =
                |unit: Units| C::Gates::from_fn(|gate| planes.load(simd, plane::<C>(gate), unit));
            if self.part == Part::Inner {
                let gated = self.gated.expect("a cell with a gated hidden state has room for it");
                let gated = Row::new::<S, N>(gated, b, 1, hp);
                for unit in units {
                    let x = cell.gated_hidden(&gates(unit), &before(unit));
                    gated.store(simd, 0, unit, x);
                }
                return;
            }
            let saved_row = self
                .saved
                .map(|(saved, row)| Row::new::<S, N>(saved, from(row), C::Saved::<f64>::LEN, hp));
            let own = self.own.map(|(own, row)| Row::new::<S, N>(own, from(row), 1, hp));
            let first = self.units.start.min(output);
            let last = self.units.end.min(output);
            let mut out: [&mut [T]; 2] = [&mut [], &mut []];
            if let (None, Some(output)) = (own, self.output) {
                for (row, out) in out.iter_mut().enumerate().take(N::ROWS) {
                    let at = layer.output_at(self.time, b(row)) + first;
                    *out = output.slice_mut(at, last - first);
                }
            }
            for unit in units {
                let separate = C::Separate::from_fn(|a| planes.load(simd, C::GATES + a, unit));
                let (after, saved) = cell.step(gates(unit), separate, &before(unit));
                after.memory.for_each(|m, x| {
                    if m < states {
                        memory_next.store(simd, m, unit, x)
                    }
                });
                if let Some(row) = saved_row {
                    saved.for_each(|i, x| row.store(simd, i, unit, x));
                }
                match own {
                    Some(own) => own.store(simd, 0, unit, after.hidden),
                    None => {
                        hidden_next.store(simd, 0, unit, after.hidden);
                        let unit = unit.behind(first);
                        after.hidden.for_registers(|row, nth, h| {
                            store_row(simd, out[row], unit.at(nth), h)
                        });
                    }
                }
            }
        }
    }
}

/// What is there in one step backward.
pub(crate) struct StepBackward<'a, T> {
    pub(crate) layer: &'a Layer,
    /// This thread's valid rows, and its units.
    pub(crate) rows: StepRows<'a>,
    pub(crate) units: Range<usize>,
    pub(crate) part: Part,
    /// The gradients of the planes, from this thread's first row of this step on.
    pub(crate) d_planes: Shared<'a, T>,
    pub(crate) d_planes_row: usize,
    /// `dLoss/dh` that came from the steps after, `[B, pp]`; then what goes to the step before by
    /// the cell itself, to which the product is added; a cell that can be projected hands nothing on by itstep.
    pub(crate) d_hidden: Shared<'a, T>,
    /// `dLoss/dh` before the projection or zoneout, `[B, hp]`; `None` without either.
    pub(crate) d_own: Option<Shared<'a, T>>,
    /// dLoss/d(outputs), of all steps.
    pub(crate) d_output: DOutputs<'a, T>,
    /// Which step this is.
    pub(crate) time: usize,
    /// `dLoss/d(memory)`, `[B, M, hp]`.
    pub(crate) d_memory: Shared<'a, T>,
    /// The saved values of these rows, from this row on.
    pub(crate) saved: Shared<'a, T>,
    pub(crate) saved_row: usize,
    /// The memories: where each row of the batch has them before the step, and from which row on these rows have them
    /// after it.
    pub(crate) memory: Shared<'a, T>,
    pub(crate) memory_before: &'a (dyn Fn(usize) -> usize + Sync),
    pub(crate) memory_after: usize,
    /// Where the cell's own memories after the step are.
    pub(crate) memory_next: Shared<'a, T>,
    /// The diagonal weights, `[parts, V, hp]`.
    pub(crate) diagonal: Shared<'a, T>,
    /// `h` before the step, by row of the batch, `[P]` or longer; for cells that read it.
    pub(crate) hidden_before: &'a (dyn Fn(usize) -> &'a [T] + Sync),
    /// `h` of these rows before the projection or zoneout, from this row on. Without either it is their output.
    pub(crate) own: Option<(Shared<'a, T>, usize)>,
    /// The outputs of all steps.
    pub(crate) outputs: &'a [T],
    /// `dLoss/d(gated hidden state)`, `[B, hp]`.
    pub(crate) d_gated: Option<Shared<'a, T>>,
    /// The gated hidden state, computed again, in rows as those of `d_planes`.
    pub(crate) gated: Option<Shared<'a, T>>,
}

impl<T: Real> ByRows for StepBackward<'_, T> {
    type Real = T;

    fn extent(&self) -> (usize, &Range<usize>) {
        (self.rows.len(), &self.units)
    }

    #[inline(always)]
    fn rows<C: Cell, S: Simd, N: SimdNumber<S, T>>(
        &self,
        cell: &C,
        simd: S,
        place: usize,
        units: Range<usize>,
    ) {
        let layer = self.layer;
        let Layer { hp, pp, parts, .. } = *layer;
        let (memories, states) = (C::Memory::<f64>::LEN, states::<C>());
        let zero = N::zero(simd);
        let rows = [0, N::ROWS - 1].map(|row| self.rows.row(place + row));
        let b = |row: usize| rows[row];
        let from = |first: usize| move |row: usize| first + place + row;
        let d_hidden = Row::new::<S, N>(self.d_hidden, b, 1, pp);
        let d_memory = Row::new::<S, N>(self.d_memory, b, memories, hp);
        let d_planes = Planes::new::<S, N>(self.d_planes, self.d_planes_row + place, layer);
        let units = Units::all::<S, T, N>(layer, units);
        let gated = self.gated.map(|gated| Row::new::<S, N>(gated, from(self.d_planes_row), 1, hp));
        let saved = Row::new::<S, N>(self.saved, from(self.saved_row), C::Saved::<f64>::LEN, hp);
        let memory_row = |row: usize| (self.memory_before)(b(row));
        let memory = Row::new::<S, N>(self.memory, memory_row, states, hp);
        let memory_next = Row::new::<S, N>(self.memory_next, from(self.memory_after), states, hp);
        let part = |row: usize| b(row) % parts;
        let diagonal = Row::new::<S, N>(self.diagonal, part, C::DIAGONAL_WEIGHTS, hp);
        let hidden_before = match C::PROJECTABLE {
            true => [&[][..]; 2],
            false => rows_of::<S, T, N>(|row| (self.hidden_before)(b(row))),
        };
        // SAFETY: the rows were checked to be inside of their buffers,
        // planes and units are below the layer's, and rows and units are this thread's own.
        unsafe {
            let of_rows = |rows: [&[T]; 2], unit: Units| {
                N::from_registers(simd, |row, nth| load_row(simd, rows[row], unit.at(nth)))
            };
            let saved = |unit: Units| C::Saved::from_fn(|i| saved.load(simd, i, unit));
            let before = |unit: Units| State {
                hidden: match C::PROJECTABLE {
                    true => zero,
                    false => of_rows(hidden_before, unit),
                },
                memory: load_memory::<S, T, N, C>(simd, memory, diagonal, unit),
            };
            if self.part == Part::Completion {
                let d_gated =
                    self.d_gated.expect("a cell with a gated hidden state has room for it");
                let d_gated = Row::new::<S, N>(d_gated, b, 1, hp);
                for unit in units {
                    let so_far = Backward {
                        d_gates: C::Gates::from_fn(|g| d_planes.load(simd, plane::<C>(g), unit)),
                        d_separate: C::Separate::from_fn(|a| {
                            d_planes.load(simd, C::GATES + a, unit)
                        }),
                        d_hidden: Some(d_hidden.load(simd, 0, unit)),
                        d_memory: C::Memory::from_fn(|m| d_memory.load(simd, m, unit)),
                    };
                    let (saved, before) = (saved(unit), before(unit));
                    let operand = cell.gated_hidden_of_saved(&saved, &before.hidden);
                    let d = d_gated.load(simd, 0, unit);
                    let back = cell.gated_hidden_backward(&saved, &before, d, so_far);
                    let d_h = store_back::<S, T, N, C>(simd, unit, back, d_planes, d_memory);
                    d_hidden.store(simd, 0, unit, d_h);
                    if let Some(gated) = gated {
                        gated.store(simd, 0, unit, operand);
                    }
                }
                return;
            }
            let outputs_at = rows.map(|b| layer.output_at(self.time, b));
            let own = |row: usize| match self.own {
                Some((own, first)) => own.slice((first + place + row) * hp, hp),
                None => padded_row(self.outputs, outputs_at[row], pp),
            };
            let hidden_own = rows_of::<S, T, N>(own);
            let d_own = self.d_own.map(|d_own| Row::new::<S, N>(d_own, b, 1, hp));
            let d_output = rows_of::<S, T, N>(|row| self.d_output.row(outputs_at[row], pp));
            // The step before will be next.
            let ahead = -layer.step_stride(layer.output_stride());
            for unit in units {
                zero.for_registers(|row, nth, _| {
                    let next = d_output[row].as_ptr().wrapping_offset(ahead);
                    prefetch(next.wrapping_add(unit.at(nth)));
                });
                let d_h = match d_own {
                    Some(d_own) => d_own.load(simd, 0, unit),
                    None => d_hidden.load::<S, N>(simd, 0, unit) + of_rows(d_output, unit),
                };
                let memory = load_memory::<S, T, N, C>(simd, memory_next, diagonal, unit);
                let after = State { hidden: of_rows(hidden_own, unit), memory };
                let memory = C::Memory::from_fn(|m| d_memory.load(simd, m, unit));
                let cotangent = State { hidden: d_h, memory };
                let before = before(unit);
                let back = cell.step_backward(saved(unit), &before, &after, cotangent);
                let d_h = store_back::<S, T, N, C>(simd, unit, back, d_planes, d_memory);
                if !C::PROJECTABLE {
                    d_hidden.store(simd, 0, unit, d_h);
                }
            }
        }
    }
}

/// How many memories of the cell change from step to step.
const fn states<C: Cell>() -> usize {
    C::Memory::<f64>::LEN - C::DIAGONAL_WEIGHTS
}

/// The memories of a row, and behind them the diagonal weights.
///
/// # Safety
///
/// As for [`Row::load`], of both rows.
#[inline(always)]
unsafe fn load_memory<S: Simd, T: Real, N: SimdNumber<S, T>, C: Cell>(
    simd: S,
    memory: Row<T>,
    diagonal: Row<T>,
    unit: Units,
) -> C::Memory<N> {
    let states = const { states::<C>() };
    // SAFETY: the caller's promise.
    C::Memory::from_fn(|m| unsafe {
        match m < states {
            true => memory.load(simd, m, unit),
            false => diagonal.load(simd, m - states, unit),
        }
    })
}

/// Stores what a step hands back, except the gradient of `h`, which it returns. A function and not a closure: a
/// closure that is not inlined would not be compiled for the instruction set.
///
/// # Safety
///
/// As for [`Planes::store`] and [`Row::store`].
#[inline(always)]
unsafe fn store_back<S: Simd, T: Real, N: SimdNumber<S, T>, C: Cell>(
    simd: S,
    unit: Units,
    back: Backward<C, N>,
    d_planes: Planes<T>,
    d_memory: Row<T>,
) -> N {
    // SAFETY: the caller's promise.
    unsafe {
        back.d_gates.for_each(|g, x| d_planes.store(simd, plane::<C>(g), unit, x));
        back.d_separate.for_each(|a, x| d_planes.store(simd, C::GATES + a, unit, x));
        back.d_memory.for_each(|m, x| d_memory.store(simd, m, unit, x));
    }
    back.d_hidden.unwrap_or(N::zero(simd))
}
