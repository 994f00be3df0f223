//! All units of a row as a cell's number, for cells that couple the units of a row.
//!
//! Each operation is a loop over the row by SIMD vectors. The loops are compiled once, and not for each cell; the equations of
//! such a cell are plain calls. A number that is the same for all units, such as a mean, is kept as one, and costs nothing.

use crate::host::simd::isa::Isa;
use crate::host::simd::real::Real;
use crate::host::simd::vectors::SimdVec;
use bptt_cells::{Dual, Number, Rectify};
use bytemuck::{Pod, Zeroable};
use pulp::{Simd, WithSimd};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Add, Mul, Neg, Sub};
use std::rc::Rc;

/// A cache line, which no SIMD vector is longer than.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

// SAFETY: an array of bytes; zeros are a valid value of it.
unsafe impl Zeroable for Line {}
// SAFETY: an array of bytes without padding (its size is its alignment); every bit pattern is valid.
unsafe impl Pod for Line {}

type Lines = Rc<Vec<Line>>;

thread_local! {
    /// Memory that waits for the next row on this thread.
    static KEPT: RefCell<Vec<Lines>> = const { RefCell::new(Vec::new()) };
}

/// Where the numbers of the rows of a step get their memory.
pub(super) struct RowPool<T> {
    isa: Isa,
    units: usize,
    /// How many lines a row takes.
    lines: usize,
    kept: RefCell<Vec<Lines>>,
    of: PhantomData<T>,
}

impl<T: Real> RowPool<T> {
    pub(super) fn new(isa: Isa, units: usize) -> Self {
        let lines = (units * size_of::<T>()).div_ceil(size_of::<Line>());
        let mut kept = KEPT.take();
        kept.retain(|row| row.len() == lines);
        Self { isa, units, lines, kept: RefCell::new(kept), of: PhantomData }
    }

    /// Memory for a row, with any numbers in it.
    fn take(&self) -> Lines {
        let kept = self.kept.borrow_mut().pop();
        kept.unwrap_or_else(|| Rc::new(vec![Line::zeroed(); self.lines]))
    }
}

impl<T> Drop for RowPool<T> {
    fn drop(&mut self) {
        KEPT.set(self.kept.take());
    }
}

/// A number for each unit of a row.
pub(super) struct RowNumber<'a, T: Real> {
    pool: &'a RowPool<T>,
    /// The numbers of the units; `None` if all of them are `same`.
    each: Option<Lines>,
    same: T,
}

impl<T: Real> Clone for RowNumber<'_, T> {
    fn clone(&self) -> Self {
        Self { each: self.each.clone(), ..*self }
    }
}

impl<T: Real> Drop for RowNumber<'_, T> {
    fn drop(&mut self) {
        if let Some(each) = self.each.take()
            && Rc::strong_count(&each) == 1
        {
            self.pool.kept.borrow_mut().push(each);
        }
    }
}

impl<'a, T: Real> RowNumber<'a, T> {
    fn same(pool: &'a RowPool<T>, same: T) -> Self {
        Self { pool, each: None, same }
    }

    /// Memory that no other number has: that of one of the operands, which are not needed any more, or new memory.
    fn memory(&self, operands: &mut [Option<Lines>]) -> Lines {
        let is_own =
            |lines: &Option<Lines>| matches!(lines, Some(own) if Rc::strong_count(own) == 1);
        let own = operands.iter_mut().find(|lines| is_own(lines));
        own.and_then(Option::take).unwrap_or_else(|| self.pool.take())
    }

    /// The numbers of all units.
    fn slice(&self) -> Option<&[T]> {
        let each = self.each.as_ref()?;
        Some(&bytemuck::cast_slice(each)[..self.pool.units])
    }

    /// A function of this number and another one. The memory of operands that nobody else has is used again.
    fn apply<F: Function>(mut self, mut other: Self, function: F) -> Self {
        let pool = self.pool;
        let splat = [&self, &other].map(|x| splat(x.same));
        let operand = |x: &Self, same: &Line| match &x.each {
            Some(each) => (each.as_ptr().cast::<T>(), 1),
            None => (std::ptr::from_ref(same).cast::<T>(), 0),
        };
        let [a, b] = [operand(&self, &splat[0]), operand(&other, &splat[1])];
        if self.each.is_none() && other.each.is_none() {
            let mut line = Line::zeroed();
            let to = std::ptr::from_mut(&mut line).cast::<T>();
            pool.isa.dispatch(Apply { function, a, b, to, units: 1 });
            return Self::same(pool, bytemuck::cast_slice::<Line, T>(&[line])[0]);
        }
        let mut operands = [self.each.take(), other.each.take()];
        let mut memory = self.memory(&mut operands);
        let to = Rc::get_mut(&mut memory).expect("nobody else has it").as_mut_ptr().cast::<T>();
        pool.isa.dispatch(Apply { function, a, b, to, units: pool.units });
        for left in operands.into_iter().flatten().filter(|lines| Rc::strong_count(lines) == 1) {
            pool.kept.borrow_mut().push(left);
        }
        Self { pool, each: Some(memory), same: T::ZERO }
    }

    /// A function of this number.
    fn map<F: Function>(&self, function: F) -> Self {
        let zero = Self::same(self.pool, T::ZERO);
        self.clone().apply(zero, function)
    }
}

fn splat<T: Real>(x: T) -> Line {
    let mut line = [Line::zeroed()];
    bytemuck::cast_slice_mut(&mut line).fill(x);
    line[0]
}

/// A function of two numbers, unit by unit. That of one number does not read the second.
trait Function: Copy {
    fn of<N: Rectify>(self, a: N, b: N) -> N;
}

/// A function over a row. An operand is where its numbers begin, and the distance from one to the next: 1, or 0 if a line
/// of the same number stands for all.
struct Apply<T, F> {
    function: F,
    a: (*const T, usize),
    b: (*const T, usize),
    to: *mut T,
    units: usize,
}

impl<T: Real, F: Function> WithSimd for Apply<T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { function, a, b, to, units } = self;
        let lanes = T::lanes::<S>();
        // SAFETY: `a`, `b` and `to` are whole lines, at least as many as the units take, or one that is read again and
        // again. A vector is not longer than a line, and begins at a multiple of its length. `to` may be `a` or `b`:
        // each vector is read before it is written.
        unsafe {
            for first in (0..units).step_by(lanes) {
                let a = SimdVec::<S, T> { simd, value: T::load(simd, a.0.add(first * a.1)) };
                let b = SimdVec::<S, T> { simd, value: T::load(simd, b.0.add(first * b.1)) };
                T::store(simd, to.add(first), function.of(a, b).value);
            }
        }
    }
}

/// The sum of a row, in four sums side by side.
struct Sum<'a, T>(&'a [T]);

impl<T: Real> WithSimd for Sum<'_, T> {
    type Output = T;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> T {
        let lanes = T::lanes::<S>();
        let mut sums = [T::splat(simd, T::ZERO); 4];
        let mut last = sums[0];
        let fours = self.0.chunks_exact(4 * lanes);
        let rest = fours.remainder().chunks(lanes);
        for four in fours {
            for (k, sum) in sums.iter_mut().enumerate() {
                // SAFETY: there are as many elements as four registers have.
                *sum = T::add(simd, *sum, unsafe { T::load(simd, four.as_ptr().add(k * lanes)) });
            }
        }
        for part in rest {
            let x = match part.len() == lanes {
                // SAFETY: the part has as many elements as a register.
                true => unsafe { T::load(simd, part.as_ptr()) },
                false => T::load_partial(simd, part),
            };
            last = T::add(simd, last, x);
        }
        let [a, b, c, d] = sums;
        let sum = T::add(simd, T::add(simd, T::add(simd, a, b), T::add(simd, c, d)), last);
        let mut line = [Line::zeroed()];
        let all = &mut bytemuck::cast_slice_mut::<Line, T>(&mut line)[..lanes];
        // SAFETY: there are as many elements as a register has.
        unsafe { T::store(simd, all.as_mut_ptr(), sum) };
        let mut count = lanes;
        while count > 1 {
            count /= 2;
            for k in 0..count {
                all[k] = T::plus(all[k], all[k + count]);
            }
        }
        all[0]
    }
}

/// Declares functions: `Name(fields) |a, b| value`.
macro_rules! functions {
    ($($Name:ident $(($field:ident))? |$a:ident, $b:ident| $value:expr;)*) => {$(
        #[derive(Clone, Copy)]
        struct $Name $((functions!(@f64 $field)))?;

        impl Function for $Name {
            #[inline(always)]
            fn of<N: Rectify>(self, $a: N, $b: N) -> N {
                $(let Self($field) = self;)?
                $value
            }
        }
    )*};
    (@f64 $field:ident) => { f64 };
}
functions! {
    Plus |a, b| a + b;
    Minus |a, b| a - b;
    Times |a, b| a * b;
    Negative |a, _b| -a;
    OneMinus |a, _b| a.one_minus();
    Sigmoid |a, _b| a.sigmoid();
    Tanh |a, _b| a.tanh();
    Exp |a, _b| a.exp();
    LogSigmoid |a, _b| a.log_sigmoid();
    Recip |a, _b| a.recip();
    InverseSqrt(epsilon) |a, _b| a.inverse_sqrt(epsilon);
    Scale(factor) |a, _b| a.scale(factor);
    SigmoidSlope |a, _b| a.sigmoid_slope();
    TanhSlope |a, _b| a.tanh_slope();
    Relu |a, _b| a.relu();
    ReluBackward |a, b| a.relu_backward(&b);
    Clip(bound) |a, _b| a.clip(bound);
    ClipBackward(bound) |a, b| a.clip_backward(bound, &b);
}

macro_rules! operators {
    ($($Op:ident $op:ident $Function:ident;)*) => {$(
        impl<T: Real> $Op for RowNumber<'_, T> {
            type Output = Self;
            fn $op(self, other: Self) -> Self {
                self.apply(other, $Function)
            }
        }
        impl<'a, T: Real> $Op<&RowNumber<'a, T>> for RowNumber<'a, T> {
            type Output = Self;
            fn $op(self, other: &Self) -> Self {
                self.apply(other.clone(), $Function)
            }
        }
        impl<'a, T: Real> $Op<RowNumber<'a, T>> for &RowNumber<'a, T> {
            type Output = RowNumber<'a, T>;
            fn $op(self, other: RowNumber<'a, T>) -> RowNumber<'a, T> {
                self.clone().apply(other, $Function)
            }
        }
        impl<'a, T: Real> $Op for &RowNumber<'a, T> {
            type Output = RowNumber<'a, T>;
            fn $op(self, other: Self) -> RowNumber<'a, T> {
                self.clone().apply(other.clone(), $Function)
            }
        }
    )*};
}
operators! {
    Add add Plus;
    Sub sub Minus;
    Mul mul Times;
}

impl<T: Real> Neg for RowNumber<'_, T> {
    type Output = Self;
    fn neg(self) -> Self {
        let zero = Self::same(self.pool, T::ZERO);
        self.apply(zero, Negative)
    }
}

impl<T: Real> Number for RowNumber<'_, T> {
    fn one_minus(&self) -> Self {
        self.map(OneMinus)
    }

    fn sigmoid(&self) -> Self {
        self.map(Sigmoid)
    }

    fn tanh(&self) -> Self {
        self.map(Tanh)
    }

    fn exp(&self) -> Self {
        self.map(Exp)
    }

    fn log_sigmoid(&self) -> Self {
        self.map(LogSigmoid)
    }

    fn recip(&self) -> Self {
        self.map(Recip)
    }

    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        self.map(InverseSqrt(epsilon))
    }

    fn scale(&self, factor: f64) -> Self {
        self.map(Scale(factor))
    }

    fn mean(&self) -> Self {
        let Some(units) = self.slice() else { return self.clone() };
        let sum = self.pool.isa.dispatch(Sum(units));
        Self::same(self.pool, sum).scale(1.0 / units.len() as f64)
    }

    fn sigmoid_slope(&self) -> Self {
        self.map(SigmoidSlope)
    }

    fn tanh_slope(&self) -> Self {
        self.map(TanhSlope)
    }
}

impl<T: Real> Rectify for RowNumber<'_, T> {
    fn relu(&self) -> Self {
        self.map(Relu)
    }

    fn relu_backward(&self, d: &Self) -> Self {
        self.clone().apply(d.clone(), ReluBackward)
    }

    fn clip(&self, bound: f64) -> Self {
        self.map(Clip(bound))
    }

    fn clip_backward(&self, bound: f64, d: &Self) -> Self {
        self.clone().apply(d.clone(), ClipBackward(bound))
    }
}

/// The number that a cell computes with: a row; in dual numbers, a row of values and the next row, of tangents.
pub(super) trait OfRows<'a, T: Real>: Rectify {
    /// From how many rows it is.
    const ROWS: usize;

    /// Makes it of rows: `read` gets which row, and where its units go.
    fn load(pool: &'a RowPool<T>, read: impl FnMut(usize, &mut [T])) -> Self;

    /// Calls a function with each row.
    fn store(&self, write: impl FnMut(usize, &[T]));
}

impl<'a, T: Real> OfRows<'a, T> for RowNumber<'a, T> {
    const ROWS: usize = 1;

    fn load(pool: &'a RowPool<T>, mut read: impl FnMut(usize, &mut [T])) -> Self {
        let mut memory = pool.take();
        let lines = Rc::get_mut(&mut memory).expect("nobody else has it");
        read(0, &mut bytemuck::cast_slice_mut(lines)[..pool.units]);
        Self { pool, each: Some(memory), same: T::ZERO }
    }

    fn store(&self, mut write: impl FnMut(usize, &[T])) {
        match self.slice() {
            Some(units) => write(0, units),
            None => Self::load(self.pool, |_, to| to.fill(self.same)).store(write),
        }
    }
}

impl<'a, T: Real> OfRows<'a, T> for Dual<RowNumber<'a, T>> {
    const ROWS: usize = 2;

    fn load(pool: &'a RowPool<T>, mut read: impl FnMut(usize, &mut [T])) -> Self {
        let mut row = |row: usize| RowNumber::load(pool, |_, to: &mut [T]| read(row, to));
        Self { value: row(0), tangent: Some(row(1)) }
    }

    fn store(&self, mut write: impl FnMut(usize, &[T])) {
        self.value.store(|_, units| write(0, units));
        let zero = || RowNumber::same(self.value.pool, T::ZERO);
        let tangent = self.tangent.clone().unwrap_or_else(zero);
        tangent.store(|_, units| write(1, units));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bptt_cells::{Cell, LstmLayerNorm, State};

    /// A step forward and backward of a cell that couples units: all results, one after the other.
    fn run<N: Rectify>(number: impl Fn(usize) -> N) -> Vec<N> {
        let mut next = 0..;
        let mut number = || number(next.next().expect("no end"));
        let mut state = || State { hidden: number(), memory: std::array::from_fn(|_| number()) };
        let [before, cotangent] = [state(), state()];
        let gates = std::array::from_fn(|_| number());
        let separate = std::array::from_fn(|_| number());
        let (after, saved) = Cell::step(&LstmLayerNorm, gates, separate, &before);
        let back = Cell::step_backward(&LstmLayerNorm, saved, &before, &after, cotangent);
        let mut all = vec![after.hidden];
        all.extend(after.memory);
        all.extend(back.d_gates);
        all.extend(back.d_separate);
        all.extend(back.d_memory);
        all
    }

    fn value(k: usize, unit: usize) -> f64 {
        ((37 * k + 11 * unit) as f64 * 0.618_033_988_749_895).fract() * 2.0 - 1.0
    }

    /// Rows of any number of units, on every instruction set, are what plain numbers give.
    fn agrees<T: Real>(tolerance: f64) {
        for isa in [Isa::detect(), Isa::Portable] {
            for units in [1, 3, 16, 37, 200] {
                let pool = RowPool::<T>::new(isa, units);
                let found = run(|k| {
                    RowNumber::load(&pool, |_, to| {
                        let numbers = to.iter_mut().enumerate();
                        numbers.for_each(|(unit, to)| *to = T::of(value(k, unit)));
                    })
                });
                let expected = run(|k| {
                    let rounded = |unit| T::of(value(k, unit)).to_f64();
                    bptt_cells::Row((0..units).map(rounded).collect())
                });
                for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    found.store(|_, found| {
                        for (x, y) in found.iter().zip(&expected.0) {
                            let off = (x.to_f64() - y).abs();
                            assert!(off <= tolerance * y.abs().max(1.0), "{units} {k}: {x:?} {y}");
                        }
                    });
                }
            }
        }
    }

    #[test]
    fn rows_are_what_plain_numbers_give() {
        agrees::<f64>(1e-12);
        agrees::<f32>(1e-3);
    }

    #[test]
    fn a_mean_costs_no_row_and_operands_are_used_again() {
        let pool = RowPool::<f64>::new(Isa::detect(), 5);
        let row = || RowNumber::load(&pool, |_, to| to.copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 6.0]));
        let mean = row().mean();
        assert!(mean.each.is_none() && (mean.same - 3.2).abs() < 1e-15);
        let [a, b] = [row(), row()];
        let same = a.clone();
        let sum = a + &b;
        // `a` has another owner, and `b` is needed still, so the sum has memory of its own.
        assert_eq!(same.slice(), b.slice());
        assert_eq!(sum.slice(), Some(&[2.0, 4.0, 6.0, 8.0, 12.0][..]));
        drop((same, b));
        let kept = pool.kept.borrow().len();
        let doubled = sum.scale(2.0) - &mean;
        assert_eq!(doubled.slice().map(|units| units[4]), Some(24.0 - 3.2));
        assert!(pool.kept.borrow().len() < kept, "from what was given back");
    }
}
