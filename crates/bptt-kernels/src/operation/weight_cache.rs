//! Packed weights, kept from one short call to the next.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps the packed weights of one layer in one direction from one short call to the next, because the next
/// step of a stream uses the same weights.
///
/// Clones share the entry: copies of a layer share their weights, and so their packed weights. There is one
/// entry at a time, and it is used only for the very tensors that were packed (see
/// [`Plan::with_weight_cache`](crate::Plan::with_weight_cache)). Dropping the last clone drops the packed
/// weights.
#[derive(Clone, Default)]
pub struct WeightCache(Arc<Mutex<Option<Entry>>>);

/// The backend, the cell and the float type decide its type.
type Entry = Box<dyn Any + Send + Sync>;

impl WeightCache {
    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.entry().is_none()
    }

    fn entry(&self) -> std::sync::MutexGuard<'_, Option<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls a function with the entry, if it has this type. The lock is held during the call. This is faster than
    /// counting another reference to the entry.
    #[cfg(feature = "host")]
    pub(crate) fn find<T: Any, R>(&self, take: impl FnOnce(&T) -> Option<R>) -> Option<R> {
        take(self.entry().as_ref()?.downcast_ref()?)
    }

    /// Replaces the entry.
    #[cfg(feature = "host")]
    pub(crate) fn put<T: Any + Send + Sync>(&self, entry: T) {
        let before = self.entry().replace(Box::new(entry));
        // The old entry is dropped after the lock is released, because freeing megabytes takes time and other threads
        // may wait.
        drop(before);
    }
}

impl fmt::Debug for WeightCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "WeightCache(empty)" } else { "WeightCache(packed)" })
    }
}
