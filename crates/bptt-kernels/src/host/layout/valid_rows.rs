//! Which rows are computed in which step, and where they are reset.

use crate::host::gemm::rows::Rows;
use crate::host::layout::sizes::Layer;
use crate::host::threads::team::part;
use crate::operation::sequence_rows::SequenceRows;
use std::ops::Range;

/// Which rows are computed in which step, and where their results lie. The results of a time block lie row after row,
/// without gaps for masked rows, so padding costs next to nothing. But then a row lies at another place in each
/// block, and there may have been another thread's row in the block before. So threads that do not wait for each
/// other need [`row_offsets`](Self::row_offsets) of their own.
///
/// Steps are counted in the order in which they are computed.
pub(crate) struct ValidRows {
    batch: usize,
    /// How many rows of the batch belong together.
    grain: usize,
    lists: Option<Lists>,
    resets: Option<Resets>,
}

/// Where rows are reset.
struct Resets {
    /// The rows that are reset before each step, step after step.
    rows: Vec<usize>,
    /// Where each step begins in `rows`, and the end of `rows`, `[T + 1]`.
    first: Vec<usize>,
    /// Whether the state of a row before each step, and after the last, is the reset state, `[T + 1, B]`.
    is_reset: Vec<bool>,
}

/// Where the state before a step is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is the initial state.
    Initial,
    /// It is the reset state.
    Reset,
    /// It is the state after this step.
    Step(usize),
}

/// The lists, if some rows are masked in some steps.
struct Lists {
    /// The valid rows of each step, step after step.
    rows: Vec<usize>,
    /// Where each step begins in `rows`, and the end of `rows`, `[T + 1]`.
    first: Vec<usize>,
    /// The step of each of `rows`.
    steps: Vec<u32>,
    /// Where in `rows` each row of the batch was last before each step, and before the end: its index plus one, or 0
    /// if it was not valid before. `[T + 1, B]`
    before: Vec<u32>,
}

impl ValidRows {
    /// # Panics
    ///
    /// If there are more steps of all rows than it can number.
    pub(crate) fn new(layer: &Layer, rows: &SequenceRows) -> Self {
        let Layer { time, batch, parts: grain, .. } = *layer;
        let lists = rows.mask.as_ref().map(|mask| {
            assert!(
                time.checked_mul(batch).is_some_and(|all| u32::try_from(all).is_ok()),
                "{time} steps of {batch} rows with lengths or a mask: expected at most {} steps of all \
                 rows together",
                u32::MAX,
            );
            let (mut rows, mut steps) = (Vec::new(), Vec::new());
            let mut first = Vec::with_capacity(time + 1);
            let mut before = Vec::with_capacity((time + 1) * batch);
            let mut last = vec![0; batch];
            for k in 0..time {
                first.push(rows.len());
                before.extend(&last);
                for (b, last) in last.iter_mut().enumerate() {
                    if mask.is_valid(layer.time_of(k), b, batch) {
                        rows.push(b);
                        steps.push(k as u32);
                        *last = rows.len() as u32;
                    }
                }
            }
            first.push(rows.len());
            before.extend(&last);
            Lists { rows, first, steps, before }
        });
        let mut all = Self { batch, grain, lists, resets: None };
        if rows.resets.is_some() {
            all.resets = Some(all.find_resets(layer, rows));
        }
        all
    }

    fn find_resets(&self, layer: &Layer, all: &SequenceRows) -> Resets {
        let Layer { time, batch, reverse, .. } = *layer;
        let (mut rows, mut first) = (Vec::new(), Vec::with_capacity(time + 1));
        let mut is_reset = Vec::with_capacity((time + 1) * batch);
        let mut now = vec![false; batch];
        for k in 0..time {
            first.push(rows.len());
            if self.lists.is_none() {
                // Many short steps would notice more than this.
                let flags = all.flags(layer.time_of(k), [time, batch], reverse);
                let flags = flags.unwrap_or(&now);
                rows.extend((0..batch).filter(|&b| flags[b]));
                is_reset.extend_from_slice(flags);
                continue;
            }
            for (b, now) in now.iter_mut().enumerate() {
                // A masked step hands the reset state on.
                *now = *now && !self.is_valid(k - 1, b);
                if all.is_reset(layer.time_of(k), b, [time, batch], reverse) {
                    rows.push(b);
                    *now = true;
                }
            }
            is_reset.extend(&now);
        }
        first.push(rows.len());
        is_reset.extend((0..batch).map(|b| now[b] && !self.is_valid(time - 1, b)));
        Resets { rows, first, is_reset }
    }

    /// The rows that are reset before step `k`, in order.
    pub(crate) fn reset_rows(&self, k: usize) -> &[usize] {
        match &self.resets {
            None => &[],
            Some(resets) => &resets.rows[resets.first[k]..resets.first[k + 1]],
        }
    }

    /// Those of them that are among some rows of the batch.
    pub(crate) fn reset_among(&self, k: usize, of: &Range<usize>) -> &[usize] {
        let rows = self.reset_rows(k);
        let place = |b: usize| rows.partition_point(|&row| row < b);
        if rows.is_empty() { rows } else { &rows[place(of.start)..place(of.end)] }
    }

    /// How many rows buffers of the state have for reset states.
    pub(crate) fn reset_states(&self) -> usize {
        if self.resets.is_some() { self.batch } else { 0 }
    }

    /// Whether the state of a row before step `k` is the reset state.
    #[inline(always)]
    pub(crate) fn is_reset(&self, k: usize, b: usize) -> bool {
        self.resets.as_ref().is_some_and(|resets| resets.is_reset[k * self.batch + b])
    }

    /// How many rows some steps have.
    pub(crate) fn count(&self, steps: &Range<usize>) -> usize {
        match &self.lists {
            None => steps.len() * self.batch,
            Some(lists) => lists.first[steps.end] - lists.first[steps.start],
        }
    }

    /// How many rows one of these steps has, on average.
    pub(crate) fn rows_a_step(&self, steps: &Range<usize>) -> usize {
        self.count(steps) / steps.len().max(1)
    }

    /// The rows of a step; `None` if all are valid.
    pub(crate) fn rows(&self, k: usize) -> Option<&[usize]> {
        let lists = self.lists.as_ref()?;
        Some(&lists.rows[lists.first[k]..lists.first[k + 1]])
    }

    /// At which places of a step some rows of the batch are.
    pub(crate) fn places(&self, k: usize, of: &Range<usize>) -> Range<usize> {
        match self.rows(k) {
            None => of.clone(),
            Some(rows) => {
                let place = |b: usize| rows.partition_point(|&row| row < b);
                place(of.start)..place(of.end)
            }
        }
    }

    /// The valid ones of some rows of the batch in a step.
    pub(crate) fn step_rows(&self, k: usize, of: &Range<usize>) -> StepRows<'_> {
        let places = self.places(k, of);
        let list = self.rows(k).map(|rows| &rows[places.clone()]);
        StepRows { list, places }
    }

    /// Whether a row is valid in a step.
    pub(crate) fn is_valid(&self, k: usize, b: usize) -> bool {
        // Then its last place before the next step is not its last place before this one.
        let before = |lists: &Lists, k| lists.before[k * self.batch + b];
        self.lists.as_ref().is_none_or(|lists| before(lists, k) != before(lists, k + 1))
    }

    /// Where a row's state before step `k` is from: the last step in which the row was valid, or a reset after it.
    #[inline(always)]
    pub(crate) fn before(&self, k: usize, b: usize) -> Origin {
        if self.is_reset(k, b) {
            return Origin::Reset;
        }
        let step = match &self.lists {
            None => k.checked_sub(1),
            Some(lists) => {
                let index = (lists.before[k * self.batch + b] as usize).checked_sub(1);
                index.map(|index| lists.steps[index] as usize)
            }
        };
        step.map_or(Origin::Initial, Origin::Step)
    }

    /// Where a trace of the steps from `first` on has the memory of a row of the batch before step `k`. The trace
    /// begins with one row for each row of the batch. If there are resets, the reset state of each row follows. Behind
    /// them, the trace has one row for each valid row of each step.
    pub(crate) fn traced_before(&self, first: usize, k: usize, b: usize) -> usize {
        if self.is_reset(k, b) {
            return self.batch + b;
        }
        let before = match &self.lists {
            None => (k * self.batch + b).checked_sub(self.batch),
            Some(lists) => (lists.before[k * self.batch + b] as usize).checked_sub(1),
        };
        let since = before.and_then(|before| before.checked_sub(self.count(&(0..first))));
        since.map_or(b, |since| self.batch + self.reset_states() + since)
    }

    /// Step and row of all valid rows in some steps, among some rows of the batch, in order.
    pub(crate) fn pairs(
        &self,
        steps: Range<usize>,
        of: Range<usize>,
    ) -> impl Iterator<Item = (usize, usize)> {
        steps.flat_map(move |k| {
            let rows = self.rows(k);
            self.places(k, &of).map(move |place| (k, rows.map_or(place, |rows| rows[place])))
        })
    }

    /// Step and row of all valid rows from step `first` on, in order, beginning with the `nth`. It does not end if
    /// all rows are valid.
    pub(crate) fn worked(&self, first: usize, nth: usize) -> impl Iterator<Item = (usize, usize)> {
        let batch = self.batch.max(1);
        let mut regular = (first + nth / batch, nth % batch);
        let mut index = self.count(&(0..first)) + nth;
        std::iter::from_fn(move || match &self.lists {
            None => {
                let (k, b) = regular;
                regular = if b + 1 == batch { (k + 1, 0) } else { (k, b + 1) };
                Some((k, b))
            }
            Some(lists) => {
                let pair = (*lists.steps.get(index)? as usize, lists.rows[index]);
                index += 1;
                Some(pair)
            }
        })
    }

    /// Time blocks of at most this many rows, but of at least one step. The number may depend on how many rows the
    /// first step of the block has.
    pub(crate) fn blocks(
        &self,
        steps: Range<usize>,
        rows: impl Fn(usize) -> usize,
    ) -> Vec<Range<usize>> {
        let mut blocks = Vec::new();
        let mut start = steps.start;
        for k in steps.clone() {
            let most = rows(self.count(&(start..start + 1)));
            if k > start && self.count(&(start..k + 1)) > most {
                blocks.push(start..k);
                start = k;
            }
        }
        if start < steps.end {
            blocks.push(start..steps.end);
        }
        blocks
    }

    /// How many rows the largest of these blocks has.
    pub(crate) fn largest(&self, blocks: &[Range<usize>]) -> usize {
        blocks.iter().map(|block| self.count(block)).max().unwrap_or(0)
    }

    /// Where the rows of each part of the batch begin in a buffer for one block, and how many rows the buffer needs.
    ///
    /// A part has the same place for all of these blocks, and no other part uses it. So threads need not wait for each
    /// other, and one may be some blocks ahead.
    pub(crate) fn row_offsets<'a>(
        &self,
        blocks: &[Range<usize>],
        parts: impl Iterator<Item = &'a Range<usize>>,
    ) -> (Vec<usize>, usize) {
        let mut end = 0;
        let row_offset = |of: &Range<usize>| {
            let count = |block: &Range<usize>| -> usize {
                block.clone().map(|k| self.places(k, of).len()).sum()
            };
            let start = end;
            end += blocks.iter().map(count).max().unwrap_or(0);
            start
        };
        let row_offsets = parts.map(row_offset).collect();
        (row_offsets, end)
    }

    /// The batch in this many parts, which have about the same work in some steps.
    pub(crate) fn parts(&self, steps: &Range<usize>, parts: usize) -> Vec<Range<usize>> {
        let Some(lists) = &self.lists else {
            let part = |index| part(index, parts, self.batch, self.grain);
            return (0..parts).map(part).collect();
        };
        let rows = &lists.rows[lists.first[steps.start]..lists.first[steps.end]];
        let mut work = vec![0; self.batch + 1];
        for &b in rows {
            work[b + 1] += 1;
        }
        for b in 0..self.batch {
            work[b + 1] += work[b];
        }
        let edge = |index: usize| match index {
            0 => 0,
            _ if index == parts => self.batch,
            _ => {
                let edge = work.partition_point(|&work| work * parts < rows.len() * index);
                edge / self.grain * self.grain
            }
        };
        (0..parts).map(|index| edge(index)..edge(index + 1)).collect()
    }
}

/// Rows of the batch that are valid in one step.
#[derive(Clone, Debug)]
pub(crate) struct StepRows<'a> {
    /// `None`: each row's index is its place.
    list: Option<&'a [usize]>,
    /// Their places among the rows of the step.
    pub(crate) places: Range<usize>,
}

impl<'a> StepRows<'a> {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The `nth` of them.
    #[inline(always)]
    pub(crate) fn row(&self, nth: usize) -> usize {
        self.list.map_or(self.places.start + nth, |list| list[nth])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).map(|nth| self.row(nth))
    }

    /// Where they lie in a buffer with one row for each row of the batch: the first number, and the rows from there.
    pub(crate) fn in_batch(&self, row: usize) -> (usize, Rows<'a>) {
        let start = if self.list.is_some() { 0 } else { self.places.start };
        (start * row, Rows::of(self.list, row))
    }
}
