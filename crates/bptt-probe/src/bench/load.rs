//! The load on a pool of streams: inputs that arrive by themselves, whether or not the pool is free.
//!
//! The arrivals are drawn beforehand. A latency counts from the arrival of the input, and not from the moment at which
//! the loop gets to it. Otherwise one slow answer would hide the waiting of all inputs behind it (coordinated
//! omission).
//!
//! A pool takes one input of a stream at a time. If an input arrives while the last one of its stream still waits, it
//! goes into a queue of that stream. It is fed when the answer is there.
//!
//! Nothing here reads the real clock, so the tests use a simulated one.

use crate::bench::settings::Load;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Exp;
use std::collections::VecDeque;
use std::time::Duration;

/// An input that arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Arrival {
    /// Since the beginning.
    pub(super) at: Duration,
    pub(super) stream: usize,
}

/// All arrivals: a Poisson process for each stream, with the same rate for all. The same seed gives the same ones.
pub(super) fn arrivals(load: &Load, seed: u64) -> Vec<Arrival> {
    let mut random = StdRng::seed_from_u64(seed);
    let gap = Exp::new(load.rate).expect("a rate above zero was checked");
    let mut at = 0.0;
    let mut all = Vec::new();
    loop {
        at += random.sample(gap);
        if at >= load.seconds {
            return all;
        }
        let stream = random.random_range(0..load.streams);
        all.push(Arrival { at: Duration::from_secs_f64(at), stream });
    }
}

/// What answers the inputs: a pool, or the model of one in a test.
pub(super) trait Server {
    /// Gives a stream its next input. The stream has none that waits.
    fn feed(&mut self, stream: usize, now: Duration);

    /// Answers what is due, and returns the streams that were answered.
    fn poll(&mut self, now: Duration) -> Vec<usize>;

    /// When the next answer is due, if nothing else is fed.
    fn due(&self) -> Option<Duration>;
}

/// The time since the beginning.
pub(super) trait Clock {
    fn now(&self) -> Duration;

    /// Waits until that time.
    fn wait_until(&self, time: Duration);
}

/// The inputs of each stream that have arrived and have no answer yet, by their index. The first of them is in the
/// pool, and the others wait for it.
struct Queues(Vec<VecDeque<usize>>);

impl Queues {
    /// Whether the input can be fed at once.
    fn arrive(&mut self, stream: usize, index: usize) -> bool {
        self.0[stream].push_back(index);
        self.0[stream].len() == 1
    }

    /// Removes the input that was answered. Returns its index, and whether another one of its stream waits.
    fn answered(&mut self, stream: usize) -> (usize, bool) {
        let index = self.0[stream].pop_front().expect("what is answered has arrived");
        (index, !self.0[stream].is_empty())
    }
}

/// What became of a load.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Served {
    /// How many inputs were answered.
    pub(super) answers: usize,
    /// How long the server computed answers.
    pub(super) busy: Duration,
    /// When the last answer was there.
    pub(super) end: Duration,
}

/// Runs a load until all inputs are answered, but at most until `latest`.
///
/// # Arguments
///
/// - `latest`: after the last arrival
/// - `latencies`: one place for each arrival. Gets the time from the arrival to the answer in milliseconds; for an
///   input without an answer, the time that it has waited.
pub(super) fn drive(
    arrivals: &[Arrival],
    streams: usize,
    latest: Duration,
    server: &mut impl Server,
    clock: &impl Clock,
    latencies: &mut [f64],
) -> Served {
    let mut queues = Queues(vec![VecDeque::new(); streams]);
    let mut coming = arrivals.iter().enumerate().peekable();
    // The streams that were answered and have another input.
    let mut again: Vec<usize> = Vec::new();
    let mut served = Served { answers: 0, busy: Duration::ZERO, end: Duration::ZERO };
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    loop {
        let now = clock.now();
        while let Some((index, arrival)) = coming.next_if(|(_, arrival)| arrival.at <= now) {
            if queues.arrive(arrival.stream, index) {
                server.feed(arrival.stream, arrival.at);
            }
        }
        // After those that arrived meanwhile, so that inputs are fed in the order in which they begin to wait.
        again.drain(..).for_each(|stream| server.feed(stream, now));
        if now >= latest {
            break;
        }
        let answered = server.poll(now);
        if answered.is_empty() {
            let next = [coming.peek().map(|(_, arrival)| arrival.at), server.due()];
            match next.into_iter().flatten().min() {
                Some(time) => clock.wait_until(time),
                None => break,
            }
            continue;
        }
        let done = clock.now();
        served.busy += done - now;
        served.end = done;
        served.answers += answered.len();
        for stream in answered {
            let (index, more) = queues.answered(stream);
            latencies[index] = milliseconds(done - arrivals[index].at);
            if more {
                again.push(stream);
            }
        }
    }
    let now = clock.now();
    for &index in queues.0.iter().flatten() {
        latencies[index] = milliseconds(now - arrivals[index].at);
    }
    served
}

/// Whether latencies grew all the time: the load is then above what the server can serve. `latencies` are in the order
/// of the arrivals.
pub(super) fn grew(latencies: &[f64]) -> bool {
    let quarter = latencies.len() / 4;
    if quarter == 0 {
        return false;
    }
    let middle = |part: &[f64]| {
        let mut part = part.to_vec();
        part.sort_by(f64::total_cmp);
        part[part.len() / 2]
    };
    // Growth from zero along a line has 1/8 of its end in the middle of the first quarter, and 7/8 in that of the last.
    middle(&latencies[latencies.len() - quarter..]) > 2.0 * middle(&latencies[..quarter])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    struct Simulated(Cell<Duration>);

    impl Clock for Simulated {
        fn now(&self) -> Duration {
            self.0.get()
        }

        fn wait_until(&self, time: Duration) {
            self.0.set(self.0.get().max(time));
        }
    }

    /// Answers all that waits at once, after `takes`.
    struct Model<'a> {
        clock: &'a Simulated,
        max_wait: Duration,
        takes: Duration,
        waiting: Vec<(usize, Duration)>,
        /// The sizes of the batches.
        batches: Vec<usize>,
    }

    impl<'a> Model<'a> {
        fn new(clock: &'a Simulated, max_wait: Duration, takes: Duration) -> Self {
            Self { clock, max_wait, takes, waiting: Vec::new(), batches: Vec::new() }
        }
    }

    impl Server for Model<'_> {
        fn feed(&mut self, stream: usize, now: Duration) {
            assert!(self.waiting.iter().all(|(other, _)| *other != stream), "one at a time");
            self.waiting.push((stream, now));
        }

        fn poll(&mut self, now: Duration) -> Vec<usize> {
            if self.due().is_none_or(|due| due > now) {
                return Vec::new();
            }
            self.clock.0.set(now + self.takes);
            self.batches.push(self.waiting.len());
            self.waiting.drain(..).map(|(stream, _)| stream).collect()
        }

        fn due(&self) -> Option<Duration> {
            self.waiting.first().map(|(_, since)| *since + self.max_wait)
        }
    }

    /// Runs arrivals at these milliseconds. Returns what became of them, the latencies, and the batches.
    fn run(
        arrivals: &[(u64, usize)],
        latest: u64,
        max_wait: u64,
        takes: u64,
    ) -> (Served, Vec<f64>, Vec<usize>) {
        let all: Vec<_> =
            arrivals.iter().map(|&(at, stream)| Arrival { at: ms(at), stream }).collect();
        let clock = Simulated(Cell::new(Duration::ZERO));
        let mut server = Model::new(&clock, ms(max_wait), ms(takes));
        let mut latencies = vec![f64::NAN; all.len()];
        let served = drive(&all, 4, ms(latest), &mut server, &clock, &mut latencies);
        (served, latencies, server.batches)
    }

    #[test]
    fn inputs_wait_for_others_and_are_answered_together() {
        let (served, latencies, batches) = run(&[(10, 0), (11, 1), (30, 2)], 1000, 2, 5);
        assert_eq!(batches, [2, 1]);
        assert_eq!(latencies, [7.0, 6.0, 7.0]);
        assert_eq!(served, Served { answers: 3, busy: ms(10), end: ms(37) });
    }

    #[test]
    fn a_slow_answer_counts_for_all_that_arrived_meanwhile() {
        // One batch takes a second. An input a hundred milliseconds after its beginning has waited for 900.
        let (_, latencies, batches) = run(&[(0, 0), (100, 1), (900, 2)], 10_000, 0, 1000);
        assert_eq!(batches, [1, 2]);
        assert_eq!(latencies, [1000.0, 1900.0, 1100.0]);
    }

    #[test]
    fn a_stream_that_waits_queues_its_next_inputs() {
        let (served, latencies, batches) = run(&[(0, 3), (1, 3), (2, 3), (2, 1)], 1000, 0, 10);
        // The second input of stream 3 runs with the one of stream 1, and the third after it.
        assert_eq!(batches, [1, 2, 1]);
        assert_eq!(latencies, [10.0, 19.0, 28.0, 18.0]);
        assert_eq!(served.answers, 4);
    }

    #[test]
    fn what_has_no_answer_at_the_end_has_waited_until_then() {
        let (served, latencies, _) = run(&[(0, 0), (1, 0), (2, 0)], 20, 0, 15);
        assert_eq!(served.answers, 2);
        // The loop ends when the second answer is there, at 30.
        assert_eq!(latencies, [15.0, 29.0, 28.0]);
    }

    #[test]
    fn arrivals_have_their_rate_and_repeat() {
        let load =
            Load { streams: 8, rate: 5000.0, seconds: 4.0, max_wait_ms: 0.0, deadline_ms: 1.0 };
        let all = arrivals(&load, 1);
        assert_eq!(all, arrivals(&load, 1));
        assert_ne!(all, arrivals(&load, 2));
        // The deviation of a Poisson count is the square root of its mean.
        assert!((all.len() as f64 - 20_000.0).abs() < 5.0 * 20_000f64.sqrt(), "{}", all.len());
        assert!(all.is_sorted_by_key(|arrival| arrival.at));
        assert!(all.last().is_some_and(|last| last.at < Duration::from_secs(4)));
        for stream in 0..8 {
            let count = all.iter().filter(|arrival| arrival.stream == stream).count();
            assert!((count as f64 - 2_500.0).abs() < 5.0 * 2_500f64.sqrt(), "{stream}: {count}");
        }
        // Gaps of an exponential distribution are longer than their mean in 1/e of all cases.
        let long = all.windows(2).filter(|pair| (pair[1].at - pair[0].at).as_secs_f64() > 2e-4);
        let share = long.count() as f64 / all.len() as f64;
        assert!((share - (-1f64).exp()).abs() < 0.02, "{share}");
    }

    #[test]
    fn latencies_that_grow_are_told_from_steady_ones() {
        let ramp: Vec<f64> = (0..1000).map(f64::from).collect();
        let steady: Vec<f64> = (0..1000).map(|k| f64::from(k * 7 % 100)).collect();
        assert!(grew(&ramp));
        assert!(!grew(&steady));
        assert!(!grew(&[1.0, 2.0, 3.0]));
    }
}
