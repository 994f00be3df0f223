//! Matrix products on packed matrices: `C = A B`, or `C += A B`.
//!
//! `B` is packed in panels of as many columns as two registers hold, so that the innermost loop
//! reads it in one stream. A tile of `C` (some rows times one panel, or few rows times several)
//! stays in registers while the loop runs over the inner dimension, which is cut into blocks of
//! [`DEPTH`] so that a panel's block stays in the first-level cache.
//!
//! Each element of `C` is the sum of its products in order, block by block, whatever tile it is
//! in: the bits do not depend on how rows and panels are shared out among threads.

use super::buffer::{Buffer, Shared};
use super::real::Real;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// How much of the inner dimension one pass takes.
pub(crate) const DEPTH: usize = 256;

/// How many registers wide a panel is.
pub(crate) const WIDE: usize = 2;

/// The instruction set that the kernels run on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Isa {
    /// What the machine has, found out at run time.
    Native(Arch),
    /// Plain Rust, for machines that pulp knows nothing of.
    #[allow(dead_code, reason = "used where `pulp::Arch` finds nothing, and in tests")]
    Portable,
}

impl Isa {
    pub(crate) fn detect() -> Self {
        match Arch::new() {
            Arch::Scalar => Self::Portable,
            arch => Self::Native(arch),
        }
    }

    #[inline(always)]
    pub(crate) fn dispatch<Op: WithSimd>(self, op: Op) -> Op::Output {
        match self {
            Self::Native(arch) => arch.dispatch(op),
            Self::Portable => pulp::Scalar128b.vectorize(op),
        }
    }

    /// How many elements a register holds.
    pub(crate) fn lanes<T: Real>(self) -> usize {
        struct Lanes<T>(std::marker::PhantomData<T>);
        impl<T: Real> WithSimd for Lanes<T> {
            type Output = usize;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _simd: S) -> usize {
                T::lanes::<S>()
            }
        }
        self.dispatch(Lanes::<T>(std::marker::PhantomData))
    }
}

/// A matrix `[depth, planes · width]` in panels that do not reach over a plane's end.
#[derive(Debug)]
pub(crate) struct Panels<T> {
    data: Buffer<T>,
    /// The inner dimension.
    depth: usize,
    /// How many columns a plane has, as the result has them in memory.
    width: usize,
    /// From one plane's first column to the next plane's, in the result.
    pitch: usize,
    /// How many panels a plane has.
    per_plane: usize,
    /// How many there are.
    count: usize,
    /// How many columns one has.
    columns: usize,
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

    /// How many panels there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How many panels a plane has.
    pub(crate) fn per_plane(&self) -> usize {
        self.per_plane
    }

    /// How many columns a panel has.
    pub(crate) fn columns(&self) -> usize {
        self.columns
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
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Packs these panels.
    ///
    /// # Safety
    ///
    /// No other thread packs them, and none reads them before it has synchronised with this one.
    pub(crate) unsafe fn pack(&self, panels: Range<usize>, from: &Source<'_, T>) {
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

/// Rows of a matrix in memory, in groups (the rows of one time step).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    /// How many rows a group has.
    pub(crate) per_group: usize,
    /// From one group to the next; against the direction of time, backward.
    pub(crate) group: isize,
    /// From one row to the next.
    pub(crate) row: usize,
}

impl Rows {
    /// All rows one after the other.
    pub(crate) fn plain(row: usize) -> Self {
        Self { per_group: usize::MAX, group: 0, row }
    }

    #[inline(always)]
    fn offset(&self, index: usize) -> isize {
        if index < self.per_group {
            return (index * self.row) as isize;
        }
        let (group, index) = (index / self.per_group, index % self.per_group);
        group as isize * self.group + (index * self.row) as isize
    }
}

/// A product `C = A B` or `C += A B`, on some panels of `B`.
pub(crate) struct Product<'a, T> {
    /// The rows of `A` begin here, contiguous along the inner dimension,
    pub(crate) a: *const T,
    pub(crate) a_rows: Rows,
    pub(crate) b: &'a Panels<T>,
    pub(crate) panels: Range<usize>,
    /// Those of `C` here; a plane of `B`'s columns is a plane of `C`'s.
    pub(crate) c: *mut T,
    pub(crate) c_rows: Rows,
    /// Which rows, counted from those beginnings.
    pub(crate) rows: Range<usize>,
    /// Add to what is there.
    pub(crate) add: bool,
    /// Columns behind a plane's last one are there to be overwritten (with zeros, as `B` has them).
    pub(crate) padded: bool,
}

impl<T: Real> Product<'_, T> {
    /// # Safety
    ///
    /// `a` is valid for reads of all rows, `c` for reads and writes of all rows and of the columns
    /// of the panels, and no other thread touches those, nor writes to `a`.
    #[inline]
    pub(crate) unsafe fn run(self, isa: Isa) {
        T::product(isa, self);
    }
}

impl<T: Real> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let b = self.b;
        let rows = self.rows.len();
        let most = most_rows::<S>();
        let lanes = T::lanes::<S>();
        let tiles = rows.div_ceil(most);
        for k in (0..b.depth).step_by(DEPTH) {
            let depth = DEPTH.min(b.depth - k);
            let add = self.add || k > 0;
            let mut panel = self.panels.start;
            while panel < self.panels.end {
                let first = panel % b.per_plane * b.columns;
                let column = panel / b.per_plane * b.pitch + first;
                let left = b.width - first;
                // With few rows, several whole panels of one plane keep the registers busy.
                let whole = (left / b.columns).min(self.panels.end - panel);
                let together = match rows {
                    1 if whole >= 4 => 4,
                    2 if whole >= 3 => 3,
                    1..=3 if whole >= 2 => 2,
                    _ => 1,
                };
                let from = &b.data.as_slice()[(panel * b.depth + k) * b.columns..];
                let mut row = self.rows.start;
                for tile in 0..tiles {
                    let count = even(self.rows.end - row, tiles - tile);
                    let tile = Tile {
                        a: self.a,
                        a_rows: self.a_rows,
                        row,
                        skip: k,
                        step: 1,
                        depth,
                        b: from.as_ptr(),
                        next: b.depth * b.columns,
                        c: self.c.wrapping_add(column),
                        c_rows: self.c_rows,
                        add,
                        columns: if self.padded { left.next_multiple_of(lanes) } else { left },
                    };
                    // SAFETY: the caller of `run` promises that the rows are there; the panels
                    // from `from` on are in `b`, whose slice was checked.
                    unsafe {
                        match together {
                            4 => tile.exactly::<S, 1, 4>(simd),
                            3 => tile.exactly::<S, 2, 3>(simd),
                            2 => tile.up_to_3::<S>(simd, count),
                            _ => tile.any::<S>(simd, count),
                        }
                    }
                    row += count;
                }
                panel += together;
            }
        }
    }
}

/// How many rows a tile of one panel may have: with its registers, those of a row of `B` and one
/// element of `A` all fit.
#[inline(always)]
fn most_rows<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 12 } else { 6 }
}

/// A product `C += A B` of few rows with a matrix that is used once, and so is not worth packing:
/// it is read as it is, column after column of `B`, which are rows in memory.
pub(crate) struct Rowwise<'a, T> {
    pub(crate) a: *const T,
    pub(crate) a_rows: Rows,
    pub(crate) b: &'a Source<'a, T>,
    /// How many columns a plane of `B` has.
    pub(crate) width: usize,
    /// From one plane's first column to the next plane's, in `C`.
    pub(crate) pitch: usize,
    pub(crate) c: *mut T,
    pub(crate) c_rows: Rows,
    pub(crate) rows: Range<usize>,
}

impl<T: Real> Rowwise<'_, T> {
    /// # Safety
    ///
    /// As for [`Product::run`].
    #[inline]
    pub(crate) unsafe fn run(self, isa: Isa) {
        T::rowwise(isa, self);
    }

    /// Adds `R` neighbouring elements of a row of `C`.
    ///
    /// # Safety
    ///
    /// As for [`Product::run`]; `from` is where the first column of `B` begins.
    #[inline(always)]
    unsafe fn some<S: Simd, const R: usize>(&self, simd: S, a: &[T], from: usize, c: *mut T) {
        let lanes = T::lanes::<S>();
        let columns: [&[T]; R] =
            std::array::from_fn(|r| &self.b.data[from + r * self.b.column..][..a.len()]);
        let mut sums = [T::splat(simd, T::ZERO); R];
        let whole = a.len() / lanes * lanes;
        // SAFETY: `whole` registers are in `a` and in the columns, which are as long; the caller
        // promises `c`.
        unsafe {
            for k in (0..whole).step_by(lanes) {
                let x = T::load(simd, a.as_ptr().add(k));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = T::mul_add(simd, x, T::load(simd, column.as_ptr().add(k)), *sum);
                }
            }
            if whole < a.len() {
                let x = T::load_partial(simd, &a[whole..]);
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = T::mul_add(simd, x, T::load_partial(simd, &column[whole..]), *sum);
                }
            }
            for (r, sum) in sums.into_iter().enumerate() {
                *c.add(r) = T::plus(*c.add(r), T::sum(simd, sum));
            }
        }
    }
}

impl<T: Real> WithSimd for Rowwise<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        /// Columns that are worked together, for as many sums that do not wait for each other.
        const TOGETHER: usize = 8;
        for (p, &plane) in self.b.planes.iter().enumerate() {
            for j in (0..self.width).step_by(TOGETHER) {
                for row in self.rows.clone() {
                    // SAFETY: the caller of `run` promises these rows, and the columns of `c`.
                    unsafe {
                        let a = self.a.offset(self.a_rows.offset(row));
                        let a = std::slice::from_raw_parts(a, self.b.rows);
                        let c = self.c.offset(self.c_rows.offset(row)).add(p * self.pitch + j);
                        let from = plane + j * self.b.column;
                        if j + TOGETHER <= self.width {
                            self.some::<S, TOGETHER>(simd, a, from, c);
                        } else {
                            for r in 0..self.width - j {
                                self.some::<S, 1>(simd, a, from + r * self.b.column, c.add(r));
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The size of the next tile, of `tiles` that have to hold `rows`: as even as can be, because
/// 8 rows are better worked as 4 and 4 than as 6 and 2.
#[inline(always)]
fn even(rows: usize, tiles: usize) -> usize {
    rows.div_ceil(tiles)
}

/// How the columns of a matrix `[depth, columns]` are laid out as rows of tiles: tile by tile,
/// `[depth, rows of the tile]`, so that a sum over `depth` reads them in one stream.
pub(crate) struct Tiles {
    most: usize,
}

impl Tiles {
    pub(crate) fn new(isa: Isa) -> Self {
        struct Most;
        impl WithSimd for Most {
            type Output = usize;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _simd: S) -> usize {
                most_rows::<S>()
            }
        }
        Self { most: isa.dispatch(Most) }
    }

    /// Lays out row `k` of a block of `depth` rows.
    ///
    /// # Safety
    ///
    /// `to` is valid for writes of `row.len() * depth` elements, of which no one else touches
    /// those of this row.
    #[inline]
    pub(crate) unsafe fn pack<T: Real>(&self, row: &[T], k: usize, depth: usize, to: *mut T) {
        let tiles = row.len().div_ceil(self.most);
        let mut first = 0;
        for tile in 0..tiles {
            let count = even(row.len() - first, tiles - tile);
            for (r, &x) in row[first..first + count].iter().enumerate() {
                // SAFETY: the tile begins at `first * depth` and has `count * depth` elements.
                unsafe { *to.add(first * depth + k * count + r) = x };
            }
            first += count;
        }
    }
}

/// A sum of outer products, `C += Aᵀ D`: weight gradients, with the sums of the columns of `D`,
/// bias gradients, on the way.
pub(crate) struct OuterSum<'a, T> {
    /// `A [depth, rows]` as [`Tiles`] lay it out.
    pub(crate) tiles: *const T,
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    /// `D [depth, planes · pitch]`, from the first column of the first plane on.
    pub(crate) d: *const T,
    /// From one row of `D` to the next.
    pub(crate) d_row: usize,
    /// How many columns a plane has, padded.
    pub(crate) pitch: usize,
    /// Which panels of the planes, as [`Panels`] counts them.
    pub(crate) panels: Range<usize>,
    /// `C [rows, c_row]`, its first column that of the first plane.
    pub(crate) c: *mut T,
    pub(crate) c_row: usize,
    /// The sums of the columns, from the first plane's first column on.
    pub(crate) column_sums: Option<*mut T>,
    /// Room for one panel, `depth` rows of it.
    pub(crate) scratch: &'a mut [T],
}

impl<T: Real> OuterSum<'_, T> {
    /// # Safety
    ///
    /// `tiles` and `d` are valid for reads of what the sizes say, `c` and `column_sums` for reads
    /// and writes of the panels' columns, and no other thread touches those.
    #[inline]
    pub(crate) unsafe fn run(self, isa: Isa) {
        T::outer_sum(isa, self);
    }
}

impl<T: Real> WithSimd for OuterSum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = T::lanes::<S>();
        let columns = WIDE * lanes;
        let per_plane = self.pitch.div_ceil(columns);
        let tiles = self.rows.div_ceil(most_rows::<S>());
        let scratch = self.scratch[..self.depth * columns].as_mut_ptr();
        for panel in self.panels {
            let first = panel % per_plane * columns;
            let column = panel / per_plane * self.pitch + first;
            let registers = ((self.pitch - first) / lanes).min(WIDE);
            // SAFETY: the caller of `run` promises that all is there; `scratch` was checked.
            unsafe {
                let mut sums = [T::splat(simd, T::ZERO); WIDE];
                for k in 0..self.depth {
                    for (v, sum) in sums.iter_mut().enumerate().take(registers) {
                        let x = T::load(simd, self.d.add(k * self.d_row + column + v * lanes));
                        T::store(simd, scratch.add(k * columns + v * lanes), x);
                        *sum = T::add(simd, *sum, x);
                    }
                }
                if let Some(to) = self.column_sums {
                    for (v, &sum) in sums.iter().enumerate().take(registers) {
                        let to = to.add(column + v * lanes);
                        T::store(simd, to, T::add(simd, T::load(simd, to), sum));
                    }
                }
                let mut row = 0;
                for tile in 0..tiles {
                    let count = even(self.rows - row, tiles - tile);
                    let tile = Tile {
                        a: self.tiles.add(row * self.depth),
                        a_rows: Rows::plain(1),
                        row: 0,
                        skip: 0,
                        step: count,
                        depth: self.depth,
                        b: scratch,
                        next: 0,
                        c: self.c.add(row * self.c_row + column),
                        c_rows: Rows::plain(self.c_row),
                        add: true,
                        columns: registers * lanes,
                    };
                    tile.any::<S>(simd, count);
                    row += count;
                }
            }
        }
    }
}

/// One tile of `C`, over one block of the inner dimension.
#[derive(Clone, Copy)]
struct Tile<T> {
    a: *const T,
    a_rows: Rows,
    row: usize,
    /// Where in `A` the block begins.
    skip: usize,
    /// From one element of a row of `A` to the next.
    step: usize,
    depth: usize,
    b: *const T,
    /// From one panel to the next.
    next: usize,
    c: *mut T,
    c_rows: Rows,
    add: bool,
    /// How many columns of `C` there are from here on.
    columns: usize,
}

impl<T: Real> Tile<T> {
    /// # Safety
    ///
    /// All that the fields speak of is there, for `R` rows and `P` panels.
    #[inline(always)]
    unsafe fn exactly<S: Simd, const R: usize, const P: usize>(self, simd: S) {
        let lanes = T::lanes::<S>();
        // SAFETY: the caller's promise. A tile that is not whole has one panel, and its columns
        // are counted.
        unsafe {
            if P > 1 || self.columns >= WIDE * lanes {
                self.work::<S, R, P, WIDE>(simd);
            } else if self.columns > lanes {
                self.cut::<S, R, WIDE>(simd);
            } else if self.columns == lanes {
                self.work::<S, R, 1, 1>(simd);
            } else {
                self.cut::<S, R, 1>(simd);
            }
        }
    }

    /// # Safety
    ///
    /// As for [`exactly`](Self::exactly), for `rows` rows, at most 3, and two panels.
    #[inline(always)]
    unsafe fn up_to_3<S: Simd>(self, simd: S, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match rows {
                1 => self.exactly::<S, 1, 2>(simd),
                2 => self.exactly::<S, 2, 2>(simd),
                _ => self.exactly::<S, 3, 2>(simd),
            }
        }
    }

    /// # Safety
    ///
    /// As for [`exactly`](Self::exactly), for `rows` rows, at most `most_rows`, and one panel.
    #[inline(always)]
    unsafe fn any<S: Simd>(self, simd: S, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match rows {
                1 => self.exactly::<S, 1, 1>(simd),
                2 => self.exactly::<S, 2, 1>(simd),
                3 => self.exactly::<S, 3, 1>(simd),
                4 => self.exactly::<S, 4, 1>(simd),
                5 => self.exactly::<S, 5, 1>(simd),
                6 => self.exactly::<S, 6, 1>(simd),
                // Known when this is compiled: no code for tiles that no register holds.
                _ if most_rows::<S>() <= 6 => unreachable!("a tile has at most 6 rows here"),
                7 => self.exactly::<S, 7, 1>(simd),
                8 => self.exactly::<S, 8, 1>(simd),
                9 => self.exactly::<S, 9, 1>(simd),
                10 => self.exactly::<S, 10, 1>(simd),
                11 => self.exactly::<S, 11, 1>(simd),
                _ => self.exactly::<S, 12, 1>(simd),
            }
        }
    }

    /// # Safety
    ///
    /// As for [`exactly`](Self::exactly), with `V` registers of each panel.
    #[inline(always)]
    unsafe fn work<S: Simd, const R: usize, const P: usize, const V: usize>(self, simd: S) {
        // SAFETY: the caller's promise; a panel's row has `WIDE` registers, of which `V` are taken.
        unsafe {
            let sums = self.sums::<S, R, P, V>(simd);
            let lanes = T::lanes::<S>();
            for (r, sums) in sums.into_iter().enumerate() {
                let c = self.c.offset(self.c_rows.offset(self.row + r));
                for (v, sum) in sums.into_iter().flatten().enumerate() {
                    let c = c.add(v * lanes);
                    let sum = if self.add { T::add(simd, T::load(simd, c), sum) } else { sum };
                    T::store(simd, c, sum);
                }
            }
        }
    }

    /// A tile whose last register hangs over the edge of `C`.
    ///
    /// # Safety
    ///
    /// As for [`exactly`](Self::exactly), with one panel and `columns` columns in `V` registers.
    #[inline(always)]
    unsafe fn cut<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        // SAFETY: the caller's promise.
        unsafe {
            let sums = self.sums::<S, R, 1, V>(simd);
            let lanes = T::lanes::<S>();
            for (r, [sums]) in sums.into_iter().enumerate() {
                let c = self.c.offset(self.c_rows.offset(self.row + r));
                let c = std::slice::from_raw_parts_mut(c, self.columns);
                for (c, sum) in c.chunks_mut(lanes).zip(sums) {
                    let sum = match self.add {
                        true => T::add(simd, T::load_partial(simd, c), sum),
                        false => sum,
                    };
                    T::store_partial(simd, c, sum);
                }
            }
        }
    }

    /// # Safety
    ///
    /// As for [`work`](Self::work).
    #[inline(always)]
    unsafe fn sums<S: Simd, const R: usize, const P: usize, const V: usize>(
        &self,
        simd: S,
    ) -> [[[T::Register<S>; V]; P]; R] {
        // SAFETY: the caller's promise: `R` rows of `depth` elements, `P` panels of `depth` rows.
        unsafe {
            let lanes = T::lanes::<S>();
            let a: [*const T; R] = std::array::from_fn(|r| {
                self.a.offset(self.a_rows.offset(self.row + r)).add(self.skip)
            });
            let mut b: [*const T; P] = std::array::from_fn(|p| self.b.add(p * self.next));
            let mut sums = [[[T::splat(simd, T::ZERO); V]; P]; R];
            let mut at = 0_usize;
            for _ in 0..self.depth {
                let row: [[T::Register<S>; V]; P] = std::array::from_fn(|p| {
                    std::array::from_fn(|v| T::load(simd, b[p].add(v * lanes)))
                });
                for r in 0..R {
                    let x = T::splat(simd, *a[r].add(at));
                    for p in 0..P {
                        for v in 0..V {
                            sums[r][p][v] = T::mul_add(simd, x, row[p][v], sums[r][p][v]);
                        }
                    }
                }
                // Wrapping: the profile's overflow checks have no place in this loop.
                at = at.wrapping_add(self.step);
                for b in &mut b {
                    *b = b.wrapping_add(WIDE * lanes);
                }
            }
            sums
        }
    }
}
