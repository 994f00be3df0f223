//! How far the work is, and how long it will take.

use crate::progress::{clock, pause};
use std::time::Instant;

/// One kind of work.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    done: usize,
    left: usize,
    seconds: f64,
}

impl Meter {
    fn seconds_left(&self) -> f64 {
        self.left as f64 * self.seconds / self.done.max(1) as f64
    }
}

/// The kinds of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A loss on all validation data.
    Loss,
    /// A gradient, or a product with the Hessian.
    Product,
}

/// Measures how long each kind of work takes, and says so.
pub(super) struct Work<'a> {
    meters: [Meter; 2],
    stage: &'static str,
    begun: Instant,
    last_line: Instant,
    say: &'a mut dyn FnMut(&str),
}

impl<'a> Work<'a> {
    pub(super) fn new(say: &'a mut dyn FnMut(&str)) -> Self {
        let now = Instant::now();
        Self { meters: [Meter::default(); 2], stage: "", begun: now, last_line: now, say }
    }

    /// What comes next, and how much work of a kind is left in all.
    pub(super) fn plan(&mut self, stage: &'static str, kind: Kind, left: usize) {
        self.stage = stage;
        self.meters[kind as usize].left = left;
    }

    /// How much work of a kind was done.
    pub(super) fn done(&self, kind: Kind) -> usize {
        self.meters[kind as usize].done
    }

    /// Does a piece of work. It prints a line, if enough time has passed since the last one.
    pub(super) fn run<R>(&mut self, kind: Kind, work: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = work();
        let meter = &mut self.meters[kind as usize];
        meter.seconds += start.elapsed().as_secs_f64();
        meter.done += 1;
        meter.left = meter.left.saturating_sub(1);
        if self.last_line.elapsed() >= pause(self.begun.elapsed().as_secs_f64()) {
            self.last_line = Instant::now();
            let line = self.line();
            (self.say)(&line);
        }
        result
    }

    fn line(&self) -> String {
        let [losses, products] = self.meters;
        let left = losses.seconds_left() + products.seconds_left();
        format!(
            "{}: {} losses and {} products done, about {} left",
            self.stage,
            losses.done,
            products.done,
            clock(left)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_is_done_and_the_time_left() {
        let mut say = |_: &str| {};
        let mut work = Work::new(&mut say);
        work.plan("the curvature", Kind::Product, 30);
        work.plan("the surface", Kind::Loss, 101);
        assert_eq!(work.run(Kind::Loss, || 7), 7);
        assert_eq!((work.done(Kind::Loss), work.meters[0].left), (1, 100));
        work.meters[0].seconds = 0.5;
        work.meters[1] = Meter { done: 10, left: 20, seconds: 40.0 };
        assert_eq!(work.line(), "the surface: 1 losses and 10 products done, about 2:10 left");
    }
}
