//! Threads that work together. They know nothing of what they work on.

pub(crate) mod team;
pub(crate) mod workers;
