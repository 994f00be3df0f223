//! The backward pass, which is a scan from the last step to the first.
//!
//! ```text
//! d_b_t     = d_h_t + d_after      d_h_t: of the output; d_after: from the step behind
//! d_a_t     = d_b_t ⊙ h_{t-1}
//! d_before  = a_t ⊙ d_b_t          it is `d_after` of the step before
//! ```

use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::scan::layout::{GateRows, Item, Plan, Scan};
use crate::host::scan::units::{Span, one, sum, zeros};
use crate::host::simd::isa::Isa;
use crate::host::simd::real::Real;
use crate::host::threads::team::{Member, team};
use crate::operation::step_flags::{MASKED, RESET};
use bptt_cells::scanned::{Linear, ScannedCell};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// The gradients that the pass writes, each with the shape of its operand.
pub(crate) struct Gradients<'a, T> {
    pub(crate) gates: &'a mut [T],
    pub(crate) constants: &'a mut [T],
    pub(crate) initial: &'a mut [T],
    pub(crate) reset: &'a mut [T],
}

/// All gradients, from the states that the forward pass wrote and dLoss/d(states).
///
/// # Panics
///
/// If an operand or a gradient does not have the sizes of the scan.
pub(crate) fn backward<C: ScannedCell, T: Real>(
    cell: &C,
    scan: Scan<'_, T>,
    (states, d_states): (&[T], &[T]),
    gradients: Gradients<'_, T>,
    isa: Isa,
    threads: usize,
) {
    scan.check(C::GATES, C::CONSTANTS);
    let (batch, width) = (scan.batch, scan.width());
    let all = scan.time * batch * width;
    assert!(states.len() == all && d_states.len() == all, "states of another size");
    let sizes = [
        (gradients.gates.len(), scan.gates.len()),
        (gradients.constants.len(), scan.constants.len()),
        (gradients.initial.len(), scan.initial.len()),
        (gradients.reset.len(), scan.reset.len()),
    ];
    assert!(sizes.iter().all(|(d, of)| d == of), "a gradient of another size");
    let plan = scan.plan(isa, threads);
    let of_states = [plan.blocks, batch, width];
    let mut factors = Buffer::scratch(&[plan.blocks - 1, batch, width]);
    let mut d_carried = Buffer::zeros(&of_states);
    let mut d_resets = Buffer::zeros(&of_states);
    let mut d_constants = Buffer::zeros(&[plan.blocks, batch, scan.constants.len()]);
    let pass = Pass {
        cell,
        scan: &scan,
        states,
        d_states,
        factors: factors.shared(),
        d_carried: d_carried.shared(),
        d_resets: d_resets.shared(),
        d_constants: d_constants.shared(),
    };
    let d_gates = Shared::new(gradients.gates);
    team(plan.threads, |member| run(&pass, d_gates, &plan, isa, member));
    // Little work: the sums over blocks and rows, in one order.
    gradients.initial.copy_from_slice(&d_carried.as_slice()[..batch * width]);
    add_up(gradients.reset, d_resets.as_slice());
    add_up(gradients.constants, d_constants.as_slice());
}

/// The part of a thread.
fn run<C: ScannedCell, T: Real>(
    pass: &Pass<'_, C, T>,
    d_gates: Shared<'_, T>,
    plan: &Plan,
    isa: Isa,
    member: &Member<'_>,
) {
    let batch = pass.scan.batch;
    // All blocks but the first one.
    let (one, inner) = (plan.items(1, batch), plan.items(plan.blocks - 1, batch));
    if inner > 0 {
        for index in member.part(inner, 1) {
            isa.dispatch(Effect { pass, item: plan.item(one + index, batch) });
        }
        member.wait();
        for index in member.part(one, 1) {
            for block in (1..plan.blocks - 1).rev() {
                let item = plan.item(plan.items(block, batch) + index, batch);
                isa.dispatch(Entry { pass, item });
            }
        }
        member.wait();
    }
    let gates = pass.scan.gate_rows(C::GATES);
    let d_gates = GateRows::of_sequence(d_gates.at(0, d_gates.len()), pass.scan.hidden, C::GATES);
    for index in member.part(plan.items(plan.blocks, batch), 1) {
        isa.dispatch(Steps { pass, gates, d_gates, item: plan.item(index, batch) });
    }
}

/// The sum of parts that follow each other in memory.
pub(super) fn add_up<T: Real>(sum: &mut [T], parts: &[T]) {
    sum.fill(T::ZERO);
    for part in parts.chunks_exact(sum.len().max(1)) {
        for (sum, &x) in sum.iter_mut().zip(part) {
            *sum = T::plus(*sum, x);
        }
    }
}

/// What all parts of the pass share. As in the forward pass, an item reads and writes its own units.
pub(super) struct Pass<'a, C, T> {
    pub(super) cell: &'a C,
    pub(super) scan: &'a Scan<'a, T>,
    /// `[T, B, S·H]`
    pub(super) states: &'a [T],
    pub(super) d_states: &'a [T],
    /// The product of `a` over each block but the first, `[blocks - 1, B, S·H]`.
    pub(super) factors: Shared<'a, T>,
    /// dLoss/d(state) between the blocks, `[blocks, B, S·H]`: first what each block gets from those behind it, and then
    /// what it gives to those before it.
    pub(super) d_carried: Shared<'a, T>,
    /// What each block gives to the reset states, `[blocks, B, S·H]`.
    pub(super) d_resets: Shared<'a, T>,
    /// What each block gives to the constants, `[blocks, B, K·H]`.
    pub(super) d_constants: Shared<'a, T>,
}

/// What a block does to any gradient: its factor; and what it gives to the block before it, if it gets none from the
/// block behind it.
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
        let factor = scan.of_block(pass.factors, block - 1, row);
        // What the block before this one gets.
        let d_carried = scan.of_block(pass.d_carried, block - 1, row);
        let constants = scan.constants.as_ptr();
        for span in Span::all::<S, T>(units.clone(), scan.hidden) {
            // SAFETY: the item's own units of rows of S·H numbers, here and below. They are zeros so far.
            unsafe { span.store::<S, T, C::State<_>>(simd, factor, one(simd)) };
        }
        let gates = scan.gate_rows(C::GATES);
        for step in steps.rev() {
            let flags = scan.flags(step, row);
            let d_states = scan.of_row(pass.d_states, scan.row(step, row));
            let gates = gates.at(scan, step, row).cast_const();
            for span in Span::all::<S, T>(units.clone(), scan.hidden) {
                // SAFETY: as above; `constants` has K·H numbers, which `check` has seen.
                unsafe {
                    let carried: C::State<_> = span.load(simd, d_carried);
                    let mut d = carried.plus(&span.load(simd, d_states));
                    if flags & MASKED == 0 {
                        let constants = span.load(simd, constants);
                        let a = pass.cell.coefficients(span.load(simd, gates), &constants).a;
                        let factors: C::State<_> = span.load(simd, factor);
                        span.store(simd, factor, a.times(&factors));
                        d = a.times_backward(&d);
                    }
                    if flags & RESET != 0 {
                        d = zeros(simd);
                    }
                    span.store(simd, d_carried, d);
                }
            }
        }
    }
}

/// What a block gives to the block before it, from what it gets.
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
        // No gradient crosses a reset.
        if scan.has_reset(steps, row) {
            return;
        }
        let gets = scan.of_block(pass.d_carried, block, row);
        let gives = scan.of_block(pass.d_carried, block - 1, row);
        let factor = scan.of_block(pass.factors, block - 1, row);
        for span in Span::all::<S, T>(units, scan.hidden) {
            // SAFETY: the item's own units of rows of S·H numbers.
            unsafe {
                let d: C::State<_> = span.load(simd, gets);
                let factor: C::State<_> = span.load(simd, factor);
                let from_zero: C::State<_> = span.load(simd, gives);
                span.store(simd, gives, factor.times_backward(&d).plus(&from_zero));
            }
        }
    }
}

/// The steps of a block.
pub(super) struct Steps<'a, C, T> {
    pub(super) pass: &'a Pass<'a, C, T>,
    /// The gates of the item, and where their gradients go.
    pub(super) gates: GateRows<T>,
    pub(super) d_gates: GateRows<T>,
    pub(super) item: Item,
}

impl<C: ScannedCell, T: Real> WithSimd for Steps<'_, C, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, gates, d_gates, item: Item { block, row, units, steps } } = self;
        let scan = pass.scan;
        let reset = scan.of_row(scan.reset, row);
        let d_reset = scan.of_block(pass.d_resets, block, row);
        let d_carried = scan.of_block(pass.d_carried, block, row);
        let all = scan.constants.len();
        let constants = scan.constants.as_ptr();
        let d_constants = pass.d_constants.at((block * scan.batch + row) * all, all);
        for step in steps.rev() {
            let flags = scan.flags(step, row);
            let before = match step {
                _ if flags & RESET != 0 => reset,
                0 => scan.of_row(scan.initial, row),
                _ => scan.of_row(pass.states, scan.row(step - 1, row)),
            };
            let at = Step {
                is_masked: flags & MASKED != 0,
                gates: gates.at(scan, step, row),
                planes: [gates.plane, d_gates.plane],
                constants,
                before,
                d_states: scan.of_row(pass.d_states, scan.row(step, row)),
                d_gates: d_gates.at(scan, step, row),
                d_constants,
                d_carried,
            };
            // SAFETY: the rows of this step and this item, which is the only one with these units.
            unsafe {
                at.run::<C, S>(pass.cell, simd, units.clone(), scan.hidden);
                if flags & RESET != 0 {
                    move_to::<C, S, T>(simd, d_carried, d_reset, units.clone(), scan.hidden);
                }
            }
        }
    }
}

/// A step of a row.
struct Step<T> {
    is_masked: bool,
    gates: *const T,
    /// The distances of planes: of the gates, and of their gradients.
    planes: [usize; 2],
    constants: *const T,
    /// The state before the step.
    before: *const T,
    d_states: *const T,
    d_gates: *mut T,
    d_constants: *mut T,
    d_carried: *mut T,
}

impl<T: Real> Step<T> {
    /// # Safety
    ///
    /// The pointers are valid for these units of rows of the cell's numbers. No other thread reads or writes these
    /// units of what is written here, nor writes to what is read.
    #[inline(always)]
    unsafe fn run<C: ScannedCell, S: Simd>(
        &self,
        cell: &C,
        simd: S,
        units: Range<usize>,
        hidden: usize,
    ) {
        for span in Span::all::<S, T>(units, hidden) {
            let [gates, d_gates] = self.planes;
            let (of_gates, of_d_gates) = (span.in_planes(gates), span.in_planes(d_gates));
            // SAFETY: the caller's promise.
            unsafe {
                let carried: C::State<_> = span.load(simd, self.d_carried);
                let d = carried.plus(&span.load(simd, self.d_states));
                if self.is_masked {
                    of_d_gates.store::<S, T, C::Gates<_>>(simd, self.d_gates, zeros(simd));
                    span.store(simd, self.d_carried, d);
                    continue;
                }
                let constants = span.load(simd, self.constants);
                let done = cell.coefficients(of_gates.load(simd, self.gates), &constants);
                let before: C::State<_> = span.load(simd, self.before);
                let d_before = done.a.times_backward(&d);
                let d_a = before.times_backward(&d);
                let (d_gates, d_constants) =
                    cell.coefficients_backward(done.saved, &constants, d_a, d);
                of_d_gates.store(simd, self.d_gates, d_gates);
                let so_far: C::Constants<_> = span.load(simd, self.d_constants);
                span.store(simd, self.d_constants, sum(so_far, d_constants));
                span.store(simd, self.d_carried, d_before);
            }
        }
    }
}

/// Adds a gradient to another, and sets it to zero.
///
/// # Safety
///
/// As for [`Step::run`].
#[inline(always)]
unsafe fn move_to<C: ScannedCell, S: Simd, T: Real>(
    simd: S,
    from: *mut T,
    to: *mut T,
    units: Range<usize>,
    hidden: usize,
) {
    for span in Span::all::<S, T>(units, hidden) {
        // SAFETY: the caller's promise.
        unsafe {
            let d: C::State<_> = span.load(simd, from);
            let so_far: C::State<_> = span.load(simd, to);
            span.store(simd, to, so_far.plus(&d));
            span.store::<S, T, C::State<_>>(simd, from, zeros(simd));
        }
    }
}
