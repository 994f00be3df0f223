//! Memory that is kept for the next sequence, given back to who needs it now.

use crate::host::memory::available::available;
use crate::host::memory::buffer;
use crate::host::memory::pool::Pooled;

/// How much memory can be had by who needs so much: if that is more than there is, what is kept of earlier
/// sequences is given back first, for it is not in use.
pub(crate) fn available_for(need: u128) -> Option<usize> {
    let bytes = available()?;
    if need <= bytes as u128 {
        return Some(bytes);
    }
    release_kept();
    available()
}

/// Gives back to the system all that waits for its next use, of buffers and of results.
fn release_kept() {
    buffer::release_kept();
    f32::results().release();
    f64::results().release();
}
