//! Latencies: what the slowest of many answers take.

use std::hint::black_box;
use std::time::Instant;

/// A percentile is a statistic only if some times lie above it. With fewer than this, it is left out.
const BEYOND: usize = 10;

/// Percentiles of many times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Percentiles {
    /// How many times they are of.
    pub(super) count: usize,
    /// Half of the times are longer; `None` of fewer than 20.
    pub(super) p50_ms: Option<f64>,
    /// One in a hundred is longer; `None` of fewer than 1,000.
    pub(super) p99_ms: Option<f64>,
    /// One in a thousand is longer; `None` of fewer than 10,000.
    pub(super) p999_ms: Option<f64>,
    /// The longest.
    pub(super) longest_ms: f64,
}

impl Percentiles {
    /// Of these times, in milliseconds. There has to be one.
    pub(super) fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let count = times.len();
        // The nearest rank: a time that was measured, and none between two.
        let at = |thousandths: usize| {
            let beyond = count * (1000 - thousandths) / 1000;
            (beyond >= BEYOND).then(|| times[count - 1 - beyond])
        };
        Self {
            count,
            p50_ms: at(500),
            p99_ms: at(990),
            p999_ms: at(999),
            longest_ms: times[count - 1],
        }
    }
}

/// The median of sorted numbers.
pub(super) fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
        _ => sorted[middle],
    }
}

/// How many milliseconds the two readings of the clock add to a time that is measured with them.
pub(super) fn clock() -> f64 {
    const READINGS: usize = 1001;
    let reading = || black_box(Instant::now()).elapsed().as_secs_f64() * 1e3;
    let mut all: Vec<f64> = (0..READINGS).map(|_| reading()).collect();
    all.sort_by(f64::total_cmp);
    all[READINGS / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_with_the_rest_above_it() {
        // 1, 2, … in any order.
        let times = |count: usize| (1..=count).rev().map(|k| k as f64).collect::<Vec<_>>();
        let all = Percentiles::of(times(10_000));
        assert_eq!((all.p50_ms, all.p99_ms), (Some(5_000.0), Some(9_900.0)));
        assert_eq!((all.p999_ms, all.longest_ms), (Some(9_990.0), 10_000.0));
        assert_eq!(all.count, 10_000);
    }

    #[test]
    fn percentiles_of_too_few_times_are_left_out() {
        let of = |count: usize| Percentiles::of(vec![2.0; count]);
        let known = |p: Percentiles| [p.p50_ms, p.p99_ms, p.p999_ms].map(|p| p.is_some());
        assert_eq!(known(of(1)), [false, false, false]);
        assert_eq!(known(of(20)), [true, false, false]);
        assert_eq!(known(of(1_000)), [true, true, false]);
        assert_eq!(known(of(9_999)), [true, true, false]);
        assert_eq!(known(of(10_000)), [true, true, true]);
        assert_eq!(of(1).longest_ms, 2.0);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[1.0, 2.0, 4.0, 8.0]), 3.0);
        assert_eq!(median(&[1.0, 2.0, 4.0]), 2.0);
    }

    #[test]
    fn the_clock_takes_less_than_a_step() {
        assert!((0.0..0.01).contains(&clock()), "{} ms", clock());
    }
}
