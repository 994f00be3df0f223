//! A cell's steps, as whatever runs a sequence sees them: by SIMD vectors of some units, or in whole rows.

use crate::host::layout::plain_rows::Slices;
use crate::host::simd::isa::Isa;
use crate::host::simd::real::Real;
use crate::host::step::gates::{DualRows, StepBackward, StepForward, ValueRows};
use crate::host::step::row_number::{RowNumber, RowPool};
use crate::host::step::whole_rows;
use bptt_cells::{Cell, Dual};

/// The steps of a cell, in plain numbers or in dual ones: all that a sequence needs of the cell's equations. So
/// whatever runs a sequence is compiled once, and not for each cell.
pub(crate) trait CellSteps<T>: Sync {
    /// Computes a step forward, or a part of it.
    fn forward(&self, isa: Isa, step: &StepForward<'_, T>);

    /// Computes a step backward, or a part of it.
    fn backward(&self, isa: Isa, step: &StepBackward<'_, T>);
}

/// A cell in plain numbers.
pub(crate) struct InValues<'a, C>(pub(crate) &'a C);

impl<C: Cell, T: Real> CellSteps<T> for InValues<'_, C> {
    fn forward(&self, isa: Isa, step: &StepForward<'_, T>) {
        if C::COUPLES_UNITS {
            let pool = RowPool::new(isa, step.layer.hidden);
            return whole_rows::forward::<C, T, RowNumber<'_, T>>(self.0, &pool, step);
        }
        isa.dispatch(ValueRows { cell: self.0, step });
    }

    fn backward(&self, isa: Isa, step: &StepBackward<'_, T>) {
        if C::COUPLES_UNITS {
            let pool = RowPool::new(isa, step.layer.hidden);
            return whole_rows::backward::<C, T, RowNumber<'_, T>>(self.0, &pool, step);
        }
        isa.dispatch(ValueRows { cell: self.0, step });
    }
}

/// A cell in dual numbers: each row of values is followed by that of its tangents.
pub(crate) struct InDuals<'a, C>(pub(crate) &'a C);

impl<C: Cell, T: Real> CellSteps<T> for InDuals<'_, C> {
    fn forward(&self, isa: Isa, step: &StepForward<'_, T>) {
        if C::COUPLES_UNITS {
            let pool = RowPool::new(isa, step.layer.hidden);
            return whole_rows::forward::<C, T, Dual<RowNumber<'_, T>>>(self.0, &pool, step);
        }
        isa.dispatch(DualRows { cell: self.0, step });
    }

    fn backward(&self, isa: Isa, step: &StepBackward<'_, T>) {
        if C::COUPLES_UNITS {
            let pool = RowPool::new(isa, step.layer.hidden);
            return whole_rows::backward::<C, T, Dual<RowNumber<'_, T>>>(self.0, &pool, step);
        }
        isa.dispatch(DualRows { cell: self.0, step });
    }
}

/// Runs the steps of a cell, with what dual numbers need besides.
pub(crate) struct CellRunner<'a, T> {
    pub(crate) steps: &'a dyn CellSteps<T>,
    /// In dual numbers, the tangents of weights and biases; those that are not there are zero.
    pub(crate) tangents: Option<&'a Slices<'a, T>>,
}

impl<T> Clone for CellRunner<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for CellRunner<'_, T> {}
