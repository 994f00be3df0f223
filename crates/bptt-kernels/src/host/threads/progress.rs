//! How far another thread is, for a thread that follows it.

use crate::host::threads::wait::Wait;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How many pieces of work a thread has done. It does not wait for the thread that follows it.
#[derive(Default)]
pub(crate) struct Progress {
    done: AtomicUsize,
    broken: AtomicBool,
}

impl Progress {
    /// What the first thread does. If it panics, so does the thread that waits for it.
    pub(crate) fn lead<R>(&self, work: impl FnOnce() -> R) -> R {
        let _guard = PanicGuard(self);
        work()
    }

    /// Another piece is done. Who waits for it sees what this thread wrote before.
    pub(crate) fn advance(&self) {
        self.done.fetch_add(1, Ordering::Release);
    }

    /// Waits until so many pieces are done.
    ///
    /// # Panics
    ///
    /// If the thread that does them panicked.
    pub(crate) fn wait_for(&self, count: usize) {
        let mut wait = Wait::default();
        while self.done.load(Ordering::Acquire) < count {
            assert!(!self.broken.load(Ordering::Acquire), "another thread of the kernel panicked");
            wait.step();
        }
    }
}

/// If the first thread panicked, the other would wait for ever.
struct PanicGuard<'a>(&'a Progress);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::threads::team::side_by_side;

    #[test]
    fn a_thread_follows_another() {
        let (progress, sum) = (Progress::default(), AtomicUsize::new(0));
        let lead = || {
            progress.lead(|| {
                for piece in 1..=300 {
                    sum.fetch_add(piece, Ordering::Relaxed);
                    progress.advance();
                }
            });
            true
        };
        let follow = || {
            (1..=300).all(|piece| {
                progress.wait_for(piece);
                sum.load(Ordering::Relaxed) >= piece * (piece + 1) / 2
            })
        };
        assert_eq!(side_by_side(lead, follow), [true, true]);
    }

    #[test]
    fn a_panic_ends_both() {
        let progress = Progress::default();
        let panicked = std::panic::catch_unwind(|| {
            side_by_side(|| progress.lead(|| panic!("on purpose")), || progress.wait_for(1))
        });
        assert!(panicked.is_err());
    }
}
