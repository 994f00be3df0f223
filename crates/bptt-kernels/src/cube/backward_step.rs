//! One step backward of some rows and one unit, and the kernels that run it.
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
pub(super) enum BackwardPart {
    /// All of it; for a cell with a gated hidden state, up to the gradient of its last gate.
    Whole,
    /// From there to the end.
    Inner,
    /// Only the gradient of the state before the step that was computed last.
    Finish,
}

/// What a backward kernel is made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct BackwardSpec {
    pub(super) programs: StepPrograms,
    /// How many rows are computed together.
    pub(super) rows: usize,
    pub(super) flags: RowFlags,
}

impl BackwardSpec {
    fn product(&self, part: BackwardPart) -> Product {
        let counts = &self.programs.counts;
        let (first, terms) = match part {
            BackwardPart::Inner => (counts.outer(), 1),
            _ => (0, counts.outer()),
        };
        Product { rows: self.rows, first, terms }
    }

    /// Whether the gates that are multiplied with `h` are others than all gates, so that their gradients are stored
    /// once more.
    pub(super) fn differs(&self) -> bool {
        let counts = &self.programs.counts;
        counts.outer() > 0 && counts.added < counts.gates
    }
}

/// The tensors of the backward kernels.
#[derive(CubeType, CubeLaunch)]
pub(super) struct BackwardBuffers {
    /// `U`, as [`backward_products`] reads it.
    pub(super) weights: Box<[Weights]>,
    /// See [`ForwardBuffers`](super::forward_step::ForwardBuffers).
    pub(super) states: Box<[f32]>,
    pub(super) saved: Box<[f32]>,
    pub(super) flags: Box<[u32]>,
    /// The gradient of the outputs.
    pub(super) d_outputs: Box<[f32]>,
    /// The gradients of the gates, `[T, B, G, H]`. Behind them, if those with a product with `h` differ, these,
    /// `[T, B, A, H]`.
    pub(super) d_gates: Box<[f32]>,
    /// The gradient of the state, without the part through `U`: hidden `[B, H]`, memories `[M, B, H]`. Behind it, if
    /// states are reset, the gradient of the state that a reset sets, in the same form.
    pub(super) d_state: Box<[f32]>,
}

/// Where the gradients of the gates of a step and row begin.
#[cube]
fn gates_at(t: usize, row: usize, sizes: &StepSizes, #[comptime] counts: Counts) -> usize {
    (t * sizes.batch + row) * counts.gates * sizes.hidden
}

/// Where the gradients of the gates with a product with `h` begin.
#[cube]
fn outer_at(
    t: usize,
    row: usize,
    sizes: &StepSizes,
    #[comptime] counts: Counts,
    #[comptime] differs: bool,
) -> usize {
    if differs {
        let outer = comptime!(counts.outer());
        gates_at(sizes.time, 0usize, sizes, counts) + (t * sizes.batch + row) * outer * sizes.hidden
    } else {
        gates_at(t, row, sizes, counts)
    }
}

/// One step back, of the rows from `first_row` and of one unit: from the gradients of the step that was computed as
/// number `behind`, to those of the step before it.
#[cube]
fn backward_step(
    buffers: &mut BackwardBuffers,
    first_row: usize,
    unit: usize,
    behind: usize,
    sizes: &StepSizes,
    #[comptime] part: BackwardPart,
    #[comptime] spec: Arc<BackwardSpec>,
) {
    let product = comptime!(spec.product(part));
    let counts = comptime!(spec.programs.counts);
    let has_behind = behind < sizes.time;
    // Where there is no step behind, this one is read instead, and its product is not used.
    let source = if comptime!(part == BackwardPart::Inner) {
        sizes.time_of(behind - 1)
    } else {
        sizes.time_of(min(behind, sizes.time - 1))
    };
    let mut starts = Sequence::<usize>::new();
    #[unroll]
    for r in 0..spec.rows {
        // A row behind the last one computes the last one again, and writes nothing.
        let row = min(first_row + r, sizes.batch - 1);
        let start = if comptime!(part == BackwardPart::Inner) {
            gates_at(source, row, sizes, counts) + comptime!(counts.gates - 1) * sizes.hidden
        } else {
            outer_at(source, row, sizes, counts, comptime!(spec.differs()))
        };
        starts.push(start + sizes.head_start(unit));
    }
    let width = if has_behind || comptime!(part == BackwardPart::Inner) {
        sizes.head
    } else {
        0usize.runtime()
    };
    let sums =
        backward_products(&buffers.weights, &buffers.d_gates, &starts, unit, width, sizes, product);
    for r in 0..spec.rows {
        let row = first_row + r;
        if row < sizes.batch {
            if comptime!(part == BackwardPart::Inner) {
                gated_gates(buffers, row, unit, source, sums[r], sizes, spec.clone());
            } else {
                let d = state_gradient(buffers, row, unit, behind, sums[r], sizes, spec.clone());
                if comptime!(part == BackwardPart::Finish) {
                    store_state(buffers, row, unit, &d, sizes, counts);
                } else {
                    let t = sizes.time_of(behind - 1);
                    gates(buffers, row, unit, t, &d, sizes, spec.clone());
                }
            }
        }
    }
}

/// The gradient of the state before the step `behind`: hidden state, memories. If the step's state was reset, it goes to
/// the reset state, and what is left is zero.
#[cube]
fn state_gradient(
    buffers: &mut BackwardBuffers,
    row: usize,
    unit: usize,
    behind: usize,
    product: f32,
    sizes: &StepSizes,
    #[comptime] spec: Arc<BackwardSpec>,
) -> Sequence<f32> {
    let states = comptime!(1 + spec.programs.counts.memories);
    let plane = sizes.batch * sizes.hidden;
    let mut d = Sequence::<f32>::new();
    #[unroll]
    for m in 0..states {
        let at = (m * sizes.batch + row) * sizes.hidden + unit;
        let stored = buffers.d_state[at];
        let all = if comptime!(m == 0) { stored + product } else { stored };
        if comptime!(spec.flags.resets) {
            let t = sizes.time_of(min(behind, sizes.time - 1));
            let flags = flags_of(&buffers.flags, sizes, t, row, comptime!(spec.flags));
            let reset = behind < sizes.time && is_reset(flags);
            buffers.d_state[at + states * plane] += select(reset, all, 0.0);
            d.push(select(reset, 0.0, all));
        } else {
            d.push(all);
        }
    }
    d
}

/// Stores the gradient of the state.
#[cube]
fn store_state(
    buffers: &mut BackwardBuffers,
    row: usize,
    unit: usize,
    d: &Sequence<f32>,
    sizes: &StepSizes,
    #[comptime] counts: Counts,
) {
    #[unroll]
    for m in 0..comptime!(1 + counts.memories) {
        buffers.d_state[(m * sizes.batch + row) * sizes.hidden + unit] = d[m];
    }
}

/// Adds what a step saved, and the state before it, to the inputs of a program.
#[cube]
fn push_trace(
    inputs: &mut Sequence<f32>,
    buffers: &mut BackwardBuffers,
    row: usize,
    unit: usize,
    t: usize,
    slot: usize,
    sizes: &StepSizes,
    #[comptime] counts: Counts,
) {
    #[unroll]
    for k in 0..counts.saved {
        inputs.push(buffers.saved[sizes.saved_at(k, t, row) + unit]);
    }
    push_state(inputs, &buffers.states, slot, row, unit, sizes, counts.memories);
}

/// The gradients of the gates of a step, from that of the state after it.
#[cube]
fn gates(
    buffers: &mut BackwardBuffers,
    row: usize,
    unit: usize,
    t: usize,
    d_state: &Sequence<f32>,
    sizes: &StepSizes,
    #[comptime] spec: Arc<BackwardSpec>,
) {
    let counts = comptime!(spec.programs.counts);
    let flags = flags_of(&buffers.flags, sizes, t, row, comptime!(spec.flags));
    let d_h = d_state[0] + buffers.d_outputs[sizes.output_at(t, row, unit)];
    let mut inputs = Sequence::<f32>::new();
    let slot = slot_of_flags(flags, t, sizes, comptime!(spec.flags));
    push_trace(&mut inputs, buffers, row, unit, t, slot, sizes, counts);
    let after = sizes.slot_after(t);
    push_state(&mut inputs, &buffers.states, after, row, unit, sizes, counts.memories);
    inputs.push(d_h);
    #[unroll]
    for m in 0..counts.memories {
        inputs.push(d_state[comptime!(1 + m)]);
    }
    let results = evaluate(&inputs, comptime!(spec.programs.backward.clone()));
    // A masked row passes its gradient on without a change.
    let mut held = Sequence::<f32>::new();
    held.push(if comptime!(spec.flags.hold) { d_h } else { d_state[0] });
    #[unroll]
    for m in 0..counts.memories {
        held.push(d_state[comptime!(1 + m)]);
    }
    store(buffers, row, unit, t, &results, &held, is_valid(flags), sizes, spec);
}

/// The gradients of the gates of a step, once more, with that of the gated hidden state, `d_gated`.
#[cube]
fn gated_gates(
    buffers: &mut BackwardBuffers,
    row: usize,
    unit: usize,
    t: usize,
    d_gated: f32,
    sizes: &StepSizes,
    #[comptime] spec: Arc<BackwardSpec>,
) {
    let counts = comptime!(spec.programs.counts);
    let flags = flags_of(&buffers.flags, sizes, t, row, comptime!(spec.flags));
    let mut inputs = Sequence::<f32>::new();
    let slot = slot_of_flags(flags, t, sizes, comptime!(spec.flags));
    push_trace(&mut inputs, buffers, row, unit, t, slot, sizes, counts);
    inputs.push(d_gated);
    #[unroll]
    for g in 0..counts.gates {
        inputs.push(buffers.d_gates[gates_at(t, row, sizes, counts) + g * sizes.hidden + unit]);
    }
    let mut held = Sequence::<f32>::new();
    #[unroll]
    for m in 0..comptime!(1 + counts.memories) {
        held.push(buffers.d_state[(m * sizes.batch + row) * sizes.hidden + unit]);
    }
    if comptime!(spec.programs.direct) {
        inputs.push(held[0]);
    }
    #[unroll]
    for m in 0..counts.memories {
        inputs.push(held[comptime!(1 + m)]);
    }
    let program = comptime!(spec.programs.gated_backward.clone().expect("a gated hidden state"));
    let results = evaluate(&inputs, program);
    store(buffers, row, unit, t, &results, &held, is_valid(flags), sizes, spec);
}

/// Stores the results of a backward program; where the step is not valid, zeros and the state's gradient that is held.
#[cube]
fn store(
    buffers: &mut BackwardBuffers,
    row: usize,
    unit: usize,
    t: usize,
    results: &Sequence<f32>,
    held: &Sequence<f32>,
    valid: bool,
    sizes: &StepSizes,
    #[comptime] spec: Arc<BackwardSpec>,
) {
    let counts = comptime!(spec.programs.counts);
    let first = gates_at(t, row, sizes, counts) + unit;
    #[unroll]
    for g in 0..counts.gates {
        buffers.d_gates[first + g * sizes.hidden] =
            if_valid(results[g], 0.0, valid, comptime!(spec.flags));
    }
    if comptime!(spec.differs()) {
        let first = outer_at(t, row, sizes, counts, true) + unit;
        #[unroll]
        for a in 0..comptime!(counts.outer()) {
            let result =
                comptime!(if a < counts.added { a } else { counts.gates + a - counts.added });
            buffers.d_gates[first + a * sizes.hidden] =
                if_valid(results[result], 0.0, valid, comptime!(spec.flags));
        }
    }
    let first = comptime!(counts.gates + counts.separate);
    let direct = comptime!(usize::from(spec.programs.direct));
    let mut d_state = Sequence::<f32>::new();
    let d_h = if comptime!(spec.programs.direct) { results[first] } else { 0f32.runtime() };
    d_state.push(if_valid(d_h, held[0], valid, comptime!(spec.flags)));
    #[unroll]
    for m in 0..counts.memories {
        let result = results[comptime!(first + direct + m)];
        d_state.push(if_valid(result, held[comptime!(1 + m)], valid, comptime!(spec.flags)));
    }
    store_state(buffers, row, unit, &d_state, sizes, counts);
}

/// `yes` if the step is valid, else `no`. Where nothing is masked, it is.
#[cube]
fn if_valid(yes: f32, no: f32, valid: bool, #[comptime] flags: RowFlags) -> f32 {
    if comptime!(flags.mask) { select(valid, yes, no) } else { yes }
}

/// One step: a unit of the kernel computes a unit of the layer in some rows.
#[cube(launch)]
pub(super) fn backward_step_kernel(
    buffers: &mut BackwardBuffers,
    sizes: &StepSizes,
    behind: usize,
    #[comptime] part: BackwardPart,
    #[comptime] spec: Arc<BackwardSpec>,
) {
    let unit = ABSOLUTE_POS_X as usize;
    let first_row = CUBE_POS_Y as usize * spec.rows;
    if unit < sizes.hidden && first_row < sizes.batch {
        backward_step(buffers, first_row, unit, behind, sizes, part, spec);
    }
}

/// The whole sequence: a cube computes all units in some rows, and no cube waits for another.
#[cube(launch)]
pub(super) fn backward_rows_kernel(
    buffers: &mut BackwardBuffers,
    sizes: &StepSizes,
    #[comptime] spec: Arc<BackwardSpec>,
) {
    let first_row = CUBE_POS * spec.rows;
    for step in 0..sizes.time {
        let behind = sizes.time - step;
        backward_units(
            buffers,
            first_row,
            behind,
            sizes,
            comptime!(BackwardPart::Whole),
            spec.clone(),
        );
        if comptime!(spec.programs.gated.is_some()) {
            backward_units(
                buffers,
                first_row,
                behind,
                sizes,
                comptime!(BackwardPart::Inner),
                spec.clone(),
            );
        }
    }
    backward_units(buffers, first_row, 0usize, sizes, comptime!(BackwardPart::Finish), spec);
}

/// A part of a step for all units, shared by the units of a cube; then they wait for each other.
#[cube]
fn backward_units(
    buffers: &mut BackwardBuffers,
    first_row: usize,
    behind: usize,
    sizes: &StepSizes,
    #[comptime] part: BackwardPart,
    #[comptime] spec: Arc<BackwardSpec>,
) {
    for pass in 0..sizes.hidden.div_ceil(CUBE_DIM as usize) {
        let unit = pass * CUBE_DIM as usize + UNIT_POS as usize;
        if unit < sizes.hidden {
            backward_step(buffers, first_row, unit, behind, sizes, part, spec.clone());
        }
    }
    sync_storage();
}
