//! Sizes of a layer, the planes of a row, and the order of time.

use crate::host::gemm::columns::Columns;
use crate::host::gemm::panels::NR;
use crate::host::memory::buffer::Buffer;
use crate::host::simd::isa::Isa;
use crate::host::simd::real::Real;
use crate::operation::cell_layout::CellLayout;
use crate::operation::plan::{MaskedOutput, PlanOptions, Sizes};
use bptt_cells::{Cell, HiddenTerm};
use std::ops::Range;

/// The sizes of one layer in one direction, and how the kernels lay it out.
///
/// What a step computes for each unit lies in *planes* of `H` columns. One row has these planes, in this order:
///
/// ```text
/// gates that are not added   W x alone (GRU's candidate; a gate with a gated hidden state)
/// added gates                W x + U h
/// separate products          U h alone
/// ```
///
/// So the planes that `x` enters, `0..gates`, are contiguous, and so are those that `h` enters, `first_h..planes`.
/// Each of the two is one product, forward and backward. The columns of each plane that fill whole panels come first,
/// in this order; then the remaining columns of each plane, in the same order ([`Columns`]).
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// The cell's name in messages.
    pub(crate) name: &'static str,
    pub(crate) time: usize,
    pub(crate) batch: usize,
    pub(crate) input: usize,
    pub(crate) hidden: usize,
    /// `P`
    pub(crate) output: usize,
    pub(crate) memories: usize,
    /// How many of the memories are diagonal weights, which do not change: the last ones.
    pub(crate) diagonal_weights: usize,
    /// How many values the cell saves for its backward step.
    pub(crate) saved: usize,
    /// `G`
    pub(crate) gates: usize,
    /// How many gates are added.
    pub(crate) added: usize,
    /// How many recurrent products are separate.
    pub(crate) separate: usize,
    /// Whether the last gate's product is with a gated hidden state.
    pub(crate) gated: bool,
    pub(crate) projected: bool,
    /// How many heads there are: blocks on the diagonal of each gate's recurrent matrix, with zeros beside them; 1 for a
    /// whole matrix.
    pub(crate) heads: usize,
    /// Whether a step mixes the units of a row, so that no thread may have some of them alone.
    pub(crate) couples_units: bool,
    /// Whether the cell's step hands on a gradient of `h` by itself: a cell that can be projected does not.
    pub(crate) hands_on_hidden: bool,
    /// `H` and `P`, padded to whole registers.
    pub(crate) hp: usize,
    pub(crate) pp: usize,
    /// How many of the `H` columns of a plane fill whole panels, and how many remain.
    pub(crate) whole: usize,
    pub(crate) rest: usize,
    /// How many columns a row of planes has.
    pub(crate) row: usize,
    /// How many columns a panel of a packed matrix has.
    pub(crate) panel: usize,
    /// The distances from one step of the input to the next, and from one row to the next.
    pub(crate) input_strides: [usize; 2],
    pub(crate) reverse: bool,
    /// Whether the outputs are `[B, T, P]`.
    pub(crate) batch_first: bool,
    /// How many numbers a row of the outputs has, `P` or those of both directions, and how many steps they have; and where
    /// the first number of these steps and of this direction is.
    pub(crate) output_row: usize,
    pub(crate) output_time: usize,
    pub(crate) output_first: usize,
    /// Whether the output at a masked step is the held state (else it is zero).
    pub(crate) held: bool,
    /// Whether states are reset inside of the sequence.
    pub(crate) resets: bool,
    /// Whether there is zoneout, of the hidden state and of the memories; and whether the state has a mask.
    pub(crate) zones_hidden: bool,
    pub(crate) zones_memory: bool,
    pub(crate) masks_state: bool,
    /// Whether the last memory is the mask of the candidate, which is set before each step.
    pub(crate) masks_candidate: bool,
    /// How many rows belong together: 1; in dual numbers 2, the row of values and that of tangents. `batch` counts
    /// both.
    pub(crate) parts: usize,
    /// How many bytes a number takes: in the outputs, and in the trace.
    pub(crate) bytes: [usize; 2],
    pub(crate) isa: Isa,
}

impl Layer {
    pub(crate) fn new<T: Real>(
        cell: &CellLayout,
        options: &PlanOptions,
        sizes: &Sizes,
        input_strides: [usize; 2],
        projected: bool,
        isa: Isa,
    ) -> Self {
        let lanes = isa.lanes::<T>();
        let Sizes { time, batch, input, hidden, output, memories } = *sizes;
        let panel = NR * lanes;
        let rest = hidden % panel;
        let (gates, separate) = (cell.gates(), cell.count(HiddenTerm::Separate));
        // What is left of the last planes, however many, is read in whole registers.
        let planes = gates + separate;
        let behind = |last: usize| (planes - last) * rest + (last * rest).next_multiple_of(lanes);
        let left = (1..=planes).map(behind).max().unwrap_or(0);
        let noise = options.rows.noise.as_ref();
        Self {
            name: cell.name,
            time,
            batch,
            input,
            hidden,
            output,
            memories,
            diagonal_weights: cell.diagonal_weights,
            saved: cell.saved,
            gates,
            added: cell.count(HiddenTerm::Added),
            separate,
            gated: cell.count(HiddenTerm::Gated) > 0,
            projected,
            heads: 1,
            couples_units: cell.couples_units,
            hands_on_hidden: !cell.projectable,
            hp: hidden.next_multiple_of(lanes),
            pp: output.next_multiple_of(lanes),
            whole: hidden - rest,
            rest,
            row: (planes * (hidden - rest) + left).next_multiple_of(lanes),
            panel,
            input_strides,
            reverse: options.reverse,
            batch_first: options.batch_first,
            output_row: options.directions() * output,
            output_time: time,
            output_first: options.side.unwrap_or(0) * output,
            held: options.masked_output == MaskedOutput::Hold,
            resets: options.rows.resets.is_some(),
            zones_hidden: noise.is_some_and(|noise| noise.kept_hidden.is_some()),
            zones_memory: noise.is_some_and(|noise| noise.kept_memory.is_some()),
            masks_state: noise.is_some_and(|noise| noise.state_mask.is_some()),
            masks_candidate: noise.is_some_and(|noise| noise.candidate.is_some()),
            parts: 1,
            bytes: [size_of::<T>(); 2],
            isa,
        }
    }

    /// The same layer in dual numbers.
    pub(crate) fn in_duals(self) -> Self {
        debug_assert!(self.batch.is_multiple_of(2));
        Self { parts: 2, ..self }
    }

    /// Some of its steps, as a sequence of their own whose outputs are written among all of them.
    pub(crate) fn some_steps(&self, steps: &Range<usize>) -> Self {
        let output_first = self.output_first + steps.start * self.output_stride();
        Self { time: steps.len(), output_first, ..self.clone() }
    }

    /// How many memories change from step to step. The others are diagonal weights, which a trace does not have.
    pub(crate) fn states(&self) -> usize {
        self.memories - self.diagonal_weights
    }

    /// Whether `h` has another form in the outputs than the one that the cell computes.
    pub(crate) fn has_own(&self) -> bool {
        self.projected || self.zones_hidden
    }

    /// How many planes a row has.
    pub(crate) fn planes(&self) -> usize {
        self.gates + self.separate
    }

    /// Where some planes begin in a row, and where their columns are, counted from there.
    pub(crate) fn columns(&self, planes: Range<usize>) -> (usize, Columns) {
        let Self { whole, rest, .. } = *self;
        let first = planes.start * whole;
        let rest_at = self.planes() * whole + planes.start * rest - first;
        let (whole, rest) = (planes.len() * whole, planes.len() * rest);
        // Behind the last plane there is memory for a whole vector.
        let padded = planes.end == self.planes();
        (first, Columns { whole, rest, rest_at, padded })
    }

    /// The columns of some units of a plane, in contiguous pieces, with the units of each piece.
    pub(crate) fn pieces(
        &self,
        plane: usize,
        units: &Range<usize>,
    ) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
        let (first, columns) = self.columns(plane..plane + 1);
        let Self { whole, hidden, .. } = *self;
        let of = |edges: Range<usize>| units.start.max(edges.start)..units.end.min(edges.end);
        let pieces = [of(0..whole), of(whole..hidden)].into_iter();
        let is_there = |units: &Range<usize>| !units.is_empty();
        pieces.filter(is_there).map(move |units| (first + columns.from(units.start).0, units))
    }

    /// Where the first of some units of a plane is in a row, and where the others are, counted from there.
    pub(crate) fn columns_of(&self, plane: usize, units: &Range<usize>) -> (usize, Columns) {
        let mut pieces = self.pieces(plane, units);
        let (first, here) = pieces.next().expect("there is a unit");
        let (rest_at, rest) = match pieces.next() {
            Some((at, units)) => (at - first, units.len()),
            None => (here.len(), 0),
        };
        (first, Columns { whole: here.len(), rest, rest_at, padded: false })
    }

    /// The units of a head.
    pub(crate) fn units_of(&self, head: usize) -> Range<usize> {
        let size = self.head_size();
        head * size..(head + 1) * size
    }

    /// How many units a head has.
    pub(crate) fn head_size(&self) -> usize {
        self.hidden / self.heads
    }

    /// Memory for this many rows of planes, once or twice, with zeros behind the last plane of each row.
    pub(crate) fn rows_of_planes<T: Real>(&self, rows: usize, two: bool) -> [Buffer<T>; 2] {
        let buffers = Buffer::one_or_two(two, &[rows, self.row]);
        buffers.map(|buffer| buffer.with_padding(self.row, self.planes() * self.hidden))
    }

    /// The length of a row of sums over steps, for some columns: without gaps, and whole SIMD vectors.
    pub(crate) fn row_of_sums<T: Real>(&self, columns: Columns) -> usize {
        columns.count().next_multiple_of(self.isa.lanes::<T>())
    }

    /// The planes that `x` enters, and those that `h` enters.
    pub(crate) fn of_x(&self) -> (usize, Columns) {
        self.columns(0..self.gates)
    }

    pub(crate) fn of_h(&self) -> (usize, Columns) {
        self.columns(self.first_h()..self.planes())
    }

    /// The plane of the gate with a gated hidden state.
    pub(crate) fn of_gated(&self) -> (usize, Columns) {
        let plane = self.plane(self.gates - 1);
        self.columns(plane..plane + 1)
    }

    /// The first plane that `h` enters.
    pub(crate) fn first_h(&self) -> usize {
        self.gates - self.added
    }

    /// How many planes `h` enters.
    pub(crate) fn outer(&self) -> usize {
        self.added + self.separate
    }

    /// The plane of a gate.
    pub(crate) fn plane(&self, gate: usize) -> usize {
        plane_of(gate, self.gates, self.added)
    }

    /// The gate of a plane that `x` enters.
    pub(crate) fn gate(&self, plane: usize) -> usize {
        let first = self.first_h();
        if plane < first { self.added + plane } else { plane - first }
    }

    /// The time of step `k`. Steps are counted in the order in which they are computed.
    #[inline(always)]
    pub(crate) fn time_of(&self, k: usize) -> usize {
        if self.reverse { self.time - 1 - k } else { k }
    }

    /// Where row `b` of the input at time `t` begins.
    #[inline(always)]
    pub(crate) fn input_at(&self, t: usize, b: usize) -> usize {
        let [time, batch] = self.input_strides;
        t * time + b * batch
    }

    /// Where row `b` of the outputs at time `t` begins.
    #[inline(always)]
    pub(crate) fn output_at(&self, t: usize, b: usize) -> usize {
        let row = if self.batch_first { b * self.output_time + t } else { t * self.batch + b };
        row * self.output_row + self.output_first
    }

    /// The distance from one time step of the outputs to the next.
    pub(crate) fn output_stride(&self) -> usize {
        if self.batch_first { self.output_row } else { self.batch * self.output_row }
    }

    /// The distance from one step to the next in the order in which they are computed, if time steps are `stride`
    /// apart.
    pub(crate) fn step_stride(&self, stride: usize) -> isize {
        if self.reverse { -(stride as isize) } else { stride as isize }
    }

    /// Whether there are so few rows that to pack the weights takes a noticeable part of the time: as long as the products
    /// of some ten rows.
    pub(crate) fn is_few(&self) -> bool {
        self.time * self.batch <= 512
    }

    /// In bytes: what the trace of a step takes, and what the memories take that are kept to start again from a step.
    pub(crate) fn trace<T>(&self) -> [usize; 2] {
        let unit = self.batch.saturating_mul(self.hp).saturating_mul(size_of::<T>());
        self.trace_planes().map(|planes| unit.saturating_mul(planes))
    }

    /// How many values of each unit are in the trace of a step, and how many are kept to start again from a step.
    /// (With resets, the memories that a reset sets are counted as well.)
    pub(crate) fn trace_planes(&self) -> [usize; 2] {
        let traced = self.saved + self.states() + usize::from(self.has_own());
        let traced = traced + if self.zones_memory { self.states() } else { 0 };
        [traced, self.states() << usize::from(self.resets)]
    }
}

/// The plane of a gate. There are `gates` gates, and the first `added` of them are added.
const fn plane_of(gate: usize, gates: usize, added: usize) -> usize {
    if gate < added { gates - added + gate } else { gate - added }
}

/// The plane of a cell's gate, as [`Layer::plane`], but known at compile time.
#[inline(always)]
pub(crate) fn plane<C: Cell>(gate: usize) -> usize {
    plane_of(gate, C::GATES, const { count(C::HIDDEN_TERMS, HiddenTerm::Added) })
}

/// How many gates are of that kind.
const fn count(all: &[HiddenTerm], kind: HiddenTerm) -> usize {
    let (mut count, mut index) = (0, 0);
    while index < all.len() {
        count += (all[index] as u8 == kind as u8) as usize;
        index += 1;
    }
    count
}
