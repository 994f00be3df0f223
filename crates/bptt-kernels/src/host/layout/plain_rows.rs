//! Numbers in rows without padding, as in tensors: operands, and gradients of outputs.

use crate::host::memory::buffer::Shared;
use crate::operation::operands::{Operand, Operands};

/// The operands' numbers, row after row.
pub(crate) type Slices<'a, T> = Operands<&'a [T]>;

/// Row `b` of an operand that may be absent, of `width` numbers.
pub(crate) fn row_of<'a, T>(
    operands: &Slices<'a, T>,
    operand: Operand,
    b: usize,
    width: usize,
) -> Option<&'a [T]> {
    operands.get(operand).map(|all| &all[b * width..][..width])
}

/// dLoss/d(outputs), of all rows; or one row of zeros that stands for all. In a stack, another thread may still write to
/// the rows of earlier steps.
#[derive(Clone, Copy)]
pub(crate) struct DOutputs<'a, T> {
    pub(crate) numbers: Shared<'a, T>,
    pub(crate) is_one: bool,
}

impl<'a, T> DOutputs<'a, T> {
    /// The row for the output that begins at that index, as [`padded_row`] gives it. Behind its end are numbers of the
    /// same step or of the next one.
    #[inline(always)]
    pub(crate) fn row(&self, output_at: usize, padded: usize) -> &'a [T] {
        let at = if self.is_one { 0 } else { output_at };
        // SAFETY: a step is run backward when its rows and those of later steps are complete.
        unsafe { self.numbers.slice(at, padded.min(self.numbers.len() - at)) }
    }
}

/// A row of a matrix without padding, extended to whole SIMD vectors: behind its end are the numbers of the next row.
/// The last row is not extended.
#[inline(always)]
pub(crate) fn padded_row<T>(numbers: &[T], at: usize, padded: usize) -> &[T] {
    let from_here = &numbers[at..];
    &from_here[..padded.min(from_here.len())]
}
