//! Threads that work together. They do not know what they compute.

pub(crate) mod progress;
pub(crate) mod team;
mod wait;
pub(crate) mod workers;
