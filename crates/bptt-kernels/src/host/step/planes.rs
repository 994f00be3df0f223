//! Rows of planes, and where the SIMD vectors of a number lie in them.

use crate::host::layout::sizes::Layer;
use crate::host::memory::buffer::Shared;
use crate::host::simd::real::Real;
use crate::host::simd::vectors::SimdNumber;
use pulp::Simd;
use std::ops::Range;

/// Where the vectors of a number lie in a row: the first from one unit on, and the second, if there is one, a number of
/// units behind it. If the row has no units for the second, that distance is 0: then both are the same vector, which is
/// read and written twice.
#[derive(Clone, Copy)]
pub(super) struct Units {
    first: usize,
    second: usize,
    /// In a row of a step's planes: the column of the first unit in the first plane, and the distance to its column
    /// in the next plane.
    column: usize,
    pitch: usize,
}

impl Units {
    /// The numbers of some units of a row, one after the other.
    #[inline(always)]
    pub(super) fn all<S: Simd, T: Real, N: SimdNumber<S, T>>(
        layer: &Layer,
        units: Range<usize>,
    ) -> impl Iterator<Item = Self> + use<S, T, N> {
        let Layer { whole, rest, .. } = *layer;
        let (lanes, end) = (T::lanes::<S>(), units.end);
        let behind = (layer.planes() * whole).wrapping_sub(whole);
        units.step_by(N::WIDTH * lanes).map(move |first| {
            let second = if N::WIDTH > 1 && first + lanes < end { lanes } else { 0 };
            let is_whole = first < whole;
            let column = if is_whole { first } else { behind.wrapping_add(first) };
            let pitch = if is_whole { whole } else { rest };
            Self { first, second, column, pitch }
        })
    }

    /// The same, counted from another unit on.
    #[inline(always)]
    pub(super) fn behind(self, first: usize) -> Self {
        Self { first: self.first - first, ..self }
    }

    // Wrapping, because overflow checks would slow these loops down.

    #[inline(always)]
    pub(super) fn at(self, nth: usize) -> usize {
        self.first.wrapping_add(nth.wrapping_mul(self.second))
    }

    /// The column of its first unit in a plane.
    #[inline(always)]
    fn column(self, plane: usize, nth: usize) -> usize {
        let first = self.column.wrapping_add(plane.wrapping_mul(self.pitch));
        first.wrapping_add(nth.wrapping_mul(self.second))
    }
}

/// A vector of a row that is not padded. The last vector of a row may be longer than the rest of the row.
#[inline(always)]
pub(crate) fn load_row<S: Simd, T: Real>(simd: S, row: &[T], unit: usize) -> T::Register<S> {
    match row.get(unit..unit.wrapping_add(T::lanes::<S>())) {
        // SAFETY: the slice has as many elements as a register.
        Some(whole) => unsafe { T::load(simd, whole.as_ptr()) },
        None => T::load_partial(simd, row.get(unit..).unwrap_or(&[])),
    }
}

#[inline(always)]
pub(crate) fn store_row<S: Simd, T: Real>(simd: S, row: &mut [T], unit: usize, x: T::Register<S>) {
    match row.get_mut(unit..unit.wrapping_add(T::lanes::<S>())) {
        // SAFETY: the slice has as many elements as a register.
        Some(whole) => unsafe { T::store(simd, whole.as_mut_ptr(), x) },
        None => T::store_partial(simd, row.get_mut(unit..).unwrap_or(&mut []), x),
    }
}

/// A row of padded planes, of which one thread has some units; or two such rows, if a number is from two rows.
#[derive(Clone, Copy)]
pub(super) struct Row<T> {
    starts: [*mut T; 2],
    hp: usize,
}

impl<T: Real> Row<T> {
    #[inline(always)]
    pub(super) fn new<S: Simd, N: SimdNumber<S, T>>(
        of: Shared<'_, T>,
        index: impl Fn(usize) -> usize,
        planes: usize,
        hp: usize,
    ) -> Self {
        let size = planes * hp;
        // There may be no rows of what the cell does not have.
        let start = |row| if planes == 0 { of.at(0, 0) } else { of.at(index(row) * size, size) };
        let first = start(0);
        let second = if N::ROWS > 1 { start(1) } else { first };
        Self { starts: [first, second], hp }
    }

    /// A pointer to a unit of a plane.
    #[inline(always)]
    fn at(self, row: usize, plane: usize, unit: usize) -> *mut T {
        self.starts[row].wrapping_add(plane.wrapping_mul(self.hp)).wrapping_add(unit)
    }

    /// # Safety
    ///
    /// The row has this plane. The units are below `hp`, and so are all units of their vectors. No other thread
    /// writes to them. The row was made for `N`.
    #[inline(always)]
    pub(super) unsafe fn load<S: Simd, N: SimdNumber<S, T>>(
        self,
        simd: S,
        plane: usize,
        unit: Units,
    ) -> N {
        // SAFETY: inside of the rows, by the caller's promise.
        N::from_registers(simd, |row, nth| unsafe {
            T::load(simd, self.at(row, plane, unit.at(nth)))
        })
    }

    /// # Safety
    ///
    /// As for [`load`](Self::load), and no other thread reads them.
    #[inline(always)]
    pub(super) unsafe fn store<S: Simd, N: SimdNumber<S, T>>(
        self,
        simd: S,
        plane: usize,
        unit: Units,
        x: N,
    ) {
        // SAFETY: inside of the rows, by the caller's promise.
        x.for_registers(|row, nth, x| unsafe {
            T::store(simd, self.at(row, plane, unit.at(nth)), x);
        });
    }
}

/// A row of a step's planes, laid out as [`Layer`] says; also the next row, if a number is from two rows.
#[derive(Clone, Copy)]
pub(super) struct Planes<T> {
    start: *mut T,
    /// The distance from one row to the next.
    next: usize,
    hidden: usize,
}

impl<T: Real> Planes<T> {
    #[inline(always)]
    pub(super) fn new<S: Simd, N: SimdNumber<S, T>>(
        of: Shared<'_, T>,
        index: usize,
        layer: &Layer,
    ) -> Self {
        let Layer { hidden, row: next, .. } = *layer;
        Self { start: of.at(index * next, N::ROWS * next), next, hidden }
    }

    /// # Safety
    ///
    /// The row has this plane and these units, and no other thread writes to them. The row was made for `N`.
    #[inline(always)]
    pub(super) unsafe fn load<S: Simd, N: SimdNumber<S, T>>(
        self,
        simd: S,
        plane: usize,
        unit: Units,
    ) -> N {
        // SAFETY: inside of the rows, by the caller's promise: a vector that begins in a plane may be read to its end.
        N::from_registers(simd, |row, nth| unsafe {
            let at = self.start.wrapping_add(unit.column(plane, nth));
            T::load(simd, at.wrapping_add(row.wrapping_mul(self.next)))
        })
    }

    /// # Safety
    ///
    /// As for [`load`](Self::load), and no other thread reads them.
    #[inline(always)]
    pub(super) unsafe fn store<S: Simd, N: SimdNumber<S, T>>(
        self,
        simd: S,
        plane: usize,
        unit: Units,
        x: N,
    ) {
        let lanes = T::lanes::<S>();
        x.for_registers(|row, nth, x| {
            let to = self.start.wrapping_add(unit.column(plane, nth));
            let to = to.wrapping_add(row.wrapping_mul(self.next));
            // SAFETY: inside of the rows, by the caller's promise; and before the end of the plane, where the next
            // plane begins.
            unsafe {
                match unit.at(nth) + lanes <= self.hidden {
                    true => T::store(simd, to, x),
                    false => {
                        let left = self.hidden - unit.at(nth);
                        let to = std::slice::from_raw_parts_mut(to, left);
                        T::store_partial(simd, to, x);
                    }
                }
            }
        });
    }
}

/// Rows that are not padded: one for each row that `N` is from.
#[inline(always)]
pub(super) fn rows_of<'a, S: Simd, T: Real, N: SimdNumber<S, T>>(
    row: impl Fn(usize) -> &'a [T],
) -> [&'a [T]; 2] {
    [row(0), if N::ROWS > 1 { row(1) } else { &[] }]
}
