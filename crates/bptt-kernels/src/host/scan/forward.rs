//! The forward pass.

use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::scan::layout::{GateRows, Item, Scan};
use crate::host::scan::units::{Span, one, zeros};
use crate::host::simd::isa::Isa;
use crate::host::simd::real::Real;
use crate::host::threads::team::team;
use crate::operation::step_flags::{MASKED, RESET};
use bptt_cells::scanned::{Linear, ScannedCell};
use pulp::{Simd, WithSimd};

/// The states after all steps, into `states`, `[T, B, S·H]` (or `[B, T, S·H]`).
///
/// # Panics
///
/// If an operand does not have the sizes of the scan.
pub(crate) fn forward<C: ScannedCell, T: Real>(
    cell: &C,
    scan: Scan<'_, T>,
    states: &mut [T],
    isa: Isa,
    threads: usize,
) {
    scan.check(C::GATES, C::CONSTANTS);
    assert!(states.len() == scan.time * scan.batch * scan.width(), "states of another size");
    let plan = scan.plan(isa, threads);
    let (batch, width) = (scan.batch, scan.width());
    // What each block does to a state, and the state before each block.
    let between = [plan.blocks - 1, batch, width];
    let (mut factors, mut entries) = (Buffer::scratch(&between), Buffer::scratch(&between));
    let pass = Pass {
        cell,
        scan: &scan,
        states: Shared::new(states),
        factors: factors.shared(),
        entries: entries.shared(),
    };
    team(plan.threads, |member| {
        // All blocks but the last one.
        let inner = plan.items(plan.blocks - 1, batch);
        if inner > 0 {
            for index in member.part(inner, 1) {
                isa.dispatch(Effect { pass: &pass, item: plan.item(index, batch) });
            }
            member.wait();
            for index in member.part(plan.items(1, batch), 1) {
                for block in 1..plan.blocks - 1 {
                    let item = plan.item(plan.items(block, batch) + index, batch);
                    isa.dispatch(Entry { pass: &pass, item });
                }
            }
            member.wait();
        }
        for index in member.part(plan.items(plan.blocks, batch), 1) {
            let item = plan.item(index, batch);
            let before = match item.block {
                0 => scan.of_row(scan.initial, item.row),
                block => scan.of_block(pass.entries, block - 1, item.row).cast_const(),
            };
            let gates = scan.gate_rows(C::GATES);
            isa.dispatch(Steps { cell, scan: &scan, states: pass.states, gates, before, item });
        }
    });
}

/// What all parts of the pass share. An item reads and writes its own units only; and of other blocks of its row, the
/// state that was written before the last barrier.
struct Pass<'a, C, T> {
    cell: &'a C,
    scan: &'a Scan<'a, T>,
    /// `[T, B, S·H]`
    states: Shared<'a, T>,
    /// The product of `a` over each block but the last, `[blocks - 1, B, S·H]`.
    factors: Shared<'a, T>,
    /// The state after each block but the last, `[blocks - 1, B, S·H]`; at first, as if each block but the first began with zeros.
    entries: Shared<'a, T>,
}

/// What a block does to any state: its factor, and the state after it if the state before it is zero. (The first block
/// begins with the initial state.)
struct Effect<'a, C, T> {
    pass: &'a Pass<'a, C, T>,
    item: Item,
}

impl<C: ScannedCell, T: Real> WithSimd for Effect<'_, C, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, item: Item { block, row, units, steps } } = self;
        let scan = pass.scan;
        let factor = scan.of_block(pass.factors, block, row);
        let state = scan.of_block(pass.entries, block, row);
        let reset = scan.of_row(scan.reset, row);
        let constants = scan.constants.as_ptr();
        for span in Span::all::<S, T>(units.clone(), scan.hidden) {
            // SAFETY: the item's own units of rows of S·H numbers, here and below.
            unsafe {
                let first: C::State<_> = match block {
                    0 => span.load(simd, scan.of_row(scan.initial, row)),
                    _ => zeros(simd),
                };
                span.store(simd, state, first);
                span.store::<S, T, C::State<_>>(simd, factor, one(simd));
            }
        }
        let gates = scan.gate_rows(C::GATES);
        for step in steps {
            let flags = scan.flags(step, row);
            let gates = gates.at(scan, step, row).cast_const();
            for span in Span::all::<S, T>(units.clone(), scan.hidden) {
                // SAFETY: as above; `constants` has K·H numbers, which `check` has seen.
                unsafe {
                    let before = if flags & RESET != 0 { reset } else { state.cast_const() };
                    let h: C::State<_> = span.load(simd, before);
                    if flags & MASKED != 0 {
                        span.store(simd, state, h);
                        continue;
                    }
                    let constants = span.load(simd, constants);
                    let done = pass.cell.coefficients(span.load(simd, gates), &constants);
                    let factors: C::State<_> = span.load(simd, factor);
                    span.store(simd, factor, done.a.times(&factors));
                    span.store(simd, state, done.a.times(&h).plus(&done.b));
                }
            }
        }
    }
}

/// The state after a block, from the state before it.
struct Entry<'a, C, T> {
    pass: &'a Pass<'a, C, T>,
    item: Item,
}

impl<C: ScannedCell, T: Real> WithSimd for Entry<'_, C, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, item: Item { block, row, units, steps } } = self;
        let scan = pass.scan;
        // Behind a reset, nothing depends on the state before the block, not even if that is no number.
        if scan.has_reset(steps, row) {
            return;
        }
        let before = scan.of_block(pass.entries, block - 1, row);
        let after = scan.of_block(pass.entries, block, row);
        let factor = scan.of_block(pass.factors, block, row);
        for span in Span::all::<S, T>(units, scan.hidden) {
            // SAFETY: the item's own units of rows of S·H numbers.
            unsafe {
                let h: C::State<_> = span.load(simd, before);
                let factor: C::State<_> = span.load(simd, factor);
                let from_zero: C::State<_> = span.load(simd, after);
                span.store(simd, after, factor.times(&h).plus(&from_zero));
            }
        }
    }
}

/// The steps of a block.
pub(super) struct Steps<'a, C, T> {
    pub(super) cell: &'a C,
    pub(super) scan: &'a Scan<'a, T>,
    /// `[T, B, S·H]`
    pub(super) states: Shared<'a, T>,
    /// The gates of the item.
    pub(super) gates: GateRows<T>,
    /// The state before the first of these steps, `[S·H]`.
    pub(super) before: *const T,
    pub(super) item: Item,
}

impl<C: ScannedCell, T: Real> WithSimd for Steps<'_, C, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { cell, scan, states, gates, mut before, item } = self;
        let Item { row, units, steps, .. } = item;
        let width = scan.width();
        let reset = scan.of_row(scan.reset, row);
        let constants = scan.constants.as_ptr();
        for step in steps {
            let flags = scan.flags(step, row);
            if flags & RESET != 0 {
                before = reset;
            }
            let after = states.at(scan.row(step, row) * width, width);
            let of_step = gates.at(scan, step, row).cast_const();
            for span in Span::all::<S, T>(units.clone(), scan.hidden) {
                // SAFETY: the item's own units of rows of S·H numbers, and of gates; `constants` has K·H numbers, which
                // `check` has seen.
                unsafe {
                    let h: C::State<_> = span.load(simd, before);
                    if flags & MASKED != 0 {
                        span.store(simd, after, h);
                        continue;
                    }
                    let constants = span.load(simd, constants);
                    let read = span.in_planes(gates.plane).load(simd, of_step);
                    let done = cell.coefficients(read, &constants);
                    span.store(simd, after, done.a.times(&h).plus(&done.b));
                }
            }
            before = after;
        }
    }
}
