//! Runs the `step` and `step_backward` of a cell that couples the units of a row, row by row. The rows of a step are
//! independent, so threads share them as they do for other cells; but no thread has some units of a row alone.

use crate::host::layout::plain_rows::padded_row;
use crate::host::layout::sizes::{Layer, plane};
use crate::host::memory::buffer::Shared;
use crate::host::simd::real::Real;
use crate::host::step::gates::{Part, StepBackward, StepForward};
use crate::host::step::row_number::{OfRows, RowPool};
use bptt_cells::{Cell, Components, State};

/// Rows in memory that begin at a multiple of some size, with the units of each plane of a row side by side.
struct Place<'a, T> {
    of: Shared<'a, T>,
    /// How many numbers a row has, and how many each of its planes.
    row: usize,
    plane: usize,
}

impl<T: Real> Place<'_, T> {
    /// # Safety
    ///
    /// No other thread writes to this row.
    unsafe fn load<'p, N: OfRows<'p, T>>(
        &self,
        pool: &'p RowPool<T>,
        index: impl Fn(usize) -> usize,
        plane: usize,
    ) -> N {
        N::load(pool, |row, to| {
            let at = index(row) * self.row + plane * self.plane;
            // SAFETY: the caller's promise; `slice` checks the place.
            to.copy_from_slice(unsafe { self.of.slice(at, to.len()) });
        })
    }

    /// # Safety
    ///
    /// No other thread reads or writes this row.
    unsafe fn store<'p, N: OfRows<'p, T>>(
        &self,
        index: impl Fn(usize) -> usize,
        plane: usize,
        x: &N,
    ) {
        x.store(|row, units| {
            let at = index(row) * self.row + plane * self.plane;
            // SAFETY: the caller's promise; `slice_mut` checks the place.
            unsafe { self.of.slice_mut(at, units.len()) }.copy_from_slice(units);
        });
    }
}

/// Rows of a step's planes, whose units may lie in two pieces.
struct PlanesOf<'a, T> {
    of: Shared<'a, T>,
    first_row: usize,
    layer: &'a Layer,
}

impl<T: Real> PlanesOf<'_, T> {
    /// # Safety
    ///
    /// No other thread writes to these rows.
    unsafe fn load<'p, N: OfRows<'p, T>>(&self, pool: &'p RowPool<T>, plane: usize) -> N {
        N::load(pool, |row, to| {
            let at = (self.first_row + row) * self.layer.row;
            for (column, units) in self.layer.pieces(plane, &(0..self.layer.hidden)) {
                // SAFETY: the caller's promise; `slice` checks the place.
                let from = unsafe { self.of.slice(at + column, units.len()) };
                to[units].copy_from_slice(from);
            }
        })
    }

    /// # Safety
    ///
    /// No other thread reads or writes these rows.
    unsafe fn store<'p, N: OfRows<'p, T>>(&self, plane: usize, x: &N) {
        x.store(|row, all| {
            let at = (self.first_row + row) * self.layer.row;
            for (column, units) in self.layer.pieces(plane, &(0..self.layer.hidden)) {
                // SAFETY: the caller's promise; `slice_mut` checks the place.
                let to = unsafe { self.of.slice_mut(at + column, units.len()) };
                to.copy_from_slice(&all[units]);
            }
        });
    }
}

/// The diagonal weights, which are the same in all rows.
///
/// # Safety
///
/// No thread writes to them.
unsafe fn load_diagonal<'p, C: Cell, T: Real, N: OfRows<'p, T>>(
    pool: &'p RowPool<T>,
    layer: &Layer,
    diagonal: Shared<'_, T>,
) -> Vec<N> {
    let count = C::DIAGONAL_WEIGHTS;
    let place = Place { of: diagonal, row: count * layer.hp, plane: layer.hp };
    let part = |row: usize| row % layer.parts;
    // SAFETY: the caller's promise.
    (0..count).map(|k| unsafe { place.load(pool, part, k) }).collect()
}

/// A step forward.
pub(super) fn forward<'p, C: Cell, T: Real, N: OfRows<'p, T>>(
    cell: &C,
    pool: &'p RowPool<T>,
    step: &StepForward<'_, T>,
) {
    let layer = step.layer;
    let Layer { hp, pp, output, .. } = *layer;
    let states = C::Memory::<f64>::LEN - C::DIAGONAL_WEIGHTS;
    assert!(step.part == Part::Step && step.units == (0..hp), "{}: a part of a row", C::NAME);
    let hidden = Place { of: step.hidden, row: pp, plane: pp };
    let hidden_next = Place { of: step.hidden_next, row: pp, plane: pp };
    let memory = Place { of: step.memory, row: states * hp, plane: hp };
    let memory_next = Place { of: step.memory_next, ..memory };
    // SAFETY: rows are this thread's own, and all of their units. Nobody writes to the diagonal weights.
    unsafe {
        let diagonal = load_diagonal::<C, T, N>(pool, layer, step.diagonal);
        for place in (0..step.rows.len()).step_by(N::ROWS) {
            let b = |row: usize| step.rows.row(place + row);
            let from = |first: usize| move |row: usize| first + place + row;
            let planes = PlanesOf { of: step.planes, first_row: step.planes_row + place, layer };
            let memory_row = |row: usize| (step.memory_before)(b(row));
            let before = State {
                hidden: match C::PROJECTABLE {
                    true => N::load(pool, |_, to| to.fill(T::ZERO)),
                    false => hidden.load(pool, b, 0),
                },
                memory: C::Memory::from_fn(|m| match m < states {
                    true => memory.load(pool, memory_row, m),
                    false => diagonal[m - states].clone(),
                }),
            };
            let gates = C::Gates::from_fn(|gate| planes.load(pool, plane::<C>(gate)));
            let separate = C::Separate::from_fn(|a| planes.load(pool, C::GATES + a));
            let (after, saved) = cell.step(gates, separate, &before);
            drop(before);
            after.memory.for_each(|m, x: N| {
                if m < states {
                    match step.memory_after {
                        None => memory.store(memory_row, m, &x),
                        Some(first) => memory_next.store(from(first), m, &x),
                    }
                }
            });
            if let Some((to, first)) = step.saved {
                let to = Place { of: to, row: C::Saved::<f64>::LEN * hp, plane: hp };
                saved.for_each(|i, x: N| to.store(from(first), i, &x));
            }
            if let Some((own, first)) = step.own {
                Place { of: own, row: hp, plane: hp }.store(from(first), 0, &after.hidden);
                continue;
            }
            hidden_next.store(b, 0, &after.hidden);
            if let Some(outputs) = step.output {
                after.hidden.store(|row, units| {
                    let at = layer.output_at(step.time, b(row));
                    outputs.slice_mut(at, output).copy_from_slice(units);
                });
            }
        }
    }
}

/// A step backward.
pub(super) fn backward<'p, C: Cell, T: Real, N: OfRows<'p, T>>(
    cell: &C,
    pool: &'p RowPool<T>,
    step: &StepBackward<'_, T>,
) {
    let layer = step.layer;
    let Layer { hp, pp, hidden, .. } = *layer;
    let memories = C::Memory::<f64>::LEN;
    let states = memories - C::DIAGONAL_WEIGHTS;
    assert!(step.part == Part::Step && step.units == (0..hp), "{}: a part of a row", C::NAME);
    let d_hidden = Place { of: step.d_hidden, row: pp, plane: pp };
    let d_memory = Place { of: step.d_memory, row: memories * hp, plane: hp };
    let memory = Place { of: step.memory, row: states * hp, plane: hp };
    let memory_next = Place { of: step.memory_next, ..memory };
    let saved = Place { of: step.saved, row: C::Saved::<f64>::LEN * hp, plane: hp };
    // SAFETY: rows are this thread's own, and all of their units. Nobody writes to the diagonal weights.
    unsafe {
        let diagonal = load_diagonal::<C, T, N>(pool, layer, step.diagonal);
        for place in (0..step.rows.len()).step_by(N::ROWS) {
            let b = |row: usize| step.rows.row(place + row);
            let from = |first: usize| move |row: usize| first + place + row;
            let d_planes =
                PlanesOf { of: step.d_planes, first_row: step.d_planes_row + place, layer };
            let memory_row = |row: usize| (step.memory_before)(b(row));
            let output_at = |row: usize| layer.output_at(step.time, b(row));
            let plain = |row: &[T], to: &mut [T]| to.copy_from_slice(&row[..hidden]);
            let before = State {
                hidden: match C::PROJECTABLE {
                    true => N::load(pool, |_, to| to.fill(T::ZERO)),
                    false => N::load(pool, |row, to| plain((step.hidden_before)(b(row)), to)),
                },
                memory: C::Memory::from_fn(|m| match m < states {
                    true => memory.load(pool, memory_row, m),
                    false => diagonal[m - states].clone(),
                }),
            };
            let after = State {
                hidden: match step.own {
                    Some((own, first)) => {
                        Place { of: own, row: hp, plane: hp }.load(pool, from(first), 0)
                    }
                    None => N::load(pool, |row, to| {
                        plain(padded_row(step.outputs, output_at(row), pp), to);
                    }),
                },
                memory: C::Memory::from_fn(|m| match m < states {
                    true => memory_next.load(pool, from(step.memory_after), m),
                    false => diagonal[m - states].clone(),
                }),
            };
            let d_h: N = match step.d_own {
                Some(d_own) => Place { of: d_own, row: hp, plane: hp }.load(pool, b, 0),
                None => {
                    let later: N = d_hidden.load(pool, b, 0);
                    let now = N::load(pool, |row, to| {
                        plain(step.d_output.row(output_at(row), pp), to);
                    });
                    later + now
                }
            };
            let cotangent =
                State { hidden: d_h, memory: C::Memory::from_fn(|m| d_memory.load(pool, b, m)) };
            let saved = C::Saved::from_fn(|i| saved.load(pool, from(step.saved_row), i));
            let back = cell.step_backward(saved, &before, &after, cotangent);
            back.d_gates.for_each(|g, x: N| d_planes.store(plane::<C>(g), &x));
            back.d_separate.for_each(|a, x: N| d_planes.store(C::GATES + a, &x));
            back.d_memory.for_each(|m, x: N| d_memory.store(b, m, &x));
            if !C::PROJECTABLE {
                let none = || N::load(pool, |_, to| to.fill(T::ZERO));
                d_hidden.store(b, 0, &back.d_hidden.unwrap_or_else(none));
            }
        }
    }
}
