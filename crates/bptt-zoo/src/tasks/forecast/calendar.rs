//! What of the time a model reads: the hour, the day of the week, the day of the year.

use crate::frame::step::{Grid, TimeStep};
use crate::frame::time::Moment;
use chrono::{Datelike, Timelike};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

const DAY: i64 = 86_400_000_000;
/// A year that is not a leap year, in microseconds.
const YEAR: i64 = 365 * DAY;

/// What of the time a model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CalendarFeature {
    Hour,
    Weekday,
    Yearday,
}

impl CalendarFeature {
    pub(crate) const ALL: [Self; 3] = [Self::Hour, Self::Weekday, Self::Yearday];

    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "hour" => Some(Self::Hour),
            "weekday" => Some(Self::Weekday),
            "yearday" => Some(Self::Yearday),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Weekday => "weekday",
            Self::Yearday => "yearday",
        }
    }

    /// Whether it differs from one row to the next.
    pub(crate) fn varies(self, step: TimeStep) -> bool {
        match (self, step) {
            (_, TimeStep::Number(_)) | (Self::Hour, TimeStep::Weekdays) => false,
            (Self::Hour | Self::Weekday, TimeStep::Months(_)) => false,
            (Self::Hour, TimeStep::Micros(step)) => step % DAY != 0,
            (Self::Weekday, TimeStep::Micros(step)) => step % (7 * DAY) != 0,
            (Self::Yearday, TimeStep::Months(months)) => months % 12 != 0,
            (Self::Weekday | Self::Yearday, _) => true,
        }
    }

    /// Those that `auto` takes, for rows of this step: what a cycle of it has several rows of, and the training part two
    /// cycles at least. With less than two, it would only say how far the series is.
    pub(crate) fn fitting(step: TimeStep, trained: i64) -> Vec<Self> {
        let fits = |feature: &Self| {
            let cycle = match feature {
                Self::Hour => DAY,
                Self::Weekday => 7 * DAY,
                Self::Yearday => YEAR,
            };
            let has_rows = match step {
                TimeStep::Micros(step) => 2 * step <= cycle,
                TimeStep::Weekdays | TimeStep::Months(_) | TimeStep::Number(_) => true,
            };
            feature.varies(step) && has_rows && trained >= 2 * cycle
        };
        Self::ALL.into_iter().filter(fits).collect()
    }

    /// How many numbers it is.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Hour | Self::Yearday => 4,
            Self::Weekday => 3,
        }
    }

    /// The numbers of a place of the grid: two waves over the cycle; for the day of the week one, and whether it is a
    /// weekend.
    pub(crate) fn add(self, grid: &Grid, place: i64, to: &mut Vec<f32>) {
        let time = match grid.moment(place) {
            Moment::Date(micros) => Moment::date(micros),
            Moment::Number(_) => None,
        };
        let Some(time) = time else {
            to.extend(std::iter::repeat_n(0.0, self.width()));
            return;
        };
        let day = f64::from(time.num_seconds_from_midnight()) / 86_400.0;
        let mut wave = |share: f64, times: f64| {
            let (sin, cos) = (TAU * share * times).sin_cos();
            to.extend([sin as f32, cos as f32]);
        };
        match self {
            Self::Hour => [1.0, 2.0].iter().for_each(|times| wave(day, *times)),
            Self::Yearday => {
                let share = (f64::from(time.ordinal0()) + day) / 365.2425;
                [1.0, 2.0].iter().for_each(|times| wave(share, *times));
            }
            Self::Weekday => {
                let weekday = time.weekday().num_days_from_monday();
                wave((f64::from(weekday) + day) / 7.0, 1.0);
                to.push(f32::from(u8::from(weekday >= 5)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CalendarFeature::{Hour, Weekday, Yearday};

    #[test]
    fn auto_takes_what_rows_and_training_show() {
        let hour = TimeStep::Micros(DAY / 24);
        let day = TimeStep::Micros(DAY);
        let week = TimeStep::Micros(7 * DAY);
        let of = CalendarFeature::fitting;
        assert_eq!(of(hour, 3 * YEAR), [Hour, Weekday, Yearday]);
        assert_eq!(of(hour, YEAR), [Hour, Weekday]);
        assert_eq!(of(hour, 10 * DAY), [Hour]);
        assert_eq!(of(hour, DAY), []);
        assert_eq!(of(day, 3 * YEAR), [Weekday, Yearday]);
        assert_eq!(of(TimeStep::Weekdays, 60 * DAY), [Weekday]);
        assert_eq!(of(week, 3 * YEAR), [Yearday]);
        assert_eq!(of(TimeStep::Months(1), 3 * YEAR), [Yearday]);
        assert_eq!(of(TimeStep::Months(12), 30 * YEAR), []);
        assert_eq!(of(TimeStep::Micros(DAY / 2), 10 * DAY), [Hour]);
        // What is asked for by its name has to differ from row to row, and nothing else.
        assert!(Hour.varies(hour) && !Hour.varies(day) && !Weekday.varies(week));
        assert!(Weekday.varies(TimeStep::Micros(10 * DAY)) && Yearday.varies(day));
        assert!(!Yearday.varies(TimeStep::Number(1.0)));
    }
}
