//! The sequence backward.

use super::buffer::{Buffer, Shared, volume};
use super::forward::{panels, runs};
use super::gates::{Part, StepBackward};
use super::layer::{Layer, Schedule, Share, Split};
use super::product::{DEPTH, OuterSum, Panels, Product, Rows, Source, Tiles};
use super::real::Real;
use super::team::{Member, part, team};
use super::{Slices, Trace};
use crate::recurrent::{Operand, Operands};
use bptt_cells::Cell;
use std::ops::Range;

/// How many rows of gradients are gathered before the large products take them: some blocks of
/// their inner dimension; fewer where one thread works the steps, and others could be waiting.
fn rows_per_block(layer: &Layer) -> usize {
    if layer.batch < 8 { DEPTH / 2 } else { 2 * DEPTH }
}

/// What all threads of the backward pass share. Buffers of two belong to blocks in turn.
struct Sequence<'a, C, T> {
    cell: &'a C,
    layer: &'a Layer,
    operands: &'a Slices<'a, T>,
    lengths: Option<&'a [usize]>,
    wanted: &'a Operands<()>,
    /// The forward pass's outputs, `[T, B, P]`, and `dLoss/d` of them.
    outputs: &'a [T],
    d_outputs: &'a [T],
    kept: Shared<'a, T>,
    memory: Shared<'a, T>,
    own: Option<Shared<'a, T>>,
    /// `U`, for `h`; `W`, for `x`; the inner rows of `U`; the projection.
    weight_hh: &'a Panels<T>,
    weight_ih: Option<&'a Panels<T>>,
    inner: Option<&'a Panels<T>>,
    project: Option<&'a Panels<T>>,
    steps: usize,
    tiles: Tiles,
    d_planes: [Shared<'a, T>; 2],
    /// `x`, `h` before the step and the own `h` of a block, as tiles.
    x_tiles: [Shared<'a, T>; 2],
    h_tiles: [Shared<'a, T>; 2],
    own_tiles: Option<[Shared<'a, T>; 2]>,
    /// The inner operand, and `dLoss/dh` in front of a projection's product, of a block.
    inner_operand: Option<[Shared<'a, T>; 2]>,
    d_projected: Option<[Shared<'a, T>; 2]>,
    d_hidden: Shared<'a, T>,
    d_memory: Shared<'a, T>,
    d_own: Option<Shared<'a, T>>,
    d_inner: Option<Shared<'a, T>>,
    /// Sums over all steps, transposed: `[I, G·Hp]`, `[P, outer·Hp]`, `[H, Hp]`, `[H, Pp]`.
    sum_ih: Shared<'a, T>,
    sum_hh: Shared<'a, T>,
    sum_inner: Option<Shared<'a, T>>,
    sum_hr: Option<Shared<'a, T>>,
    /// `[planes · Hp]`
    sum_bias: Shared<'a, T>,
    /// The gradients, where they are wanted.
    d_input: Option<Shared<'a, T>>,
    d_weight_ih: Option<Shared<'a, T>>,
    d_weight_hh: Option<Shared<'a, T>>,
    d_weight_hr: Option<Shared<'a, T>>,
}

/// What goes into the backward pass beside the operands: the trace, and the outputs.
pub(crate) struct Given<'a, T> {
    pub(crate) trace: &'a mut Trace<T>,
    /// The packed output of the forward pass.
    pub(crate) packed: &'a [T],
    /// `dLoss/d(packed output)`
    pub(crate) d_packed: &'a [T],
}

/// Runs the sequence backward: dLoss/d(operand) for each wanted operand.
pub(crate) fn backward<C: Cell, T: Real>(
    cell: &C,
    layer: &Layer,
    operands: &Slices<'_, T>,
    lengths: Option<&[usize]>,
    Given { trace, packed, d_packed }: Given<'_, T>,
    wanted: &Operands<()>,
    Schedule { count, split }: Schedule,
) -> Operands<Vec<T>> {
    let Layer { time, batch, input, hidden, output, memories, hp, pp, isa, gates, .. } = *layer;
    let outer = layer.outer();
    let outputs = volume(&[time, batch, output]);

    let mut weight_hh = Panels::new(isa, outer * hp, 1, output, pp);
    let wants_input = wanted.has(Operand::Input);
    let mut weight_ih = wants_input.then(|| Panels::new(isa, gates * hp, 1, input, input));
    let mut inner = layer.inner.then(|| Panels::new(isa, hp, 1, hidden, hp));
    let mut project = layer.projected.then(|| Panels::new(isa, output, 1, hidden, hp));
    {
        let weight = |operand| -> &[T] { operands.need(operand) };
        let hh = weight(Operand::WeightHh);
        let ih_groups = (0..gates).map(|plane| layer.gate(plane) * hidden * input).collect();
        let hh_groups = (0..outer).map(|gate| gate * hidden * output).collect();
        let inner_group = vec![(gates - 1) * hidden * output];
        let packers = [
            Some((weight_hh.packer(), straight(hh, hh_groups, (hidden, hp), output))),
            weight_ih.as_mut().map(|panels| {
                let source = straight(weight(Operand::WeightIh), ih_groups, (hidden, hp), input);
                (panels.packer(), source)
            }),
            inner
                .as_mut()
                .map(|panels| (panels.packer(), straight(hh, inner_group, (hidden, hp), output))),
            project.as_mut().map(|panels| {
                let weight_hr = weight(Operand::WeightHr);
                (panels.packer(), straight(weight_hr, vec![0], (output, output), hidden))
            }),
        ];
        let elements = (input + output) * gates * hidden;
        let count = if elements > 1 << 16 { count } else { 1 };
        team(count, |member| {
            for (packer, source) in packers.iter().flatten() {
                // SAFETY: each thread has panels of its own, and `team` ends before they are read.
                unsafe { packer.pack(member.part(packer.count(), 1), source) };
            }
        });
    }

    let steps = layer.block(rows_per_block(layer));
    let rows = steps * batch;
    let blocks = if split == Split::Pipeline { 2 } else { 1 };
    let two = |sizes: [usize; 2]| {
        [Buffer::scratch(&sizes), Buffer::scratch(if blocks == 2 { &sizes } else { &[0] })]
    };
    let mut d_planes = two([rows, layer.row()]);
    let mut x_tiles = two([rows, input]);
    let mut h_tiles = two([rows, output]);
    let mut own_tiles = layer.projected.then(|| two([rows, hidden]));
    let mut inner_operand = layer.inner.then(|| two([rows, hp]));
    let mut d_projected = layer.projected.then(|| two([rows, pp]));
    let mut d_hidden = Buffer::zeros(&[batch, pp]);
    let mut d_memory = Buffer::zeros(&[batch, memories, hp]);
    let mut d_own = layer.projected.then(|| Buffer::zeros(&[batch, hp]));
    let mut d_inner = layer.inner.then(|| Buffer::zeros(&[batch, hp]));
    let mut sum_ih = Buffer::zeros(&[input, gates * hp]);
    let mut sum_hh = Buffer::zeros(&[output, outer * hp]);
    let mut sum_inner = layer.inner.then(|| Buffer::zeros(&[hidden, hp]));
    let mut sum_hr = layer.projected.then(|| Buffer::zeros(&[hidden, pp]));
    let mut sum_bias = Buffer::zeros(&[layer.row()]);
    final_state(layer, &d_packed[outputs..], d_hidden.as_mut_slice(), d_memory.as_mut_slice());

    let gradient =
        |operand, size: &[usize]| wanted.has(operand).then(|| vec![T::ZERO; volume(size)]);
    let mut d_input = gradient(Operand::Input, &[time, batch, input]);
    let mut d_weight_ih = gradient(Operand::WeightIh, &[gates, hidden, input]);
    let mut d_weight_hh = gradient(Operand::WeightHh, &[gates, hidden, output]);
    let mut d_weight_hr = gradient(Operand::WeightHr, &[output, hidden]);
    fn pair<T: Real>(of: &mut [Buffer<T>; 2]) -> [Shared<'_, T>; 2] {
        of.each_mut().map(Buffer::shared)
    }
    fn shared<T>(of: &mut Option<Vec<T>>) -> Option<Shared<'_, T>> {
        of.as_mut().map(|gradient| Shared::new(gradient))
    }
    let sequence = Sequence {
        cell,
        layer,
        operands,
        lengths,
        wanted,
        outputs: &packed[..outputs],
        d_outputs: &d_packed[..outputs],
        kept: trace.kept.shared(),
        memory: trace.memory.shared(),
        own: trace.own.as_mut().map(Buffer::shared),
        weight_hh: &weight_hh,
        weight_ih: weight_ih.as_ref(),
        inner: inner.as_ref(),
        project: project.as_ref(),
        steps,
        tiles: Tiles::new(isa),
        d_planes: pair(&mut d_planes),
        x_tiles: pair(&mut x_tiles),
        h_tiles: pair(&mut h_tiles),
        own_tiles: own_tiles.as_mut().map(pair),
        inner_operand: inner_operand.as_mut().map(pair),
        d_projected: d_projected.as_mut().map(pair),
        d_hidden: d_hidden.shared(),
        d_memory: d_memory.shared(),
        d_own: d_own.as_mut().map(Buffer::shared),
        d_inner: d_inner.as_mut().map(Buffer::shared),
        sum_ih: sum_ih.shared(),
        sum_hh: sum_hh.shared(),
        sum_inner: sum_inner.as_mut().map(Buffer::shared),
        sum_hr: sum_hr.as_mut().map(Buffer::shared),
        sum_bias: sum_bias.shared(),
        d_input: shared(&mut d_input),
        d_weight_ih: shared(&mut d_weight_ih),
        d_weight_hh: shared(&mut d_weight_hh),
        d_weight_hr: shared(&mut d_weight_hr),
    };
    team(count, |member| sequence.run(member, split));

    let mut d = Operands::new()
        .with_optional(Operand::Input, d_input)
        .with_optional(Operand::WeightIh, d_weight_ih)
        .with_optional(Operand::WeightHh, d_weight_hh)
        .with_optional(Operand::WeightHr, d_weight_hr);
    let bias = sum_bias.as_slice();
    for operand in [Operand::BiasIh, Operand::BiasHh] {
        if wanted.has(operand) {
            let plane = |gate: usize| match operand {
                Operand::BiasHh if (layer.added..layer.added + layer.apart).contains(&gate) => {
                    gates + gate - layer.added
                }
                _ => layer.plane(gate),
            };
            let gradient = (0..gates).flat_map(|gate| &bias[plane(gate) * hp..][..hidden]);
            d = d.with(operand, gradient.copied().collect::<Vec<_>>());
        }
    }
    if wanted.has(Operand::Hidden) {
        let rows = d_hidden.as_slice().chunks_exact(pp.max(1)).take(batch);
        d = d.with(
            Operand::Hidden,
            rows.flat_map(|row| &row[..output]).copied().collect::<Vec<_>>(),
        );
    }
    if wanted.has(Operand::Memory) {
        let of = d_memory.as_slice();
        let row = |m: usize, b: usize| &of[(b * memories + m) * hp..][..hidden];
        let all = (0..memories).flat_map(|m| (0..batch).flat_map(move |b| row(m, b)));
        d = d.with(Operand::Memory, all.copied().collect::<Vec<_>>());
    }
    d
}

impl<C: Cell, T: Real> Sequence<'_, C, T> {
    /// What one thread does.
    fn run(&self, member: &Member<'_>, split: Split) {
        let Layer { time, batch, hp, .. } = *self.layer;
        let blocks = time.div_ceil(self.steps);
        // From the last block to the first.
        let block = |index: usize| {
            let index = blocks - 1 - index;
            index * self.steps..((index + 1) * self.steps).min(time)
        };
        let all = Share { rows: 0..batch, units: 0..hp };
        match split {
            Split::Rows | Split::Units => {
                let share = match split {
                    Split::Units => {
                        Share { units: member.part(hp, self.weight_hh.columns()), ..all }
                    }
                    _ => Share { rows: member.part(batch, 1), ..all },
                };
                for index in 0..blocks {
                    self.lay_out(block(index), 0, member.index, member.count);
                    for k in block(index).rev() {
                        self.step(k, k - block(index).start, 0, &share, member, split);
                    }
                    member.wait();
                    self.sums(block(index), 0, member.index, member.count);
                    member.wait();
                }
            }
            Split::Pipeline => {
                for index in 0..blocks {
                    if member.index == 0 {
                        for k in block(index).rev() {
                            self.step(k, k - block(index).start, index % 2, &all, member, split);
                        }
                    } else {
                        let (at, of) = (member.index - 1, member.count - 1);
                        self.lay_out(block(index), index % 2, at, of);
                        if index > 0 {
                            self.sums(block(index - 1), (index - 1) % 2, at, of);
                        }
                    }
                    member.wait();
                }
                if blocks > 0 {
                    let last = blocks - 1;
                    self.sums(block(last), last % 2, member.index, member.count);
                }
                member.wait();
            }
        }
        self.finish(member);
    }

    fn is_active(&self, k: usize, b: usize) -> bool {
        let t = self.layer.time_of(k);
        self.lengths.is_none_or(|lengths| t < lengths[b])
    }

    /// `h` before step `k`.
    fn hidden_before(&self, k: usize, b: usize) -> &[T] {
        let Layer { batch, output, .. } = *self.layer;
        // In reverse, a row begins at its own last step.
        if k == 0 || !self.is_active(k - 1, b) {
            return &self.operands.need(Operand::Hidden)[b * output..][..output];
        }
        &self.outputs[(self.layer.time_of(k - 1) * batch + b) * output..][..output]
    }

    /// Lays out what the sums over a block multiply with, as tiles: a part of it.
    fn lay_out(&self, steps: Range<usize>, slot: usize, index: usize, parts: usize) {
        let Layer { batch, input, hidden, output, hp, .. } = *self.layer;
        let x = self.operands.need(Operand::Input);
        let rows = steps.len() * batch;
        for row in part(index, parts, rows, 1) {
            let (k, b) = (steps.start + row / batch, row % batch);
            let (first, depth) = (row / DEPTH * DEPTH, depth(row, rows));
            let lay = |values: &[T], to: Shared<'_, T>| {
                let to = to.at(first * values.len(), depth * values.len());
                // SAFETY: this row of the tiles is this thread's own.
                unsafe { self.tiles.pack(values, row - first, depth, to) };
            };
            if self.wanted.has(Operand::WeightIh) {
                let t = self.layer.time_of(k);
                lay(&x[self.layer.input_at(t, b)..][..input], self.x_tiles[slot]);
            }
            if self.wanted.has(Operand::WeightHh) {
                lay(&self.hidden_before(k, b)[..output], self.h_tiles[slot]);
            }
            if let (Some(tiles), Some(own)) = (self.own_tiles, self.own) {
                // SAFETY: the trace is only read.
                lay(unsafe { own.slice((k * batch + b) * hp, hidden) }, tiles[slot]);
            }
        }
    }

    /// Step `k`, the `in_block`th of its block.
    fn step(
        &self,
        k: usize,
        in_block: usize,
        slot: usize,
        share: &Share,
        member: &Member<'_>,
        split: Split,
    ) {
        let Layer { batch, hidden, output, hp, pp, isa, .. } = *self.layer;
        let row = self.layer.row();
        let t = self.layer.time_of(k);
        let first_row = in_block * batch;
        let active = |b: usize| self.is_active(k, b);
        let d_planes = self.d_planes[slot];
        let product = |a, a_row, b: &Panels<T>, panels, c, c_row, add| {
            let rows = 0..share.rows.len();
            let (a_rows, c_rows) = (Rows::plain(a_row), Rows::plain(c_row));
            let product = Product { a, a_rows, b, panels, c, c_rows, rows, add, padded: true };
            // SAFETY: `a` has these rows and nobody writes them now; those of `c` are this
            // thread's own.
            unsafe { product.run(isa) };
        };
        let hidden_before = |b| self.hidden_before(k, b);
        let own = |b: usize| match self.own {
            // SAFETY: the trace is only read.
            Some(own) => unsafe { own.slice((k * batch + b) * hp, hidden) },
            None => &self.outputs[(t * batch + b) * output..][..output],
        };
        let gates = |part| {
            isa.dispatch(StepBackward {
                cell: self.cell,
                layer: self.layer,
                share,
                active: &active,
                part,
                d_planes,
                d_planes_row: first_row,
                d_hidden: self.d_hidden,
                d_own: self.d_own,
                d_output: self.d_outputs,
                d_output_row: t * batch,
                d_memory: self.d_memory,
                kept: self.kept,
                kept_row: k * batch,
                memory: self.memory,
                memory_row: k * batch,
                memory_next_row: (k + 1) * batch,
                hidden_before: &hidden_before,
                hidden_own: &own,
                d_inner: self.d_inner,
                inner: self.inner_operand.map(|inner| inner[slot]),
            });
        };
        if let (Some(project), Some(d_projected), Some(d_own)) =
            (self.project, self.d_projected, self.d_own)
        {
            let d_projected = d_projected[slot];
            for b in share.rows.clone() {
                // SAFETY: rows of this thread's own.
                let to = unsafe { d_projected.slice_mut((first_row + b) * pp, pp) };
                if !active(b) {
                    to.fill(T::ZERO);
                    continue;
                }
                // SAFETY: as above.
                let d_hidden = unsafe { self.d_hidden.slice(b * pp, output) };
                let d_output = &self.d_outputs[(t * batch + b) * output..][..output];
                for ((to, &a), &b) in to.iter_mut().zip(d_hidden).zip(d_output) {
                    *to = T::plus(a, b);
                }
            }
            let a = d_projected.at((first_row + share.rows.start) * pp, 0);
            let c = d_own.at(share.rows.start * hp, 0);
            product(a, pp, project, 0..project.count(), c, hp, false);
        }
        gates(Part::Step);
        if let (Some(inner), Some(d_inner)) = (self.inner, self.d_inner) {
            let last = self.layer.plane(self.layer.gates - 1);
            let a = d_planes.at((first_row + share.rows.start) * row + last * hp, 0);
            let c = d_inner.at(share.rows.start * hp, 0);
            product(a, row, inner, 0..inner.count(), c, hp, false);
            gates(Part::Completion);
        }
        if split == Split::Units {
            member.wait();
        }
        let first = self.layer.first_h() * hp;
        for rows in runs(share.rows.clone(), active) {
            for panels in panels(self.weight_hh, &share.units) {
                let product = Product {
                    a: d_planes.at((first_row + rows.start) * row + first, 0),
                    a_rows: Rows::plain(row),
                    b: self.weight_hh,
                    panels,
                    c: self.d_hidden.at(rows.start * pp, 0),
                    c_rows: Rows::plain(pp),
                    rows: 0..rows.len(),
                    add: true,
                    padded: true,
                };
                // SAFETY: the planes of this step are written, in other threads before the
                // barrier; these rows and columns of `d_hidden` are this thread's own.
                unsafe { product.run(isa) };
            }
        }
    }

    /// A part of the large products of a block.
    fn sums(&self, steps: Range<usize>, slot: usize, index: usize, parts: usize) {
        let Layer { batch, input, hidden, output, hp, pp, gates, isa, .. } = *self.layer;
        let row = self.layer.row();
        let rows = steps.len() * batch;
        let d_planes = self.d_planes[slot];
        if let (Some(d_input), Some(weight_ih)) = (self.d_input, self.weight_ih) {
            let t = self.layer.time_of(steps.start);
            let product = Product {
                a: d_planes.at(0, rows * row),
                a_rows: Rows::plain(row),
                b: weight_ih,
                panels: 0..weight_ih.count(),
                c: d_input.at(t * batch * input, batch * input),
                c_rows: Rows {
                    per_group: batch,
                    group: self.layer.step_stride(batch * input),
                    row: input,
                },
                rows: part(index, parts, rows, 1),
                add: false,
                padded: false,
            };
            // SAFETY: the planes of the block are written; the rows of `d_input` are this
            // thread's own.
            unsafe { product.run(isa) };
        }
        let columns = self.weight_hh.columns();
        let mut scratch = Buffer::scratch(&[DEPTH, columns]);
        let mut sum = |tiles: Shared<'_, T>,
                       width: usize,
                       d: *const T,
                       d_row: usize,
                       planes: usize,
                       pitch: usize,
                       c: Shared<'_, T>,
                       bias: Option<*mut T>| {
            let panels = part(index, parts, planes * pitch.div_ceil(columns), 1);
            for first in (0..rows).step_by(DEPTH) {
                let depth = depth(first, rows);
                let sum = OuterSum {
                    tiles: tiles.at(first * width, depth * width),
                    rows: width,
                    depth,
                    // SAFETY: a row of the planes of this block.
                    d: unsafe { d.add(first * d_row) },
                    d_row,
                    pitch,
                    panels: panels.clone(),
                    c: c.at(0, width * planes * pitch),
                    c_row: planes * pitch,
                    column_sums: bias,
                    scratch: scratch.as_mut_slice(),
                };
                // SAFETY: tiles and planes of the block are written; the columns of `c` that
                // belong to these panels are this thread's own.
                unsafe { sum.run(isa) };
            }
        };
        let planes_at = |plane: usize| d_planes.at(plane * hp, 0).cast_const();
        let wants = |operand| self.wanted.has(operand);
        let wants_bias = wants(Operand::BiasIh) || wants(Operand::BiasHh);
        if wants(Operand::WeightIh) {
            let bias = wants_bias.then(|| self.sum_bias.at(0, row));
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
                // SAFETY: this column is this thread's own.
                let to = unsafe { &mut self.sum_bias.slice_mut(column, 1)[0] };
                for r in 0..rows {
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
                let (first, depth) = (r / DEPTH * DEPTH, depth(r, rows));
                // SAFETY: the operand of the block is written; the tiles are this thread's own.
                unsafe {
                    let values = inner[slot].slice(r * hp, hidden);
                    self.tiles.pack(
                        values,
                        r - first,
                        depth,
                        to.at(first * hidden, depth * hidden),
                    );
                }
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
    fn finish(&self, member: &Member<'_>) {
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
        if let Some(to) = self.d_weight_ih {
            for plane in 0..gates {
                let first = self.layer.gate(plane) * hidden;
                transpose(self.sum_ih, gates * hp, plane * hp, to, first, hidden, input);
            }
        }
        if let Some(to) = self.d_weight_hh {
            let outer = self.layer.outer();
            for gate in 0..outer {
                transpose(self.sum_hh, outer * hp, gate * hp, to, gate * hidden, hidden, output);
            }
            if let Some(from) = self.sum_inner {
                transpose(from, hp, 0, to, (gates - 1) * hidden, hidden, output);
            }
        }
        if let (Some(to), Some(from)) = (self.d_weight_hr, self.sum_hr) {
            transpose(from, pp, 0, to, 0, output, hidden);
        }
    }
}

/// How many rows the block of the inner dimension has that a row is in.
fn depth(row: usize, rows: usize) -> usize {
    DEPTH.min(rows - row / DEPTH * DEPTH)
}

/// dLoss/d(final state), in padded rows.
fn final_state<T: Real>(layer: &Layer, d: &[T], d_hidden: &mut [T], d_memory: &mut [T]) {
    let Layer { batch, hidden, output, memories, hp, pp, .. } = *layer;
    for b in 0..batch {
        d_hidden[b * pp..][..output].copy_from_slice(&d[b * output..][..output]);
        for m in 0..memories {
            let from = &d[batch * output + (m * batch + b) * hidden..][..hidden];
            d_memory[(b * memories + m) * hp..][..hidden].copy_from_slice(from);
        }
    }
}

/// Rows as they are, in groups that are padded.
fn straight<T>(
    data: &[T],
    groups: Vec<usize>,
    (rows, padded): (usize, usize),
    row: usize,
) -> Source<'_, T> {
    Source { data, planes: vec![0], column: 1, groups, rows, padded, row }
}
