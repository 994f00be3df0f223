//! How a thread waits for another one that will be done within microseconds.

/// Waits in steps: first it spins, then it gives its core to other threads again and again. Two threads that wait for each
/// other may be on the same core, for milliseconds, beside another program. Each of them must then let the other work soon.
#[derive(Default)]
pub(crate) struct Wait {
    steps: u32,
}

impl Wait {
    /// How often it spins: for five to ten microseconds. The threads of a team are seldom further apart.
    const SPINS: u32 = if cfg!(miri) { 1 } else { 1 << 8 };
    /// How often it gives its core away before [`is_long`](Self::is_long): for about as long as it takes to wake a thread
    /// that sleeps, 20 to 60 microseconds. To spin for longer costs more than to sleep.
    const YIELDS: u32 = if cfg!(miri) { 1 } else { 1 << 7 };

    /// Waits one step.
    #[inline]
    pub(crate) fn step(&mut self) {
        self.steps = self.steps.saturating_add(1);
        if self.steps <= Self::SPINS {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }

    /// Whether it has waited for so long that it should sleep.
    #[inline]
    pub(crate) fn is_long(&self) -> bool {
        self.steps >= Self::SPINS + Self::YIELDS
    }
}
