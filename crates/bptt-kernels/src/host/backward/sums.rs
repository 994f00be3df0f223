//! What is summed over all steps: the gradients of the input and of the weights, in large products.

use super::Sequence;
use crate::host::buffer::{Buffer, Shared};
use crate::host::columns::Columns;
use crate::host::layer::Layer;
use crate::host::outer_sum::{OuterSum, Tiles, block_depth};
use crate::host::product::{DEPTH, Product, Rows};
use crate::host::real::Real;
use crate::host::team::{Member, part};
use crate::recurrent::Operand;
use bptt_cells::Cell;
use std::ops::Range;
use std::sync::atomic::Ordering;

/// How many rows of the input's gradient are one piece of work.
const PIECE: usize = 48;

/// What is summed over the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sum {
    /// The input's gradient: over the planes, not over the steps, but it is as large.
    Input,
    WeightIh,
    WeightHh,
    Bias,
    /// The part of `WeightHh` for the inner operand.
    Inner,
    WeightHr,
}

/// The gradient of a weight: a sum over rows of `aᵀ d`, with `a` laid out as tiles.
struct Factors<'a, T> {
    tiles: *const T,
    /// How many elements a row of `a` has.
    width: usize,
    d: *const T,
    /// From one row of `d` to the next.
    d_row: usize,
    columns: Columns,
    to: Shared<'a, T>,
    /// Where the sums of the columns of `d` go, if they are wanted.
    bias: Option<Shared<'a, T>>,
}

impl<C: Cell, T: Real> Sequence<'_, C, T> {
    /// Lays out row `row` of `rows`, for a sum over them.
    ///
    /// # Safety
    ///
    /// No one else touches this row of `to`.
    #[inline]
    pub(super) unsafe fn lay(
        &self,
        tiles: Tiles,
        values: &[T],
        row: usize,
        rows: usize,
        to: Shared<'_, T>,
    ) {
        let parts = self.layer.parts;
        // SAFETY: the caller's promise; each part has rows of its own.
        unsafe {
            if parts == 1 {
                tiles.pack(values, row, rows, to);
            } else {
                let rows = rows / parts;
                let to = to.part(row % parts * rows * values.len(), rows * values.len());
                tiles.pack(values, row / parts, rows, to);
            }
        }
    }

    /// Lays out what the sums over a block multiply with, as tiles: a part of it.
    pub(super) fn lay_out(&self, steps: Range<usize>, slot: usize, index: usize, parts: usize) {
        let Layer { batch, input, output, parts: grain, isa, .. } = *self.layer;
        let x = self.operands.need(Operand::Input);
        let (of_x, of_h) = (Tiles::new(isa, input), Tiles::new(isa, output));
        let wants = |operand| self.wanted.has(operand);
        let (wants_x, wants_h) = (wants(Operand::WeightIh), wants(Operand::WeightHh));
        let rows = self.roster.count(&steps);
        let mine = part(index, parts, rows, grain);
        let mut first = 0;
        for k in steps {
            let of_step = self.roster.step_rows(k, &(0..batch));
            let t = self.layer.time_of(k);
            let end = first + of_step.len();
            for row in mine.start.max(first)..mine.end.min(end) {
                let b = of_step.row(row - first);
                // SAFETY: this row of the tiles is this thread's own.
                unsafe {
                    if wants_x {
                        let values = &x[self.layer.input_at(t, b)..][..input];
                        self.lay(of_x, values, row, rows, self.x_tiles[slot]);
                    }
                    if wants_h {
                        self.lay(of_h, self.hidden_before(k, b), row, rows, self.h_tiles[slot]);
                    }
                }
            }
            first = end;
        }
    }

    /// What of the large products of a block nobody else has begun.
    ///
    /// They are taken piece by piece, because threads are not equally fast: one may share its core.
    /// Each element is in one piece, and has the same bits whoever takes it.
    pub(super) fn sums(&self, index: usize) {
        let (block, slot) = self.block(index);
        let rows = self.roster.count(&block.steps);
        if rows == 0 {
            return;
        }
        let pieces = self.pieces(rows);
        let columns = self.weight_hh.value.columns;
        let mut scratch = Buffer::scratch(&[DEPTH, columns]);
        let mut inner_tiles = None;
        loop {
            let mut piece = self.taken[index].fetch_add(1, Ordering::Relaxed);
            let taken = pieces.iter().find(|&&(_, count)| {
                let is_here = piece < count;
                piece -= if is_here { 0 } else { count };
                is_here
            });
            let Some(&(sum, _)) = taken else { return };
            match sum {
                Sum::Input => self.input_gradient(&block.steps, slot, piece),
                Sum::Bias => self.remaining_biases(rows, slot),
                Sum::WeightIh | Sum::WeightHh | Sum::Inner | Sum::WeightHr => {
                    let inner = (sum == Sum::Inner)
                        .then(|| inner_tiles.get_or_insert_with(|| self.inner_tiles(rows, slot)));
                    let of = self.factors(sum, rows, slot, inner);
                    self.sum_panel(of, rows, piece, &mut scratch);
                }
            }
        }
    }

    /// What there is to be summed over a block of so many rows, and in how many pieces.
    fn pieces(&self, rows: usize) -> [(Sum, usize); 6] {
        let Layer { output, panel, parts, .. } = *self.layer;
        let wants = |operand| self.wanted.has(operand);
        let of = |(_, columns): (usize, Columns)| columns.panels(panel);
        let of_h = of(self.layer.of_h());
        let of_output = Columns::plain(output, panel).panels(panel);
        let count = |is_wanted, pieces| if is_wanted { pieces } else { 0 };
        [
            (Sum::Input, count(self.weight_ih.is_some(), rows.div_ceil(PIECE * parts))),
            (Sum::WeightIh, count(wants(Operand::WeightIh), of(self.layer.of_x()))),
            (Sum::WeightHh, count(wants(Operand::WeightHh), of_h)),
            (Sum::Bias, count(self.wants_bias(), 1)),
            (
                Sum::Inner,
                count(self.layer.inner && wants(Operand::WeightHh), of(self.layer.of_inner())),
            ),
            (Sum::WeightHr, count(wants(Operand::WeightHr), of_output)),
        ]
    }

    fn wants_bias(&self) -> bool {
        self.wanted.has(Operand::BiasIh) || self.wanted.has(Operand::BiasHh)
    }

    /// The gradients of the input, of some rows of a block.
    fn input_gradient(&self, steps: &Range<usize>, slot: usize, piece: usize) {
        let Layer { batch, input, isa, parts, row, .. } = *self.layer;
        let (Some(d_input), Some(weight_ih)) = (self.d_input, self.weight_ih) else { return };
        let count = self.roster.count(steps);
        let rows = piece * PIECE * parts..count.min((piece + 1) * PIECE * parts);
        let pairs = self.roster.pairs(steps.clone(), 0..batch).skip(rows.start).take(rows.len());
        let to: Vec<_> = pairs.map(|(k, b)| self.layer.time_of(k) * batch + b).collect();
        let product = Product {
            a: self.d_planes[slot].at(rows.start * row + self.layer.of_x().0, 0),
            a_rows: Rows::plain(row),
            b: weight_ih,
            panels: 0..weight_ih.value.count,
            c: d_input.at(0, 0),
            c_rows: Rows::listed(&to, input),
            rows: 0..rows.len(),
            add: false,
        };
        // SAFETY: the planes of the block are written; the rows of `d_input` are those of this piece,
        // which nobody else has.
        unsafe { product.run(isa) };
    }

    /// Sums of the columns that no other sum has on its way.
    fn remaining_biases(&self, rows: usize, slot: usize) {
        let Layer { hidden, gates, parts, row, .. } = *self.layer;
        let summed = if self.wanted.has(Operand::WeightIh) { gates } else { 0 };
        for r in 0..rows {
            let planes = summed..self.layer.planes();
            for (from, units) in planes.flat_map(|plane| self.layer.pieces(plane, &(0..hidden))) {
                // SAFETY: the planes of the block are written; nobody else has this piece.
                let (to, of_row) = unsafe {
                    let to = self.sum_bias.slice_mut(r % parts * row + from, units.len());
                    (to, self.d_planes[slot].slice(r * row + from, units.len()))
                };
                for (to, &x) in to.iter_mut().zip(of_row) {
                    *to = T::plus(*to, x);
                }
            }
        }
    }

    /// The inner operand, as tiles: it is known only now, and each thread lays it out for itself.
    fn inner_tiles(&self, rows: usize, slot: usize) -> Buffer<T> {
        let Layer { hidden, hp, isa, .. } = *self.layer;
        let inner = self.inner_operand.expect("there is room for it")[slot];
        let of_inner = Tiles::new(isa, hidden);
        let mut tiles = Buffer::scratch(&[rows, hidden]);
        let to = tiles.shared();
        for r in 0..rows {
            // SAFETY: the operand of the block is written; the tiles are this thread's own.
            unsafe { self.lay(of_inner, inner.slice(r * hp, hidden), r, rows, to) };
        }
        tiles
    }

    /// What a weight's gradient is the sum of products of.
    fn factors(
        &self,
        sum: Sum,
        rows: usize,
        slot: usize,
        inner_tiles: Option<&mut Buffer<T>>,
    ) -> Factors<'_, T> {
        let Layer { input, hidden, output, pp, panel, row: d_row, .. } = *self.layer;
        let planes = |(first, columns): (usize, Columns)| {
            (self.d_planes[slot].at(first, 0).cast_const(), columns)
        };
        let (of_x, of_h) = (planes(self.layer.of_x()), planes(self.layer.of_h()));
        let there = "what is summed is there";
        match sum {
            Sum::Input | Sum::Bias => unreachable!("no sum of outer products"),
            Sum::WeightIh => Factors {
                tiles: self.x_tiles[slot].at(0, rows * input),
                width: input,
                d: of_x.0,
                d_row,
                columns: of_x.1,
                to: self.sum_ih,
                bias: self.wants_bias().then_some(self.sum_bias),
            },
            Sum::WeightHh => Factors {
                tiles: self.h_tiles[slot].at(0, rows * output),
                width: output,
                d: of_h.0,
                d_row,
                columns: of_h.1,
                to: self.sum_hh,
                bias: None,
            },
            Sum::Inner => {
                let (d, columns) = planes(self.layer.of_inner());
                Factors {
                    tiles: inner_tiles.expect(there).shared().at(0, rows * hidden),
                    width: hidden,
                    d,
                    d_row,
                    columns,
                    to: self.sum_inner.expect(there),
                    bias: None,
                }
            }
            Sum::WeightHr => Factors {
                tiles: self.own_tiles.expect(there)[slot].at(0, rows * hidden),
                width: hidden,
                d: self.d_projected.expect(there)[slot].at(0, rows * pp),
                d_row: pp,
                columns: Columns::plain(output, panel),
                to: self.sum_hr.expect(there),
                bias: None,
            },
        }
    }

    /// One panel of a sum of outer products.
    fn sum_panel(&self, of: Factors<'_, T>, rows: usize, panel: usize, scratch: &mut Buffer<T>) {
        // Which part of `A`, which of `D`, and to which part of their sum they belong.
        const PAIRS: [[usize; 3]; 3] = [[0, 0, 0], [0, 1, 1], [1, 0, 1]];
        let Layer { isa, parts, row, .. } = *self.layer;
        let pairs = if parts == 1 { &PAIRS[..1] } else { &PAIRS };
        let Factors { width, columns, d_row, .. } = of;
        let rows = rows / parts;
        let c_row = self.layer.row_of_sums::<T>(columns);
        let size = width * c_row;
        for &[of_a, of_d, of_sum] in pairs {
            for first in (0..rows).step_by(DEPTH) {
                let depth = block_depth(first, rows);
                let sum = OuterSum {
                    tiles: of.tiles.wrapping_add((of_a * rows + first) * width),
                    rows: width,
                    depth,
                    d: of.d.wrapping_add((first * parts + of_d) * d_row),
                    d_row: parts * d_row,
                    columns,
                    panel,
                    c: of.to.at(of_sum * size, size),
                    c_row,
                    column_sums: match of.bias {
                        Some(bias) if of_a == 0 => Some(bias.at(of_sum * row, row)),
                        _ => None,
                    },
                    scratch: scratch.as_mut_slice(),
                };
                // SAFETY: tiles and planes of the block are written; nobody else has the columns of this
                // panel.
                unsafe { sum.run(isa) };
            }
        }
    }

    /// A part of the weights' gradients, from the sums, which lie transposed.
    pub(super) fn finish(&self, member: &Member<'_>) {
        let Layer { input, hidden, output, pp, gates, .. } = *self.layer;
        let mut next = 0;
        // Sixteen columns of the sums are a line or two of the cache, and become sixteen rows.
        let mut transpose = |from: Shared<'_, T>,
                             row: usize,
                             column: usize,
                             to: Shared<'_, T>,
                             first: usize,
                             rows: usize,
                             width: usize| {
            for j in (0..rows).step_by(16) {
                next += 1;
                if next % member.count != member.index {
                    continue;
                }
                for i in 0..width {
                    let count = (rows - j).min(16);
                    // SAFETY: the sums are complete; these rows of the gradient are this
                    // thread's own.
                    unsafe {
                        let from = from.slice(i * row + column + j, count);
                        for (r, &x) in from.iter().enumerate() {
                            to.slice_mut((first + j + r) * width + i, 1)[0] = x;
                        }
                    }
                }
            }
        };
        for part in 0..self.layer.parts {
            fn part_of<'a, T>(whole: Shared<'a, T>, part: usize, size: usize) -> Shared<'a, T> {
                whole.part(part * size, size)
            }
            // Some planes of gates, whose sums lie side by side, and what is left of them behind.
            let mut planes = |sums: Shared<'_, T>, columns, to, gates: &[usize], inputs: usize| {
                let Layer { whole, rest, .. } = *self.layer;
                let row = self.layer.row_of_sums::<T>(columns);
                let from = part_of(sums, part, inputs * row);
                for (plane, gate) in gates.iter().enumerate() {
                    let (left, first) = (gates.len() * whole + plane * rest, gate * hidden);
                    transpose(from, row, plane * whole, to, first, whole, inputs);
                    transpose(from, row, left, to, first + whole, rest, inputs);
                }
            };
            let ((_, of_x), (_, of_h)) = (self.layer.of_x(), self.layer.of_h());
            if let Some(to) = self.d_weight_ih {
                let to = part_of(to, part, gates * hidden * input);
                let gates: Vec<_> = (0..gates).map(|plane| self.layer.gate(plane)).collect();
                planes(self.sum_ih, of_x, to, &gates, input);
            }
            if let Some(to) = self.d_weight_hh {
                let to = part_of(to, part, gates * hidden * output);
                let outer: Vec<_> = (0..self.layer.outer()).collect();
                planes(self.sum_hh, of_h, to, &outer, output);
                if let Some(sums) = self.sum_inner {
                    planes(sums, self.layer.of_inner().1, to, &[gates - 1], hidden);
                }
            }
            if let (Some(to), Some(from)) = (self.d_weight_hr, self.sum_hr) {
                let (from, to) =
                    (part_of(from, part, hidden * pp), part_of(to, part, output * hidden));
                transpose(from, pp, 0, to, 0, output, hidden);
            }
        }
    }
}
