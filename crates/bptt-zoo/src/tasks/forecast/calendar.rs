//! What of the time a model reads: the hour, the day of the week, the day of the year.

use crate::frame::step::Grid;
use crate::frame::time::Moment;
use chrono::{Datelike, Timelike};
use std::f64::consts::TAU;

/// What of the time a model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
