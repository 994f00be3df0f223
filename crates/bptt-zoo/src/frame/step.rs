//! The step from one time to the next, by the calendar.

use crate::frame::time::Moment;
use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, Weekday};
use serde::{Deserialize, Serialize};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The step from one row of a series to the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeStep {
    /// A difference of numbers.
    Number(f64),
    /// So many microseconds.
    Micros(i64),
    /// From one day to the next, without Saturdays and Sundays.
    Weekdays,
    /// So many months.
    Months(u32),
}

impl TimeStep {
    /// What it is called, such as `1 hour`.
    pub fn name(&self) -> String {
        let count = |count: i64, unit: &str| match count {
            1 => format!("1 {unit}"),
            count => format!("{count} {unit}s"),
        };
        match *self {
            Self::Number(step) => format!("{step}"),
            Self::Weekdays => "1 weekday".to_string(),
            Self::Months(months) if months % 12 == 0 => count(i64::from(months / 12), "year"),
            Self::Months(months) => count(i64::from(months), "month"),
            Self::Micros(micros) => {
                let units = [
                    (7 * DAY, "week"),
                    (DAY, "day"),
                    (3600 * SECOND, "hour"),
                    (60 * SECOND, "minute"),
                    (SECOND, "second"),
                    (1000, "millisecond"),
                ];
                let fits = units.iter().find(|(unit, _)| micros % unit == 0);
                fits.map_or_else(
                    || count(micros, "microsecond"),
                    |(unit, name)| count(micros / unit, name),
                )
            }
        }
    }

    /// What rows of this step are, such as `a row for each hour`.
    pub(crate) fn rows(&self) -> String {
        match self {
            Self::Number(step) => format!("rows {step} apart"),
            _ => format!("a row for each {}", self.name().trim_start_matches("1 ")),
        }
    }

    /// Whether a few rows of this step may seem to have the other one: those of a few days do not show whether weekends
    /// are left out.
    pub(crate) fn may_be(self, other: Self) -> bool {
        const DAYS: [TimeStep; 2] = [TimeStep::Micros(DAY), TimeStep::Weekdays];
        self == other || (DAYS.contains(&self) && DAYS.contains(&other))
    }

    /// Lengths of usual seasons in steps, such as 24 and 168 for hours.
    pub(crate) fn seasons(&self) -> Vec<usize> {
        let in_steps = |spans: &[i64], step: i64| {
            let spans = spans.iter().filter(|span| *span % step == 0 && **span > step);
            spans.map(|span| (span / step) as usize).collect()
        };
        match *self {
            Self::Number(_) => Vec::new(),
            Self::Weekdays => vec![5],
            Self::Months(months) if months < 12 && 12 % months == 0 => vec![(12 / months) as usize],
            Self::Months(_) => Vec::new(),
            Self::Micros(step) if step == 7 * DAY => vec![52],
            Self::Micros(step) => in_steps(&[3600 * SECOND, DAY, 7 * DAY], step),
        }
    }
}

/// The places of times on the grid of a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Grid {
    pub(crate) step: TimeStep,
    /// The time of place 0: a number, or microseconds since 1970.
    pub(crate) number: f64,
    pub(crate) micros: i64,
    /// For months: whether all times are the last days of their months.
    #[serde(default)]
    pub(crate) month_ends: bool,
}

impl Grid {
    /// The grid of some times, each series sorted, without duplicates. `None`: there are fewer than two times.
    pub(crate) fn of(series: &[Vec<Moment>]) -> Option<Self> {
        let first = series.iter().flatten().copied().min_by(Moment::order)?;
        let pairs =
            || series.iter().flat_map(|times| times.windows(2)).map(|pair| [pair[0], pair[1]]);
        match first {
            Moment::Number(number) => {
                let differences = pairs().filter_map(|pair| match pair {
                    [Moment::Number(a), Moment::Number(b)] => Some(b - a),
                    _ => None,
                });
                let step = TimeStep::Number(usual(differences.collect())?);
                Some(Self { step, number, micros: 0, month_ends: false })
            }
            Moment::Date(micros) => {
                let dates = series.iter().flatten().filter_map(|time| match time {
                    Moment::Date(micros) => Moment::date(*micros),
                    Moment::Number(_) => None,
                });
                let dates: Vec<NaiveDateTime> = dates.collect();
                let differences = pairs().filter_map(|pair| match pair {
                    [Moment::Date(a), Moment::Date(b)] => Some((b - a) as f64),
                    _ => None,
                });
                let span = usual(differences.collect())? as i64;
                let (step, month_ends) = calendar_step(&dates, span, pairs());
                Some(Self { step, number: 0.0, micros, month_ends })
            }
        }
    }

    /// Whether its times are numbers, and not dates.
    pub(crate) fn is_of_numbers(&self) -> bool {
        matches!(self.step, TimeStep::Number(_))
    }

    /// How many steps lie between two times; `None`: no whole number of them.
    pub(crate) fn steps(&self, from: Moment, to: Moment) -> Option<i64> {
        match (self.step, from, to) {
            (TimeStep::Number(step), Moment::Number(a), Moment::Number(b)) => {
                let steps = (b - a) / step;
                ((steps - steps.round()).abs() <= 0.1).then(|| steps.round() as i64)
            }
            (TimeStep::Micros(step), Moment::Date(a), Moment::Date(b)) => {
                ((b - a) % step == 0).then(|| (b - a) / step)
            }
            (TimeStep::Months(step), Moment::Date(a), Moment::Date(b)) => {
                let (a, b) = (Moment::date(a)?, Moment::date(b)?);
                let months = month(&b) - month(&a);
                let same_day = a.day() == b.day() || (self.month_ends && is_last(&b));
                let whole = same_day && a.time() == b.time() && months % i64::from(step) == 0;
                whole.then(|| months / i64::from(step))
            }
            (TimeStep::Weekdays, Moment::Date(a), Moment::Date(b)) => {
                let (a, b) = (Moment::date(a)?, Moment::date(b)?);
                let whole = a.time() == b.time() && !is_weekend(&b);
                whole.then(|| weekdays(b.date()) - weekdays(a.date()))
            }
            _ => None,
        }
    }

    /// The time of a place.
    pub(crate) fn moment(&self, place: i64) -> Moment {
        let date = |time: Option<NaiveDateTime>| {
            Moment::Date(time.map_or(self.micros, |time| time.and_utc().timestamp_micros()))
        };
        let origin = Moment::date(self.micros);
        match self.step {
            TimeStep::Number(step) => Moment::Number(self.number + step * place as f64),
            TimeStep::Micros(step) => Moment::Date(self.micros + step * place),
            TimeStep::Months(step) => date(origin.and_then(|origin| {
                let months = Months::new(u32::try_from(place.unsigned_abs()).ok()? * step);
                let time = match place < 0 {
                    true => origin.checked_sub_months(months)?,
                    false => origin.checked_add_months(months)?,
                };
                if !self.month_ends {
                    return Some(time);
                }
                // The last day of that month.
                let first = time.date().with_day(1)?.checked_add_months(Months::new(1))?;
                Some(first.checked_sub_days(Days::new(1))?.and_time(time.time()))
            })),
            TimeStep::Weekdays => date(origin.and_then(|origin| {
                let count = weekdays(origin.date()) + place;
                Some(of_weekdays(count)?.and_time(origin.time()))
            })),
        }
    }

    /// The microseconds from one place to another; 0 for numbers.
    pub(crate) fn microseconds(&self, from: i64, to: i64) -> i64 {
        match (self.moment(from), self.moment(to)) {
            (Moment::Date(from), Moment::Date(to)) => to - from,
            _ => 0,
        }
    }

    /// A time as a text.
    pub(crate) fn text(&self, moment: Moment) -> String {
        match moment {
            // A number that is a sum of steps has no more digits than they have.
            Moment::Number(number) => format!("{}", (number * 1e9).round() / 1e9),
            Moment::Date(micros) => {
                let Some(time) = Moment::date(micros) else { return micros.to_string() };
                let is_day = match self.step {
                    TimeStep::Micros(step) => step % DAY == 0 && self.micros % DAY == 0,
                    _ => self.micros % DAY == 0,
                };
                let form = match self.step {
                    _ if is_day => "%Y-%m-%d",
                    TimeStep::Micros(step) if step % SECOND != 0 => "%Y-%m-%dT%H:%M:%S%.6f",
                    TimeStep::Micros(step) if step % (60 * SECOND) != 0 => "%Y-%m-%dT%H:%M:%S",
                    _ => "%Y-%m-%dT%H:%M",
                };
                time.format(form).to_string()
            }
        }
    }
}

/// The step of dates whose usual difference is `span`.
fn calendar_step(
    dates: &[NaiveDateTime],
    span: i64,
    pairs: impl Iterator<Item = [Moment; 2]>,
) -> (TimeStep, bool) {
    let Some(first) = dates.first() else { return (TimeStep::Micros(span), false) };
    let same_time = dates.iter().all(|date| date.time() == first.time());
    let same_day = dates.iter().all(|date| date.day() == first.day());
    let month_ends = !same_day && dates.iter().all(is_last);
    if same_time && (same_day || month_ends) && span >= 28 * DAY {
        let months = pairs.filter_map(|pair| match pair {
            [Moment::Date(a), Moment::Date(b)] => {
                Some((month(&Moment::date(b)?) - month(&Moment::date(a)?)) as f64)
            }
            _ => None,
        });
        if let Some(months) = usual(months.collect()) {
            return (TimeStep::Months(months as u32), month_ends);
        }
    }
    let spanned = dates.iter().max().zip(dates.iter().min());
    let spanned = spanned.map_or(0, |(last, first)| (*last - *first).num_days());
    if same_time && span == DAY && spanned >= 13 && !dates.iter().any(is_weekend) {
        return (TimeStep::Weekdays, false);
    }
    (TimeStep::Micros(span), false)
}

/// The most frequent positive difference. Differences that are the same but for rounding count as one.
fn usual(mut differences: Vec<f64>) -> Option<f64> {
    differences.retain(|difference| *difference > 0.0);
    differences.sort_by(f64::total_cmp);
    let mut best: Option<(usize, f64)> = None;
    for group in differences.chunk_by(|a, b| b - a <= 1e-3 * a) {
        if best.is_none_or(|(count, _)| group.len() > count) {
            best = Some((group.len(), group[group.len() / 2]));
        }
    }
    best.map(|(_, difference)| difference)
}

fn month(date: &NaiveDateTime) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month0())
}

fn is_last(date: &NaiveDateTime) -> bool {
    date.date().succ_opt().is_some_and(|next| next.day() == 1)
}

fn is_weekend(date: &NaiveDateTime) -> bool {
    [Weekday::Sat, Weekday::Sun].contains(&date.weekday())
}

/// The number of weekdays from the year 1 to a day.
fn weekdays(day: NaiveDate) -> i64 {
    let monday =
        i64::from(day.num_days_from_ce()) - i64::from(day.weekday().num_days_from_monday());
    (monday - 1) / 7 * 5 + i64::from(day.weekday().num_days_from_monday().min(4))
}

/// The inverse.
fn of_weekdays(count: i64) -> Option<NaiveDate> {
    let days = count.div_euclid(5) * 7 + count.rem_euclid(5) + 1;
    NaiveDate::from_num_days_from_ce_opt(i32::try_from(days).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::time::TimeForm;

    fn grid(days: &[&str]) -> (Grid, Vec<Option<i64>>) {
        let form = TimeForm::given("%Y-%m-%d %H:%M");
        let times: Vec<Moment> =
            days.iter().map(|day| form.parse(day.as_bytes()).expect("a date")).collect();
        let grid = Grid::of(std::slice::from_ref(&times)).expect("a step");
        let places: Vec<_> = times.iter().map(|&time| grid.steps(times[0], time)).collect();
        for (time, place) in times.iter().zip(&places) {
            if let Some(place) = place {
                assert_eq!(grid.moment(*place), *time);
            }
        }
        (grid, places)
    }

    #[test]
    fn steps_follow_the_calendar() {
        let (found, places) = grid(&["2024-01-31 00:00", "2024-02-29 00:00", "2024-04-30 00:00"]);
        assert_eq!((found.step.name().as_str(), found.month_ends), ("1 month", true));
        assert_eq!(places, [Some(0), Some(1), Some(3)]);
        assert_eq!(found.text(found.moment(2)), "2024-03-31");

        let (found, places) =
            grid(&["2024-01-15 00:00", "2024-02-15 00:00", "2024-03-15 00:00", "2025-01-15 00:00"]);
        assert_eq!((found.step.name().as_str(), places[3]), ("1 month", Some(12)));
        assert_eq!(found.step.seasons(), [12]);

        let hours =
            ["2024-03-01 00:00", "2024-03-01 01:00", "2024-03-01 02:00", "2024-03-01 05:00"];
        let (found, places) = grid(&hours);
        assert_eq!((found.step.name().as_str(), places[3]), ("1 hour", Some(5)));
        assert_eq!(found.step.seasons(), [24, 168]);
        assert_eq!(found.text(found.moment(23)), "2024-03-01T23:00");
        let (_, places) = grid(&[hours[0], hours[1], hours[2], "2024-03-01 04:30"]);
        assert_eq!(places[3], None);

        let days: Vec<String> = (4..=22)
            .filter(|day| ![9, 10, 16, 17, 13].contains(day))
            .map(|day| format!("2024-03-{day:02} 00:00"))
            .collect();
        let (found, places) = grid(&days.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(found.step.name(), "1 weekday");
        // The 13th is missing.
        let expected: Vec<_> = (0..15).filter(|place| *place != 7).map(Some).collect();
        assert_eq!(places, expected);
        assert_eq!(found.text(found.moment(15)), "2024-03-25");

        let (found, _) = grid(&["1958-03-29 00:00", "1958-04-05 00:00", "1958-04-12 00:00"]);
        assert_eq!((found.step.name().as_str(), found.step.seasons()), ("1 week", vec![52]));
    }

    #[test]
    fn numbers_that_are_rounded_have_a_step() {
        let times: Vec<Moment> = (0..700)
            .map(|t| Moment::Number(((1958.2 + f64::from(t) / 12.0) * 1e4).round() / 1e4))
            .collect();
        let grid = Grid::of(std::slice::from_ref(&times)).expect("a step");
        assert!(times.windows(2).all(|pair| grid.steps(pair[0], pair[1]) == Some(1)));
        assert_eq!(grid.steps(times[3], times[6]), Some(3));
        assert_eq!(Grid::of(&[times[..1].to_vec()]), None);
    }
}
