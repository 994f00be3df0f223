//! Which rows are worked in which step.

use super::layer::Layer;
use crate::recurrent::Presence;
use std::ops::Range;

/// Which rows are worked in which step, and where they lie: what is computed of a block of steps
/// lies row after row, without a gap for those that do not take part. So padding costs next to
/// nothing. But a row then lies elsewhere in each block, where another's row was in the block
/// before: threads that do not wait for each other need [`rooms`](Self::rooms) of their own.
///
/// Steps are counted as they are worked.
pub(crate) struct Roster {
    batch: usize,
    lists: Option<Lists>,
}

/// Where not all rows are worked in all steps.
struct Lists {
    /// Step after step, the rows that are worked.
    rows: Vec<usize>,
    /// Where each step begins in `rows`; and the end, `[T + 1]`.
    first: Vec<usize>,
    /// The place of each row among its step's, `[T, B]`; [`ABSENT`](Self::ABSENT) if it has none.
    place: Vec<u32>,
    /// One more than the step in which each row was worked before; 0 if in none. `[T, B]`
    before: Vec<u32>,
}

impl Lists {
    const ABSENT: u32 = u32::MAX;
}

impl Roster {
    pub(crate) fn new(layer: &Layer, presence: Option<&Presence>) -> Self {
        let Layer { time, batch, .. } = *layer;
        let lists = presence.map(|presence| {
            let (mut rows, mut first) = (Vec::new(), Vec::with_capacity(time + 1));
            let mut place = vec![Lists::ABSENT; time * batch];
            let mut before = vec![0; time * batch];
            let mut last = vec![0; batch];
            for k in 0..time {
                first.push(rows.len());
                for b in 0..batch {
                    before[k * batch + b] = last[b];
                    if presence.takes_part(layer.time_of(k), b, batch) {
                        place[k * batch + b] = (rows.len() - first[k]) as u32;
                        last[b] = k as u32 + 1;
                        rows.push(b);
                    }
                }
            }
            first.push(rows.len());
            Lists { rows, first, place, before }
        });
        Self { batch, lists }
    }

    /// How many rows some steps have.
    pub(crate) fn count(&self, steps: &Range<usize>) -> usize {
        match &self.lists {
            None => steps.len() * self.batch,
            Some(lists) => lists.first[steps.end] - lists.first[steps.start],
        }
    }

    /// The rows of a step; `None` for all.
    pub(crate) fn rows(&self, k: usize) -> Option<&[usize]> {
        let lists = self.lists.as_ref()?;
        Some(&lists.rows[lists.first[k]..lists.first[k + 1]])
    }

    /// Which places of a step are those of some rows of the batch.
    pub(crate) fn places(&self, k: usize, of: &Range<usize>) -> Range<usize> {
        match self.rows(k) {
            None => of.clone(),
            Some(rows) => {
                let place = |b: usize| rows.partition_point(|&row| row < b);
                place(of.start)..place(of.end)
            }
        }
    }

    /// The place of a row among its step's, if it is worked there.
    #[inline(always)]
    pub(crate) fn place(&self, k: usize, b: usize) -> Option<usize> {
        let Some(lists) = &self.lists else { return Some(b) };
        let place = lists.place[k * self.batch + b];
        (place != Lists::ABSENT).then_some(place as usize)
    }

    /// The step in which a row was worked before step `k`.
    pub(crate) fn before(&self, k: usize, b: usize) -> Option<usize> {
        match &self.lists {
            None => k.checked_sub(1),
            Some(lists) => (lists.before[k * self.batch + b] as usize).checked_sub(1),
        }
    }

    /// Step and row of what is worked in some steps, of some rows of the batch, in order.
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

    /// Steps in blocks of about so many rows, at least one step each.
    pub(crate) fn blocks(&self, steps: Range<usize>, rows: usize) -> Vec<Range<usize>> {
        let mut blocks = Vec::new();
        let mut start = steps.start;
        for k in steps.clone() {
            if k > start && self.count(&(start..k + 1)) > rows {
                blocks.push(start..k);
                start = k;
            }
        }
        if start < steps.end {
            blocks.push(start..steps.end);
        }
        blocks
    }

    /// The most rows that one of these blocks has.
    pub(crate) fn largest(&self, blocks: &[Range<usize>]) -> usize {
        blocks.iter().map(|block| self.count(block)).max().unwrap_or(0)
    }

    /// Where each part of the batch has its rows of a block, if the parts lie one behind the other;
    /// and how many rows all of them take.
    ///
    /// A part has the same place for all blocks, and nobody else's rows are ever there: so that parts
    /// need not wait for each other, and one may be some blocks ahead.
    pub(crate) fn rooms(&self, blocks: &[Range<usize>], parts: usize) -> (Vec<usize>, usize) {
        if parts == 1 {
            return (vec![0], self.largest(blocks));
        }
        let mut end = 0;
        let room = |index| {
            let of = self.part(index, parts);
            let count = |block: &Range<usize>| -> usize {
                block.clone().map(|k| self.places(k, &of).len()).sum()
            };
            let start = end;
            end += blocks.iter().map(count).max().unwrap_or(0);
            start
        };
        let rooms = (0..parts).map(room).collect();
        (rooms, end)
    }

    /// Part `index` of `parts` of the batch, with about as much work as the others.
    pub(crate) fn part(&self, index: usize, parts: usize) -> Range<usize> {
        let Some(lists) = &self.lists else {
            return super::team::part(index, parts, self.batch, 1);
        };
        let mut work = vec![0; self.batch + 1];
        for &b in &lists.rows {
            work[b + 1] += 1;
        }
        for b in 0..self.batch {
            work[b + 1] += work[b];
        }
        let edge = |index: usize| match index {
            0 => 0,
            _ if index == parts => self.batch,
            _ => work.partition_point(|&work| work * parts < lists.rows.len() * index),
        };
        edge(index)..edge(index + 1)
    }
}
