//! How threads share the work of a sequence, and which part of it each thread does.

use crate::host::layout::sizes::Layer;
use crate::host::layout::valid_rows::ValidRows;
use crate::host::memory::cache::second_level_cache;
use crate::host::simd::real::Real;
use crate::host::threads::team::part;
use std::ops::Range;

/// From how many operations of a direction on both directions run at the same time: from the time on that it takes to
/// wake a thread, some 20 µs.
const BESIDE: f64 = 1e6;

/// How many rows and how many steps a chunk of a stack has: at most this many rows, or at least this many steps.
const CHUNK_ROWS: usize = 1024;
const CHUNK_STEPS: usize = 8;

/// From how many operations of each layer on the layers of a stack run at the same time: each chunk takes some
/// microseconds to begin.
const BESIDE_STACK: f64 = 8e6;

/// The same for two layers on the tape. With half as many operations, it was slower: to wake a thread twice, and to begin
/// each chunk, takes as long as what it saves.
const BESIDE_PAIR: f64 = 4e6;

/// Beside each other: how many chunks there are, how many steps they have at least, and how much longer a step takes if
/// its thread also computes its input's product.
const BESIDE_CHUNKS: usize = 16;
const BESIDE_STEPS: usize = 24;
const OF_INPUTS: f64 = 1.4;

impl Layer {
    /// The multiplications and additions of the forward pass.
    fn flops(&self) -> f64 {
        let rows = (self.time * self.batch) as f64;
        let of_h = self.output / self.heads;
        2.0 * rows * ((self.input + of_h) * self.gates * self.hidden) as f64
    }

    /// How many of the available threads work.
    ///
    /// No result depends on their number, nor on how they share the work.
    pub(crate) fn thread_plan<T: Real>(&self, threads: usize) -> ThreadPlan {
        // To start a thread takes some 20 µs. It has to save more than that.
        let count = threads.min((self.flops() / 4e6) as usize).max(1);
        let is_tiny = self.time * self.batch <= 4;
        ThreadPlan { count: if is_tiny { 1 } else { count }, parallelism: None }
    }

    /// How many threads each direction gets, if both directions of a layer run at the same time; `None`: one after the
    /// other, each with all threads. (This is one direction; the other has the same sizes.)
    ///
    /// Threads that compute one direction wait for each other after each step, or each of them has fewer rows. With a
    /// direction of its own, a thread has all rows and waits for nobody.
    pub(crate) fn beside<T: Real>(&self, threads: usize) -> Option<usize> {
        let each = threads / 2;
        let is_even = threads.is_multiple_of(2) || self.thread_plan::<T>(threads).count <= each;
        (each > 0 && is_even && self.flops() >= BESIDE).then_some(each)
    }

    /// For a stack of layers: how many steps a layer runs before the next layer runs the same steps, and how many layers run
    /// beside the others (0: one layer after the other, each with all threads).
    ///
    /// One after the other, chunks have so many rows that nothing is slower than in one piece, and so few that they stay in
    /// the cache. Beside each other they are shorter, because the upper layers wait for the first chunk and the lower ones
    /// are done before the last.
    pub(crate) fn stack_plan<T: Real>(layers: &[Self], threads: usize) -> (usize, usize) {
        let Self { time, batch, .. } = layers[0];
        let long = CHUNK_ROWS.div_ceil(batch).max(CHUNK_STEPS);
        let short = (time / BESIDE_CHUNKS).max(BESIDE_STEPS).min(long);
        // Where one thread computes the steps and the other the inputs of later steps, the others mostly wait.
        let waits = |layer: &Self| layer.parallelism::<T>(batch, threads) == Parallelism::Pipeline;
        let split = layers.len() / 2;
        let beside = (layers.len() - split) as f64 * OF_INPUTS * (1.0 + short as f64 / time as f64);
        let pays = threads.is_multiple_of(2)
            && layers.iter().all(|layer| waits(layer) && layer.flops() >= BESIDE_STACK)
            && beside <= 0.95 * layers.len() as f64;
        if pays { (short, split) } else { (long, 0) }
    }

    /// For two layers of a stack on the tape: how many steps a chunk has, if the upper layer runs beside the lower one, each
    /// with one thread; `None`: one layer after the other, each with all threads.
    ///
    /// It pays where one thread would compute the steps of a layer, while the others have the large products or nothing.
    pub(crate) fn pair_plan<T: Real>(layers: [&Self; 2], threads: usize) -> Option<usize> {
        let Self { time, batch, .. } = *layers[0];
        let waits = |layer: &Self| {
            let count = layer.thread_plan::<T>(threads).count;
            count == 1 || layer.parallelism::<T>(batch, count) == Parallelism::Pipeline
        };
        let chunk = (time / BESIDE_CHUNKS).max(BESIDE_STEPS);
        let is_long = |layer: &&Self| layer.flops() >= BESIDE_PAIR;
        let pays = (2..4).contains(&threads)
            && time >= 2 * chunk
            && layers.iter().all(is_long)
            && layers.iter().all(|layer| waits(layer));
        pays.then_some(chunk)
    }

    /// The fastest way for `count` threads to share steps of this many rows.
    fn parallelism<T: Real>(&self, rows: usize, count: usize) -> Parallelism {
        if count == 1 {
            return Parallelism::Batch;
        }
        let weights = self.outer() * self.hidden * (self.output / self.heads) * size_of::<T>();
        let each = rows / self.parts / count;
        // A barrier takes as long as a step with so few products.
        let is_short = weights * rows < 1 << 18;
        // If threads share the rows, each reads all weights for each step, and needs no barrier. That is best if the
        // weights fit its cache and it has more than one row for each reading; if it has many; and if the step is short.
        let by_rows = match each {
            0 => false,
            1 => is_short,
            2..16 => weights <= second_level_cache() / 2,
            _ => true,
        };
        // Threads share units by whole panels, and a head's panels begin with its first unit.
        let has_whole_heads = self.heads == 1 || self.head_size().is_multiple_of(self.panel);
        let by_units = !self.projected
            && !self.gated
            && !self.couples_units
            && has_whole_heads
            && self.hidden >= count * self.panel;
        match () {
            () if by_rows || (each >= 1 && !by_units) => Parallelism::Batch,
            () if by_units && !is_short => Parallelism::Hidden,
            () => Parallelism::Pipeline,
        }
    }
}

/// How many threads work, and how they share the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadPlan {
    pub(crate) count: usize,
    /// `None`: the fastest way for each time block, by the number of its valid rows. With lengths, the last blocks may
    /// have few.
    pub(crate) parallelism: Option<Parallelism>,
}

impl ThreadPlan {
    /// How the threads share some steps.
    pub(crate) fn of<T: Real>(
        self,
        layer: &Layer,
        valid_rows: &ValidRows,
        steps: &Range<usize>,
    ) -> Parallelism {
        let best = || layer.parallelism::<T>(valid_rows.rows_a_step(steps), self.count);
        self.parallelism.unwrap_or_else(best)
    }
}

/// How threads share the steps of a sequence, by which dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parallelism {
    /// Each thread computes some rows of the batch.
    Batch,
    /// Each thread computes some hidden units, and waits for the others after each step.
    Hidden,
    /// One thread computes the steps, while the others compute the large products of a neighbouring block.
    Pipeline,
}

/// The rows and the hidden units of a step that one thread computes.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    pub(crate) rows: Range<usize>,
    /// In `0..hp`; whole panels.
    pub(crate) units: Range<usize>,
}

impl Shard {
    /// The shards of `count` threads, for some steps.
    pub(crate) fn all<T: Real>(
        layer: &Layer,
        valid_rows: &ValidRows,
        parallelism: Parallelism,
        steps: &Range<usize>,
        count: usize,
    ) -> Vec<Self> {
        let all = || Self { rows: 0..layer.batch, units: 0..layer.hp };
        match parallelism {
            Parallelism::Batch => {
                let parts = valid_rows.parts(steps, count).into_iter();
                parts.map(|rows| Self { rows, ..all() }).collect()
            }
            Parallelism::Hidden => {
                let units = |index| part(index, count, layer.hp, layer.panel);
                (0..count).map(|index| Self { units: units(index), ..all() }).collect()
            }
            Parallelism::Pipeline => vec![all(); count],
        }
    }
}

/// Some steps, and how the threads share them.
#[derive(Clone, Debug)]
pub(crate) struct TimeBlock {
    pub(crate) steps: Range<usize>,
    pub(crate) parallelism: Parallelism,
    /// One for each thread.
    pub(crate) shards: Vec<Shard>,
}

impl TimeBlock {
    pub(crate) fn new<T: Real>(
        layer: &Layer,
        valid_rows: &ValidRows,
        threads: ThreadPlan,
        steps: Range<usize>,
    ) -> Self {
        let parallelism = threads.of::<T>(layer, valid_rows, &steps);
        let shards = Shard::all::<T>(layer, valid_rows, parallelism, &steps, threads.count);
        Self { steps, parallelism, shards }
    }
}
