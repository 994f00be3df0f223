//! Says on standard error how far long work is, and how much time is left.

use crate::status_line::StatusLine;
use std::time::{Duration, Instant};

/// Says how far the work is: on a terminal every half a second on one line, elsewhere every ten seconds on a line each.
/// What is done earlier says nothing.
pub struct TimeLeft {
    every: Duration,
    line: StatusLine,
    /// What the work is, if there is more than one kind.
    stage: &'static str,
    /// When something was last said, and how much was done then.
    last: (Instant, usize),
}

impl TimeLeft {
    /// The work begins.
    pub fn new() -> Self {
        let line = StatusLine::new();
        let every = Duration::from_millis(if line.is_terminal() { 500 } else { 10_000 });
        Self { every, line, stage: "", last: (Instant::now(), 0) }
    }

    /// One of several kinds of work begins.
    pub fn of(stage: &'static str) -> Self {
        Self { stage, ..Self::new() }
    }

    /// So much of the work is done.
    pub fn tell(&mut self, done: usize, total: usize) {
        let passed = self.last.0.elapsed();
        if passed < self.every {
            return;
        }
        // The pace of late counts: the first steps may be cheaper than the others.
        let left = left(passed, done - self.last.1, total - done);
        self.line.say(&match self.stage {
            "" => format!("{done} of {total} steps, {left} left"),
            stage => format!("{stage}: {done} of {total}, {left} left"),
        });
        self.last = (Instant::now(), done);
    }

    /// The work is done: the line on the terminal goes.
    pub fn end(&mut self) {
        self.line.end();
    }
}

/// The time for the steps that are left, from the time that the last steps took.
fn left(passed: Duration, steps: usize, left: usize) -> String {
    let seconds = passed.as_secs_f64() / steps.max(1) as f64 * left as f64;
    match seconds.round() as u64 {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds @ 100..6000 => format!("{} min", (seconds + 30) / 60),
        seconds => format!("{} h", (seconds + 1800) / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_follows_from_the_pace() {
        let two = Duration::from_secs(2);
        assert_eq!(left(two, 100, 250), "5 s");
        assert_eq!(left(two, 10, 1000), "3 min");
        assert_eq!(left(two, 1, 9000), "5 h");
        assert_eq!(left(two, 0, 3), "6 s");
    }
}
