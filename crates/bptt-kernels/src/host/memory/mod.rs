//! Memory that threads share and that is used again: buffers, results, and pools that keep both for later calls. It
//! does not know what the numbers in it mean.

pub(crate) mod available;
pub(crate) mod buffer;
pub(crate) mod cache;
pub(crate) mod pool;
pub(crate) mod reclaim;
pub(crate) mod values;
