//! The series of a forecast: their values, where their parts begin, and what a network reads of them.

use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::folder_files::ForecastInfo;
use crate::frame::step::Grid;
use crate::frame::{Frame, FrameSeries};
use crate::labelled::scaling::Scaling;
use crate::series::{Series, Standardization};
use crate::tasks::forecast::calendar::CalendarFeature;
use crate::tasks::forecast::options::{ForecastOptions, LONGEST_WINDOW, WINDOW};
use crate::tasks::forecast::season::season;
use std::ops::Range;

/// One series with what belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct OneSeries {
    /// Empty, if there is only one.
    pub(crate) name: String,
    /// The place of its first value on the grid.
    pub(crate) start: i64,
    /// What is forecast: all of one length.
    pub(crate) targets: Vec<Series>,
    /// Columns that are known up to now, of the same length.
    pub(crate) past: Vec<Vec<f64>>,
    /// Columns that are known ahead. They may go on after the targets.
    pub(crate) ahead: Vec<Vec<f64>>,
}

impl OneSeries {
    /// How many steps have targets.
    pub(crate) fn len(&self) -> usize {
        self.targets[0].values.len()
    }

    /// The values of a target that a model reads in `range`. A gap at the end holds the last known value. Linear
    /// interpolation, as in other gaps, is not possible there, because it would use a value that has to be predicted.
    pub(crate) fn window(&self, target: usize, range: Range<usize>) -> Vec<f64> {
        let Series { values, known, .. } = &self.targets[target];
        let (start, end) = (range.start, range.end);
        let mut window = values[range].to_vec();
        // The first value of a series is known, or is held backwards.
        let last = known[..end].iter().rposition(|known| *known).unwrap_or(0);
        window[(last + 1).saturating_sub(start)..].fill(values[last]);
        window
    }

    /// The last value of a target that is known before the step `end`.
    pub(crate) fn last(&self, target: usize, end: usize) -> f64 {
        self.window(target, end - 1..end)[0]
    }

    /// From a part of a table. `None`: no target has a value.
    fn of(frame: FrameSeries, targets: usize, past: usize) -> Option<Self> {
        let FrameSeries { name, start, mut columns } = frame;
        let mut ahead = columns.split_off(targets + past);
        let mut past = columns.split_off(targets);
        let known = |at: usize| columns.iter().any(|column| column[at].is_some());
        let steps = columns.first().map_or(0, Vec::len);
        let first = (0..steps).find(|&at| known(at))?;
        let last = (0..steps).rfind(|&at| known(at))?;
        let series = columns.iter().map(|column| Series::of_column(&column[first..=last]));
        let targets = series.collect::<Option<Vec<_>>>()?;
        let past = past.iter_mut().map(|column| held(&column[first..=last])).collect();
        // What is known ahead ends at its last value, and not before the targets.
        let ahead = ahead.iter_mut().map(|column| {
            let end = column.iter().rposition(Option::is_some).map_or(0, |at| at + 1);
            held(&column[first..end.max(last + 1)])
        });
        let ahead = ahead.collect();
        Some(Self { name, start: start + first as i64, targets, past, ahead })
    }
}

/// Values whose gaps hold the last known value, and the first one before it.
fn held(values: &[Option<f64>]) -> Vec<f64> {
    let mut last = values.iter().copied().flatten().next().unwrap_or(0.0);
    let mut next = |value: &Option<f64>| {
        last = value.unwrap_or(last);
        last
    };
    values.iter().map(&mut next).collect()
}

/// All series of a table, without the parts.
pub(crate) fn series_of(frame: &Frame, options: &ForecastOptions) -> Vec<OneSeries> {
    let (targets, past) = (options.column.0.len().max(1), options.covariate.len());
    frame.series.iter().cloned().filter_map(|one| OneSeries::of(one, targets, past)).collect()
}

/// The series of a run with their parts.
#[derive(Clone, Debug)]
pub(crate) struct ForecastData {
    pub(crate) series: Vec<OneSeries>,
    pub(crate) info: ForecastInfo,
    /// By series: the first step after the training part, after the validation part, and after the test part.
    pub(crate) cuts: Vec<[usize; 3]>,
    /// Where the windows of each part begin: the series and the step. The values after a window are known, and lie in
    /// the same part.
    pub(crate) train: Vec<Start>,
    pub(crate) valid: Vec<Start>,
    pub(crate) test: Vec<Start>,
    pub(crate) fingerprint: u64,
    pub(crate) notes: Vec<String>,
    /// How many values a window has.
    pub(crate) length: usize,
}

/// Where a window begins: the series and the step.
pub(crate) type Start = (usize, usize);

impl ForecastData {
    /// A table's series for these options; `name` is what the series are called in messages.
    pub(crate) fn of_frame(
        frame: Frame,
        options: &ForecastOptions,
        name: &str,
    ) -> Result<Self, Error> {
        let series = series_of(&frame, options);
        if series.is_empty() {
            let columns = options.column.0.join("`, `");
            return Err(Error::input(format!("{name}: the column `{columns}` has no number")));
        }
        if !options.calendar.is_empty() {
            check_calendar(frame.grid.as_ref(), options)?;
        }
        Self::new(series, frame.grid, frame.notes, options, name)
    }

    pub(crate) fn new(
        series: Vec<OneSeries>,
        grid: Option<Grid>,
        notes: Vec<String>,
        options: &ForecastOptions,
        name: &str,
    ) -> Result<Self, Error> {
        let cuts: Vec<_> = cuts(&series, grid.is_some(), options);
        let longest = series.iter().zip(&cuts).max_by_key(|(_, cut)| cut[0]);
        let trained =
            longest.map_or(&[][..], |(one, cut)| &one.targets[0].values[..cut[0].min(one.len())]);
        let season = match options.season {
            0 => season(trained, grid.as_ref()),
            season => season,
        };
        let length = match options.length {
            0 => window_length(season, trained.len()),
            length => length,
        };
        let options = &ForecastOptions { length, ..options.clone() };
        let fingerprint = fingerprint(&series);
        let part = |of: fn([usize; 3]) -> Range<usize>| {
            let mut starts = Vec::new();
            for (at, one) in series.iter().enumerate() {
                let range = of(cuts[at]);
                starts.extend(windows(one, range, options).map(|start| (at, start)));
            }
            starts
        };
        let train = part(|[a, ..]| 0..a);
        let valid = part(|[a, b, _]| a..b);
        let test = part(|[_, b, c]| b..c);
        let ForecastOptions { length, horizon, test_share, .. } = *options;
        let lacks_test = test_share > 0 && test.is_empty();
        if train.is_empty() || valid.is_empty() || lacks_test {
            let count: usize = series.iter().map(OneSeries::len).sum();
            let gaps: usize = series.iter().flat_map(|one| &one.targets).map(Series::gaps).sum();
            let gaps = match gaps {
                0 => String::new(),
                gaps => format!(", {gaps} of them gaps,"),
            };
            let parts = match test_share {
                0 => "in the first 90 % and after them".to_string(),
                share => {
                    format!("in the first {} % and in each of the parts after them", 90 - share)
                }
            };
            let test = if test_share > 0 { ", or --test-share 0" } else { "" };
            return Err(Error::input(format!(
                "{name}: {count} values{gaps} are too few for windows of {length} and {horizon} ahead, \
                 {parts}: take a longer series, or a smaller --length or --horizon{test}",
            )));
        }
        let scales = series.iter().zip(&cuts).map(|(one, cut)| scales(one, cut[0], options, name));
        let scales = scales.collect::<Result<Vec<_>, _>>()?;
        let covariates = covariates(&series, &cuts)
            .map_err(|at| Error::input(format!("{name}: covariate {} is too large", at + 1)))?;
        let names = series.iter().map(|one| one.name.clone()).collect();
        let dates = grid.filter(|grid| !grid.is_of_numbers());
        let learned = dates.map(|_| learned(&series, &cuts));
        let calendar = dates.zip(learned).filter(|_| !options.calendar.is_empty());
        let calendar = calendar.map(|(grid, [first, train, _])| match options.is_auto() {
            true => CalendarFeature::fitting(grid.step, grid.microseconds(first, train)),
            false => options.features(),
        });
        let learned_until = learned.map(|[.., until]| until);
        let info = ForecastInfo {
            names,
            scales,
            covariates,
            grid,
            season,
            calendar,
            learned_until,
            length: Some(length),
        };
        Ok(Self { series, info, cuts, train, valid, test, fingerprint, notes, length })
    }

    /// The windows of the training and the validation part.
    pub(crate) fn learned(&self) -> Vec<Start> {
        self.train.iter().chain(&self.valid).copied().collect()
    }

    /// How many values there are, and how many of them are gaps.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let targets = || self.series.iter().flat_map(|one| &one.targets);
        (targets().map(|series| series.values.len()).sum(), targets().map(Series::gaps).sum())
    }
}

/// How many values a window has, if nobody says: a season and a sixth of it, so that each value has its own of the season before
/// and that one's neighbours on both sides. At least [`WINDOW`], and no more than that where the season is very long, or
/// where the training part has few such windows.
fn window_length(season: usize, trained: usize) -> usize {
    let whole = season.saturating_add(season.div_ceil(6));
    match whole <= LONGEST_WINDOW && whole.saturating_mul(5) <= trained {
        true => whole.max(WINDOW),
        false => WINDOW,
    }
}

/// Checks that what is asked for of the time differs from row to row.
fn check_calendar(grid: Option<&Grid>, options: &ForecastOptions) -> Result<(), Error> {
    let Some(grid) = grid.filter(|grid| !grid.is_of_numbers()) else {
        let time = options.time_column.as_deref().unwrap_or_default();
        return Err(Error::input(format!(
            "--calendar: the times of `{time}` are numbers, and have no calendar; leave it out"
        )));
    };
    let asked = options.features().into_iter().filter(|_| !options.is_auto());
    match asked.into_iter().find(|feature| !feature.varies(grid.step)) {
        Some(feature) => Err(Error::input(format!(
            "--calendar {}: it is the same in all rows, which are {} apart; leave it out",
            feature.name(),
            grid.step.name()
        ))),
        None => Ok(()),
    }
}

/// The places of the first step, of the first one after all training parts, and of the first one after all validation
/// parts.
fn learned(series: &[OneSeries], cuts: &[[usize; 3]]) -> [i64; 3] {
    let after = |part: usize| {
        let ends = series.iter().zip(cuts).map(|(one, cut)| one.start + cut[part] as i64);
        ends.max().unwrap_or(0)
    };
    [series.iter().map(|one| one.start).min().unwrap_or(0), after(0), after(1)]
}

/// By series: the first step after the training part, after the validation part, and after the test part. Without a test
/// part, the validation part goes to the end. With times, the parts of all series begin at the same time.
fn cuts(series: &[OneSeries], has_times: bool, options: &ForecastOptions) -> Vec<[usize; 3]> {
    let of = |count: usize| {
        let test = count * options.test_share / 100;
        let end = count - test * options.hold_back;
        [end - count / 10 - test, end - test, end]
    };
    if !has_times {
        return series.iter().map(|one| of(one.len())).collect();
    }
    let first = series.iter().map(|one| one.start).min().unwrap_or(0);
    let end = series.iter().map(|one| one.start + one.len() as i64).max().unwrap_or(0);
    let all = of(usize::try_from(end - first).unwrap_or(0));
    let within = |one: &OneSeries| {
        all.map(|cut| (first + cut as i64 - one.start).clamp(0, one.len() as i64) as usize)
    };
    series.iter().map(within).collect()
}

/// Where the windows begin whose next values are all known and lie in `targets`.
fn windows(
    one: &OneSeries,
    targets: Range<usize>,
    options: &ForecastOptions,
) -> impl Iterator<Item = usize> + use<> {
    let (window, ahead) = (options.length, options.horizon);
    let runs = known_runs(one);
    let begin = targets.start.saturating_sub(window)..targets.end;
    begin.filter(move |start| {
        let next = start + window..start + window + ahead;
        let inside = targets.start <= next.start && next.end <= targets.end;
        inside && runs[next.start] >= ahead
    })
}

/// For each step, how many steps with known targets follow each other from this one on.
fn known_runs(one: &OneSeries) -> Vec<usize> {
    let mut runs = vec![0; one.len()];
    let mut run = 0;
    for at in (0..one.len()).rev() {
        run = if one.targets.iter().all(|series| series.known[at]) { run + 1 } else { 0 };
        runs[at] = run;
    }
    runs
}

/// How the targets of a series are scaled, by its training part.
fn scales(
    one: &OneSeries,
    train: usize,
    options: &ForecastOptions,
    name: &str,
) -> Result<Vec<Standardization>, Error> {
    let share = 90 - options.test_share;
    let of = |(at, series): (usize, &Series)| {
        // A series that begins after the training part is scaled by what there is.
        let train = if train < 2 { series.values.len() } else { train };
        Standardization::of(&series.values[..train]).ok_or_else(|| {
            let column = options.column.0.get(at).filter(|_| one.targets.len() > 1);
            let column = column.map(|column| format!(", `{column}`")).unwrap_or_default();
            let group = match one.name.is_empty() {
                true => String::new(),
                false => format!(", series `{}`", one.name.escape_debug()),
            };
            Error::input(format!(
                "{name}{column}{group}: its first {share} % are all the same, or further apart than \
                 numbers of f64 can be: nothing to learn"
            ))
        })
    };
    one.targets.iter().enumerate().map(of).collect()
}

/// How covariates are scaled, by the training parts of all series. An error is the place of one that is too large.
fn covariates(series: &[OneSeries], cuts: &[[usize; 3]]) -> Result<Scaling, usize> {
    let width = series.first().map_or(0, |one| one.past.len() + one.ahead.len());
    let rows = series.iter().zip(cuts).map(|(one, [train, ..])| {
        let columns = || one.past.iter().chain(&one.ahead);
        (0..*train).flat_map(|at| columns().map(move |column| column[at])).collect::<Vec<f64>>()
    });
    let rows: Vec<Vec<f64>> = rows.collect();
    let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
    Scaling::of(&rows, width).map(|(scaling, _)| scaling)
}

/// What a resumed run recognises the series by. A single one has the hash of its values, as ever.
fn fingerprint(series: &[OneSeries]) -> u64 {
    if let [OneSeries { targets, past, ahead, .. }] = series
        && let ([only], true, true) = (&targets[..], past.is_empty(), ahead.is_empty())
    {
        return only.fingerprint;
    }
    let mut hash = Fingerprint::new();
    let mut add = |number: u64| hash.add(number.to_le_bytes());
    for one in series {
        one.targets.iter().for_each(|series| add(series.fingerprint));
        let columns = one.past.iter().chain(&one.ahead);
        columns.flatten().for_each(|value| add(value.to_bits()));
        add(one.start as u64);
    }
    hash.value()
}

#[cfg(test)]
mod tests {
    use super::window_length;

    #[test]
    fn windows_reach_beyond_a_season() {
        assert_eq!(window_length(1, 1000), 50);
        assert_eq!(window_length(24, 4000), 50);
        assert_eq!(window_length(52, 1800), 61);
        // Too few of them, and too long ones.
        assert_eq!(window_length(52, 300), 50);
        assert_eq!(window_length(168, 100_000), 50);
        assert_eq!(window_length(usize::MAX, 10), 50);
    }
}
