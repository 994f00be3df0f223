//! Gives memory that is kept for later calls back to the system, for a caller that needs it now.

use crate::host::memory::available::available;
use crate::host::memory::buffer;
use crate::host::memory::pool::Pooled;

/// How many bytes are available to a caller that needs `need` bytes. If there are too few, the memory that is kept of
/// earlier calls is given back first, because it is not in use.
pub(crate) fn available_for(need: u128) -> Option<usize> {
    let bytes = available()?;
    if need <= bytes as u128 {
        return Some(bytes);
    }
    release_kept();
    available()
}

/// Gives back to the system all memory of buffers and of results that waits for its next use.
fn release_kept() {
    buffer::release_kept();
    f32::results().release();
    f64::results().release();
}
