//! Matrices packed in panels, in the order in which the products read them.

use crate::host::gemm::columns::Columns;
use crate::host::gemm::transpose::transpose;
use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::simd::isa::Isa;
use crate::host::simd::real::Real;
use crate::host::threads::team::team;
use std::ops::Range;

/// The width of a panel, in SIMD vectors.
pub(crate) const NR: usize = 2;

/// A matrix in panels: first the whole panels of each plane of its columns, then the panels of the remaining columns of
/// all planes ([`Columns`]).
#[derive(Debug)]
pub(crate) struct Panels<T> {
    pub(crate) data: Buffer<T>,
    /// The size of the inner dimension.
    pub(crate) depth: usize,
    /// Where the elements of the inner dimension lie in a row of `A`.
    pub(crate) inner: Columns,
    /// How many planes its columns belong to, and where these lie in a row of `C`.
    pub(crate) planes: usize,
    pub(crate) result: Columns,
    /// How many columns of each plane fill whole panels, and how many are left.
    of_plane: [usize; 2],
    /// How many panels it has.
    pub(crate) count: usize,
    /// How many columns a panel has.
    pub(crate) columns: usize,
}

/// A packed matrix; in dual numbers with its tangent, which is packed in the same way.
#[derive(Debug)]
pub(crate) struct Packed<'a, T> {
    pub(crate) value: &'a Panels<T>,
    pub(crate) tangent: Option<&'a Panels<T>>,
}

impl<T> Clone for Packed<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Packed<'_, T> {}

/// Where the elements of a matrix to be packed are.
pub(crate) struct Source<'a, T> {
    pub(crate) data: &'a [T],
    /// Where the first element of each plane of columns is.
    pub(crate) planes: Vec<usize>,
    /// The distance from one column to the next.
    pub(crate) column: usize,
    /// The rows of the inner dimension, in their order, in ranges: where each range begins, and how many rows it has.
    pub(crate) rows: Vec<(usize, usize)>,
    /// The distance from one row to the next.
    pub(crate) row: usize,
}

impl<T: Real> Panels<T> {
    /// Memory for a matrix with this inner dimension and this many planes of columns.
    pub(crate) fn new(isa: Isa, inner: Columns, planes: usize, result: Columns) -> Self {
        let columns = NR * isa.lanes::<T>();
        let (depth, count) = (inner.count(), result.panels(columns));
        let data = Buffer::zeros(&[count, depth, columns]);
        let of_plane = [result.whole, result.rest].map(|columns| columns / planes.max(1));
        Self { data, depth, inner, planes, result, of_plane, count, columns }
    }

    /// With its tangent, if there is one.
    pub(crate) fn beside<'a>(&'a self, tangent: Option<&'a Self>) -> Packed<'a, T> {
        Packed { value: self, tangent }
    }

    /// The panels that begin in some units of each plane. The remaining columns of all planes belong to the last units.
    /// With `from_last`, what is last comes first.
    pub(crate) fn of_units(
        &self,
        units: &Range<usize>,
        from_last: bool,
    ) -> impl Iterator<Item = Range<usize>> + use<T> {
        let Self { planes, columns, count, of_plane: [whole, rest], .. } = *self;
        let with_rest = units.end > whole;
        let all = units.start == 0 && units.end >= whole && (with_rest || rest == 0);
        let [mut per_plane, mut first, mut last] = [0; 3];
        if !all {
            // No division where a thread has all units.
            per_plane = whole / columns;
            (first, last) = (units.start / columns, units.end.div_ceil(columns).min(per_plane));
        }
        let rest_at = if with_rest { planes * per_plane } else { count };
        let pieces = if all { 1 } else { planes + 1 };
        let panels = move |nth| match if from_last { pieces - 1 - nth } else { nth } {
            _ if all => 0..count,
            plane if plane < planes => plane * per_plane + first..plane * per_plane + last,
            _ => rest_at..count,
        };
        (0..pieces).map(panels).filter(|panels| !panels.is_empty())
    }

    /// To be packed by several threads.
    pub(crate) fn packer(&mut self) -> Packer<'_, T> {
        let Self { depth, columns, count, of_plane: [whole, rest], .. } = *self;
        let wholes = self.result.whole / columns;
        Packer { data: self.data.shared(), depth, columns, count, whole, rest, wholes }
    }
}

/// Fills the panels of a matrix.
pub(crate) struct Packer<'a, T> {
    data: Shared<'a, T>,
    depth: usize,
    columns: usize,
    count: usize,
    /// How many columns of each plane fill whole panels, and how many are left.
    whole: usize,
    rest: usize,
    /// How many whole panels a plane has.
    wholes: usize,
}

impl<T: Real> Packer<'_, T> {
    /// Packs these panels.
    ///
    /// # Safety
    ///
    /// No other thread packs them, and none reads them before it has synchronised with this one.
    unsafe fn pack(&self, panels: Range<usize>, from: &Source<'_, T>) {
        debug_assert_eq!(self.depth, from.rows.iter().map(|&(_, count)| count).sum::<usize>());
        let Self { columns, whole, rest, wholes, .. } = *self;
        let size = self.depth * columns;
        for panel in panels {
            // SAFETY: this is the panel's own part, which by the caller's promise no other thread uses.
            let to = unsafe { self.data.slice_mut(panel * size, size) };
            if panel < wholes {
                let (plane, first) = (panel * columns / whole, panel * columns % whole);
                self.fill(to, 0..columns, from, from.planes[plane] + first * from.column);
                continue;
            }
            // The remaining columns, one plane after the other.
            let (mut at, mut column) = ((panel - wholes) * columns, 0);
            while column < columns && at < from.planes.len() * rest {
                let (plane, first) = (at / rest, at % rest);
                let count = (rest - first).min(columns - column);
                let start = from.planes[plane] + (whole + first) * from.column;
                self.fill(to, column..column + count, from, start);
                (at, column) = (at + count, column + count);
            }
        }
    }

    /// Fills some columns of a panel. The first of them begins at element `start` of the source.
    fn fill(&self, panel: &mut [T], columns: Range<usize>, from: &Source<'_, T>, start: usize) {
        let mut panel = panel;
        for &(first, count) in &from.rows {
            let (to, behind) = panel.split_at_mut(count * self.columns);
            panel = behind;
            if from.column == 1 {
                for (k, to) in to.chunks_exact_mut(self.columns).enumerate() {
                    let row = first + start + k * from.row;
                    to[columns.clone()].copy_from_slice(&from.data[row..row + columns.len()]);
                }
            } else {
                let source = (&from.data[first + start..], from.column);
                let to = (&mut to[columns.start..], self.columns);
                transpose(source, to, [columns.len(), count]);
            }
        }
    }
}

/// Packs matrices by `count` threads, or by one if there is little to pack.
pub(crate) fn pack_all<T: Real>(count: usize, matrices: &[(Packer<'_, T>, &Source<'_, T>)]) {
    let elements: usize = matrices.iter().map(|(packer, _)| packer.data.len()).sum();
    let count = if elements > 1 << 16 { count } else { 1 };
    team(count, |member| {
        for (packer, source) in matrices {
            // SAFETY: each thread packs other panels, and `team` returns before they are read.
            unsafe { packer.pack(member.part(packer.count, 1), source) };
        }
    });
}
