//! Lines that tell a person how far a run is.

use crate::figure::figure;
use std::time::{Duration, Instant};

/// The least time between two lines: short at the beginning of a run, half a minute later.
pub(crate) fn pause(elapsed: f64) -> Duration {
    Duration::from_secs_f64((elapsed / 10.0).clamp(2.0, 30.0))
}

/// Measures how fast a run is, and estimates how long it will take.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    first_step: u64,
    steps: Option<u64>,
    seconds: Option<f64>,
    /// What a step processes: a count and its unit.
    units: (usize, &'static str),
    last_line: Instant,
}

impl Progress {
    pub(crate) fn new(
        first_step: u64,
        (steps, seconds): (Option<u64>, Option<f64>),
        units: (usize, &'static str),
    ) -> Self {
        let now = Instant::now();
        Self { start: now, first_step, steps, seconds, units, last_line: now }
    }

    /// Seconds since this process began or resumed the run.
    pub(crate) fn elapsed(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Whether the limit of steps or seconds is reached.
    pub(crate) fn finished(&self, step: u64) -> bool {
        self.steps.is_some_and(|steps| step >= steps)
            || self.seconds.is_some_and(|seconds| self.elapsed() >= seconds)
    }

    /// A line, if enough time has passed since the last one.
    pub(crate) fn line(&mut self, step: u64, loss: f64) -> Option<String> {
        if self.last_line.elapsed() < pause(self.elapsed()) {
            return None;
        }
        self.last_line = Instant::now();
        Some(self.text(step, loss, self.elapsed()))
    }

    fn text(&self, step: u64, loss: f64, elapsed: f64) -> String {
        let rate = (step - self.first_step) as f64 / elapsed;
        let left = match (self.steps, self.seconds) {
            (Some(steps), _) => steps.saturating_sub(step) as f64 / rate,
            (None, seconds) => (seconds.unwrap_or(0.0) - elapsed).max(0.0),
        };
        let of = self.steps.map_or(String::new(), |steps| format!("/{steps}"));
        let (count, unit) = self.units;
        format!(
            "step {step}{of}  loss {}  {rate:.1} steps/s, {} {unit}/s  {} left",
            figure(loss),
            thousands(rate * count as f64),
            clock(left),
        )
    }
}

/// `950`, `9.5k`, `95k`, `9.5M`
fn thousands(value: f64) -> String {
    match value {
        v if v < 999.5 => format!("{v:.0}"),
        v if v < 9_950.0 => format!("{:.1}k", v / 1e3),
        v if v < 999_500.0 => format!("{:.0}k", v / 1e3),
        v => format!("{:.1}M", v / 1e6),
    }
}

/// `0:07`, `12:34`, `1:02:03`
pub(crate) fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_rate_and_time_left() {
        let progress = Progress::new(100, (Some(500), None), (2048, "characters"));
        assert_eq!(
            progress.text(200, 1.23456, 50.0),
            "step 200/500  loss 1.2346  2.0 steps/s, 4.1k characters/s  2:30 left",
        );
        let progress = Progress::new(0, (None, Some(120.0)), (64, "sequences"));
        assert_eq!(
            progress.text(100, 0.5, 50.0),
            "step 100  loss 0.5000  2.0 steps/s, 128 sequences/s  1:10 left",
        );
    }

    #[test]
    fn clocks_and_thousands() {
        assert_eq!(clock(7.4), "0:07");
        assert_eq!(clock(754.0), "12:34");
        assert_eq!(clock(3723.0), "1:02:03");
        assert_eq!(thousands(999.6), "1.0k");
        assert_eq!(thousands(95_400.0), "95k");
        assert_eq!(thousands(2_500_000.0), "2.5M");
    }
}
