//! Memory that will soon be wanted, sent for.

/// The size of a line of the cache, in bytes.
const LINE: usize = 64;

/// Sends for all lines of what will soon be wanted: so many elements.
#[inline(always)]
pub(crate) fn send_for<T>(from: *const T, count: usize) {
    for first in (0..count).step_by(LINE / size_of::<T>()) {
        prefetch(from.wrapping_add(first));
    }
}

/// Sends for a line of memory that will soon be wanted.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a hint, that reads nothing, wherever it points to.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}
