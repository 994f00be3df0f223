//! Matrices packed in panels, as the products read them.

use super::buffer::{Buffer, Shared};
use super::isa::Isa;
use super::product::Packed;
use super::real::Real;
use super::team::team;
use std::ops::Range;

/// How many registers wide a panel is.
pub(crate) const WIDE: usize = 2;

/// A matrix `[depth, planes · width]` in panels that do not reach over a plane's end.
#[derive(Debug)]
pub(crate) struct Panels<T> {
    pub(crate) data: Buffer<T>,
    /// The inner dimension.
    pub(crate) depth: usize,
    /// How many columns a plane has, as the result has them in memory.
    pub(crate) width: usize,
    /// From one plane's first column to the next plane's, in the result.
    pub(crate) pitch: usize,
    /// How many panels a plane has.
    pub(crate) per_plane: usize,
    /// How many there are.
    pub(crate) count: usize,
    /// How many columns one has.
    pub(crate) columns: usize,
}

/// Where the elements of a matrix to be packed are.
pub(crate) struct Source<'a, T> {
    pub(crate) data: &'a [T],
    /// For each plane of columns, where its first element is.
    pub(crate) planes: Vec<usize>,
    /// From one column to the next.
    pub(crate) column: usize,
    /// Rows of the inner dimension in groups (one for each plane of `A`): where each begins.
    pub(crate) groups: Vec<usize>,
    /// How many rows a group has.
    pub(crate) rows: usize,
    /// How many rows of zeros fill a group up: as `A` has them.
    pub(crate) padded: usize,
    /// From one row to the next.
    pub(crate) row: usize,
}

impl<T: Real> Panels<T> {
    /// Room for a matrix of `depth` rows and `planes` planes of `width` columns, which in the
    /// result are `pitch` apart.
    pub(crate) fn new(isa: Isa, depth: usize, planes: usize, width: usize, pitch: usize) -> Self {
        let columns = WIDE * isa.lanes::<T>();
        let per_plane = width.div_ceil(columns);
        let count = planes * per_plane;
        let data = Buffer::zeros(&[count, depth, columns]);
        Self { data, depth, width, pitch, per_plane, count, columns }
    }

    /// With its tangent, if there is one.
    pub(crate) fn beside<'a>(&'a self, tangent: Option<&'a Self>) -> Packed<'a, T> {
        Packed { value: self, tangent }
    }

    /// To be packed by several threads.
    pub(crate) fn packer(&mut self) -> Packer<'_, T> {
        let Self { depth, width, per_plane, columns, count, .. } = *self;
        Packer { data: self.data.shared(), depth, width, per_plane, columns, count }
    }
}

/// Fills the panels of a matrix.
pub(crate) struct Packer<'a, T> {
    data: Shared<'a, T>,
    depth: usize,
    width: usize,
    per_plane: usize,
    columns: usize,
    count: usize,
}

impl<T: Real> Packer<'_, T> {
    /// Packs these panels.
    ///
    /// # Safety
    ///
    /// No other thread packs them, and none reads them before it has synchronised with this one.
    unsafe fn pack(&self, panels: Range<usize>, from: &Source<'_, T>) {
        debug_assert_eq!(self.depth, from.groups.len() * from.padded);
        let size = self.depth * self.columns;
        for panel in panels {
            let (plane, first) = (panel / self.per_plane, panel % self.per_plane * self.columns);
            let count = self.columns.min(self.width - first);
            let start = from.planes[plane] + first * from.column;
            // SAFETY: this panel's own part, by the caller's promise no one else's.
            let to = unsafe { self.data.slice_mut(panel * size, size) };
            for (g, group) in from.groups.iter().enumerate() {
                let to = &mut to[g * from.padded * self.columns..][..from.rows * self.columns];
                if from.column == 1 {
                    for (k, to) in to.chunks_exact_mut(self.columns).enumerate() {
                        let row = group + start + k * from.row;
                        to[..count].copy_from_slice(&from.data[row..row + count]);
                    }
                } else {
                    // Transposed: the panel is in the cache, the source is read in order.
                    for j in 0..count {
                        let at = group + start + j * from.column;
                        let source = &from.data[at..][..from.rows];
                        for (to, &x) in to.chunks_exact_mut(self.columns).zip(source) {
                            to[j] = x;
                        }
                    }
                }
            }
        }
    }
}

/// Packs matrices by `count` threads, if there is enough to be packed.
pub(crate) fn pack_all<T: Real>(count: usize, matrices: &[(Packer<'_, T>, &Source<'_, T>)]) {
    let elements: usize = matrices.iter().map(|(packer, _)| packer.data.len()).sum();
    let count = if elements > 1 << 16 { count } else { 1 };
    team(count, |member| {
        for (packer, source) in matrices {
            // SAFETY: each thread has panels of its own, and `team` ends before they are read.
            unsafe { packer.pack(member.part(packer.count, 1), source) };
        }
    });
}
