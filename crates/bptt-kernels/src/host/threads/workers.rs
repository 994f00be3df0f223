//! Threads that outlive their work: a sequence needs its team several times, for tens of microseconds
//! each, and to start a thread takes as long.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::Thread;

/// What a worker does: the work, and which part of it.
struct Job {
    task: Task,
    index: usize,
    latch: Arc<Latch>,
}

/// The work, of a lifetime that the compiler does not know: [`together`] does not return before all
/// workers are done with it.
#[derive(Clone, Copy)]
struct Task(*const (dyn Fn(usize) + Sync));

// SAFETY: what it points to is `Sync`, and lives as long as a worker uses it, see `together`.
unsafe impl Send for Task {}

/// How many workers are still at it.
struct Latch {
    left: AtomicUsize,
    panicked: AtomicBool,
    /// Who waits for them.
    caller: Thread,
}

impl Latch {
    /// Spins before the thread sleeps: members of a team finish within microseconds of each other.
    const SPINS: usize = if cfg!(miri) { 1 } else { 1 << 12 };

    fn wait(&self) {
        let mut spins = 0;
        // Acquire: what the workers have written is seen from here on.
        while self.left.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < Self::SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::park();
            }
        }
    }
}

/// Where a worker finds its next job.
#[derive(Default)]
struct Mailbox {
    /// Whether there is one: read without the lock while the worker spins.
    is_there: AtomicBool,
    job: Mutex<Option<Job>>,
    came: Condvar,
}

impl Mailbox {
    /// Spins before the worker sleeps: some ten microseconds, in which the next piece of a sequence
    /// often comes.
    const SPINS: usize = if cfg!(miri) { 1 } else { 1 << 12 };

    fn put(&self, job: Job) {
        let mut place = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(job);
        self.is_there.store(true, Ordering::Release);
        drop(place);
        self.came.notify_one();
    }

    fn take(&self) -> Job {
        for _ in 0..Self::SPINS {
            if self.is_there.load(Ordering::Acquire) {
                break;
            }
            std::hint::spin_loop();
        }
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(job) = job.take() {
                self.is_there.store(false, Ordering::Relaxed);
                return job;
            }
            job = self.came.wait(job).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Workers without work. Each belongs to one team at a time, so that its members all run.
static IDLE: Mutex<Vec<Arc<Mailbox>>> = Mutex::new(Vec::new());

fn idle() -> std::sync::MutexGuard<'static, Vec<Arc<Mailbox>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a child process has of the workers: none. A `fork` copies the thread that calls it and no other, so
/// that a team of the parent's workers would be waited for in the child for ever. The child begins
/// without, and starts its own.
#[cfg(all(target_os = "linux", not(miri)))]
mod fork {
    use super::{Mailbox, idle};
    use std::cell::UnsafeCell;
    use std::sync::{Arc, MutexGuard, Once};

    /// The list of idle workers, locked while a process forks: a lock that another thread holds would
    /// be held in the child for ever as well.
    struct Held(UnsafeCell<Option<MutexGuard<'static, Vec<Arc<Mailbox>>>>>);

    // SAFETY: only the handlers below reach it, on the thread that forks, between the locking and the
    // unlocking of the list; two threads that fork at once wait for each other there.
    unsafe impl Sync for Held {}

    static HELD: Held = Held(UnsafeCell::new(None));

    extern "C" fn before() {
        let idle = idle();
        // SAFETY: the list is locked, so nobody else is here.
        unsafe { *HELD.0.get() = Some(idle) };
    }

    extern "C" fn in_parent() {
        // SAFETY: the list is locked since `before`, by this thread.
        drop(unsafe { (*HELD.0.get()).take() });
    }

    extern "C" fn in_child() {
        // SAFETY: as in the parent; there is no other thread.
        let Some(mut idle) = (unsafe { (*HELD.0.get()).take() }) else { return };
        // Forgotten, not dropped: nothing may be freed that a thread of the parent was in the middle of.
        idle.drain(..).for_each(std::mem::forget);
    }

    /// Has the system call the handlers from now on.
    pub(super) fn register() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: the handlers are functions of the right type. If the system has no memory for them it
            // does not call them, and a child waits as it would have.
            unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
        });
    }
}

/// A worker that is free, or a new one; `None` if the system gives no thread.
fn worker() -> Option<Arc<Mailbox>> {
    if let Some(mailbox) = idle().pop() {
        return Some(mailbox);
    }
    #[cfg(all(target_os = "linux", not(miri)))]
    fork::register();
    let mailbox = Arc::new(Mailbox::default());
    let of_worker = mailbox.clone();
    let run = move || {
        loop {
            let Job { task, index, latch } = of_worker.take();
            // SAFETY: the caller waits for the latch, and until then the work lives.
            let work = unsafe { &*task.0 };
            // The caller panics in our stead; a worker has no state that could be broken.
            if catch_unwind(AssertUnwindSafe(|| work(index))).is_err() {
                latch.panicked.store(true, Ordering::Relaxed);
            }
            // First free, then done: the caller's next team finds this worker again.
            idle().push(of_worker.clone());
            if latch.left.fetch_sub(1, Ordering::Release) == 1 {
                latch.caller.unpark();
            }
        }
    };
    std::thread::Builder::new().name("bptt".to_string()).spawn(run).ok().map(|_| mailbox)
}

/// Calls `work` with each number below `count`, all at the same time, each on a thread of its own, 0 on
/// this one; returns when all have.
///
/// # Panics
///
/// If one of the calls does, or if there are not so many threads to be had.
pub(super) fn together(count: usize, work: &(dyn Fn(usize) + Sync)) {
    if count == 1 {
        return work(0);
    }
    let mailboxes: Vec<_> = (1..count)
        .map(|_| worker().unwrap_or_else(|| panic!("the system gives no more threads")))
        .collect();
    let latch = Arc::new(Latch {
        left: AtomicUsize::new(mailboxes.len()),
        panicked: AtomicBool::new(false),
        caller: std::thread::current(),
    });
    // SAFETY: only the lifetime changes; `Waits` keeps this function from being left, by return or by
    // panic, before all who have the pointer are done with it.
    let erased = Task(unsafe {
        std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync)>(
            work,
        )
    });
    struct Waits<'a>(&'a Latch);
    impl Drop for Waits<'_> {
        fn drop(&mut self) {
            self.0.wait();
        }
    }
    for (mailbox, index) in mailboxes.iter().zip(1..) {
        mailbox.put(Job { task: erased, index, latch: latch.clone() });
    }
    let waits = Waits(&latch);
    work(0);
    drop(waits);
    assert!(!latch.panicked.load(Ordering::Relaxed), "another thread of the kernel panicked");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_runs_once_also_in_teams_within_teams() {
        let calls: Vec<_> = (0..12).map(|_| AtomicUsize::new(0)).collect();
        for _ in 0..100 {
            together(3, &|a| {
                together(4, &|b| {
                    calls[4 * a + b].fetch_add(1, Ordering::Relaxed);
                });
            });
        }
        assert!(calls.iter().all(|calls| calls.load(Ordering::Relaxed) == 100));
    }

    #[test]
    #[cfg(all(target_os = "linux", not(miri)))]
    fn a_child_process_starts_workers_of_its_own() {
        together(3, &|_| {});
        // SAFETY: the child calls nothing but what is tested, and ends without leaving this function.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let sum = AtomicUsize::new(0);
            together(3, &|index| {
                sum.fetch_add(index + 1, Ordering::Relaxed);
            });
            let code = if sum.into_inner() == 6 { 0 } else { 1 };
            // SAFETY: ends the process, nothing else.
            unsafe { libc::_exit(code) };
        }
        assert!(child > 0, "the system forks");
        let (mut status, mut waited) = (0, 0);
        // SAFETY: the child is ours, and `status` is there to be written.
        while unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
            waited += 1;
            if waited == 1000 {
                // SAFETY: the child is ours.
                unsafe { libc::kill(child, libc::SIGKILL) };
                panic!("the child waits for workers of its parent");
            }
        }
        assert_eq!(status, 0, "what the child computed");
        // The parent has its workers as before.
        together(3, &|_| {});
    }

    #[test]
    fn a_worker_that_panicked_works_on() {
        for _ in 0..3 {
            let result = catch_unwind(|| together(2, &|index| assert!(index == 0, "on purpose")));
            assert!(result.is_err());
        }
        let sum = AtomicUsize::new(0);
        together(2, &|index| {
            sum.fetch_add(index + 1, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 3);
    }
}
