//! Batches of sequences of different lengths, with little padding.
//!
//! [`RaggedBatch`] does not need Burn's data loaders. [`PadBatcher`] and [`Bucketing`] need them. So they are behind
//! the feature `dataset`, like Burn's own traits. They are here and not in `bptt-zoo`, because users who train a model
//! of their own need them together with `forward_lengths`, and need nothing else of the zoo.

mod batch;
#[cfg(feature = "dataset")]
mod bucketing;

pub use batch::{Padding, RaggedBatch};
#[cfg(feature = "dataset")]
pub use bucketing::{Bucketing, Buckets, PackBatcher, PadBatcher};
