//! One step forward of some rows and one unit, and the kernels that run it.
#![allow(
    clippy::too_many_arguments,
    reason = "a kernel's functions pass on what lies in registers"
)]

use crate::cube::evaluate::evaluate;
use crate::cube::step::*;
use crate::cube::step_programs::{Counts, StepPrograms};
use burn_cubecl::cubecl::{self, prelude::*};
use std::sync::Arc;

/// Which part of a step a kernel computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ForwardPart {
    /// All of it.
    Whole,
    /// Up to the gated hidden state, for a cell that has one.
    Outer,
    /// From there to the end.
    Inner,
}

/// What a forward kernel is made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ForwardSpec {
    pub(super) programs: StepPrograms,
    /// How many rows are computed together.
    pub(super) rows: usize,
    /// Whether there is a recurrent bias.
    pub(super) bias: bool,
    /// Whether a trace is kept.
    pub(super) keep: bool,
    pub(super) flags: RowFlags,
}

impl ForwardSpec {
    fn product(&self, part: ForwardPart) -> Product {
        let counts = &self.programs.counts;
        let (first, terms) = match part {
            ForwardPart::Inner => (counts.outer(), 1),
            _ => (0, counts.outer()),
        };
        Product { rows: self.rows, first, terms }
    }

    /// The part that ends a step.
    pub(super) fn last_part(&self) -> ForwardPart {
        if self.programs.gated.is_some() { ForwardPart::Inner } else { ForwardPart::Whole }
    }

    /// How many values of the trace come before the gated hidden state.
    fn kept(&self) -> usize {
        if self.keep { self.programs.counts.saved } else { 0 }
    }
}

/// The tensors of the forward kernels.
#[derive(CubeType, CubeLaunch)]
pub(super) struct ForwardBuffers {
    /// `W x + b`, `[T, B, G, H]`.
    pub(super) wx: Box<[f32]>,
    /// `U`, as [`forward_products`] reads it.
    pub(super) weights: Box<[Weights]>,
    /// `b_h`, `[G, H]`; a single number if there is none.
    pub(super) bias: Box<[f32]>,
    /// The states: hidden `[T + 2, B, H]`, then memories `[T + 2, M, B, H]`. See [`StepSizes::slot_before`].
    pub(super) states: Box<[f32]>,
    /// `[T, B]`; a single number if nothing is masked or reset.
    pub(super) flags: Box<[u32]>,
    pub(super) outputs: Box<[f32]>,
    /// The values that steps save, `[K, T, B, H]`, and behind them the gated hidden state, `[T, B, H]`.
    pub(super) saved: Box<[f32]>,
}

/// Which recurrent product is added to a gate: its number among those of the part.
fn sum_of_gate(part: ForwardPart, counts: &Counts, gate: usize) -> Option<usize> {
    match part {
        // The gates that are added are complete already.
        ForwardPart::Inner => (gate + 1 == counts.gates).then_some(0),
        _ => (gate < counts.added).then_some(gate),
    }
}

/// Where a step finds the state before it.
#[derive(CubeType)]
struct RowOfStep {
    row: usize,
    /// The slot of the state before the step.
    slot: usize,
    flags: u32,
}

#[cube]
fn row_of_step(
    buffers: &mut ForwardBuffers,
    row: usize,
    t: usize,
    sizes: &StepSizes,
    #[comptime] kinds: RowFlags,
) -> RowOfStep {
    let flags = flags_of(&buffers.flags, sizes, t, row, kinds);
    let slot = slot_of_flags(flags, t, sizes, kinds);
    RowOfStep { row, slot, flags }
}

/// One step of the rows from `first_row` and of one unit.
#[cube]
fn forward_step(
    buffers: &mut ForwardBuffers,
    first_row: usize,
    unit: usize,
    position: usize,
    sizes: &StepSizes,
    #[comptime] part: ForwardPart,
    #[comptime] spec: Arc<ForwardSpec>,
) {
    let t = sizes.time_of(position);
    let product = comptime!(spec.product(part));
    let mut starts = Sequence::<usize>::new();
    #[unroll]
    for r in 0..spec.rows {
        // A row behind the last one computes the last one again, and writes nothing.
        let row = min(first_row + r, sizes.batch - 1);
        let start = if comptime!(part == ForwardPart::Inner) {
            sizes.saved_at(comptime!(spec.kept()), t, row)
        } else {
            let at = row_of_step(buffers, row, t, sizes, comptime!(spec.flags));
            sizes.hidden_at(at.slot, row)
        };
        starts.push(start + sizes.head_start(unit));
    }
    let sums = if comptime!(part == ForwardPart::Inner) {
        forward_products(&buffers.weights, &buffers.saved, &starts, unit, sizes, product)
    } else {
        forward_products(&buffers.weights, &buffers.states, &starts, unit, sizes, product)
    };
    for r in 0..spec.rows {
        let row = first_row + r;
        if row < sizes.batch {
            let at = row_of_step(buffers, row, t, sizes, comptime!(spec.flags));
            let first = r * product.terms;
            if comptime!(part == ForwardPart::Outer) {
                gated_hidden(buffers, &at, unit, t, &sums, first, sizes, spec.clone());
            } else {
                state_after(buffers, &at, unit, t, &sums, first, sizes, part, spec.clone());
            }
        }
    }
}

/// The recurrent product of a gate, with its bias.
#[cube]
fn with_bias(
    sum: f32,
    buffers: &mut ForwardBuffers,
    gate: usize,
    unit: usize,
    sizes: &StepSizes,
    #[comptime] bias: bool,
) -> f32 {
    if bias { sum + buffers.bias[gate * sizes.hidden + unit] } else { sum }
}

/// The gates with their recurrent products. Those of the row begin at `first`.
#[cube]
fn gates_of(
    buffers: &mut ForwardBuffers,
    wx: usize,
    unit: usize,
    sums: &Array<f32>,
    first: usize,
    sizes: &StepSizes,
    #[comptime] part: ForwardPart,
    #[comptime] spec: Arc<ForwardSpec>,
) -> Sequence<f32> {
    let product = comptime!(spec.product(part));
    let mut gates = Sequence::<f32>::new();
    #[unroll]
    for g in 0..comptime!(spec.programs.counts.gates) {
        let x = buffers.wx[wx + g * sizes.hidden];
        let sum = comptime!(sum_of_gate(part, &spec.programs.counts, g));
        if comptime!(sum.is_some()) {
            let a = comptime!(sum.unwrap_or(0));
            let sum = sums[first + a];
            let gate = comptime!(product.first + a);
            gates.push(x + with_bias(sum, buffers, gate, unit, sizes, comptime!(spec.bias)));
        } else {
            gates.push(x);
        }
    }
    gates
}

/// The gated hidden state of a row and unit, and the gates that it is made from.
#[cube]
fn gated_hidden(
    buffers: &mut ForwardBuffers,
    at: &RowOfStep,
    unit: usize,
    t: usize,
    sums: &Array<f32>,
    first: usize,
    sizes: &StepSizes,
    #[comptime] spec: Arc<ForwardSpec>,
) {
    let counts = comptime!(spec.programs.counts);
    let wx = (t * sizes.batch + at.row) * counts.gates * sizes.hidden + unit;
    let part = comptime!(ForwardPart::Outer);
    let mut inputs = gates_of(buffers, wx, unit, sums, first, sizes, part, spec.clone());
    #[unroll]
    for g in 0..counts.added {
        buffers.wx[wx + g * sizes.hidden] = inputs[g];
    }
    push_state(&mut inputs, &buffers.states, at.slot, at.row, unit, sizes, counts.memories);
    let program = comptime!(spec.programs.gated.clone().expect("a gated hidden state"));
    let results = evaluate(&inputs, program);
    let to = sizes.saved_at(comptime!(spec.kept()), t, at.row) + unit;
    buffers.saved[to] = if comptime!(spec.flags.mask) {
        select(is_valid(at.flags), results[0], 0.0)
    } else {
        results[0]
    };
}

/// The state after the step of a row and unit, its output, and what the step saves.
#[cube]
fn state_after(
    buffers: &mut ForwardBuffers,
    at: &RowOfStep,
    unit: usize,
    t: usize,
    sums: &Array<f32>,
    first: usize,
    sizes: &StepSizes,
    #[comptime] part: ForwardPart,
    #[comptime] spec: Arc<ForwardSpec>,
) {
    let counts = comptime!(spec.programs.counts);
    let wx = (t * sizes.batch + at.row) * counts.gates * sizes.hidden + unit;
    let mut inputs = gates_of(buffers, wx, unit, sums, first, sizes, part, spec.clone());
    #[unroll]
    for s in 0..counts.separate {
        let gate = comptime!(counts.added + s);
        let sum = sums[first + gate];
        inputs.push(with_bias(sum, buffers, gate, unit, sizes, comptime!(spec.bias)));
    }
    push_state(&mut inputs, &buffers.states, at.slot, at.row, unit, sizes, counts.memories);
    let results = evaluate(&inputs, comptime!(spec.programs.forward.clone()));
    let slot = sizes.slot_after(t);
    let valid = is_valid(at.flags);
    #[unroll]
    for m in 0..counts.memories {
        let to = sizes.memory_at(slot, m, at.row, counts.memories) + unit;
        buffers.states[to] = if comptime!(spec.flags.mask) {
            select(valid, results[1 + m], inputs[comptime!(counts.gates + counts.separate + 1 + m)])
        } else {
            results[1 + m]
        };
    }
    let h = if comptime!(spec.flags.mask) {
        select(valid, results[0], inputs[comptime!(counts.gates + counts.separate)])
    } else {
        results[0]
    };
    buffers.states[sizes.hidden_at(slot, at.row) + unit] = h;
    buffers.outputs[sizes.output_at(t, at.row, unit)] =
        if comptime!(spec.flags.mask && !spec.flags.hold) { select(valid, h, 0.0) } else { h };
    if comptime!(spec.keep) {
        #[unroll]
        for k in 0..counts.saved {
            buffers.saved[sizes.saved_at(k, t, at.row) + unit] =
                results[comptime!(1 + counts.memories + k)];
        }
    }
}

/// One step: a unit of the kernel computes a unit of the layer in some rows.
#[cube(launch)]
pub(super) fn forward_step_kernel(
    buffers: &mut ForwardBuffers,
    sizes: &StepSizes,
    position: usize,
    #[comptime] part: ForwardPart,
    #[comptime] spec: Arc<ForwardSpec>,
) {
    let unit = ABSOLUTE_POS_X as usize;
    let first_row = CUBE_POS_Y as usize * spec.rows;
    if unit < sizes.hidden && first_row < sizes.batch {
        forward_step(buffers, first_row, unit, position, sizes, part, spec);
    }
}

/// The whole sequence: a cube computes all units in some rows, and no cube waits for another.
#[cube(launch)]
pub(super) fn forward_rows_kernel(
    buffers: &mut ForwardBuffers,
    sizes: &StepSizes,
    #[comptime] spec: Arc<ForwardSpec>,
) {
    let first_row = CUBE_POS * spec.rows;
    let passes = sizes.hidden.div_ceil(CUBE_DIM as usize);
    for position in 0..sizes.time {
        if comptime!(spec.programs.gated.is_some()) {
            for pass in 0..passes {
                let unit = pass * CUBE_DIM as usize + UNIT_POS as usize;
                if unit < sizes.hidden {
                    let part = comptime!(ForwardPart::Outer);
                    forward_step(buffers, first_row, unit, position, sizes, part, spec.clone());
                }
            }
            sync_storage();
        }
        for pass in 0..passes {
            let unit = pass * CUBE_DIM as usize + UNIT_POS as usize;
            if unit < sizes.hidden {
                let part = comptime!(spec.last_part());
                forward_step(buffers, first_row, unit, position, sizes, part, spec.clone());
            }
        }
        sync_storage();
    }
}
