//! Threads that work on one sequence together.

use crate::host::threads::wait::Wait;
use crate::host::threads::workers;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// One of the threads.
pub(crate) struct Member<'a> {
    /// From 0.
    pub(crate) index: usize,
    /// How many there are.
    pub(crate) count: usize,
    barrier: &'a Barrier,
}

impl Member<'_> {
    /// Waits until all members have called this. After it, each member sees what the others wrote before it.
    #[inline]
    pub(crate) fn wait(&self) {
        if self.count > 1 {
            self.barrier.wait(self.count);
        }
    }

    /// This member's part of `count` items, a multiple of `grain` except at the end.
    pub(crate) fn part(&self, count: usize, grain: usize) -> Range<usize> {
        part(self.index, self.count, count, grain)
    }
}

/// Part `index` of `parts` of `count` items, a multiple of `grain` except at the end. The parts do not overlap, and
/// together they are all items.
pub(crate) fn part(index: usize, parts: usize, count: usize, grain: usize) -> Range<usize> {
    let pieces = count.div_ceil(grain);
    let edge = |index: usize| (index * pieces / parts * grain).min(count);
    edge(index)..edge(index + 1)
}

/// Runs `work` once on each of `count` threads, of which this thread is one, and waits for all of them.
///
/// The members are threads of this crate (`workers.rs`), and not tasks of a thread pool. They wait for each other, so
/// all of them have to run at the same time. A pool whose threads are busy cannot promise that.
///
/// # Panics
///
/// If one of them panics.
pub(crate) fn team(count: usize, work: impl Fn(&Member<'_>) + Sync) {
    let barrier = Barrier::default();
    let run = |index| {
        let _guard = PanicGuard(&barrier);
        work(&Member { index, count, barrier: &barrier });
    };
    workers::together(count, &run);
}

/// Runs two jobs at the same time, the first on this thread. The second may wait for the first, and not the other way round: if the
/// other thread comes late, the second runs after the first.
///
/// # Panics
///
/// If one of them panics, with what it panicked with.
pub(crate) fn side_by_side<R: Send>(
    first: impl FnOnce() -> R + Send,
    second: impl FnOnce() -> R + Send,
) -> [R; 2] {
    let jobs = (Mutex::new(Some(first)), Mutex::new(Some(second)));
    let results = [const { Mutex::new(None) }; 2];
    workers::beside(&|index| {
        let caught = catch_unwind(AssertUnwindSafe(|| match index {
            0 => taken(&jobs.0)(),
            _ => taken(&jobs.1)(),
        }));
        *results[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(caught);
    });
    results.map(|result| taken(&result).unwrap_or_else(|panic| resume_unwind(panic)))
}

/// What is there once.
fn taken<T>(place: &Mutex<Option<T>>) -> T {
    place.lock().unwrap_or_else(PoisonError::into_inner).take().expect("it is taken once")
}

/// If a member panicked alone, the others would wait for ever.
struct PanicGuard<'a>(&'a Barrier);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::Release);
        }
    }
}

/// A barrier that spins first, because the waits take microseconds. Each counter has a cache line of its own.
#[derive(Default)]
struct Barrier {
    arrived: Padded<AtomicUsize>,
    round: Padded<AtomicUsize>,
    broken: AtomicBool,
}

#[derive(Default)]
#[repr(align(64))]
struct Padded<T>(T);

impl Barrier {
    #[inline]
    fn wait(&self, count: usize) {
        let round = self.round.0.load(Ordering::Relaxed);
        // Acquire and release: each member sees what earlier members wrote, and the last one sees everything.
        if self.arrived.0.fetch_add(1, Ordering::AcqRel) + 1 == count {
            self.arrived.0.store(0, Ordering::Relaxed);
            self.round.0.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut wait = Wait::default();
        while self.round.0.load(Ordering::Acquire) == round {
            assert!(!self.broken.load(Ordering::Acquire), "another thread of the kernel panicked");
            wait.step();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_without_overlap() {
        for (count, parts, grain) in [(10, 3, 1), (7, 4, 2), (1, 3, 8), (0, 2, 4), (64, 2, 16)] {
            let all: Vec<usize> = (0..parts).flat_map(|i| part(i, parts, count, grain)).collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_barrier_separates_rounds() {
        let sum = AtomicUsize::new(0);
        team(3, |member| {
            for round in 0..200 {
                sum.fetch_add(1, Ordering::Relaxed);
                member.wait();
                assert_eq!(sum.load(Ordering::Relaxed), (round + 1) * 3);
                member.wait();
            }
        });
    }

    #[test]
    fn two_jobs_meet_and_give_their_results_in_order() {
        let barrier = Barrier::default();
        let job = |result| {
            let barrier = &barrier;
            move || {
                barrier.wait(2);
                result
            }
        };
        assert_eq!(side_by_side(job("a"), job("b")), ["a", "b"]);
    }

    #[test]
    fn a_job_panics_with_its_own_message() {
        let caught = std::panic::catch_unwind(|| side_by_side(|| 1, || panic!("on purpose")));
        let panic = caught.expect_err("the second panics");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    }

    #[test]
    fn a_panic_ends_all() {
        let panicked = std::panic::catch_unwind(|| {
            team(2, |member| {
                assert!(member.index == 0, "on purpose");
                member.wait();
            });
        });
        assert!(panicked.is_err());
    }
}
