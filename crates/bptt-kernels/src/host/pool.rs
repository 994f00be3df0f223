//! Memory that was used and will be again.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many bytes a pool keeps, at most,
const KEPT: usize = 256 << 20;

/// and in how many pieces.
const PIECES: usize = 64;

/// Pieces of memory that wait for their next use: pages fresh from the system cost a fault each, a third of
/// the time of a small layer's training step.
pub(crate) struct Pool<E>(Mutex<Vec<Vec<E>>>);

impl<E> Pool<E> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn pieces(&self) -> MutexGuard<'_, Vec<Vec<E>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A piece with room for so many elements, with what it had in it, and whether it was used before; else a
    /// fresh one.
    pub(crate) fn take(&self, len: usize, fresh: impl FnOnce() -> Vec<E>) -> (Vec<E>, bool) {
        if let Some(piece) = self.kept(len) {
            return (piece, true);
        }
        let mut piece = fresh();
        in_large_pages(&mut piece);
        (piece, false)
    }

    /// The smallest piece with room for so many elements, if it is not more than twice as large.
    fn kept(&self, len: usize) -> Option<Vec<E>> {
        let mut pieces = self.pieces();
        let fits = len..=len.saturating_mul(2);
        let fitting = pieces.iter().enumerate().filter(|(_, kept)| fits.contains(&kept.capacity()));
        let (index, _) = fitting.min_by_key(|(_, kept)| kept.capacity())?;
        Some(pieces.swap_remove(index))
    }

    /// Keeps a piece, unless it is empty or too large.
    pub(crate) fn keep(&self, piece: Vec<E>) {
        let bytes = |piece: &Vec<E>| piece.capacity() * size_of::<E>();
        if !(1..=KEPT).contains(&bytes(&piece)) {
            return;
        }
        let mut pieces = self.pieces();
        pieces.push(piece);
        // The oldest go first.
        while pieces.len() > PIECES || pieces.iter().map(bytes).sum::<usize>() > KEPT {
            pieces.remove(0);
        }
    }
}

/// Fresh memory in large pages, where the system has them and there is much of it: one fault for 2 MiB, and not
/// for each 4 KiB. Sequences whose trace is larger than what a pool keeps take up to a quarter less time.
fn in_large_pages<E>(memory: &mut [E]) {
    /// The size of a large page; and from how many on it is worth a call.
    const PAGE: usize = 2 << 20;
    const LEAST: usize = 8;
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        let all = memory.as_mut_ptr_range();
        let first = all.start.addr().next_multiple_of(PAGE);
        let bytes = all.end.addr().saturating_sub(first) / PAGE * PAGE;
        if bytes >= LEAST * PAGE {
            // SAFETY: whole pages that belong to the memory; it is advice, and changes nothing that is there.
            // Where it is not taken, pages are small.
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
        let pool = Pool::<f32>::new();
        assert!(pool.kept(10).is_none());
        for len in [40, 16, 12] {
            pool.keep(vec![len as f32; len]);
        }
        pool.keep(Vec::new());
        assert_eq!(pool.kept(10).unwrap(), [12.0; 12]);
        assert_eq!(pool.kept(10).unwrap(), [16.0; 16]);
        // More than twice as large.
        assert!(pool.kept(10).is_none());
        assert_eq!(pool.kept(40).unwrap(), [40.0; 40]);
    }

    #[test]
    fn a_pool_has_limits() {
        let pool = Pool::<u8>::new();
        for _ in 0..PIECES + 8 {
            pool.keep(vec![0; 100]);
        }
        assert_eq!(pool.pieces().len(), PIECES);
        pool.keep(Vec::with_capacity(KEPT + 1));
        assert_eq!(pool.pieces().len(), PIECES);
        for _ in 0..3 {
            pool.keep(Vec::with_capacity(KEPT / 2));
        }
        assert_eq!(pool.pieces().len(), 2);
    }
}
