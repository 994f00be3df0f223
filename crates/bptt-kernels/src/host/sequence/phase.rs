//! Phases of the forward pass. In each of them, the threads share all time blocks in the same way.

use crate::host::layout::sizes::Layer;
use crate::host::layout::thread_plan::{Parallelism, Shard, ThreadPlan};
use crate::host::layout::valid_rows::ValidRows;
use crate::host::simd::real::Real;
use std::ops::Range;

/// Successive time blocks that the threads share in the same way.
pub(super) struct Phase<'a> {
    pub(super) blocks: &'a [Range<usize>],
    pub(super) parallelism: Parallelism,
    /// For each thread: its shard, and the row of the planes at which its rows of a block begin.
    pub(super) shards: Vec<Shard>,
    pub(super) row_offsets: Vec<usize>,
    /// How many rows of planes the phase needs.
    pub(super) rows: usize,
}

impl<'a> Phase<'a> {
    /// The phases of all blocks.
    pub(super) fn all<T: Real>(
        layer: &Layer,
        valid_rows: &ValidRows,
        threads: ThreadPlan,
        blocks: &'a [Range<usize>],
    ) -> Vec<Self> {
        let kind = |block: &Range<usize>| threads.of::<T>(layer, valid_rows, block);
        let phase = |blocks: &'a [Range<usize>]| {
            let parallelism = kind(&blocks[0]);
            let steps = blocks[0].start..blocks[blocks.len() - 1].end;
            let shards = Shard::all::<T>(layer, valid_rows, parallelism, &steps, threads.count);
            let (row_offsets, rows) = match parallelism {
                Parallelism::Batch => {
                    valid_rows.row_offsets(blocks, shards.iter().map(|shard| &shard.rows))
                }
                Parallelism::Hidden | Parallelism::Pipeline => {
                    (vec![0; shards.len()], valid_rows.largest(blocks))
                }
            };
            Self { blocks, parallelism, shards, row_offsets, rows }
        };
        blocks.chunk_by(|a, b| kind(a) == kind(b)).map(phase).collect()
    }
}
