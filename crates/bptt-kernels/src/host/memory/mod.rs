//! Memory that threads share and that is used again: buffers, results, and what is kept of both for the
//! next. It knows nothing of what lies in it.

pub(crate) mod available;
pub(crate) mod buffer;
pub(crate) mod pool;
pub(crate) mod reclaim;
pub(crate) mod values;
