//! The units of a row, two SIMD vectors at a time. The last ones of a row may be fewer.

use crate::host::simd::real::Real;
use crate::host::simd::vectors::{SimdNumber, SimdVecPair};
use bptt_cells::Components;
use pulp::Simd;
use std::ops::Range;

/// The number that a cell computes with.
pub(super) type Pair<S, T> = SimdVecPair<S, T, 1>;

/// As many units as a pair of SIMD vectors has, or fewer.
#[derive(Clone, Copy)]
pub(super) struct Span {
    /// The first of them in a row.
    first: usize,
    count: usize,
    /// `H`, the distance from plane to plane.
    hidden: usize,
}

impl Span {
    /// Some units of a row, one span after the other.
    #[inline(always)]
    pub(super) fn all<S: Simd, T: Real>(
        units: Range<usize>,
        hidden: usize,
    ) -> impl Iterator<Item = Self> + use<S, T> {
        let (pair, end) = (2 * T::lanes::<S>(), units.end);
        units.step_by(pair).map(move |first| Self { first, count: pair.min(end - first), hidden })
    }

    /// The same units where planes have another distance.
    #[inline(always)]
    pub(super) fn in_planes(self, distance: usize) -> Self {
        Self { hidden: distance, ..self }
    }

    /// Reads a component of each plane.
    ///
    /// # Safety
    ///
    /// These units of `row` are valid for reads, for each component. No other thread writes to these units.
    #[inline(always)]
    pub(super) unsafe fn load<S: Simd, T: Real, P: Components<Pair<S, T>>>(
        self,
        simd: S,
        row: *const T,
    ) -> P {
        let lanes = T::lanes::<S>();
        P::from_fn(
            #[inline(always)]
            |plane| {
                // Wrapping, because overflow checks would slow these loops down.
                let at = plane.wrapping_mul(self.hidden).wrapping_add(self.first);
                let from = row.wrapping_add(at);
                Pair::from_registers(
                    simd,
                    #[inline(always)]
                    |_, nth| {
                        let (first, end) =
                            (nth.wrapping_mul(lanes), nth.wrapping_add(1).wrapping_mul(lanes));
                        let from = from.wrapping_add(first);
                        if end <= self.count {
                            // SAFETY: inside of the row, by the caller's promise.
                            return unsafe { T::load(simd, from) };
                        }
                        let count = self.count.saturating_sub(first);
                        if count == 0 {
                            return T::splat(simd, T::ZERO);
                        }
                        // SAFETY: as above.
                        T::load_partial(simd, unsafe { std::slice::from_raw_parts(from, count) })
                    },
                )
            },
        )
    }

    /// Writes a component to each plane.
    ///
    /// # Safety
    ///
    /// These units of `row` are valid for writes, for each component. No other thread reads or writes these units.
    #[inline(always)]
    pub(super) unsafe fn store<S: Simd, T: Real, P: Components<Pair<S, T>>>(
        self,
        simd: S,
        row: *mut T,
        values: P,
    ) {
        let lanes = T::lanes::<S>();
        values.for_each(
            #[inline(always)]
            |plane, value| {
                let at = plane.wrapping_mul(self.hidden).wrapping_add(self.first);
                let to = row.wrapping_add(at);
                value.for_registers(
                    #[inline(always)]
                    |_, nth, value| {
                        let (first, end) =
                            (nth.wrapping_mul(lanes), nth.wrapping_add(1).wrapping_mul(lanes));
                        let to = to.wrapping_add(first);
                        if end <= self.count {
                            // SAFETY: inside of the row, by the caller's promise.
                            return unsafe { T::store(simd, to, value) };
                        }
                        let count = self.count.saturating_sub(first);
                        if count > 0 {
                            // SAFETY: as above.
                            let to = unsafe { std::slice::from_raw_parts_mut(to, count) };
                            T::store_partial(simd, to, value);
                        }
                    },
                );
            },
        );
    }
}

/// Zeros.
#[inline(always)]
pub(super) fn zeros<S: Simd, T: Real, P: Components<Pair<S, T>>>(simd: S) -> P {
    P::from_fn(
        #[inline(always)]
        |_| Pair::zero(simd),
    )
}

/// The number 1, real or complex.
#[inline(always)]
pub(super) fn one<S: Simd, T: Real, P: Components<Pair<S, T>>>(simd: S) -> P {
    P::from_fn(
        #[inline(always)]
        |part| {
            let x = if part == 0 { T::ONE } else { T::ZERO };
            Pair::from_registers(
                simd,
                #[inline(always)]
                |_, _| T::splat(simd, x),
            )
        },
    )
}

/// Adds component by component.
#[inline(always)]
pub(super) fn sum<S: Simd, T: Real, P: Components<Pair<S, T>> + Clone>(a: P, b: P) -> P {
    // Neither a list nor an array's `map`: the first would allocate, and the second is not compiled for the instruction
    // set.
    let mut b_parts = [None; MOST];
    b.for_each(
        #[inline(always)]
        |part, value| b_parts[part] = Some(value),
    );
    let mut a_parts = [None; MOST];
    a.for_each(
        #[inline(always)]
        |part, value| a_parts[part] = Some(value),
    );
    P::from_fn(
        #[inline(always)]
        |part| match (a_parts[part], b_parts[part]) {
            (Some(a), Some(b)) => a + b,
            _ => unreachable!("as many components"),
        },
    )
}

/// More components than any cell has.
const MOST: usize = 8;
