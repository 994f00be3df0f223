//! Rows of planes, and the registers of a number in them.

use super::buffer::Shared;
use super::lane::Registers;
use super::real::Real;
use pulp::Simd;
use std::ops::Range;

/// Where the registers of a number lie in a row: the first from one unit on, the second, if there is
/// one, so many units behind it. Where a row has no more units it is none: then both are the same
/// register, read and written twice.
#[derive(Clone, Copy)]
pub(super) struct Units {
    first: usize,
    second: usize,
}

impl Units {
    /// All that a row has, one number after the other.
    #[inline(always)]
    pub(super) fn of<S: Simd, T: Real, N: Registers<S, T>>(
        units: Range<usize>,
    ) -> impl Iterator<Item = Self> {
        let lanes = T::lanes::<S>();
        let end = units.end;
        units.step_by(N::WIDTH * lanes).map(move |first| {
            let second = if N::WIDTH > 1 && first + lanes < end { lanes } else { 0 };
            Self { first, second }
        })
    }

    /// Counted from another unit on.
    #[inline(always)]
    pub(super) fn behind(self, first: usize) -> Self {
        Self { first: self.first - first, ..self }
    }

    #[inline(always)]
    pub(super) fn at(self, nth: usize) -> usize {
        self.first + nth * self.second
    }
}

/// A register of one row that is not padded: the last one may hang over its end.
#[inline(always)]
pub(super) fn load_row<S: Simd, T: Real>(simd: S, row: &[T], unit: usize) -> T::Register<S> {
    match row.get(unit..unit + T::lanes::<S>()) {
        // SAFETY: the slice has as many elements as a register.
        Some(whole) => unsafe { T::load(simd, whole.as_ptr()) },
        None => T::load_partial(simd, row.get(unit..).unwrap_or(&[])),
    }
}

#[inline(always)]
pub(super) fn store_row<S: Simd, T: Real>(simd: S, row: &mut [T], unit: usize, x: T::Register<S>) {
    match row.get_mut(unit..unit + T::lanes::<S>()) {
        // SAFETY: the slice has as many elements as a register.
        Some(whole) => unsafe { T::store(simd, whole.as_mut_ptr(), x) },
        None => T::store_partial(simd, row.get_mut(unit..).unwrap_or(&mut []), x),
    }
}

/// A padded row of planes, of which one thread has some units; in dual numbers two, the values' and
/// behind it the tangents'.
#[derive(Clone, Copy)]
pub(super) struct Row<T> {
    pub(super) start: *mut T,
    hp: usize,
    /// From one row to the next.
    next: usize,
}

impl<T: Real> Row<T> {
    #[inline(always)]
    pub(super) fn new<S: Simd, N: Registers<S, T>>(
        of: Shared<'_, T>,
        index: usize,
        planes: usize,
        hp: usize,
    ) -> Self {
        let next = planes * hp;
        Self { start: of.at(index * next, N::ROWS * next), hp, next }
    }

    /// # Safety
    ///
    /// The plane is one of the row's, the units and those of a register behind them are below `hp`, and
    /// no other thread writes to them; the row was made for `N`.
    #[inline(always)]
    pub(super) unsafe fn load<S: Simd, N: Registers<S, T>>(
        self,
        simd: S,
        plane: usize,
        unit: Units,
    ) -> N {
        let at = self.start.wrapping_add(plane * self.hp);
        // SAFETY: inside of the rows, by the caller's promise.
        N::from_registers(simd, |row, nth| unsafe {
            T::load(simd, at.add(row * self.next + unit.at(nth)))
        })
    }

    /// # Safety
    ///
    /// As for [`load`](Self::load), and no other thread reads them.
    #[inline(always)]
    pub(super) unsafe fn store<S: Simd, N: Registers<S, T>>(
        self,
        simd: S,
        plane: usize,
        unit: Units,
        x: N,
    ) {
        let at = self.start.wrapping_add(plane * self.hp);
        // SAFETY: inside of the rows, by the caller's promise.
        x.for_registers(|row, nth, x| unsafe {
            T::store(simd, at.add(row * self.next + unit.at(nth)), x);
        });
    }
}

/// The rows that are not padded, one for each row that `N` comes from.
#[inline(always)]
pub(super) fn rows_of<'a, S: Simd, T: Real, N: Registers<S, T>>(
    row: impl Fn(usize) -> &'a [T],
) -> [&'a [T]; 2] {
    [row(0), if N::ROWS > 1 { row(1) } else { &[] }]
}
