//! Forecasts with the model of a run.

use crate::error::Error;
use crate::folder::RunFolder;
use crate::folder_files::ForecastInfo;
use crate::frame::Frame;
use crate::frame::step::Grid;
use crate::series::{Series, Standardization};
use crate::task_settings::stored;
use crate::tasks::forecast::Forecast;
use crate::tasks::forecast::combination::Combination;
use crate::tasks::forecast::data::{OneSeries, series_of};
use crate::tasks::forecast::encode::{Reader, Window, calendar_of};
use crate::tasks::forecast::follow::Ahead;
use crate::tasks::forecast::head::{Head, LEVELS, Said};
use crate::tasks::forecast::model::{Forecaster, ForecasterConfig};
use crate::tasks::forecast::options::ForecastOptions;
use crate::tasks::forecast::score::Calibration;
use bptt::AnyLayer;
use burn::tensor::Device;
use serde::Serialize;
use std::path::Path;

/// What a model says about the series of a file: from windows that follow each other, each value once, and beyond the
/// end of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecasts {
    /// The series and columns that are forecast.
    pub lines: Vec<ForecastLine>,
    /// How many steps are said at once.
    pub horizon: usize,
    /// The step of the times, such as `hour`; without times `row`.
    pub step: String,
    /// Whether quantiles are known: a point has none before the validation part has shown its errors.
    pub has_quantiles: bool,
    /// How good the forecasts are where values are known.
    pub scores: Option<KnownScores>,
    /// The same on the values after those that the run learned from, its training and validation part. `None`: there are
    /// none, or there are no dates by which they are known.
    pub new_scores: Option<KnownScores>,
    /// What a person should know about how the file was read.
    pub notes: Vec<String>,
}

/// One column of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastLine {
    /// The name of the series; empty, if there is only one.
    pub series: String,
    /// The column.
    pub column: String,
    /// The times of all steps, those ahead too.
    pub times: Vec<String>,
    /// The values that the file has, by step.
    pub values: Vec<Option<f64>>,
    /// The forecasts, in order of time.
    pub forecasts: Vec<ForecastPoint>,
}

/// The forecast of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForecastPoint {
    /// Which step of the series, from 0.
    pub at: usize,
    /// How many steps after the last value that the model read, from 1.
    pub ahead: usize,
    /// The forecast.
    pub forecast: f64,
    /// The quantiles of [`LEVELS`].
    pub quantiles: [f64; LEVELS.len()],
    /// The value, where it is known.
    pub truth: Option<f64>,
}

/// How good forecasts are where values are known. Errors of several columns are in units of each one's usual change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KnownScores {
    /// How many values are known.
    pub values: usize,
    /// The root mean square of the errors.
    pub rmse: f64,
    /// The mean absolute error.
    pub mae: f64,
    /// The share of the values in the interval of 90 %.
    pub coverage: Option<f64>,
}

/// Forecasts the series of a file with the best model of a run of `forecast`. The file has the columns of the training
/// data.
///
/// The forecasts begin where the first window of the file ends, and each step is said once, by the last of the windows that
/// end a whole number of horizons before the end of the file. The last forecasts are of steps that the file does not have.
///
/// # Arguments
///
/// - `csv`: the file, or `-` for standard input
/// - `device`: without autodiff
///
/// # Errors
///
/// If the folder holds no run of `forecast` or no model, if the file cannot be read, or if all its series are shorter than a
/// window.
pub fn forecast(folder: &RunFolder, csv: &Path, device: &Device) -> Result<Forecasts, Error> {
    let settings = stored::<Forecast>(folder)?;
    let mut options: ForecastOptions = settings.options()?;
    let Some(info) = folder.config()?.info.forecast else {
        let why = "no `forecast`: the run is of an older version; train it again";
        return Err(folder.in_config(why));
    };
    options.length = info.length.unwrap_or(options.length);
    let model = folder.load::<ForecasterConfig>(device)?;
    let targets = options.column.0.len();
    let fits = options.length >= 2
        && model.shape.inputs == options.inputs(&calendar_of(&info, &options))
        && model.shape.targets == targets
        && model.head.weight.dims()[1]
            == targets * options.outputs_ahead() * options.head.parameters()
        && model.linear.as_ref().is_none_or(|linear| {
            linear.is_sound(targets * options.outputs_ahead(), options.length)
        })
        && info.is_sound(targets, options.covariate.len() + options.known_covariate.len());
    if !fits {
        return Err(folder.in_config("`forecast` does not fit the model"));
    }
    let (calibration, combination) = folder.corrections()?;
    let values = targets * options.horizon;
    if combination.as_ref().is_some_and(|both| !both.is_sound(values, options.length)) {
        return Err(folder.in_config("`combination` in test.json does not fit the model"));
    }
    if calibration.as_ref().is_some_and(|all| !all.is_sound(values)) {
        return Err(folder.in_config("`calibration` in test.json does not fit the model"));
    }
    let grid = info.grid.filter(|grid| !grid.is_of_numbers());
    let frame = Frame::load(csv, &options.columns(), &options.format, grid.as_ref())?;
    let name = crate::read::data_name(csv.to_str().unwrap_or("the file")).to_string();
    let work =
        Work { options: &options, info: &info, model: &model, calibration, combination, device };
    work.forecasts(frame, &name, settings.batch)
}

struct Work<'a> {
    options: &'a ForecastOptions,
    info: &'a ForecastInfo,
    model: &'a Forecaster<AnyLayer>,
    calibration: Option<Calibration>,
    combination: Option<Combination>,
    device: &'a Device,
}

impl Work<'_> {
    fn forecasts(&self, frame: Frame, name: &str, batch: usize) -> Result<Forecasts, Error> {
        let series = series_of(&frame, self.options);
        let mut notes = frame.notes.clone();
        let is_long = |one: &&OneSeries| one.len() >= self.options.length;
        if !series.iter().any(|one| is_long(&one)) {
            let longest = series.iter().map(OneSeries::len).max().unwrap_or(0);
            return Err(Error::input(format!(
                "{name}: {longest} values, and the model reads windows of {}: give as many before the \
                 first forecast",
                self.options.length
            )));
        }
        let short = series.len() - series.iter().filter(is_long).count();
        if short > 0 {
            notes.push(format!(
                "{short} series shorter than a window of {} left out",
                self.options.length
            ));
        }
        let mut lines = Vec::new();
        let mut errors = [Errors::default(), Errors::default()];
        let mut short_ahead = (0, usize::MAX);
        for one in series.iter().filter(is_long) {
            let scales = self.scales(one, name, &mut notes)?;
            lines.extend(self.lines(
                one,
                &scales,
                frame.grid.as_ref(),
                batch,
                &mut short_ahead,
                &mut errors,
            ));
        }
        if let (1.., known) = short_ahead {
            let (of, horizon) = (short_ahead.0, self.options.horizon);
            let of = if series.len() > 1 { format!(" of {of} series") } else { String::new() };
            let are = if horizon == 1 { "is" } else { "are" };
            notes.push(format!(
                "nothing is said beyond the last value{of}: what is known ahead ends {known} steps after it, \
                 and {horizon} {are} needed; append rows with it"
            ));
        }
        let has_quantiles = self.calibration.is_some() || self.options.head != Head::Point;
        if self.calibration.is_none() {
            notes.push(match has_quantiles {
                true => "the intervals are the model's own: the run has no test.json".to_string(),
                false => "no intervals: the run is not complete, or has no test part".to_string(),
            });
        }
        let step = frame.grid.map_or_else(|| "row".to_string(), |grid| grid.step.name());
        let step = step.trim_start_matches("1 ").to_string();
        let horizon = self.options.horizon;
        let [scores, new_scores] = errors.map(|errors| errors.scores(has_quantiles));
        Ok(Forecasts { lines, horizon, step, has_quantiles, scores, new_scores, notes })
    }

    /// How the targets of a series are scaled: as those with its name; those of a new series by its own values.
    fn scales(
        &self,
        one: &OneSeries,
        name: &str,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Standardization>, Error> {
        if let Some(at) = self.info.names.iter().position(|known| *known == one.name) {
            return Ok(self.info.scales[at].clone());
        }
        let series = one.name.escape_debug().to_string();
        notes.push(format!("series `{series}` is new to the model: scaled by its own values"));
        let scales = one.targets.iter().map(|target| Standardization::of(&target.values));
        scales.collect::<Option<Vec<_>>>().ok_or_else(|| {
            Error::input(format!("{name}, series `{series}`: its values are all the same"))
        })
    }

    /// What is said after the windows that end before these steps, with what the validation part has combined and corrected.
    /// As in the test, quantiles follow the errors of values that the run has not learned from, where dates say which these
    /// are. If the file begins later, they begin as they were after the test.
    fn said(
        &self,
        one: &OneSeries,
        scales: &[Standardization],
        ends: &[usize],
        batch: usize,
    ) -> Vec<Vec<Said>> {
        let ForecastOptions { length, horizon, .. } = *self.options;
        let new = self
            .info
            .learned_until
            .map_or(usize::MAX, |until| usize::try_from(until - one.start).unwrap_or(0));
        let known = |step: usize, column: usize| {
            let series = &one.targets[column];
            series.known.get(step).filter(|known| **known).map(|_| series.values[step])
        };
        // As the windows of the test: all values after them are known.
        let is_whole = |end: usize| {
            let is_known = |series: &Series| {
                series.known.get(end..end + horizon).is_some_and(|next| !next.contains(&false))
            };
            one.targets.iter().all(is_known)
        };
        let last = ends.last().copied().unwrap_or(0);
        let followed =
            (new.max(length)..=last).filter(|end| self.calibration.is_some() && is_whole(*end));
        let mut all: Vec<usize> = ends.iter().copied().chain(followed).collect();
        all.sort_unstable();
        all.dedup();
        let linear = self.model.linear.as_ref();
        let reader = Reader { options: self.options, info: self.info, linear };
        let window = |end: &usize| Window { series: one, scales, start: end - length };
        let windows: Vec<Window<'_>> = all.iter().map(window).collect();
        let said = windows.chunks(batch).flat_map(|some| reader.say(self.model, some, self.device));
        let together = |(said, &end): (Vec<Said>, &usize)| Ahead {
            end,
            said: match &self.combination {
                Some(both) => both.of(one, scales, end, &said),
                None => said,
            },
            is_followed: end >= new && is_whole(end),
        };
        let ahead: Vec<Ahead> = said.zip(&all).map(together).collect();
        let said = match &self.calibration {
            Some(calibration) => {
                let begins_later = new == usize::MAX || new < length;
                let begin = match begins_later && !calibration.latest.is_empty() {
                    true => &calibration.latest,
                    false => &calibration.offsets,
                };
                calibration.follow(begin, &ahead, one.targets.len(), &known).0
            }
            None => ahead.into_iter().map(|ahead| ahead.said).collect(),
        };
        let asked = said.into_iter().zip(&all).filter(|(_, end)| ends.binary_search(end).is_ok());
        asked.map(|(said, _)| said).collect()
    }

    fn lines(
        &self,
        one: &OneSeries,
        scales: &[Standardization],
        grid: Option<&Grid>,
        batch: usize,
        short_ahead: &mut (usize, usize),
        errors: &mut [Errors; 2],
    ) -> Vec<ForecastLine> {
        let ForecastOptions { length, horizon, .. } = *self.options;
        let steps = one.len();
        let known_ahead = one.ahead.iter().map(Vec::len).min().unwrap_or(usize::MAX);
        // A window that ends at the last value says what the file does not have.
        let mut ends: Vec<usize> = (length..=steps).rev().step_by(horizon).collect();
        if known_ahead < steps + horizon {
            ends.remove(0);
            short_ahead.0 += 1;
            short_ahead.1 = short_ahead.1.min(known_ahead.saturating_sub(steps));
        }
        ends.reverse();
        let said = self.said(one, scales, &ends, batch);
        let last = ends.last().map_or(steps, |end| steps.max(end + horizon));
        let time = |at: usize| match grid {
            Some(grid) => grid.text(grid.moment(one.start + at as i64)),
            None => (one.start + at as i64 + 1).to_string(),
        };
        let times: Vec<String> = (0..last).map(time).collect();
        let targets = one.targets.len();
        let line = |column: usize| {
            let series = &one.targets[column];
            let known =
                |at: usize| series.known.get(at).filter(|known| **known).map(|_| series.values[at]);
            let mut forecasts = Vec::new();
            for (end, said) in ends.iter().zip(&said) {
                for step in 0..horizon {
                    let at = step * targets + column;
                    let said = said[at];
                    let truth = known(end + step);
                    if let Some(truth) = truth {
                        let unit = if targets == 1 { 1.0 } else { scales[column].change };
                        errors[0].add(truth, &said, unit);
                        let place = one.start + (end + step) as i64;
                        if self.info.learned_until.is_some_and(|until| place >= until) {
                            errors[1].add(truth, &said, unit);
                        }
                    }
                    forecasts.push(ForecastPoint {
                        at: end + step,
                        ahead: step + 1,
                        forecast: said.center,
                        quantiles: said.quantiles,
                        truth,
                    });
                }
            }
            ForecastLine {
                series: one.name.clone(),
                column: self.options.column.0[column].clone(),
                times: times.clone(),
                values: (0..steps).map(known).collect(),
                forecasts,
            }
        };
        (0..targets).map(line).collect()
    }
}

/// Sums of errors.
#[derive(Default)]
struct Errors {
    values: usize,
    squares: f64,
    sizes: f64,
    covered: usize,
}

impl Errors {
    fn add(&mut self, truth: f64, said: &Said, unit: f64) {
        let error = (truth - said.center) / unit;
        self.values += 1;
        self.squares += error.powi(2);
        self.sizes += error.abs();
        self.covered += usize::from(said.covers(truth));
    }

    fn scores(&self, has_quantiles: bool) -> Option<KnownScores> {
        let count = self.values as f64;
        (self.values > 0).then(|| KnownScores {
            values: self.values,
            rmse: (self.squares / count).sqrt(),
            mae: self.sizes / count,
            coverage: has_quantiles.then(|| self.covered as f64 / count),
        })
    }
}

impl Forecasts {
    /// The rows of a table: `series` and `column` (where there are several), `time`, `ahead` (steps after the last value
    /// that was read), `forecast`, the quantiles (`p05` to `p95`, the interval of 90 %), and `truth`, where it is known.
    ///
    /// # Errors
    ///
    /// If the table cannot be written.
    pub fn csv(&self) -> Result<Vec<u8>, Error> {
        let mut table = csv::Writer::from_writer(Vec::new());
        let failed = |error: csv::Error| Error::input(format!("cannot write a table: {error}"));
        let (named, several) = self.names();
        let mut head = Vec::new();
        head.extend(named.then(|| "series".to_string()));
        head.extend(several.then(|| "column".to_string()));
        head.extend(["time", "ahead", "forecast"].map(str::to_string));
        if self.has_quantiles {
            head.extend(LEVELS.map(|level| format!("p{:02.0}", 100.0 * level)));
        }
        head.push("truth".to_string());
        table.write_record(&head).map_err(failed)?;
        for line in &self.lines {
            for point in &line.forecasts {
                let mut row = Vec::new();
                row.extend(named.then(|| line.series.clone()));
                row.extend(several.then(|| line.column.clone()));
                row.push(line.times[point.at].clone());
                row.push(point.ahead.to_string());
                row.push(digits(point.forecast));
                if self.has_quantiles {
                    row.extend(point.quantiles.map(digits));
                }
                row.push(point.truth.map_or_else(String::new, |truth| truth.to_string()));
                table.write_record(&row).map_err(failed)?;
            }
        }
        table.into_inner().map_err(|error| Error::input(format!("cannot write a table: {error}")))
    }

    /// The same as JSON, a line for each forecast. The quantiles are a list in the order of [`LEVELS`].
    pub fn json_lines(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            for point in &line.forecasts {
                let quantiles = self.has_quantiles.then_some(point.quantiles);
                let json = serde_json::json!({
                    "series": line.series,
                    "column": line.column,
                    "time": line.times[point.at],
                    "ahead": point.ahead,
                    "forecast": point.forecast,
                    "quantiles": quantiles,
                    "truth": point.truth,
                });
                text += &json.to_string();
                text.push('\n');
            }
        }
        text
    }

    /// Whether there are several series, and several columns.
    fn names(&self) -> (bool, bool) {
        let several = self.lines.iter().any(|line| line.column != self.lines[0].column);
        (self.lines.iter().any(|line| !line.series.is_empty()), several)
    }
}

/// A number with the digits that a network in `f32` can vouch for.
fn digits(number: f64) -> String {
    let rounded: f64 = format!("{number:.6e}").parse().unwrap_or(number);
    rounded.to_string()
}
