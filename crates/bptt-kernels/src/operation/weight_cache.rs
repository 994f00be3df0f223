//! Packed weights, kept from one short call to the next.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Where a layer keeps its packed weights from one short call to the next, for one direction: the
/// next step of a stream has the same.
///
/// A clone is the same place: layers that are copies of each other, and share their weights, share what
/// was packed of them as well. What is in it is used only for the very tensors that were packed (see
/// [`Plan::with_weight_cache`](crate::Plan::with_weight_cache)), and there is one entry at a time. It goes
/// with the last clone: dropping a layer drops its packed weights.
#[derive(Clone, Default)]
pub struct WeightCache(Arc<Mutex<Option<Entry>>>);

/// Of a type that the backend, the cell and the numbers decide.
type Entry = Arc<dyn Any + Send + Sync>;

impl WeightCache {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entry().is_none()
    }

    fn entry(&self) -> std::sync::MutexGuard<'_, Option<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in it, if it is of this type.
    #[cfg(feature = "host")]
    pub(crate) fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let entry = self.entry().clone()?;
        entry.downcast().ok()
    }

    /// Takes the place of what was in it.
    #[cfg(feature = "host")]
    pub(crate) fn put<T: Any + Send + Sync>(&self, entry: Arc<T>) {
        let before = self.entry().replace(entry);
        // Not while others wait for the lock: it may be megabytes.
        drop(before);
    }
}

impl fmt::Debug for WeightCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "WeightCache(empty)" } else { "WeightCache(packed)" })
    }
}
