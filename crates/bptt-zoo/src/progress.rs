//! Tells a person how far a run is.

use crate::figure::figure;
use std::fmt;
use std::time::{Duration, Instant};

/// The least time between two lines: short at the beginning of a run, half a minute later.
pub(crate) fn pause(elapsed: f64) -> Duration {
    Duration::from_secs_f64((elapsed / 10.0).clamp(2.0, 30.0))
}

/// The least time between two drawings of a line that changes.
const FRAME: Duration = Duration::from_millis(100);

/// How far a run is. As text, it is a line for the user.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainProgress {
    /// The number of steps so far, counted from the first start of the run.
    pub step: u64,
    /// At which step the run ends, if it does not end by time.
    pub steps: Option<u64>,
    /// The share of the work of this session that is done, 0 to 1.
    pub share: f64,
    /// The mean of the last training losses.
    pub loss: f64,
    /// The learning rate of the last step.
    pub lr: Option<f64>,
    /// The last validation, if there is one.
    pub valid: Option<TrainValidation>,
    /// How many steps a second takes.
    pub steps_per_second: f64,
    /// How many units of data a second takes, and what they are.
    pub units_per_second: (f64, &'static str),
    /// How long the rest will take, in seconds.
    pub seconds_left: f64,
}

/// A validation of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainValidation {
    /// The number of steps before it.
    pub step: u64,
    /// The loss.
    pub loss: f64,
    /// The task's metric.
    pub metric: f64,
}

impl fmt::Display for TrainProgress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = self.steps.map_or(String::new(), |steps| format!("/{steps}"));
        let (units, unit) = self.units_per_second;
        write!(
            out,
            "step {}{of}  loss {}  {} left  {:.1} steps/s, {} {unit}/s",
            self.step,
            figure(self.loss),
            clock(self.seconds_left),
            self.steps_per_second,
            thousands(units),
        )
    }
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
    last: Instant,
}

impl Progress {
    pub(crate) fn new(
        first_step: u64,
        (steps, seconds): (Option<u64>, Option<f64>),
        units: (usize, &'static str),
    ) -> Self {
        let now = Instant::now();
        Self { start: now, first_step, steps, seconds, units, last: now }
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

    /// Whether enough time has passed to tell something again.
    ///
    /// # Arguments
    ///
    /// - `drawn`: whether a line is drawn that changes, or another line is said
    pub(crate) fn is_due(&mut self, drawn: bool) -> bool {
        let due = self.last.elapsed() >= if drawn { FRAME } else { pause(self.elapsed()) };
        if due {
            self.last = Instant::now();
        }
        due
    }

    /// How far the run is.
    ///
    /// # Arguments
    ///
    /// - `loss`: the mean of the last training losses
    pub(crate) fn at(&self, step: u64, loss: f64) -> TrainProgress {
        self.after(step, loss, self.elapsed())
    }

    fn after(&self, step: u64, loss: f64, elapsed: f64) -> TrainProgress {
        let rate = (step - self.first_step) as f64 / elapsed;
        let (left, share) = match (self.steps, self.seconds) {
            (Some(steps), _) => {
                let left = steps.saturating_sub(step) as f64;
                let done = (step - self.first_step) as f64;
                (left / rate, done / (done + left))
            }
            (None, seconds) => {
                let seconds = seconds.unwrap_or(0.0);
                ((seconds - elapsed).max(0.0), (elapsed / seconds).min(1.0))
            }
        };
        let (count, unit) = self.units;
        TrainProgress {
            step,
            steps: self.steps,
            share,
            loss,
            lr: None,
            valid: None,
            steps_per_second: rate,
            units_per_second: (rate * count as f64, unit),
            seconds_left: left,
        }
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
        let at = progress.after(200, 1.23456, 50.0);
        assert_eq!(
            at.to_string(),
            "step 200/500  loss 1.2346  2:30 left  2.0 steps/s, 4.1k characters/s",
        );
        assert_eq!(at.share, 0.25);
        let progress = Progress::new(0, (None, Some(120.0)), (64, "sequences"));
        let at = progress.after(100, 0.5, 50.0);
        assert_eq!(
            at.to_string(),
            "step 100  loss 0.5000  1:10 left  2.0 steps/s, 128 sequences/s",
        );
        assert_eq!(at.share, 50.0 / 120.0);
    }

    #[test]
    fn a_line_that_changes_is_drawn_more_often() {
        let mut progress = Progress::new(0, (Some(9), None), (1, "sequences"));
        assert!(!progress.is_due(true) && !progress.is_due(false));
        progress.last -= Duration::from_millis(150);
        assert!(!progress.is_due(false) && progress.is_due(true) && !progress.is_due(true));
        progress.last -= Duration::from_secs(3);
        assert!(progress.is_due(false));
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
