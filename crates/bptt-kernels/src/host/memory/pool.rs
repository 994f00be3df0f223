//! Pools: memory that was used, and waits for its next use.

use crate::host::memory::available::available;
use crate::host::simd::real::Real;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// How many bytes a pool keeps at most, for as long as the program runs.
const KEPT: usize = 256 << 20;

/// How long it keeps more than that while nobody uses it.
const WHILE: Duration = Duration::from_secs(10);

/// In how many pieces it keeps memory at most.
const PIECES: usize = 64;

/// How many bytes a pool keeps while it is used: an eighth of the memory that was available at its first use. A
/// training step of a long sequence takes gigabytes, and the next step takes as much.
fn most() -> usize {
    static MOST: OnceLock<usize> = OnceLock::new();
    *MOST.get_or_init(|| available().map_or(KEPT, |bytes| (bytes / 8).max(KEPT)))
}

/// Pieces of memory that wait for their next use. Each fresh page from the system costs a page fault, and these would
/// be a third of the time of a small layer's training step.
pub(crate) struct Pool<E>(Mutex<Kept<E>>);

struct Kept<E> {
    /// The oldest first.
    pieces: Vec<Vec<E>>,
    /// How many bytes all of them have.
    bytes: usize,
    /// Whether the pool was used since the last check.
    used: bool,
    /// Whether there is a thread that checks.
    watched: bool,
}

/// How many bytes a piece has.
fn bytes<E>(piece: &Vec<E>) -> usize {
    piece.capacity() * size_of::<E>()
}

impl<E> Kept<E> {
    fn put(&mut self, piece: Vec<E>) {
        self.bytes += bytes(&piece);
        self.pieces.push(piece);
    }

    fn remove(&mut self, index: usize) -> Vec<E> {
        let piece = self.pieces.remove(index);
        self.bytes -= bytes(&piece);
        piece
    }

    /// Removes the oldest pieces, until those that are left may be kept.
    #[must_use = "to be dropped when nobody waits for the pool any more"]
    fn shrink(&mut self, most: usize) -> Vec<Vec<E>> {
        let mut dropped = Vec::new();
        while self.pieces.len() > PIECES || self.bytes > most {
            dropped.push(self.remove(0));
        }
        dropped
    }
}

impl<E: Send + 'static> Pool<E> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Kept { pieces: Vec::new(), bytes: 0, used: false, watched: false }))
    }

    fn lock(&self) -> MutexGuard<'_, Kept<E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A piece with room for this many elements, with its old content if it was used before; and whether it was.
    pub(crate) fn take(&self, len: usize, fresh: impl FnOnce() -> Vec<E>) -> (Vec<E>, bool) {
        if let Some(piece) = self.kept(len) {
            return (piece, true);
        }
        let mut piece = fresh();
        in_large_pages(&mut piece);
        (piece, false)
    }

    /// The smallest piece with room for this many elements, unless it is more than twice as large.
    fn kept(&self, len: usize) -> Option<Vec<E>> {
        let mut kept = self.lock();
        kept.used = true;
        let fits = len..=len.saturating_mul(2);
        let pieces = kept.pieces.iter().enumerate();
        let fitting = pieces.filter(|(_, piece)| fits.contains(&piece.capacity()));
        let (index, _) = fitting.min_by_key(|(_, piece)| piece.capacity())?;
        Some(kept.remove(index))
    }

    /// Keeps a piece, unless it is empty or too large.
    pub(crate) fn keep(&'static self, piece: Vec<E>) {
        let size = bytes(&piece);
        if size == 0 || (size > KEPT && size > most()) {
            return;
        }
        let mut kept = self.lock();
        kept.used = true;
        kept.put(piece);
        let much = kept.bytes > KEPT;
        if much && !kept.watched {
            let watch = thread::Builder::new().name("bptt-pool".to_string());
            kept.watched = watch.spawn(|| self.watch(WHILE)).is_ok();
        }
        let most = if much && kept.watched { most() } else { KEPT };
        let dropped = kept.shrink(most);
        drop(kept);
        drop(dropped);
    }

    /// Once nobody has used the pool for a while, gives back what it may not keep for ever.
    fn watch(&self, every: Duration) {
        loop {
            thread::sleep(every);
            let mut kept = self.lock();
            if std::mem::take(&mut kept.used) {
                continue;
            }
            kept.watched = false;
            let dropped = kept.shrink(KEPT);
            drop(kept);
            drop(dropped);
            return;
        }
    }

    /// Gives all of it back, for other uses.
    pub(crate) fn release(&self) {
        let dropped = self.lock().shrink(0);
        drop(dropped);
    }
}

/// A float type with a pool for the memory of results.
pub(crate) trait Pooled: Real {
    /// The pool for results of this type.
    fn results() -> &'static Pool<Self>;
}

macro_rules! pooled {
    ($($T:ty)*) => {$(
        impl Pooled for $T {
            fn results() -> &'static Pool<Self> {
                static RESULTS: Pool<$T> = Pool::new();
                &RESULTS
            }
        }
    )*};
}
pooled!(f32 f64);

/// Fresh memory, in large pages if it is much and the system has them: one page fault for each 2 MiB, and not for each
/// 4 KiB. Sequences whose trace is larger than what a pool keeps take up to a quarter less time.
fn in_large_pages<E>(memory: &mut [E]) {
    /// The size of a large page, and from how many of them on the call is worth its time.
    const PAGE: usize = 2 << 20;
    const LEAST: usize = 8;
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        let all = memory.as_mut_ptr_range();
        let first = all.start.addr().next_multiple_of(PAGE);
        let bytes = all.end.addr().saturating_sub(first) / PAGE * PAGE;
        if bytes >= LEAST * PAGE {
            // SAFETY: these are whole pages of the memory, and the call is advice that changes no content. If the
            // system does not follow it, pages are small.
            unsafe { libc::madvise(all.start.with_addr(first).cast(), bytes, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = (memory, PAGE, LEAST);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pages_have_the_same_numbers() {
        for len in [0, 1000, 40 << 17] {
            let mut memory: Vec<f64> = (0..len).map(|x| x as f64).collect();
            in_large_pages(&mut memory);
            assert!(memory.iter().enumerate().all(|(i, &x)| x == i as f64));
        }
    }

    #[test]
    fn a_piece_comes_back_to_who_can_use_most_of_it() {
        static POOL: Pool<f32> = Pool::new();
        assert!(POOL.kept(10).is_none());
        for len in [40, 16, 12] {
            POOL.keep(vec![len as f32; len]);
        }
        POOL.keep(Vec::new());
        assert_eq!(POOL.kept(10).unwrap(), [12.0; 12]);
        assert_eq!(POOL.kept(10).unwrap(), [16.0; 16]);
        // More than twice as large.
        assert!(POOL.kept(10).is_none());
        assert_eq!(POOL.take(40, Vec::new), (vec![40.0; 40], true));
        assert_eq!(POOL.take(3, || vec![3.0; 3]), (vec![3.0; 3], false));
    }

    #[test]
    fn a_pool_has_limits() {
        static POOL: Pool<u8> = Pool::new();
        for _ in 0..PIECES + 8 {
            POOL.keep(vec![0; 100]);
        }
        assert_eq!(POOL.lock().pieces.len(), PIECES);
        assert_eq!(POOL.lock().shrink(50 * 100).len(), PIECES - 50);
        POOL.release();
        assert_eq!(POOL.lock().pieces.len(), 0);
    }

    /// Memory that is never touched, so the system does not provide it.
    #[test]
    fn what_is_too_much_is_given_back_when_nobody_uses_it() {
        static POOL: Pool<u8> = Pool::new();
        // Only this test checks the pool.
        POOL.lock().watched = true;
        for _ in 0..3 {
            POOL.keep(Vec::with_capacity(KEPT / 2));
        }
        assert_eq!(POOL.lock().pieces.len(), if most() > KEPT { 3 } else { 2 });
        let start = std::time::Instant::now();
        let every = Duration::from_millis(20);
        POOL.watch(every);
        assert!(start.elapsed() >= 2 * every, "in use until it was looked at the second time");
        let kept = POOL.lock();
        assert!(kept.pieces.len() == 2 && !kept.watched);
    }
}
