//! Threads that are kept from one use to the next. A sequence needs its team several times, for tens of microseconds
//! each time, and to start a thread takes as long.

use crate::host::threads::wait::Wait;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::Thread;

/// What a worker is to do: the work, and which part of it.
struct Job {
    task: Task,
    index: usize,
    latch: Arc<Latch>,
}

/// The work. The compiler does not know its lifetime: [`together`] does not return before all workers are done with
/// it.
#[derive(Clone, Copy)]
struct Task(*const (dyn Fn(usize) + Sync));

// SAFETY: the work is `Sync`, and it lives as long as a worker uses it; see `together`.
unsafe impl Send for Task {}

/// How many workers are not done yet.
struct Latch {
    left: AtomicUsize,
    panicked: AtomicBool,
    /// The thread that waits for them.
    caller: Thread,
}

impl Latch {
    fn wait(&self) {
        // Members of a team finish within microseconds of each other.
        let mut wait = Wait::default();
        // Acquire: from here on, this thread sees what the workers wrote.
        while self.left.load(Ordering::Acquire) > 0 {
            match wait.is_long() {
                false => wait.step(),
                true => std::thread::park(),
            }
        }
    }
}

/// Where a worker gets its next job from.
#[derive(Default)]
struct Mailbox {
    /// Whether there is a job. The worker reads it without the lock while it spins.
    is_there: AtomicBool,
    job: Mutex<Option<Job>>,
    came: Condvar,
}

impl Mailbox {
    fn put(&self, job: Job) {
        let mut place = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(job);
        self.is_there.store(true, Ordering::Release);
        drop(place);
        self.came.notify_one();
    }

    /// Takes the job with this latch back, if the worker has not begun it. If it has, there may be one of another team.
    fn take_back(&self, latch: &Arc<Latch>) -> Option<Job> {
        if !self.is_there.load(Ordering::Acquire) {
            return None;
        }
        let mut place = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        let job = place.take_if(|job| Arc::ptr_eq(&job.latch, latch))?;
        self.is_there.store(false, Ordering::Relaxed);
        Some(job)
    }

    fn take(&self) -> Job {
        // The next job of the same sequence often comes soon.
        let mut wait = Wait::default();
        while !self.is_there.load(Ordering::Acquire) && !wait.is_long() {
            wait.step();
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

/// Idle workers. Each belongs to one team at a time, so that all members of a team run.
static IDLE: Mutex<Vec<Arc<Mailbox>>> = Mutex::new(Vec::new());

fn idle() -> std::sync::MutexGuard<'static, Vec<Arc<Mailbox>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child process has no workers. `fork` copies only the thread that calls it, so a child that used the parent's
/// workers would wait for ever. The child begins with an empty list, and starts workers of its own.
#[cfg(all(target_os = "linux", not(miri)))]
mod fork {
    use super::{Mailbox, idle};
    use std::cell::UnsafeCell;
    use std::sync::{Arc, MutexGuard, Once};

    /// The list of idle workers, locked while the process forks. If another thread held the lock, it would stay locked
    /// in the child for ever.
    struct Held(UnsafeCell<Option<MutexGuard<'static, Vec<Arc<Mailbox>>>>>);

    // SAFETY: only the handlers below use it, on the thread that forks, between the locking and the
    // unlocking of the list. If two threads fork at once, one waits for the other there.
    unsafe impl Sync for Held {}

    static HELD: Held = Held(UnsafeCell::new(None));

    extern "C" fn before() {
        let idle = idle();
        // SAFETY: the list is locked, so no other thread is here.
        unsafe { *HELD.0.get() = Some(idle) };
    }

    extern "C" fn in_parent() {
        // SAFETY: this thread has locked the list, in `before`.
        drop(unsafe { (*HELD.0.get()).take() });
    }

    extern "C" fn in_child() {
        // SAFETY: as in the parent; and the child has no other thread.
        let Some(mut idle) = (unsafe { (*HELD.0.get()).take() }) else { return };
        // It is forgotten and not dropped: a thread of the parent may have been using what a drop would free.
        idle.drain(..).for_each(std::mem::forget);
    }

    /// Registers the handlers with the system.
    pub(super) fn register() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: the handlers are functions of the right type. If the system has no memory for them, it does not
            // call them, and a child would wait for the parent's workers.
            unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
        });
    }
}

/// An idle worker, or a new one; `None` if the system cannot start a thread.
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
            // SAFETY: the caller waits for the latch, and the work lives until then.
            let work = unsafe { &*task.0 };
            // The caller panics instead. A worker has no state that a panic could break.
            if catch_unwind(AssertUnwindSafe(|| work(index))).is_err() {
                latch.panicked.store(true, Ordering::Relaxed);
            }
            // It is idle first and done second, so that the caller's next team finds this worker again.
            idle().push(of_worker.clone());
            if latch.left.fetch_sub(1, Ordering::Release) == 1 {
                latch.caller.unpark();
            }
        }
    };
    std::thread::Builder::new().name("bptt".to_string()).spawn(run).ok().map(|_| mailbox)
}

/// Calls `work` with each number below `count`, at the same time, each on a thread of its own, and 0 on this thread.
/// Returns when all calls have returned.
///
/// # Panics
///
/// If one of the calls panics, or if the system cannot start this many threads.
pub(super) fn together(count: usize, work: &(dyn Fn(usize) + Sync)) {
    if count == 1 {
        return work(0);
    }
    run(&workers(count - 1), work, None);
}

/// Calls `work(0)` on this thread and `work(1)` on another, at the same time. If the other thread has not begun when `work(0)` returns,
/// because other programs have the cores, `work(1)` is called on this thread. So `work(0)` must not wait for `work(1)`.
///
/// # Panics
///
/// If one of the calls panics, or if the system cannot start a thread.
pub(super) fn beside(work: &(dyn Fn(usize) + Sync)) {
    run(&workers(1), work, Some(&|late| idle().push(late.clone())));
}

/// So many workers that are idle.
fn workers(count: usize) -> Vec<Arc<Mailbox>> {
    let one = || worker().unwrap_or_else(|| panic!("the system gives no more threads"));
    std::iter::repeat_with(one).take(count).collect()
}

/// Calls `work(0)` on this thread, and the others by these workers. With `late`, it gets those that have not begun then, and
/// their calls are made on this thread.
fn run(
    mailboxes: &[Arc<Mailbox>],
    work: &(dyn Fn(usize) + Sync),
    late: Option<&dyn Fn(&Arc<Mailbox>)>,
) {
    let latch = Arc::new(Latch {
        left: AtomicUsize::new(mailboxes.len()),
        panicked: AtomicBool::new(false),
        caller: std::thread::current(),
    });
    // SAFETY: only the lifetime changes. `Waits` makes sure that this function does not end, by return or by panic,
    // before all workers that have the pointer are done with it.
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
    for mailbox in mailboxes {
        let Some(late) = late else { break };
        let Some(Job { index, .. }) = mailbox.take_back(&latch) else { continue };
        late(mailbox);
        latch.left.fetch_sub(1, Ordering::Relaxed);
        work(index);
    }
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
        // SAFETY: the child only calls what is tested, and ends within this function.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let sum = AtomicUsize::new(0);
            together(3, &|index| {
                sum.fetch_add(index + 1, Ordering::Relaxed);
            });
            let code = if sum.into_inner() == 6 { 0 } else { 1 };
            // SAFETY: it only ends the process.
            unsafe { libc::_exit(code) };
        }
        assert!(child > 0, "the system forks");
        let (mut status, mut waited) = (0, 0);
        // SAFETY: the child is our own, and `status` is valid for writes.
        while unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
            waited += 1;
            if waited == 1000 {
                // SAFETY: the child is our own.
                unsafe { libc::kill(child, libc::SIGKILL) };
                panic!("the child waits for workers of its parent");
            }
        }
        assert_eq!(status, 0, "what the child computed");
        // The parent still has its workers.
        together(3, &|_| {});
    }

    #[test]
    fn who_comes_late_is_not_waited_for() {
        // Nobody looks into these.
        let mailboxes = [(); 2].map(|()| Arc::new(Mailbox::default()));
        let (calls, late) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
        let work = |index| calls.lock().unwrap().push(index);
        for _ in 0..2 {
            let count = |_: &Arc<Mailbox>| {
                late.fetch_add(1, Ordering::Relaxed);
            };
            run(&mailboxes, &work, Some(&count));
        }
        assert_eq!(calls.into_inner().unwrap(), [0, 1, 2, 0, 1, 2]);
        assert_eq!(late.into_inner(), 4);
    }

    #[test]
    fn the_job_of_another_team_is_left_to_its_worker() {
        let latch = || {
            let (left, panicked) = (AtomicUsize::new(1), AtomicBool::new(false));
            Arc::new(Latch { left, panicked, caller: std::thread::current() })
        };
        let (own, other, mailbox) = (latch(), latch(), Mailbox::default());
        let work: &'static (dyn Fn(usize) + Sync) = &|_| {};
        mailbox.put(Job { task: Task(work), index: 1, latch: other.clone() });
        assert!(mailbox.take_back(&own).is_none());
        assert!(mailbox.take_back(&other).is_some());
        assert!(mailbox.take_back(&other).is_none());
    }

    /// Workers change from team to team all the time, more than there are cores.
    #[test]
    fn teams_beside_each_other_have_their_own_jobs() {
        let calls = AtomicUsize::new(0);
        let rounds = if cfg!(miri) { 3 } else { 2000 };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let work = |_| {
                            calls.fetch_add(1, Ordering::Relaxed);
                        };
                        together(3, &work);
                        beside(&work);
                    }
                });
            }
        });
        assert_eq!(calls.into_inner(), 4 * rounds * 5);
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
