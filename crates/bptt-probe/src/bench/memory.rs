//! How allocations are counted.

/// How the program counts its allocations. The program passes this, because a library cannot install a counting
/// allocator.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Starts the count.
    pub reset: fn(),
    /// The peak of allocated bytes since the reset, minus the bytes that were allocated at the reset.
    pub peak: fn() -> usize,
}
