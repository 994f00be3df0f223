//! The sequence forward.

use super::buffer::{Buffer, Shared, volume};
use super::gates::{Part, StepForward};
use super::isa::Isa;
use super::layer::{Layer, Schedule, Share, Split};
use super::panels::{Panels, Source, pack_all};
use super::product::{Product, Rows};
use super::real::Real;
use super::roster::Roster;
use super::rowwise::Rowwise;
use super::team::{Member, part, team};
use super::{Slices, Trace};
use crate::recurrent::{Operand, Presence, Results};
use bptt_cells::Cell;
use std::ops::Range;

/// How many rows of pre-activations are worked before the steps use them: enough to be worth the
/// reading of the input's weights, few enough to be in the cache when the steps come.
const ROWS: usize = 128;

/// A matrix to multiply with.
#[derive(Clone, Copy)]
enum Matrix<'a, T> {
    Packed(&'a Panels<T>),
    AsItIs { source: &'a Source<'a, T>, width: usize, pitch: usize },
}

impl<T: Real> Matrix<'_, T> {
    /// `C += A B`, in the columns of some units.
    ///
    /// # Safety
    ///
    /// As for [`Product::run`].
    unsafe fn multiply(
        &self,
        isa: Isa,
        units: &Range<usize>,
        (a, a_rows): (*const T, Rows<'_>),
        (c, c_rows): (*mut T, Rows<'_>),
        rows: Range<usize>,
    ) {
        match *self {
            Matrix::Packed(b) => {
                for panels in panels(b, units) {
                    let (rows, add, padded) = (rows.clone(), true, true);
                    // SAFETY: the caller's promise.
                    unsafe {
                        Product { a, a_rows, b, panels, c, c_rows, rows, add, padded }.run(isa);
                    }
                }
            }
            Matrix::AsItIs { source: b, width, pitch } => {
                // SAFETY: the caller's promise.
                unsafe { Rowwise { a, a_rows, b, width, pitch, c, c_rows, rows }.run(isa) };
            }
        }
    }
}

/// What all threads of the forward pass share.
struct Forward<'a, C, T> {
    cell: &'a C,
    layer: &'a Layer,
    operands: &'a Slices<'a, T>,
    roster: &'a Roster,
    /// For `x`, for `h`, for the inner operand, for the projection.
    weight_ih: Matrix<'a, T>,
    weight_hh: Matrix<'a, T>,
    inner: Option<Matrix<'a, T>>,
    project: Option<Matrix<'a, T>>,
    /// A row of biases, as the planes are.
    bias: &'a [T],
    /// Pre-activations of one block, or of two.
    planes: [Shared<'a, T>; 2],
    /// `h` before and after a step.
    hidden: [Shared<'a, T>; 2],
    /// The memories: of all steps if they are kept, else of two.
    memory: Shared<'a, T>,
    slots: usize,
    kept: Option<Shared<'a, T>>,
    /// `h` in front of the projection: of all steps if it is kept, else of one.
    own: Option<Shared<'a, T>>,
    keep: bool,
    inner_operand: Option<Shared<'a, T>>,
    outputs: Shared<'a, T>,
}

/// Runs the sequence; returns its results and, with `keep`, the trace.
pub(crate) fn forward<C: Cell, T: Real>(
    cell: &C,
    layer: &Layer,
    operands: &Slices<'_, T>,
    presence: Option<&Presence>,
    keep: bool,
    Schedule { count, split }: Schedule,
) -> (Results<Vec<T>>, Option<Trace<T>>) {
    let Layer { time, batch, input, hidden, output, memories, hp, pp, isa, .. } = *layer;
    let mut outputs = vec![T::ZERO; volume(&[time, batch, output])];

    let sources = [
        Some((weight_ih_source(layer, operands), input, layer.gates, hidden, hp)),
        Some((outer_source(layer, operands), output, layer.outer(), hidden, hp)),
        layer.inner.then(|| (inner_source(layer, operands), hidden, 1, hidden, hp)),
        layer.projected.then(|| (project_source(layer, operands), hidden, 1, output, pp)),
    ];
    // A matrix that is used for a few rows only is read as it is. (Kept or not, and by however
    // many threads, so that the bits do not depend on it.)
    let direct = layer.is_few();
    let mut packed_weights = sources.each_ref().map(|source| {
        let &(_, depth, planes, width, pitch) = source.as_ref().filter(|_| !direct)?;
        Some(Panels::new(isa, depth, planes, width, pitch))
    });
    let packers = packed_weights
        .iter_mut()
        .zip(&sources)
        .filter_map(|(panels, source)| Some((panels.as_mut()?.packer(), &source.as_ref()?.0)));
    pack_all(count, &packers.collect::<Vec<_>>());
    let matrix = |index: usize| {
        let (source, _, _, width, pitch) = sources[index].as_ref()?;
        Some(match &packed_weights[index] {
            Some(panels) => Matrix::Packed(panels),
            None => Matrix::AsItIs { source, width: *width, pitch: *pitch },
        })
    };

    let bias = bias_row(layer, operands);
    let roster = Roster::new(layer, presence);
    let blocks = roster.blocks(ROWS);
    let mut planes = split.buffers(&[roster.largest(&blocks), layer.row()]);
    let mut hiddens = [(); 2].map(|()| Buffer::zeros(&[batch, pp]));
    let slots = if keep { time + 1 } else { 2 };
    let mut memory = Buffer::scratch(&[slots, batch, memories, hp]);
    let mut kept = keep.then(|| Buffer::scratch(&[time, batch, layer.kept, hp]));
    let mut own = layer.projected.then(|| Buffer::zeros(&[if keep { time } else { 1 }, batch, hp]));
    let mut inner_operand = layer.inner.then(|| Buffer::scratch(&[batch, hp]));
    initial_state(layer, operands, hiddens[0].as_mut_slice(), memory.as_mut_slice());
    let forward = Forward {
        cell,
        layer,
        operands,
        roster: &roster,
        weight_ih: matrix(0).expect("there is one for x"),
        weight_hh: matrix(1).expect("there is one for h"),
        inner: matrix(2),
        project: matrix(3),
        bias: bias.as_slice(),
        planes: planes.each_mut().map(Buffer::shared),
        hidden: hiddens.each_mut().map(Buffer::shared),
        memory: memory.shared(),
        slots,
        kept: kept.as_mut().map(Buffer::shared),
        own: own.as_mut().map(Buffer::shared),
        keep,
        inner_operand: inner_operand.as_mut().map(Buffer::shared),
        outputs: Shared::new(&mut outputs),
    };
    team(count, |member| forward.run(member, split, &blocks));

    let last = hiddens[time % 2].as_slice();
    let last_hidden = (0..batch).flat_map(|b| &last[b * pp..][..output]).copied().collect();
    let of = memory.as_slice();
    let row =
        |m: usize, b: usize| &of[((time % slots * batch + b) * memories + m) * hp..][..hidden];
    let last_memory = (0..memories).flat_map(|m| (0..batch).flat_map(move |b| row(m, b)));
    let results = Results {
        outputs,
        hidden: last_hidden,
        memory: (memories > 0).then(|| last_memory.copied().collect()),
    };
    let trace = keep.then(|| Trace { kept: kept.expect("it was kept"), memory, own });
    (results, trace)
}

impl<C: Cell, T: Real> Forward<'_, C, T> {
    /// What one thread does.
    fn run(&self, member: &Member<'_>, split: Split, blocks: &[Range<usize>]) {
        let share = Share::of::<T>(self.layer, self.roster, split, member);
        let step = |k: usize, block: &Range<usize>, slot| {
            self.step(k, self.roster.count(&(block.start..k)), slot, &share);
        };
        match split {
            Split::Rows | Split::Units => {
                for block in blocks {
                    let places = |k| self.roster.places(k, &share.rows).len();
                    let count = block.clone().map(places).sum();
                    self.input_products(block, 0, &share, 0..count);
                    for k in block.clone() {
                        step(k, block, 0);
                        if split == Split::Units {
                            member.wait();
                        }
                    }
                }
            }
            Split::Pipeline => {
                let products = |index: usize, part: Range<usize>| {
                    self.input_products(&blocks[index], index % 2, &share, part);
                };
                if let Some(first) = blocks.first() {
                    products(0, member.part(self.roster.count(first), 1));
                }
                member.wait();
                for (index, block) in blocks.iter().enumerate() {
                    if member.index == 0 {
                        for k in block.clone() {
                            step(k, block, index % 2);
                        }
                    } else if let Some(next) = blocks.get(index + 1) {
                        let count = self.roster.count(next);
                        products(index + 1, part(member.index - 1, member.count - 1, count, 1));
                    }
                    member.wait();
                }
            }
        }
    }

    /// `W x + b`, and the biases of what has no `W x`, for rows of a block.
    fn input_products(&self, steps: &Range<usize>, slot: usize, share: &Share, part: Range<usize>) {
        let Layer { batch, hp, isa, input_strides: [stride, input_row], .. } = *self.layer;
        let row = self.layer.row();
        let planes = self.planes[slot];
        let x = self.operands.need(Operand::Input);
        // Some rows of each step.
        let per_group = share.rows.len();
        let t = self.layer.time_of(steps.start);
        let (mut from, mut to) = (Vec::new(), Vec::new());
        let (a, a_rows, first, c_rows) = if self.roster.rows(steps.start).is_none() {
            let a_rows = Rows::groups(per_group, self.layer.step_stride(stride), input_row);
            let c_rows = Rows::groups(per_group, (batch * row) as isize, row);
            (self.layer.input_at(t, share.rows.start), a_rows, share.rows.start, c_rows)
        } else {
            for k in steps.clone() {
                let first = self.roster.count(&(steps.start..k));
                to.extend(self.roster.places(k, &share.rows).map(|place| first + place));
            }
            let pairs = self.roster.pairs(steps.clone(), share.rows.clone());
            from.extend(pairs.map(|(k, b)| self.layer.input_at(self.layer.time_of(k), b)));
            (0, Rows::listed(&from, 1), 0, Rows::listed(&to, row))
        };
        for index in part.clone() {
            let at = c_rows.offset(index) as usize + first * row;
            for plane in 0..self.layer.planes() {
                let first = plane * hp + share.units.start;
                let units = share.units.len();
                // SAFETY: these rows and units are this thread's own.
                let to = unsafe { planes.slice_mut(at + first, units) };
                to.copy_from_slice(&self.bias[first..first + units]);
            }
        }
        let a = (x[a..].as_ptr(), a_rows);
        let c = (planes.at(first * row, 0), c_rows);
        // SAFETY: the input has these rows, the planes' rows and units are this thread's own.
        unsafe { self.weight_ih.multiply(isa, &share.units, a, c, part) };
    }

    /// Step `k`, whose rows begin with the `first`th of its block.
    fn step(&self, k: usize, first: usize, slot: usize, share: &Share) {
        let Layer { batch, output, hp, pp, isa, .. } = *self.layer;
        let row = self.layer.row();
        let t = self.layer.time_of(k);
        let (before, after) = (self.hidden[k % 2], self.hidden[(k + 1) % 2]);
        let planes = self.planes[slot];
        let places = self.roster.places(k, &share.rows);
        let listed = self.roster.rows(k).map(|rows| &rows[places.clone()]);
        // This thread's rows of the batch that take part, in a buffer.
        let of_batch = |buffer: Shared<'_, T>, row: usize| {
            let start = if listed.is_some() { 0 } else { share.rows.start };
            (buffer.at(start * row, 0), Rows::of(listed, row))
        };
        let add = |(a, a_rows): (*mut T, Rows<'_>), b: Matrix<'_, T>, plane: usize| {
            if places.is_empty() {
                return;
            }
            let c = planes.at((first + places.start) * row + plane * hp, 0);
            let (a, c) = ((a.cast_const(), a_rows), (c, Rows::plain(row)));
            // SAFETY: `a` has these rows and nobody writes them now; the planes' rows and units
            // are this thread's own.
            unsafe { b.multiply(isa, &share.units, a, c, 0..places.len()) };
        };
        let gates = |part| {
            let keep = self.keep;
            isa.dispatch(StepForward {
                cell: self.cell,
                layer: self.layer,
                share,
                place: &|b| self.roster.place(k, b),
                part,
                planes,
                planes_row: first,
                hidden: before,
                hidden_next: after,
                memory: self.memory,
                memory_row: k % self.slots * batch,
                memory_next_row: (k + 1) % self.slots * batch,
                kept: self.kept.map(|kept| (kept, k * batch)),
                own: self.own.map(|own| (own, if keep { k * batch } else { 0 })),
                inner: self.inner_operand,
                output: self.outputs,
                time: t,
            });
        };
        add(of_batch(before, pp), self.weight_hh, self.layer.first_h());
        if let Some(inner) = self.inner {
            gates(Part::Inner);
            let operand = self.inner_operand.expect("there is room for it");
            let last = self.layer.plane(self.layer.gates - 1);
            add(of_batch(operand, hp), inner, last);
        }
        gates(Part::Step);
        if let (Some(project), Some(own)) = (self.project, self.own) {
            let own_row = if self.keep { k * batch } else { 0 };
            let mine = || self.roster.pairs(k..k + 1, share.rows.clone()).map(|(_, b)| b);
            for b in mine() {
                // SAFETY: rows of this thread's own.
                unsafe { after.slice_mut(b * pp, pp) }.fill(T::ZERO);
            }
            let (a, a_rows) = of_batch(own, hp);
            let a = (a.wrapping_add(own_row * hp).cast_const(), a_rows);
            // SAFETY: as above.
            unsafe { project.multiply(isa, &(0..pp), a, of_batch(after, pp), 0..places.len()) };
            for b in mine() {
                // SAFETY: as above.
                unsafe {
                    let out = self.outputs.slice_mut(self.layer.output_at(t, b), output);
                    out.copy_from_slice(after.slice(b * pp, output));
                }
            }
        }
    }
}

/// The panels, plane by plane, of some units (all that begin in them).
pub(crate) fn panels<'a, T: Real>(
    of: &'a Panels<T>,
    units: &Range<usize>,
) -> impl Iterator<Item = Range<usize>> + use<'a, T> {
    let Panels { per_plane, columns, count, .. } = *of;
    let from = units.start / columns;
    let to = units.end.div_ceil(columns).min(per_plane);
    let whole = from == 0 && to == per_plane;
    let planes = if whole { 1 } else { count / per_plane.max(1) };
    let to = if whole { count } else { to };
    (0..planes).map(move |plane| plane * per_plane + from..plane * per_plane + to)
}

/// The state before the first step, in padded rows.
fn initial_state<T: Real>(
    layer: &Layer,
    operands: &Slices<'_, T>,
    hiddens: &mut [T],
    memory: &mut [T],
) {
    let Layer { batch, hidden, output, memories, hp, pp, .. } = *layer;
    let h_0 = operands.need(Operand::Hidden);
    for b in 0..batch {
        hiddens[b * pp..][..output].copy_from_slice(&h_0[b * output..][..output]);
        for m in 0..memories {
            let c_0 = operands.need(Operand::Memory);
            let to = &mut memory[(b * memories + m) * hp..][..hp];
            to[..hidden].copy_from_slice(&c_0[(m * batch + b) * hidden..][..hidden]);
            to[hidden..].fill(T::ZERO);
        }
    }
}

/// The biases as the planes want them: both where both products are added.
fn bias_row<T: Real>(layer: &Layer, operands: &Slices<'_, T>) -> Buffer<T> {
    let Layer { hidden, hp, gates, added, apart, .. } = *layer;
    let mut row = Buffer::zeros(&[layer.row()]);
    let mut add = |operand, gate: usize, plane: usize| {
        if let Some(bias) = operands.get(operand) {
            let to = &mut row.as_mut_slice()[plane * hp..][..hidden];
            for (to, &b) in to.iter_mut().zip(&bias[gate * hidden..]) {
                *to = T::plus(*to, b);
            }
        }
    };
    for gate in 0..gates {
        add(Operand::BiasIh, gate, layer.plane(gate));
        let is_apart = (added..added + apart).contains(&gate);
        let plane = if is_apart { gates + gate - added } else { layer.plane(gate) };
        add(Operand::BiasHh, gate, plane);
    }
    row
}

/// `W [G·H, I]`, transposed.
fn weight_ih_source<'a, T: Real>(layer: &Layer, operands: &Slices<'a, T>) -> Source<'a, T> {
    let Layer { input, hidden, gates, .. } = *layer;
    let planes = (0..gates).map(|plane| layer.gate(plane) * hidden * input).collect();
    transposed(operands.need(Operand::WeightIh), planes, input)
}

/// The rows of `U [G·H, P]` that are multiplied with `h`, transposed.
fn outer_source<'a, T: Real>(layer: &Layer, operands: &Slices<'a, T>) -> Source<'a, T> {
    let Layer { hidden, output, .. } = *layer;
    let planes = (0..layer.outer()).map(|gate| gate * hidden * output).collect();
    transposed(operands.need(Operand::WeightHh), planes, output)
}

/// The rows of `U` that are multiplied with the inner operand, transposed.
fn inner_source<'a, T: Real>(layer: &Layer, operands: &Slices<'a, T>) -> Source<'a, T> {
    let Layer { hidden, output, gates, .. } = *layer;
    transposed(operands.need(Operand::WeightHh), vec![(gates - 1) * hidden * output], output)
}

/// `W_hr [P, H]`, transposed.
fn project_source<'a, T: Real>(layer: &Layer, operands: &Slices<'a, T>) -> Source<'a, T> {
    transposed(operands.need(Operand::WeightHr), vec![0], layer.hidden)
}

/// Rows of `depth` elements become columns.
fn transposed<T>(data: &[T], planes: Vec<usize>, depth: usize) -> Source<'_, T> {
    Source { data, planes, column: depth, groups: vec![0], rows: depth, padded: depth, row: 1 }
}
