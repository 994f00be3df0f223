//! Which blocks of steps are shared out in which way.

use crate::host::layout::partition::{Schedule, Share, Split};
use crate::host::layout::sizes::Layer;
use crate::host::layout::valid_rows::ValidRows;
use crate::host::simd::real::Real;
use std::ops::Range;

/// Blocks of steps that are shared out alike.
pub(super) struct Stretch<'a> {
    pub(super) blocks: &'a [Range<usize>],
    pub(super) split: Split,
    /// Each thread's part, and where its rows of a block begin.
    pub(super) shares: Vec<Share>,
    pub(super) rooms: Vec<usize>,
    /// How many rows of planes it takes.
    pub(super) rows: usize,
}

impl<'a> Stretch<'a> {
    /// Of all that is to be worked.
    pub(super) fn all<T: Real>(
        layer: &Layer,
        valid_rows: &ValidRows,
        schedule: Schedule,
        blocks: &'a [Range<usize>],
    ) -> Vec<Self> {
        let split = |block: &Range<usize>| schedule.of::<T>(layer, valid_rows, block);
        let stretch = |blocks: &'a [Range<usize>]| {
            let split = split(&blocks[0]);
            let steps = blocks[0].start..blocks[blocks.len() - 1].end;
            let shares = Share::all::<T>(layer, valid_rows, split, &steps, schedule.count);
            let (rooms, rows) = match split {
                Split::Rows => valid_rows.rooms(blocks, shares.iter().map(|share| &share.rows)),
                Split::Units | Split::Pipeline => {
                    (vec![0; shares.len()], valid_rows.largest(blocks))
                }
            };
            Self { blocks, split, shares, rooms, rows }
        };
        blocks.chunk_by(|a, b| split(a) == split(b)).map(stretch).collect()
    }
}
