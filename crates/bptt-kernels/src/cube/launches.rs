//! How many kernels were launched.

use std::cell::Cell;

thread_local! {
    static LAUNCHED: Cell<u64> = const { Cell::new(0) };
}

/// Counts a kernel of a step, or of a whole sequence.
pub(super) fn count() {
    LAUNCHED.set(LAUNCHED.get() + 1);
}

/// See [`sequence_launches`](crate::sequence_launches).
pub(crate) fn so_far() -> u64 {
    LAUNCHED.get()
}
