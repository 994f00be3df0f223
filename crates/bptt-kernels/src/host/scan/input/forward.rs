//! The forward pass.

use crate::host::gemm::dispatch::Gemm;
use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::scan::forward::Steps;
use crate::host::scan::input::InputScan;
use crate::host::scan::layout::{GateRows, Item};
use crate::host::simd::isa::Isa;
use crate::host::threads::team::team;
use bptt_cells::scanned::ScannedCell;
use std::sync::atomic::AtomicUsize;

/// The states after all steps, into `states`, `[T, B, S·H]` (or `[B, T, S·H]`). If the gates are to be kept for the backward
/// pass, they are written to `gates`, of `T·B·G·H` numbers.
///
/// # Panics
///
/// If an operand does not have the sizes of the scan.
pub(crate) fn forward<C: ScannedCell, T: Gemm>(
    cell: &C,
    of: InputScan<'_, T>,
    states: &mut [T],
    gates: Option<&mut [T]>,
    isa: Isa,
    threads: usize,
) {
    of.check(C::GATES, C::CONSTANTS);
    let scan = &of.scan;
    let plan = of.plan(C::GATES, isa, threads);
    assert!(states.len() == scan.rows() * scan.width(), "states of another size");
    let fits = gates.as_ref().is_none_or(|gates| gates.len() == plan.all_gates());
    assert!(fits, "gates of another size");
    let weight = of.packed(isa, plan.threads);
    let (states, kept) = (Shared::new(states), gates.map(Shared::new));
    let taken = AtomicUsize::new(0);
    team(plan.threads, |_| {
        let mut own = Buffer::scratch(&[if kept.is_some() { 0 } else { plan.of_block() }]);
        let own = own.shared();
        while let Some(units) = plan.take(&taken) {
            for steps in plan.blocks() {
                let (at, len) = plan.gates_at(&units, &steps);
                let start = match kept {
                    Some(all) => all.at(at, len),
                    None => own.at(0, len),
                };
                // SAFETY: the gates of this chunk, or this thread's own memory.
                unsafe { of.gates(&weight, &plan, (&units, &steps), start, isa) };
                let gates = GateRows::of_block(start, &units, C::GATES, steps.start);
                for row in 0..scan.batch {
                    let width = scan.width();
                    let before = match steps.start {
                        0 => scan.of_row(scan.initial, row),
                        first => states.at(scan.row(first - 1, row) * width, width).cast_const(),
                    };
                    let (units, steps) = (units.clone(), steps.clone());
                    let item = Item { block: 0, row, units, steps };
                    isa.dispatch(Steps { cell, scan, states, gates, before, item });
                }
            }
        }
    });
}
