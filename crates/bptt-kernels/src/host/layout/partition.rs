//! Who works on what: how threads share the steps of a sequence.

use crate::host::layout::sizes::Layer;
use crate::host::layout::valid_rows::ValidRows;
use crate::host::simd::real::Real;
use crate::host::threads::team::part;
use std::ops::Range;

impl Layer {
    /// Multiplications and additions of the forward pass.
    fn flops(&self) -> f64 {
        let rows = (self.time * self.batch) as f64;
        2.0 * rows * ((self.input + self.output) * self.gates * self.hidden) as f64
    }

    /// How many threads, of those that there are.
    ///
    /// Nothing that is computed depends on it, nor on how they share the steps.
    pub(crate) fn schedule<T: Real>(&self, threads: usize) -> Schedule {
        // A thread has to be worth its start, some 20 µs.
        let count = threads.min((self.flops() / 4e6) as usize).max(1);
        let is_tiny = self.time * self.batch <= 4;
        Schedule { count: if is_tiny { 1 } else { count }, split: None }
    }

    /// How so many threads best share steps of so many rows.
    fn split<T: Real>(&self, rows: usize, count: usize) -> Split {
        if count == 1 {
            return Split::Rows;
        }
        let weights = self.outer() * self.hidden * self.output * size_of::<T>();
        let each = rows / self.parts / count;
        // Shared out by rows, each thread reads all weights for each step, and needs no barrier:
        // right if they fit its cache, or if there are rows enough to be worth the reading.
        let by_rows = each >= 1 && (weights <= 1 << 18 || each >= 16);
        let by_units = !self.projected && !self.gated && self.hidden >= count * self.panel;
        match () {
            () if by_rows || (each >= 1 && !by_units) => Split::Rows,
            () if by_units && weights * rows >= 1 << 18 => Split::Units,
            () => Split::Pipeline,
        }
    }
}

/// How many threads, and how they share the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) count: usize,
    /// `None`: each block of steps as is best for as many rows as it has. For lengths may leave few at
    /// the end.
    pub(crate) split: Option<Split>,
}

impl Schedule {
    /// How the threads share some steps.
    pub(crate) fn of<T: Real>(
        self,
        layer: &Layer,
        valid_rows: &ValidRows,
        steps: &Range<usize>,
    ) -> Split {
        let best = || layer.split::<T>(valid_rows.rows_a_step(steps), self.count);
        self.split.unwrap_or_else(best)
    }
}

/// How threads share the steps of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// Each has some of the rows.
    Rows,
    /// Each has some of the units, and waits for the others after each step.
    Units,
    /// One works the steps, while the others are at the large products of a neighbouring block.
    Pipeline,
}

/// What one thread works of a step.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) rows: Range<usize>,
    /// In `0..hp`, whole panels.
    pub(crate) units: Range<usize>,
}

impl Share {
    /// The part that each of so many threads has of some steps.
    pub(crate) fn all<T: Real>(
        layer: &Layer,
        valid_rows: &ValidRows,
        split: Split,
        steps: &Range<usize>,
        count: usize,
    ) -> Vec<Self> {
        let all = || Self { rows: 0..layer.batch, units: 0..layer.hp };
        match split {
            Split::Rows => {
                let parts = valid_rows.parts(steps, count).into_iter();
                parts.map(|rows| Self { rows, ..all() }).collect()
            }
            Split::Units => {
                let units = |index| part(index, count, layer.hp, layer.panel);
                (0..count).map(|index| Self { units: units(index), ..all() }).collect()
            }
            Split::Pipeline => vec![all(); count],
        }
    }
}

/// Some steps, and how they are shared out.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) steps: Range<usize>,
    pub(crate) split: Split,
    /// Each thread's part.
    pub(crate) shares: Vec<Share>,
}

impl Block {
    pub(crate) fn new<T: Real>(
        layer: &Layer,
        valid_rows: &ValidRows,
        schedule: Schedule,
        steps: Range<usize>,
    ) -> Self {
        let split = schedule.of::<T>(layer, valid_rows, &steps);
        let shares = Share::all::<T>(layer, valid_rows, split, &steps, schedule.count);
        Self { steps, split, shares }
    }
}
