//! The backward pass: for each chunk of units, block by block from the last to the first, a scan that gives the gradients
//! of the gates, and the part of the weight's gradient. Then the input's gradient, `d_gates W`.

use crate::host::gemm::columns::Columns;
use crate::host::gemm::dispatch::Gemm;
use crate::host::gemm::panels::{NR, Panels, Source, pack_all};
use crate::host::gemm::product::{KC, Product};
use crate::host::gemm::rows::Rows;
use crate::host::gemm::transposed_product::{OuterSum, Tiles, block_depth};
use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::scan::backward::{Pass, Steps, add_up};
use crate::host::scan::input::{InputScan, Plan};
use crate::host::scan::layout::{GateRows, Item};
use crate::host::simd::isa::Isa;
use crate::host::threads::team::{Member, team};
use bptt_cells::scanned::ScannedCell;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The gradients that the pass writes, each with the shape of its operand. Those of input and weight are products, and are
/// computed only if they are wanted.
pub(crate) struct InputGradients<'a, T> {
    pub(crate) input: Option<&'a mut [T]>,
    pub(crate) weight: Option<&'a mut [T]>,
    pub(crate) constants: &'a mut [T],
    pub(crate) initial: &'a mut [T],
    pub(crate) reset: &'a mut [T],
}

/// How many rows are laid out as tiles at once. Divides [`KC`].
const AT_ONCE: usize = 16;

/// How many rows of the input's gradient are one piece of work for a thread.
const PIECE: usize = 192;

/// All gradients, from the gates that the forward pass kept, the states that it wrote, and dLoss/d(states).
///
/// # Panics
///
/// If an operand or a gradient does not have the sizes of the scan.
pub(crate) fn backward<C: ScannedCell, T: Gemm>(
    cell: &C,
    of: InputScan<'_, T>,
    gates: &[T],
    (states, d_states): (&[T], &[T]),
    gradients: InputGradients<'_, T>,
    isa: Isa,
    threads: usize,
) {
    of.check(C::GATES, C::CONSTANTS);
    let scan = &of.scan;
    let plan = of.plan(C::GATES, isa, threads);
    let (batch, width, rows) = (scan.batch, scan.width(), scan.rows());
    let InputGradients { input, weight, constants, initial, reset } = gradients;
    let sizes = [
        (gates.len(), plan.all_gates()),
        (states.len(), rows * width),
        (d_states.len(), rows * width),
        (input.as_ref().map_or(of.input.len(), |d| d.len()), of.input.len()),
        (weight.as_ref().map_or(of.weight.len(), |d| d.len()), of.weight.len()),
        (constants.len(), scan.constants.len()),
        (initial.len(), scan.initial.len()),
        (reset.len(), scan.reset.len()),
    ];
    let has_sizes = sizes.iter().all(|(found, expected)| found == expected);
    assert!(has_sizes, "gates, states or gradients of another size: {sizes:?}");

    let (mut d_carried, mut d_resets) =
        (Buffer::zeros(&[batch, width]), Buffer::zeros(&[batch, width]));
    let mut d_constants = Buffer::zeros(&[batch, scan.constants.len()]);
    let mut factors = Buffer::scratch(&[0]);
    let pass = Pass {
        cell,
        scan,
        states,
        d_states,
        factors: factors.shared(),
        d_carried: d_carried.shared(),
        d_resets: d_resets.shared(),
        d_constants: d_constants.shared(),
    };
    let by_units = if input.is_some() { of.packed_by_units(&plan, isa) } else { Vec::new() };
    let all = if input.is_some() { plan.all_gates() + NR * isa.lanes::<T>() } else { 0 };
    let mut tiles = Buffer::scratch(&[if weight.is_some() { rows * of.size } else { 0 }]);
    let mut all_d_gates = Buffer::scratch(&[all]);
    let all_d_gates = input.is_some().then(|| all_d_gates.shared());
    let products = Products {
        of,
        plan,
        isa,
        tiles: tiles.shared(),
        d_weight: weight.map(Shared::new),
        d_gates: all_d_gates,
        by_units: &by_units,
        d_input: input.map(Shared::new),
    };
    let (taken, pieces) = (AtomicUsize::new(0), AtomicUsize::new(0));
    team(plan.threads, |member| {
        products.lay_out(member);
        member.wait();
        chunks(&pass, &products, gates, &taken);
        member.wait();
        products.input_gradient(&pieces);
    });
    // Little work: the sums over rows, in one order.
    initial.copy_from_slice(d_carried.as_slice());
    add_up(reset, d_resets.as_slice());
    add_up(constants, d_constants.as_slice());
}

/// Those chunks that no other thread has begun.
fn chunks<C: ScannedCell, T: Gemm>(
    pass: &Pass<'_, C, T>,
    products: &Products<'_, T>,
    gates: &[T],
    taken: &AtomicUsize,
) {
    let Products { plan, isa, .. } = products;
    let lanes = isa.lanes::<T>();
    // The last SIMD vector of a row may be read to its end.
    let own_len = if products.d_gates.is_some() { 0 } else { plan.of_block() + NR * lanes };
    let mut own = Buffer::scratch(&[own_len]);
    let own = own.shared();
    let mut sums = products.sums();
    while let Some(units) = plan.take(taken) {
        sums.as_mut_slice().fill(T::ZERO);
        for steps in plan.blocks().rev() {
            let (at, len) = plan.gates_at(&units, &steps);
            let d_gates = match products.d_gates {
                Some(all) => all.at(at, len),
                None => own.at(0, len),
            };
            // They are only read.
            let of_block = gates[at..][..len].as_ptr().cast_mut();
            for row in 0..plan.batch {
                let rows_at = |start| GateRows::of_block(start, &units, C::GATES, steps.start);
                let item = Item { block: 0, row, units: units.clone(), steps: steps.clone() };
                let (gates, d_gates) = (rows_at(of_block), rows_at(d_gates));
                isa.dispatch(Steps { pass, gates, d_gates, item });
            }
            products.add_to_weight(d_gates, &units, &steps, &mut sums);
        }
        products.write_weight(&units, &sums);
    }
}

/// The products of the pass.
struct Products<'a, T> {
    of: InputScan<'a, T>,
    plan: Plan,
    isa: Isa,
    /// The input of each block as tiles, if there is a gradient of the weight: `T·B·I` numbers, in the order in which the
    /// steps run.
    tiles: Shared<'a, T>,
    d_weight: Option<Shared<'a, T>>,
    /// The gradients of all gates, if there is a gradient of the input.
    d_gates: Option<Shared<'a, T>>,
    /// The weight for each chunk, packed for `d_gates W`.
    by_units: &'a [Panels<T>],
    d_input: Option<Shared<'a, T>>,
}

impl<T: Gemm> InputScan<'_, T> {
    /// The weight for each chunk of units, packed for `d_gates W`.
    fn packed_by_units(&self, plan: &Plan, isa: Isa) -> Vec<Panels<T>> {
        let (size, hidden, planes) = (self.size, self.scan.hidden, self.planes());
        let panel = NR * isa.lanes::<T>();
        let chunks = || (0..plan.chunks).map(|chunk| plan.units(chunk));
        let mut packed: Vec<_> = chunks()
            .map(|units| {
                let inner = Columns::plain(planes * units.len(), panel);
                Panels::new(isa, inner, 1, Columns::plain(size, panel))
            })
            .collect();
        let sources: Vec<_> = chunks()
            .map(|units| {
                let of_plane = |plane| ((plane * hidden + units.start) * size, units.len());
                let rows = (0..planes).map(of_plane).collect();
                Source { data: self.weight, planes: vec![0], column: 1, rows, row: size }
            })
            .collect();
        let all: Vec<_> = packed.iter_mut().map(Panels::packer).zip(&sources).collect();
        pack_all(plan.threads, &all);
        packed
    }
}

impl<T: Gemm> Products<'_, T> {
    /// Lays out this thread's part of the input as tiles.
    fn lay_out(&self, member: &Member<'_>) {
        let Self { of, plan, isa, .. } = self;
        if self.d_weight.is_none() {
            return;
        }
        let (size, tiles) = (of.size, Tiles::new(*isa, of.size));
        let blocks: Vec<_> = plan.blocks().collect();
        for steps in &blocks[member.part(blocks.len(), 1)] {
            let (first, rows) = (steps.start * plan.batch, steps.len() * plan.batch);
            let to = self.tiles.part(first * size, rows * size);
            for from in (0..rows).step_by(AT_ONCE) {
                let mut some = [&[][..]; AT_ONCE];
                let count = AT_ONCE.min(rows - from);
                for (nth, row) in some[..count].iter_mut().enumerate() {
                    *row = of.input_row(first + from + nth);
                }
                // SAFETY: no other thread has this block.
                unsafe { tiles.pack(*isa, &some[..count], from, rows, to) };
            }
        }
    }

    /// Memory for the sums of a chunk, `[I, W·units]`, its rows padded; `W` planes are products.
    fn sums(&self) -> Buffer<T> {
        let rows = if self.d_weight.is_some() { self.of.size } else { 0 };
        Buffer::scratch(&[rows, self.row_of_sums(self.plan.chunk)])
    }

    fn row_of_sums(&self, units: usize) -> usize {
        (self.of.planes() * units).next_multiple_of(self.isa.lanes::<T>())
    }

    /// Adds what some steps give to the weight's gradient.
    fn add_to_weight(
        &self,
        d_gates: *mut T,
        units: &Range<usize>,
        steps: &Range<usize>,
        sums: &mut Buffer<T>,
    ) {
        let Self { of, plan, isa, .. } = self;
        if self.d_weight.is_none() {
            return;
        }
        let panel = NR * isa.lanes::<T>();
        let (size, rows) = (of.size, steps.len() * plan.batch);
        let columns = Columns::plain(of.planes() * units.len(), panel);
        let (d_row, c_row) = (plan.gates * units.len(), self.row_of_sums(units.len()));
        let tiles = self.tiles.at(steps.start * plan.batch * size, rows * size);
        let mut scratch = Buffer::scratch(&[KC, panel]);
        for first in (0..rows).step_by(KC) {
            for index in 0..columns.panels(panel) {
                let sum = OuterSum {
                    tiles: tiles.wrapping_add(first * size),
                    rows: size,
                    depth: block_depth(first, rows),
                    d: d_gates.wrapping_add(first * d_row),
                    d_row,
                    columns,
                    panel: index,
                    c: sums.as_mut_slice().as_mut_ptr(),
                    c_row,
                    column_sums: None,
                    scratch: scratch.as_mut_slice(),
                };
                // SAFETY: the tiles were laid out before the last barrier; gates and sums are this thread's own, and have
                // room for a SIMD vector that begins in the last row.
                unsafe { sum.run(*isa) };
            }
        }
    }

    /// Copies the sums of a chunk to the weight's gradient, transposed.
    fn write_weight(&self, units: &Range<usize>, sums: &Buffer<T>) {
        let (size, hidden) = (self.of.size, self.of.scan.hidden);
        let Some(d_weight) = self.d_weight else { return };
        let row = self.row_of_sums(units.len());
        for plane in 0..self.of.planes() {
            // Sixteen columns of the sums are one or two cache lines, and become sixteen rows.
            for first in (0..units.len()).step_by(16) {
                let count = (units.len() - first).min(16);
                let at = (plane * hidden + units.start + first) * size;
                // SAFETY: the rows of this chunk, which no other thread has.
                let to = unsafe { d_weight.slice_mut(at, count * size) };
                let from = &sums.as_slice()[plane * units.len() + first..];
                for i in 0..size {
                    for (nth, &x) in from[i * row..][..count].iter().enumerate() {
                        to[nth * size + i] = x;
                    }
                }
            }
        }
    }

    /// The input's gradient, piece by piece: those that no other thread has begun. The gradients of all gates are there.
    fn input_gradient(&self, taken: &AtomicUsize) {
        let Self { of, plan, isa, .. } = self;
        let (Some(d_input), Some(d_gates)) = (self.d_input, self.d_gates) else { return };
        let rows = of.scan.rows();
        // Each piece reads all of the weight.
        let each = rows.div_ceil(4 * plan.threads).clamp(PIECE / 8, PIECE);
        loop {
            let first = taken.fetch_add(1, Ordering::Relaxed) * each;
            if first >= rows {
                return;
            }
            let piece = first..(first + each).min(rows);
            let has_last = of.planes() < plan.gates;
            if has_last {
                self.add_last_gate(piece.clone(), d_gates, d_input);
            }
            for (chunk, weight) in self.by_units.iter().enumerate() {
                let units = plan.units(chunk);
                let (at, len) = plan.gates_at(&units, &(0..plan.time));
                let product = Product {
                    a: d_gates.at(at, len),
                    a_rows: Rows::plain(plan.gates * units.len()),
                    b: weight.beside(None),
                    panels: 0..weight.count,
                    // A pointer into the whole gradient: of a reversed layer, later steps lie before the first one.
                    c: d_input.at(of.first_row(), of.size),
                    c_rows: of.rows(),
                    rows: piece.clone(),
                    add: has_last || chunk > 0,
                    from_last: false,
                };
                // SAFETY: the gradients of the gates were written before the last barrier; no other thread has these rows.
                unsafe { product.run(*isa) };
            }
        }
    }

    /// The gradient of the gate that is the input itself, as that of the input.
    fn add_last_gate(&self, rows: Range<usize>, d_gates: Shared<'_, T>, d_input: Shared<'_, T>) {
        let Self { of, plan, .. } = self;
        for index in rows {
            let (step, row) = (index / plan.batch, index % plan.batch);
            for units in (0..plan.chunks).map(|chunk| plan.units(chunk)) {
                let (at, _) = plan.gates_at(&units, &(0..plan.time));
                let last = of.planes() * units.len();
                let from = at + index * plan.gates * units.len() + last;
                let to = of.scan.row(step, row) * of.size + units.start;
                // SAFETY: as above.
                unsafe {
                    let from = d_gates.slice(from, units.len());
                    d_input.slice_mut(to, units.len()).copy_from_slice(from);
                }
            }
        }
    }
}
