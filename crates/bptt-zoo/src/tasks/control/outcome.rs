//! What an action brings.

/// What an action brings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) reward: f64,
    /// Whether the episode has ended.
    pub(super) ended: bool,
}
