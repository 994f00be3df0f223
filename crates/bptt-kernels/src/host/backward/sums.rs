//! What is summed over all steps: the gradients of the input and of the weights, in large products.

use super::Sequence;
use crate::host::buffer::{Buffer, Shared};
use crate::host::layer::Layer;
use crate::host::outer_sum::{OuterSum, block_depth};
use crate::host::product::{DEPTH, Product, Rows};
use crate::host::real::Real;
use crate::host::team::{Member, part};
use crate::recurrent::Operand;
use bptt_cells::Cell;
use std::ops::Range;

impl<C: Cell, T: Real> Sequence<'_, C, T> {
    /// Lays out row `row` of `rows`, for a sum over them.
    ///
    /// # Safety
    ///
    /// No one else touches this row of `to`.
    pub(super) unsafe fn lay(&self, values: &[T], row: usize, rows: usize, to: Shared<'_, T>) {
        let parts = self.layer.parts;
        let rows = rows / parts;
        let to = to.part(row % parts * rows * values.len(), rows * values.len());
        // SAFETY: the caller's promise; each part has rows of its own.
        unsafe { self.tiles.pack(values, row / parts, rows, to) };
    }

    /// Lays out what the sums over a block multiply with, as tiles: a part of it.
    pub(super) fn lay_out(&self, steps: Range<usize>, slot: usize, index: usize, parts: usize) {
        let Layer { batch, input, output, parts: grain, .. } = *self.layer;
        let x = self.operands.need(Operand::Input);
        let rows = self.roster.count(&steps);
        let mine = part(index, parts, rows, grain);
        let pairs = self.roster.pairs(steps, 0..batch).skip(mine.start);
        for (row, (k, b)) in mine.zip(pairs) {
            let lay = |values: &[T], to| {
                // SAFETY: this row of the tiles is this thread's own.
                unsafe { self.lay(values, row, rows, to) };
            };
            if self.wanted.has(Operand::WeightIh) {
                let t = self.layer.time_of(k);
                lay(&x[self.layer.input_at(t, b)..][..input], self.x_tiles[slot]);
            }
            if self.wanted.has(Operand::WeightHh) {
                lay(&self.hidden_before(k, b)[..output], self.h_tiles[slot]);
            }
        }
    }

    /// A part of the large products of a block.
    pub(super) fn sums(&self, steps: Range<usize>, slot: usize, index: usize, parts: usize) {
        let Layer { batch, input, hidden, output, hp, pp, gates, isa, parts: grain, .. } =
            *self.layer;
        let row = self.layer.row();
        let rows = self.roster.count(&steps);
        if rows == 0 {
            return;
        }
        let d_planes = self.d_planes[slot];
        if let (Some(d_input), Some(weight_ih)) = (self.d_input, self.weight_ih) {
            let is_dense = self.roster.rows(steps.start).is_none();
            let first = if is_dense { self.layer.time_of(steps.start) * batch } else { 0 };
            let mut to = Vec::new();
            if !is_dense {
                let pairs = self.roster.pairs(steps.clone(), 0..batch);
                to.extend(pairs.map(|(k, b)| self.layer.time_of(k) * batch + b));
            }
            let product = Product {
                a: d_planes.at(0, rows * row),
                a_rows: Rows::plain(row),
                b: weight_ih,
                panels: 0..weight_ih.value.count,
                c: d_input.at(first * input, 0),
                c_rows: match is_dense {
                    true => Rows::groups(batch, self.layer.step_stride(batch * input), input),
                    false => Rows::listed(&to, input),
                },
                rows: part(index, parts, rows, grain),
                add: false,
                padded: false,
            };
            // SAFETY: the planes of the block are written; the rows of `d_input` are this
            // thread's own.
            unsafe { product.run(isa) };
        }
        let columns = self.weight_hh.value.columns;
        // Which part of `A`, which of `D`, and to which part of their sum they belong.
        const PAIRS: [[usize; 3]; 3] = [[0, 0, 0], [0, 1, 1], [1, 0, 1]];
        let pairs = if grain == 1 { &PAIRS[..1] } else { &PAIRS };
        let rows_of_part = rows / grain;
        let mut scratch = Buffer::scratch(&[DEPTH, columns]);
        let mut sum = |tiles: Shared<'_, T>,
                       width: usize,
                       d: *const T,
                       d_row: usize,
                       planes: usize,
                       pitch: usize,
                       c: Shared<'_, T>,
                       bias: Option<Shared<'_, T>>| {
            let panels = part(index, parts, planes * pitch.div_ceil(columns), 1);
            let size = width * planes * pitch;
            for &[of_a, of_d, of_sum] in pairs {
                let tiles = tiles.part(of_a * rows_of_part * width, rows_of_part * width);
                for first in (0..rows_of_part).step_by(DEPTH) {
                    let depth = block_depth(first, rows_of_part);
                    let sum = OuterSum {
                        tiles: tiles.at(first * width, depth * width),
                        rows: width,
                        depth,
                        // SAFETY: a row of the planes of this block.
                        d: unsafe { d.add((first * grain + of_d) * d_row) },
                        d_row: grain * d_row,
                        pitch,
                        panels: panels.clone(),
                        c: c.at(of_sum * size, size),
                        c_row: planes * pitch,
                        column_sums: match bias {
                            Some(bias) if of_a == 0 => Some(bias.at(of_sum * row, row)),
                            _ => None,
                        },
                        scratch: scratch.as_mut_slice(),
                    };
                    // SAFETY: tiles and planes of the block are written; the columns of `c` that
                    // belong to these panels are this thread's own.
                    unsafe { sum.run(isa) };
                }
            }
        };
        let planes_at = |plane: usize| d_planes.at(plane * hp, 0).cast_const();
        let wants = |operand| self.wanted.has(operand);
        let wants_bias = wants(Operand::BiasIh) || wants(Operand::BiasHh);
        if wants(Operand::WeightIh) {
            let bias = wants_bias.then_some(self.sum_bias);
            sum(self.x_tiles[slot], input, planes_at(0), row, gates, hp, self.sum_ih, bias);
        }
        let first = self.layer.first_h();
        if wants(Operand::WeightHh) {
            sum(
                self.h_tiles[slot],
                output,
                planes_at(first),
                row,
                self.layer.outer(),
                hp,
                self.sum_hh,
                None,
            );
        }
        // Columns that no product above has summed.
        let summed = if wants(Operand::WeightIh) { gates } else { 0 };
        if wants_bias {
            for column in part(index, parts, (self.layer.planes() - summed) * hp, 1) {
                let column = summed * hp + column;
                for r in 0..rows {
                    // SAFETY: this column is this thread's own.
                    let to =
                        unsafe { &mut self.sum_bias.slice_mut(r % grain * row + column, 1)[0] };
                    // SAFETY: the planes of the block are written.
                    *to = T::plus(*to, unsafe { d_planes.slice(r * row + column, 1)[0] });
                }
            }
        }
        if let (Some(inner), Some(sum_inner), true) =
            (self.inner_operand, self.sum_inner, wants(Operand::WeightHh))
        {
            // Known only now; each thread lays out all of it for itself.
            let mut tiles = Buffer::scratch(&[rows, hidden]);
            let to = tiles.shared();
            for r in 0..rows {
                // SAFETY: the operand of the block is written; the tiles are this thread's own.
                unsafe { self.lay(inner[slot].slice(r * hp, hidden), r, rows, to) };
            }
            let last = self.layer.plane(gates - 1);
            sum(to, hidden, planes_at(last), row, 1, hp, sum_inner, None);
        }
        if let (Some(tiles), Some(d), Some(sum_hr), true) =
            (self.own_tiles, self.d_projected, self.sum_hr, wants(Operand::WeightHr))
        {
            sum(tiles[slot], hidden, d[slot].at(0, rows * pp), pp, 1, pp, sum_hr, None);
        }
    }

    /// A part of the weights' gradients, from the sums, which lie transposed.
    pub(super) fn finish(&self, member: &Member<'_>) {
        let Layer { input, hidden, output, hp, pp, gates, .. } = *self.layer;
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
            if let Some(to) = self.d_weight_ih {
                let to = part_of(to, part, gates * hidden * input);
                let from = part_of(self.sum_ih, part, input * gates * hp);
                for plane in 0..gates {
                    let first = self.layer.gate(plane) * hidden;
                    transpose(from, gates * hp, plane * hp, to, first, hidden, input);
                }
            }
            if let Some(to) = self.d_weight_hh {
                let to = part_of(to, part, gates * hidden * output);
                let outer = self.layer.outer();
                let from = part_of(self.sum_hh, part, output * outer * hp);
                for gate in 0..outer {
                    transpose(from, outer * hp, gate * hp, to, gate * hidden, hidden, output);
                }
                if let Some(from) = self.sum_inner {
                    let from = part_of(from, part, hidden * hp);
                    transpose(from, hp, 0, to, (gates - 1) * hidden, hidden, output);
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
