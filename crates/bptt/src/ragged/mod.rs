//! Sequences of different lengths as batches, with as little padding as may be.
//!
//! The batches themselves need nothing of Burn's data loaders. What plugs into these,
//! [`PadBatcher`] and [`Bucketing`], is behind the feature `dataset`, as Burn's own traits are.
//! They stand here rather than with the tasks and data of `bptt-zoo`, because who trains a model of
//! his own needs them beside `forward_lengths`, and none of the zoo.

mod batch;
#[cfg(feature = "dataset")]
mod bucketing;

pub use batch::{Padding, RaggedBatch};
#[cfg(feature = "dataset")]
pub use bucketing::{Bucketing, Buckets, PadBatcher};
