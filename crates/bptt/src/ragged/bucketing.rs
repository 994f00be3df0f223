//! A batcher and a batch strategy for Burn's data loaders.

use crate::ragged::batch::RaggedBatch;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{BatchDataLoader, BatchStrategy, DataLoader, MultiThreadDataLoader};
use burn::data::dataset::Dataset;
use burn::tensor::Device;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::sync::Arc;

/// Pads sequences to a [`RaggedBatch`]. A sequence is a list of the numbers of its steps, `[T_b · I]`.
///
/// For items with targets, write your own [`Batcher`] around [`RaggedBatch::pad`].
#[derive(Clone, Copy, Debug)]
pub struct PadBatcher {
    d_input: usize,
}

impl PadBatcher {
    /// For sequences of steps of `d_input` numbers.
    pub fn new(d_input: usize) -> Self {
        Self { d_input }
    }
}

impl<S: AsRef<[f32]>> Batcher<S, RaggedBatch> for PadBatcher {
    fn batch(&self, items: Vec<S>, device: &Device) -> RaggedBatch {
        RaggedBatch::pad(&items, self.d_input, device)
    }
}

/// Packs sequences into rows of at most `time` steps ([`RaggedBatch::pack`]).
#[derive(Clone, Copy, Debug)]
pub struct PackBatcher {
    d_input: usize,
    time: usize,
}

impl PackBatcher {
    /// For sequences of steps of `d_input` numbers, and rows of at most `time` steps.
    pub fn new(d_input: usize, time: usize) -> Self {
        Self { d_input, time }
    }
}

impl<S: AsRef<[f32]>> Batcher<S, RaggedBatch> for PackBatcher {
    fn batch(&self, items: Vec<S>, device: &Device) -> RaggedBatch {
        RaggedBatch::pack(&items, self.d_input, self.time, device)
    }
}

/// Makes data loaders whose batches have sequences of similar lengths.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::{Bucketing, PadBatcher, Padding};
/// use burn::data::dataset::InMemDataset;
/// use burn::tensor::Device;
///
/// let sequences: Vec<Vec<f32>> = (0..1000).map(|k| vec![0.0; k * 37 % 90 + 10]).collect();
/// let bucketing = Bucketing { shuffle: Some(1), ..Bucketing::new(16) };
/// let loader = bucketing.loader(
///     InMemDataset::new(sequences),
///     PadBatcher::new(1),
///     |sequence: &Vec<f32>| sequence.len(),
///     &Device::flex(),
/// );
/// let padding: Padding = loader.iter().map(|batch| batch.unwrap().padding()).sum();
/// assert!(padding.share() < 0.05);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucketing {
    /// How many sequences a batch has; the last one may have fewer.
    pub batch_size: usize,
    /// The size of a window in batches. The sequences of a window are sorted by length. A larger window leaves less
    /// padding. A smaller window makes the batches more random, and holds fewer items in memory.
    pub window: usize,
    /// The seed with which the data, and the batches of each window, are shuffled anew for each epoch. `None`: the
    /// windows follow the data's order, and the shortest sequences of a window come first.
    pub shuffle: Option<u64>,
    /// How many threads load data; 0: the calling thread. Each thread has a part of the data and its own windows.
    pub num_workers: usize,
}

impl Bucketing {
    /// Batches of this many sequences, with windows of 100 batches, in order, without threads.
    pub fn new(batch_size: usize) -> Self {
        Self { batch_size, window: 100, shuffle: None, num_workers: 0 }
    }

    /// Makes a data loader of Burn.
    ///
    /// Burn's `DataLoaderBuilder` does not take a [`BatchStrategy`]. So this makes the same loader as the builder, with
    /// [`Buckets`] as its strategy. (A `Dataset` that sorts its items would work with the builder. But the builder's
    /// `shuffle` would undo the order, and without `shuffle` all epochs have the same batches.)
    ///
    /// # Arguments
    ///
    /// - `batcher`: [`PadBatcher`], or one of your own
    /// - `length`: how long an item is
    ///
    /// # Panics
    ///
    /// If `batch_size` or `window` is zero.
    pub fn loader<I, O>(
        &self,
        dataset: impl Dataset<I> + 'static,
        batcher: impl Batcher<I, O> + 'static,
        length: impl Fn(&I) -> usize + Send + Sync + 'static,
        device: &Device,
    ) -> Arc<dyn DataLoader<O>>
    where
        I: Send + Sync + Clone + 'static,
        O: Send + std::fmt::Debug + 'static,
    {
        let strategy = Box::new(Buckets::new(self, length));
        let (dataset, batcher) = (Arc::new(dataset), Arc::new(batcher));
        let (device, rng) = (device.clone(), self.shuffle.map(StdRng::seed_from_u64));
        match self.num_workers {
            0 => Arc::new(BatchDataLoader::new(strategy, dataset, batcher, device, rng)),
            workers => Arc::new(MultiThreadDataLoader::new(
                strategy, dataset, batcher, workers, device, rng,
            )),
        }
    }
}

/// A [`BatchStrategy`] that sorts a window of items by length and cuts it into batches.
///
/// While the batches of one window are handed out, the items of the next come in.
pub struct Buckets<I> {
    batch_size: usize,
    window: usize,
    shuffle: Option<u64>,
    length: Arc<dyn Fn(&I) -> usize + Send + Sync>,
    /// The window that is being filled.
    items: Vec<(usize, I)>,
    /// The batches of the previous window. They are handed out from the end.
    ready: Vec<Vec<I>>,
}

impl<I> Buckets<I> {
    /// A strategy without items.
    ///
    /// # Panics
    ///
    /// If `batch_size` or `window` is zero.
    pub fn new(
        bucketing: &Bucketing,
        length: impl Fn(&I) -> usize + Send + Sync + 'static,
    ) -> Self {
        let Bucketing { batch_size, window, shuffle, .. } = *bucketing;
        assert!(
            batch_size > 0 && window > 0,
            "buckets of {batch_size} sequences in windows of {window} batches: expected at least one",
        );
        let length = Arc::new(length);
        Self { batch_size, window, shuffle, length, items: Vec::new(), ready: Vec::new() }
    }

    fn cut(&mut self) {
        let mut items = std::mem::take(&mut self.items);
        // The order of the items differs between epochs, and so does the order of the batches.
        let seed = self.shuffle.map(|seed| {
            let lengths = items.iter().map(|(length, _)| *length as u64);
            lengths.fold(seed, |seed, length| {
                seed.wrapping_add(length).wrapping_mul(0x5851_f42d_4c95_7f2d).rotate_left(23)
            })
        });
        // A stable sort: items with the same length keep their order.
        items.sort_by_key(|(length, _)| *length);
        let mut items = items.into_iter().map(|(_, item)| item).peekable();
        while items.peek().is_some() {
            self.ready.push(items.by_ref().take(self.batch_size).collect());
        }
        match seed {
            Some(seed) => self.ready.shuffle(&mut StdRng::seed_from_u64(seed)),
            None => self.ready.reverse(),
        }
    }
}

impl<I: Send + Sync + 'static> BatchStrategy<I> for Buckets<I> {
    fn add(&mut self, item: I) {
        self.items.push(((self.length)(&item), item));
    }

    fn batch(&mut self, force: bool) -> Option<Vec<I>> {
        let is_full = self.items.len() / self.batch_size >= self.window;
        if self.ready.is_empty() && (is_full || force) {
            self.cut();
        }
        self.ready.pop()
    }

    fn clone_dyn(&self) -> Box<dyn BatchStrategy<I>> {
        Box::new(Self {
            length: self.length.clone(),
            items: Vec::new(),
            ready: Vec::new(),
            ..*self
        })
    }

    fn batch_size(&self) -> Option<usize> {
        Some(self.batch_size)
    }
}

impl<I> std::fmt::Debug for Buckets<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buckets({} items, {} batches)", self.items.len(), self.ready.len())
    }
}
