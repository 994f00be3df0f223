//! The recurrent products of a layer in heads. `U` has blocks on the diagonal of each gate's matrix, and zeros beside
//! them, so the units of a head read the `h` of that head alone. Each block is a matrix of its own, packed in panels, and
//! its product is one of its own. So the work is that of the blocks.

use crate::host::gemm::columns::Columns;
use crate::host::gemm::dispatch::Gemm;
use crate::host::gemm::panels::{Packer, Panels, Source};
use crate::host::gemm::product::Product;
use crate::host::gemm::rows::Rows;
use crate::host::layout::plain_rows::Slices;
use crate::host::layout::sizes::Layer;
use crate::host::layout::thread_plan::Shard;
use crate::host::simd::real::Real;
use crate::operation::operands::Operand;
use std::ops::Range;

/// The blocks of `U`, packed.
#[derive(Debug)]
pub(crate) struct Heads<T> {
    /// Those that are multiplied with `h`, and with its gradient's planes.
    pub(crate) outer: Blocks<T>,
    /// Those for the gated hidden state; none for a cell without one.
    pub(crate) gated: Blocks<T>,
}

/// The packed blocks; in dual numbers with their tangents, which are packed in the same way.
pub(crate) struct PackedHeads<'a, T> {
    pub(crate) value: &'a Heads<T>,
    pub(crate) tangent: Option<&'a Heads<T>>,
}

impl<T> Clone for PackedHeads<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for PackedHeads<'_, T> {}

/// Some blocks, head by head, and for each head gate by gate.
#[derive(Debug)]
pub(crate) struct Blocks<T>(Vec<Block<T>>);

/// A block, or the part of one whose columns of `C` lie side by side.
#[derive(Debug)]
struct Block<T> {
    panels: Panels<T>,
    /// Where its columns of `A` and those of `C` begin in a row.
    a: usize,
    c: usize,
    /// The units that its columns of `C` are.
    units: Range<usize>,
    /// Whether it is the first that adds to these columns.
    is_first: bool,
}

/// Where the numbers of a block are, besides its columns.
type Sources<'a, T> = Vec<Source<'a, T>>;

/// The gates whose product is with `h`, and the one whose product is with the gated hidden state.
fn gates_of(layer: &Layer) -> [Range<usize>; 2] {
    let Layer { gates, gated, .. } = *layer;
    [0..layer.outer(), if gated { gates - 1..gates } else { 0..0 }]
}

/// The plane of a gate's product with `h`, or with the gated hidden state: a separate one has a plane of its own.
fn plane_of(layer: &Layer, gate: usize) -> usize {
    if gate < layer.outer() { layer.first_h() + gate } else { layer.plane(gate) }
}

/// Where row `unit` of a head's block of a gate begins in `weight_hh`, `[heads, G·H/heads, H/heads]`. Units are counted
/// from the first of the head.
fn row_at(layer: &Layer, head: usize, gate: usize, unit: usize) -> usize {
    let size = layer.head_size();
    ((head * layer.gates + gate) * size + unit) * size
}

impl<T: Real> Heads<T> {
    /// Memory for the forward pass, whose matrices are transposed, and where its numbers are. `None` for a layer with a
    /// whole matrix.
    pub(crate) fn forward<'a>(
        layer: &Layer,
        operands: &Slices<'a, T>,
    ) -> Option<(Self, Sources<'a, T>)> {
        let weight = operands.get(Operand::WeightHh).copied();
        Self::new(layer, |head, gate| {
            let (size, units) = (layer.head_size(), layer.units_of(head));
            let plane = plane_of(layer, gate);
            let pieces = layer.pieces(plane, &units).map(move |(column, piece)| {
                let inner = if weight.is_some() { size } else { 0 };
                let result = Columns::plain(piece.len(), layer.panel);
                let from = row_at(layer, head, gate, piece.start - units.start);
                let block = Block {
                    panels: Panels::new(layer.isa, Columns::plain(inner, layer.panel), 1, result),
                    a: units.start,
                    c: column,
                    units: piece,
                    is_first: true,
                };
                let rows = if weight.is_some() { vec![(0, size)] } else { vec![] };
                let data = weight.unwrap_or(&[]);
                (block, Source { data, planes: vec![from], column: size, rows, row: 1 })
            });
            pieces.collect()
        })
    }

    /// The same for the backward pass, whose matrices are not transposed.
    pub(crate) fn backward<'a>(
        layer: &Layer,
        operands: &Slices<'a, T>,
    ) -> Option<(Self, Sources<'a, T>)> {
        let weight = operands.get(Operand::WeightHh).copied();
        let firsts = gates_of(layer).map(|gates| gates.start);
        Self::new(layer, |head, gate| {
            let (size, units) = (layer.head_size(), layer.units_of(head));
            let (a, inner) = layer.columns_of(plane_of(layer, gate), &units);
            let inner = if weight.is_some() { inner } else { Columns::none() };
            let result = Columns::plain(size, layer.panel);
            let block = Block {
                panels: Panels::new(layer.isa, inner, 1, result),
                a,
                c: units.start,
                units,
                is_first: firsts.contains(&gate),
            };
            let first = row_at(layer, head, gate, 0);
            let rows = if weight.is_some() { vec![(first, size)] } else { vec![] };
            let data = weight.unwrap_or(&[]);
            vec![(block, Source { data, planes: vec![0], column: 1, rows, row: size })]
        })
    }

    /// All blocks, by a function of the head and the gate.
    fn new<'a>(
        layer: &Layer,
        blocks: impl Fn(usize, usize) -> Vec<(Block<T>, Source<'a, T>)>,
    ) -> Option<(Self, Sources<'a, T>)> {
        if layer.heads == 1 {
            return None;
        }
        let mut sources = Vec::new();
        let [outer, gated] = gates_of(layer).map(|gates| {
            let each = |head| gates.clone().map(move |gate| (head, gate));
            let all = (0..layer.heads).flat_map(each).flat_map(|(head, gate)| blocks(head, gate));
            let (blocks, of_blocks): (Vec<_>, Vec<_>) = all.unzip();
            sources.extend(of_blocks);
            Blocks(blocks)
        });
        Some((Self { outer, gated }, sources))
    }

    /// To be packed by several threads, in the order of the sources.
    pub(crate) fn packers(&mut self) -> impl Iterator<Item = Packer<'_, T>> {
        self.outer.0.iter_mut().chain(&mut self.gated.0).map(|block| block.panels.packer())
    }

    /// With their tangents, if there are any.
    pub(crate) fn beside<'a>(&'a self, tangent: Option<&'a Self>) -> PackedHeads<'a, T> {
        PackedHeads { value: self, tangent }
    }
}

impl<T: Gemm> PackedHeads<'_, T> {
    /// See [`Blocks::multiply`].
    ///
    /// # Safety
    ///
    /// As for [`Product::run`].
    pub(crate) unsafe fn outer(&self, of: HeadProduct<'_, T>) {
        // SAFETY: the caller's promise.
        unsafe { self.value.outer.multiply(self.tangent.map(|tangent| &tangent.outer), of) };
    }

    /// The same with the gated hidden state, or with its gate's plane.
    ///
    /// # Safety
    ///
    /// As for [`Product::run`].
    pub(crate) unsafe fn gated(&self, of: HeadProduct<'_, T>) {
        // SAFETY: the caller's promise.
        unsafe { self.value.gated.multiply(self.tangent.map(|tangent| &tangent.gated), of) };
    }
}

/// What the blocks are multiplied with, and where the products go.
pub(crate) struct HeadProduct<'a, T> {
    layer: &'a Layer,
    units: &'a Range<usize>,
    a: (*const T, Rows<'a>),
    c: (*mut T, Rows<'a>),
    rows: usize,
    add: bool,
}

impl<'a, T> HeadProduct<'a, T> {
    /// # Arguments
    ///
    /// - `shard`: which units of `C`: whole panels of each head, or all
    /// - `a`, `c`: the rows of `A` and of `C`, from their first column on, and how many `rows` there are
    /// - `add`: whether the products are added to `C`
    pub(crate) fn new(
        layer: &'a Layer,
        shard: &'a Shard,
        (a, a_rows): (*mut T, Rows<'a>),
        c: (*mut T, Rows<'a>),
        rows: usize,
        add: bool,
    ) -> Self {
        Self { layer, units: &shard.units, a: (a.cast_const(), a_rows), c, rows, add }
    }
}

impl<T: Gemm> Blocks<T> {
    /// `C = A B`, or `C += A B`, in the columns of some units.
    ///
    /// # Safety
    ///
    /// As for [`Product::run`].
    unsafe fn multiply(&self, tangents: Option<&Self>, of: HeadProduct<'_, T>) {
        let HeadProduct { layer, units, a: (a, a_rows), c: (c, c_rows), rows, add } = of;
        for (index, block) in self.0.iter().enumerate() {
            let Range { start, end } = block.units;
            let own = units.start.max(start)..units.end.min(end);
            if own.is_empty() {
                continue;
            }
            let own = own.start - start..own.end - start;
            let b = block.panels.beside(tangents.map(|tangents| &tangents.0[index].panels));
            for panels in block.panels.of_units(&own, false) {
                let (a, c) = (a.wrapping_add(block.a), c.wrapping_add(block.c));
                let (rows, add, from_last) = (0..rows, add || !block.is_first, false);
                let product = Product { a, a_rows, b, panels, c, c_rows, rows, add, from_last };
                // SAFETY: the caller's promise.
                unsafe { product.run(layer.isa) };
            }
        }
    }
}

/// A part of the gradient of a block, a sum over all steps: its units are side by side in a plane.
#[derive(Clone, Debug)]
pub(super) struct HeadSum {
    /// Its head.
    pub(super) head: usize,
    /// The first of its rows of the gradient.
    pub(super) row: usize,
    /// Where its columns begin in a row of planes, and how many there are.
    pub(super) column: usize,
    pub(super) columns: Columns,
    /// Where its sums begin among those of all blocks, and how many there are.
    pub(super) at: usize,
    pub(super) size: usize,
}

/// The parts of the gradient of `U`: for `h`, and for the gated hidden state. None for a layer with a whole matrix.
pub(super) fn head_sums<T: Real>(layer: &Layer) -> [Vec<HeadSum>; 2] {
    if layer.heads == 1 {
        return [vec![], vec![]];
    }
    let size = layer.head_size();
    gates_of(layer).map(|gates| {
        let (mut all, mut at) = (Vec::new(), 0);
        for head in 0..layer.heads {
            let units = layer.units_of(head);
            for gate in gates.clone() {
                for (column, piece) in layer.pieces(plane_of(layer, gate), &units) {
                    let columns = Columns::plain(piece.len(), layer.panel);
                    let row = row_at(layer, head, gate, piece.start - units.start) / size;
                    let count = layer.parts * size * layer.row_of_sums::<T>(columns);
                    all.push(HeadSum { head, row, column, columns, at, size: count });
                    at += count;
                }
            }
        }
        all
    })
}
