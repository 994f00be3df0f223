//! The large products of the backward pass: the gradients of the weights, which are sums over all steps, and of the
//! input.

use crate::host::gemm::columns::Columns;
use crate::host::gemm::dispatch::Gemm;
use crate::host::gemm::product::{KC, Product};
use crate::host::gemm::rows::Rows;
use crate::host::gemm::transpose::transpose;
use crate::host::gemm::transposed_product::{OuterSum, Tiles, block_depth};
use crate::host::layout::sizes::Layer;
use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::sequence::backward_shared::Sequence;
use crate::host::sequence::heads::HeadSum;
use crate::host::simd::prefetch::send_for;
use crate::host::threads::team::{Member, part};
use crate::operation::operands::Operand;
use std::cmp::Reverse;
use std::ops::Range;
use std::sync::atomic::Ordering;

/// How many rows of the input's gradient are one piece of work for a thread.
const PIECE: usize = 24;

/// How many rows are laid out at once. They are so few that they stay in the first-level cache while their elements are
/// copied to one tile after the other. Divides [`KC`].
const AT_ONCE: usize = 16;

/// One of the large products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sum {
    /// The input's gradient. It is no sum over steps, but as large a product.
    Input,
    WeightIh,
    WeightHh,
    Bias,
    /// The part of the gradient of `WeightHh` for the gated hidden state.
    Gated,
    WeightHr,
}

/// The factors of a weight's gradient, a sum over rows of `aᵀ d`, with `a` laid out as tiles.
struct Factors<'a, T> {
    tiles: *const T,
    /// How many elements a row of `a` has.
    width: usize,
    d: *const T,
    /// The distance from one row of `d` to the next.
    d_row: usize,
    columns: Columns,
    to: Shared<'a, T>,
    /// Where to add the sums of the columns of `d`, if they are wanted.
    bias: Option<Shared<'a, T>>,
}

impl<T: Gemm> Sequence<'_, T> {
    /// Lays out some rows of `rows`, for a sum over them: these values, row after row.
    ///
    /// # Safety
    ///
    /// No other thread reads or writes these rows of `to`.
    pub(super) unsafe fn lay<'v>(
        &self,
        tiles: Tiles,
        mut values: impl Iterator<Item = &'v [T]>,
        of: Range<usize>,
        rows: usize,
        to: Shared<'_, T>,
    ) {
        let Layer { parts, isa, .. } = *self.layer;
        // In dual numbers, values and tangents have tiles of their own.
        let (of, rows) = (of.start / parts..of.end / parts, rows / parts);
        let size = rows * tiles.width();
        let mut first = of.start;
        while first < of.end {
            let next = (first + 1).next_multiple_of(AT_ONCE).min(of.end);
            let mut some = [[&[][..]; AT_ONCE]; 2];
            for nth in 0..next - first {
                for of_part in &mut some[..parts] {
                    let row = values.next().expect("as many values as rows");
                    send_for(row.as_ptr(), tiles.width());
                    of_part[nth] = row;
                }
            }
            for (part, of_part) in some[..parts].iter().enumerate() {
                let (of_part, to) = (&of_part[..next - first], to.part(part * size, size));
                // SAFETY: the caller's promise.
                unsafe { tiles.pack(isa, of_part, first, rows, to) };
            }
            first = next;
        }
    }

    /// Lays out a part of the factors of the sums over a block as tiles.
    pub(super) fn lay_out(&self, steps: Range<usize>, slot: usize, index: usize, parts: usize) {
        let Layer { input, output, heads, parts: grain, isa, .. } = *self.layer;
        let rows = self.valid_rows.count(&steps);
        let mine = part(index, parts, rows, grain);
        let worked = || self.valid_rows.worked(steps.start, mine.start);
        if self.wanted.has(Operand::WeightIh) {
            let x = self.operands.need(Operand::Input);
            let row = |(k, b)| &x[self.layer.input_at(self.layer.time_of(k), b)..][..input];
            let (of_x, to) = (Tiles::new(isa, input), self.buffers.x_tiles[slot]);
            // SAFETY: these rows of the tiles are this thread's own.
            unsafe { self.lay(of_x, worked().map(row), mine.clone(), rows, to) };
        }
        if self.wanted.has(Operand::WeightHh) {
            let masked = self.layer.masks_state.then(|| self.masked_hidden(&steps, mine.clone()));
            // Each head has tiles of its own.
            let width = output / heads;
            for head in 0..heads {
                let to = self.buffers.h_tiles[slot].part(head * rows * width, rows * width);
                let (of_h, mine, from) = (Tiles::new(isa, width), mine.clone(), head * width);
                // SAFETY: as above.
                unsafe {
                    match &masked {
                        None => {
                            let row = |(k, b)| self.hidden_before(k, b);
                            let row = |at| &row(at)[from..];
                            self.lay(of_h, worked().map(row), mine, rows, to);
                        }
                        Some(masked) => {
                            let row = masked.as_slice().chunks_exact(output);
                            self.lay(of_h, row.map(|row| &row[from..]), mine, rows, to);
                        }
                    }
                }
            }
        }
    }

    /// Computes those pieces of the large products of a block that no other thread has begun.
    ///
    /// Threads take them piece by piece, because they are not equally fast: one may share its core. Each element is
    /// in one piece, so it has the same bits whichever thread computes it.
    pub(super) fn sums(&self, index: usize) {
        let (block, slot) = self.block(index);
        let rows = self.valid_rows.count(&block.steps);
        if rows == 0 {
            return;
        }
        let pieces = self.pieces(rows);
        let columns = self.weight_hh.value.columns;
        let mut scratch = Buffer::scratch(&[KC, columns]);
        let mut gated_tiles = None;
        loop {
            let mut piece = self.taken[index].fetch_add(1, Ordering::Relaxed);
            let taken = pieces.iter().find(|&&(_, count)| {
                let is_here = piece < count;
                piece -= if is_here { 0 } else { count };
                is_here
            });
            let Some(&(sum, _)) = taken else { return };
            match sum {
                Sum::Input => {
                    let size = PIECE * self.layer.parts;
                    let of_piece = piece * size..rows.min((piece + 1) * size);
                    self.input_gradient(&block.steps, slot, of_piece);
                }
                Sum::Bias => self.remaining_biases(rows, slot),
                Sum::WeightIh | Sum::WeightHh | Sum::Gated | Sum::WeightHr => {
                    let gated = (sum == Sum::Gated)
                        .then(|| gated_tiles.get_or_insert_with(|| self.gated_tiles(rows, slot)));
                    let of = self.factors(sum, rows, slot, gated);
                    let (of, panel) = self.of_head(sum, of, rows, slot, piece);
                    self.sum_panel(of, rows, panel, &mut scratch);
                }
            }
        }
    }

    /// The large products of a block of this many rows, and how many pieces each has. Those with the largest pieces
    /// come first, so that the threads finish at about the same time.
    fn pieces(&self, rows: usize) -> [(Sum, usize); 6] {
        let Layer { input, output, hidden, gates, gated, panel, parts, .. } = *self.layer;
        let wants = |operand| self.wanted.has(operand);
        let count = |is_wanted, pieces| if is_wanted { pieces } else { 0 };
        let is_here = self.weight_ih.is_some() && !self.input_by_steps;
        let of_input = count(is_here, rows.div_ceil(PIECE * parts));
        // How many pieces there are, and how many multiplications a piece has.
        let by_panels = |is_wanted, columns: Columns, width: usize| {
            (count(is_wanted, columns.panels(panel)), rows * panel * width)
        };
        let [of_x, of_h, of_gated] = [self.layer.of_x(), self.layer.of_h(), self.layer.of_gated()];
        let of_output = Columns::plain(output, panel);
        let by_heads = |whole, sums: &[HeadSum]| match (sums, wants(Operand::WeightHh)) {
            ([], _) | (_, false) => whole,
            (sums, true) => {
                let count = sums.iter().map(|sum| sum.columns.panels(panel)).sum();
                (count, rows * panel * self.layer.head_size())
            }
        };
        let of_hidden = by_panels(wants(Operand::WeightHh), of_h.1, output);
        let of_gated = by_panels(gated && wants(Operand::WeightHh), of_gated.1, hidden);
        let mut pieces = [
            (Sum::Input, (of_input, PIECE * gates * hidden * input)),
            (Sum::WeightIh, by_panels(wants(Operand::WeightIh), of_x.1, input)),
            (Sum::WeightHh, by_heads(of_hidden, &self.head_sums[0])),
            (Sum::Gated, by_heads(of_gated, &self.head_sums[1])),
            (Sum::WeightHr, by_panels(wants(Operand::WeightHr), of_output, hidden)),
            (Sum::Bias, (count(self.wants_bias(), 1), 0)),
        ];
        pieces.sort_by_key(|&(_, (_, size))| Reverse(size));
        pieces.map(|(sum, (count, _))| (sum, count))
    }

    fn wants_bias(&self) -> bool {
        self.wanted.has(Operand::BiasIh) || self.wanted.has(Operand::BiasHh)
    }

    /// Computes the gradient of the input for some rows of a block.
    pub(super) fn input_gradient(&self, steps: &Range<usize>, slot: usize, rows: Range<usize>) {
        let Layer { batch, input, isa, row, .. } = *self.layer;
        let (Some(d_input), Some(weight_ih)) = (self.gradients.input, self.weight_ih) else {
            return;
        };
        let mut listed = Vec::new();
        // The first row of the block, and the first number of the gradient, from which rows are counted.
        let mut from = 0;
        let (first, c_rows) = if self.valid_rows.rows(steps.start).is_none() {
            let group = self.layer.step_stride(batch * input);
            (self.layer.time_of(steps.start) * batch * input, Rows::groups(batch, group, input))
        } else {
            from = rows.start;
            let worked = self.valid_rows.worked(steps.start, from).take(rows.len());
            listed.reserve(rows.len());
            listed.extend(worked.map(|(k, b)| self.layer.time_of(k) * batch + b));
            (0, Rows::listed(&listed, input))
        };
        let product = Product {
            a: self.buffers.d_planes[slot].at(from * row + self.layer.of_x().0, 0),
            a_rows: Rows::plain(row),
            b: weight_ih,
            panels: 0..weight_ih.value.count,
            // A pointer into the whole gradient, because in a reversed layer later steps lie before the first one.
            c: d_input.at(first, 0),
            c_rows,
            rows: rows.start - from..rows.end - from,
            add: false,
            from_last: false,
        };
        // SAFETY: the planes of these rows are written; no other thread computes these rows of `d_input`.
        unsafe { product.run(isa) };
    }

    /// Computes the sums of columns that are not computed with the gradient of a weight.
    fn remaining_biases(&self, rows: usize, slot: usize) {
        let Layer { hidden, gates, parts, row, .. } = *self.layer;
        let summed = if self.wanted.has(Operand::WeightIh) { gates } else { 0 };
        for r in 0..rows {
            let planes = summed..self.layer.planes();
            for (from, units) in planes.flat_map(|plane| self.layer.pieces(plane, &(0..hidden))) {
                // SAFETY: the planes of the block are written; no other thread computes this piece.
                let (to, of_row) = unsafe {
                    let to = self.totals.bias.slice_mut(r % parts * row + from, units.len());
                    (to, self.buffers.d_planes[slot].slice(r * row + from, units.len()))
                };
                for (to, &x) in to.iter_mut().zip(of_row) {
                    *to = T::plus(*to, x);
                }
            }
        }
    }

    /// The gated hidden state as tiles. It is known only after the steps, so each thread lays it out for itself.
    fn gated_tiles(&self, rows: usize, slot: usize) -> Buffer<T> {
        let Layer { hidden, hp, isa, .. } = *self.layer;
        let gated = self.buffers.gated_hidden.expect("there is room for it")[slot];
        let width = self.layer.head_size();
        let of_gated = Tiles::new(isa, width);
        let mut tiles = Buffer::scratch(&[rows, hidden]);
        for head in 0..self.layer.heads {
            let to = tiles.shared().part(head * rows * width, rows * width);
            // SAFETY: the gated hidden state of the block is written; the tiles are this thread's own.
            unsafe {
                let values = (0..rows).map(|r| gated.slice(r * hp + head * width, width));
                self.lay(of_gated, values, 0..rows, rows, to);
            }
        }
        tiles
    }

    /// The factors of the part of a weight's gradient in which this piece is, and the panel of that part. In heads, `U`
    /// has such parts; the other weights are one part, and so is a whole `U`.
    fn of_head<'a>(
        &self,
        sum: Sum,
        whole: Factors<'a, T>,
        rows: usize,
        slot: usize,
        piece: usize,
    ) -> (Factors<'a, T>, usize) {
        let sums = match sum {
            Sum::WeightHh => &self.head_sums[0],
            Sum::Gated => &self.head_sums[1],
            _ => return (whole, piece),
        };
        let width = self.layer.head_size();
        let mut panel = piece;
        for of in sums {
            let panels = of.columns.panels(self.layer.panel);
            if panel < panels {
                let factors = Factors {
                    tiles: whole.tiles.wrapping_add(of.head * rows * width),
                    width,
                    d: self.buffers.d_planes[slot].at(of.column, 0).cast_const(),
                    columns: of.columns,
                    to: whole.to.part(of.at, of.size),
                    ..whole
                };
                return (factors, panel);
            }
            panel -= panels;
        }
        (whole, piece)
    }

    /// The factors of a weight's gradient.
    fn factors(
        &self,
        sum: Sum,
        rows: usize,
        slot: usize,
        gated_tiles: Option<&mut Buffer<T>>,
    ) -> Factors<'_, T> {
        let Layer { input, hidden, output, pp, panel, row: d_row, .. } = *self.layer;
        let planes = |(first, columns): (usize, Columns)| {
            (self.buffers.d_planes[slot].at(first, 0).cast_const(), columns)
        };
        let (of_x, of_h) = (planes(self.layer.of_x()), planes(self.layer.of_h()));
        let there = "what is summed is there";
        match sum {
            Sum::Input | Sum::Bias => unreachable!("no sum of outer products"),
            Sum::WeightIh => Factors {
                tiles: self.buffers.x_tiles[slot].at(0, rows * input),
                width: input,
                d: of_x.0,
                d_row,
                columns: of_x.1,
                to: self.totals.ih,
                bias: self.wants_bias().then_some(self.totals.bias),
            },
            Sum::WeightHh => Factors {
                tiles: self.buffers.h_tiles[slot].at(0, rows * output),
                width: output,
                d: of_h.0,
                d_row,
                columns: of_h.1,
                to: self.totals.hh,
                bias: None,
            },
            Sum::Gated => {
                let (d, columns) = planes(self.layer.of_gated());
                Factors {
                    tiles: gated_tiles.expect(there).shared().at(0, rows * hidden),
                    width: hidden,
                    d,
                    d_row,
                    columns,
                    to: self.totals.gated.expect(there),
                    bias: None,
                }
            }
            Sum::WeightHr => Factors {
                tiles: self.buffers.own_tiles.expect(there)[slot].at(0, rows * hidden),
                width: hidden,
                d: self.buffers.d_projected.expect(there)[slot].at(0, rows * pp),
                d_row: pp,
                columns: Columns::plain(output, panel),
                to: self.totals.hr.expect(there),
                bias: None,
            },
        }
    }

    /// Computes one panel of a sum of outer products.
    fn sum_panel(&self, of: Factors<'_, T>, rows: usize, panel: usize, scratch: &mut Buffer<T>) {
        // Value or tangent: of `A`, of `D`, and of the sum to which their product is added.
        const PAIRS: [[usize; 3]; 3] = [[0, 0, 0], [0, 1, 1], [1, 0, 1]];
        let Layer { isa, parts, row, .. } = *self.layer;
        let pairs = if parts == 1 { &PAIRS[..1] } else { &PAIRS };
        let Factors { width, columns, d_row, .. } = of;
        let rows = rows / parts;
        let c_row = self.layer.row_of_sums::<T>(columns);
        let size = width * c_row;
        for &[of_a, of_d, of_sum] in pairs {
            for first in (0..rows).step_by(KC) {
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
                // SAFETY: tiles and planes of the block are written; no other thread has the columns of this panel.
                unsafe { sum.run(isa) };
            }
        }
    }

    /// Copies a part of the weights' gradients from the sums, which are transposed.
    pub(super) fn finish(&self, member: &Member<'_>) {
        let Layer { input, hidden, output, pp, gates, .. } = *self.layer;
        let mut next = 0;
        // Sixteen columns of the sums are one or two cache lines, and become sixteen rows.
        let mut transposed = |from: Shared<'_, T>,
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
                let count = (rows - j).min(16);
                // SAFETY: the sums are complete; these rows of the gradient are this thread's own.
                let (from, to) = unsafe {
                    let sums = width.saturating_sub(1) * row + count;
                    (
                        from.slice(column + j, if width > 0 { sums } else { 0 }),
                        to.slice_mut((first + j) * width, count * width),
                    )
                };
                transpose((from, row), (to, width), [width, count]);
            }
        };
        for part in 0..self.layer.parts {
            fn part_of<'a, T>(whole: Shared<'a, T>, part: usize, size: usize) -> Shared<'a, T> {
                whole.part(part * size, size)
            }
            // Some planes of gates: the sums of their whole panels lie side by side, and those of the remaining
            // columns follow.
            let mut planes = |sums: Shared<'_, T>, columns, to, gates: &[usize], inputs: usize| {
                let Layer { whole, rest, .. } = *self.layer;
                let row = self.layer.row_of_sums::<T>(columns);
                let from = part_of(sums, part, inputs * row);
                for (plane, gate) in gates.iter().enumerate() {
                    let (left, first) = (gates.len() * whole + plane * rest, gate * hidden);
                    transposed(from, row, plane * whole, to, first, whole, inputs);
                    transposed(from, row, left, to, first + whole, rest, inputs);
                }
            };
            let ((_, of_x), (_, of_h)) = (self.layer.of_x(), self.layer.of_h());
            if let Some(to) = self.gradients.weight_ih {
                let to = part_of(to, part, gates * hidden * input);
                let gates: Vec<_> = (0..gates).map(|plane| self.layer.gate(plane)).collect();
                planes(self.totals.ih, of_x, to, &gates, input);
            }
            if let Some(to) = self.gradients.weight_hh {
                let to = part_of(to, part, gates * hidden * (output / self.layer.heads));
                let outer: Vec<_> = (0..self.layer.outer()).collect();
                if self.layer.heads == 1 {
                    planes(self.totals.hh, of_h, to, &outer, output);
                }
                if let (Some(sums), 1) = (self.totals.gated, self.layer.heads) {
                    planes(sums, self.layer.of_gated().1, to, &[gates - 1], hidden);
                }
                let width = self.layer.head_size();
                let totals = [Some(self.totals.hh), self.totals.gated];
                for (sums, totals) in self.head_sums.iter().zip(totals) {
                    for HeadSum { row, columns, at, size, .. } in sums {
                        let totals = totals.expect("what is summed is there").part(*at, *size);
                        let of_part = part_of(totals, part, size / self.layer.parts);
                        let of_row = self.layer.row_of_sums::<T>(*columns);
                        transposed(of_part, of_row, 0, to, *row, columns.count(), width);
                    }
                }
            }
            if let (Some(to), Some(from)) = (self.gradients.weight_hr, self.totals.hr) {
                let (from, to) =
                    (part_of(from, part, hidden * pp), part_of(to, part, output * hidden));
                transposed(from, pp, 0, to, 0, output, hidden);
            }
        }
    }
}
