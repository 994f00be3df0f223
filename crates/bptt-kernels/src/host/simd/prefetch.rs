//! Prefetching: the processor is told which memory it will need soon.

/// The size of a cache line, in bytes.
const LINE: usize = 64;

/// Prefetches all cache lines of this many elements.
#[inline(always)]
pub(crate) fn send_for<T>(from: *const T, count: usize) {
    for first in (0..count).step_by(LINE / size_of::<T>()) {
        prefetch(from.wrapping_add(first));
    }
}

/// Prefetches a cache line.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: it is a hint. It reads nothing, so the pointer may be any.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}
