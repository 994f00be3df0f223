//! Forecasting: which values come next in a series?
//!
//! The model reads a window of values, and predicts how much the next values differ from the last one. So an untrained
//! model predicts small changes, and a trained model can follow a series that rises above all values of the training
//! data. The parts follow each other in time: training, 10 % for validation, and the test, which is read once, when the
//! run is complete. The loss of a point is the squared error, in units of the root mean square of the change from one
//! value to the next. So for one step ahead, repeating the last value has a loss of 1 on the training data.
//!
//! New runs learn less than that: what a linear autoregression leaves of it ([`Combine::Residual`]).
//!
//! There may be several columns to forecast, columns that help, several series in one table, and a head that says a
//! distribution in place of a number. The validation part corrects the quantiles that are said ([`Calibration`]), and they
//! follow the errors of what becomes known after it ([`follow`]).

mod baseline;
pub(crate) mod calendar;
pub(crate) mod combination;
pub(crate) mod data;
pub(crate) mod encode;
pub(crate) mod follow;
pub(crate) mod head;
mod judge;
mod least_squares;
pub(crate) mod linear;
pub(crate) mod model;
pub(crate) mod options;
pub(crate) mod score;
mod season;
mod shrunk;

use crate::error::Error;
use crate::figure::figure;
use crate::folder_files::{FolderInfo, SeriesInfo};
use crate::frame::Frame;
use crate::model_config::ModelConfig;
use crate::noise_settings::NoiseSettings;
use crate::option::TaskOption;
use crate::random::{Purpose, generator};
use crate::read::data_name;
use crate::series::Series;
use crate::settings::Settings;
use crate::task::{Scores, SequenceSize, Task, TestScores};
use crate::tasks::forecast::calendar::CalendarFeature;
use crate::tasks::forecast::data::{ForecastData, OneSeries, Start};
use crate::tasks::forecast::encode::{Reader, Window, calendar_of};
use crate::tasks::forecast::head::Head;
use crate::tasks::forecast::linear::LinearForecast;
use crate::tasks::forecast::model::{ForecastShape, Forecaster, ForecasterConfig};
use crate::tasks::forecast::options::{Combine, ForecastOptions, LONGEST_WINDOW, WINDOW};
use crate::tasks::forecast::shrunk::Shrunk;
use crate::tasks::parts::{VALIDATION, mean_scores, readout, with_notes};
use bptt::{AnyCell, AnyLayer, AnyState, Engine, NoiseRates};
use bptt_probe::readout::{Batch, Input, Readout, Reads, Target};
use burn::Tensor;
use burn::tensor::{Device, TensorData};
use rand::RngExt;
use std::path::Path;

/// The variational dropout of new runs. On the sunspots it lowers the error by a tenth, and makes it nearly the same for all
/// seeds.
const DROPOUT: f64 = 0.1;

/// The forecast of a series, or of several.
#[derive(Clone, Debug)]
pub struct Forecast {
    settings: Settings,
    options: ForecastOptions,
    data: ForecastData,
    /// What the network learns the errors of; `None`: it learns changes from the last value.
    linear: Option<LinearForecast>,
}

impl Forecast {
    /// Makes the task for these settings and a series.
    ///
    /// # Errors
    ///
    /// If the series is too short, or does not change.
    pub fn with_series(settings: &Settings, series: Series) -> Result<Self, Error> {
        let options: ForecastOptions = settings.options()?;
        let name = options.column.0.first().map_or("the series", String::as_str).to_string();
        let notes = series.notes.clone();
        let targets = vec![series];
        let one = OneSeries {
            name: String::new(),
            start: 0,
            targets,
            past: Vec::new(),
            ahead: Vec::new(),
        };
        let data = ForecastData::new(vec![one], None, notes, &options, &name)?;
        Ok(Self::of(settings, options, data))
    }

    fn of(settings: &Settings, options: ForecastOptions, data: ForecastData) -> Self {
        let options = ForecastOptions { length: data.length, ..options };
        let fit = || Shrunk::fit(&data, &options, &data.train, options.outputs_ahead());
        let linear = if options.combine == Combine::Residual { fit() } else { None };
        let linear = linear.map(|shrunk| shrunk.linear);
        Self { settings: settings.clone(), options, data, linear }
    }

    /// The config of the model.
    pub fn config(&self) -> ForecasterConfig {
        let (targets, head) = (self.data.series[0].targets.len(), self.options.head);
        let inputs = self.options.inputs(&calendar_of(&self.data.info, &self.options));
        let recurrent = self.settings.layer_config(inputs);
        let standard = self.data.info.scales[0][0];
        ForecasterConfig::new(recurrent, self.options.outputs_ahead(), standard)
            .with_shape(ForecastShape { targets, inputs, head })
            .with_linear(self.linear.clone())
    }

    fn reader(&self) -> Reader<'_> {
        Reader { options: &self.options, info: &self.data.info, linear: self.linear.as_ref() }
    }

    fn window(&self, (series, start): Start) -> Window<'_> {
        let scales = &self.data.info.scales[series];
        Window { series: &self.data.series[series], scales, start }
    }

    fn windows(&self, starts: &[Start]) -> Vec<Window<'_>> {
        starts.iter().map(|&start| self.window(start)).collect()
    }

    /// The windows that begin at `starts`, `[B, T, I]`, and what a model should predict, `[B, K·M]`.
    fn tensors(&self, starts: &[Start], device: &Device) -> (Tensor<3>, Tensor<2>) {
        let windows = self.windows(starts);
        let target: Vec<f32> =
            windows.iter().flat_map(|window| self.reader().target(window)).collect();
        let shape = [starts.len(), target.len() / starts.len()];
        let input = self.reader().input(&windows, device);
        (input, Tensor::from_data(TensorData::new(target, shape), device))
    }

    /// The mean loss on the windows that begin at `starts`.
    fn error(&self, model: &Forecaster<AnyLayer>, starts: &[Start], device: &Device) -> Tensor<1> {
        let (input, target) = self.tensors(starts, device);
        self.options.head.loss(model.forward(input, None), target)
    }

    /// Where the windows of a training step begin.
    fn trained(&self, step: u64) -> Vec<Start> {
        let mut random = generator(self.settings.seed, Purpose::Training, step);
        let train = &self.data.train;
        let mut start = || train[random.random_range(0..train.len())];
        (0..self.settings.batch).map(|_| start()).collect()
    }

    /// Where the windows for validation begin.
    fn validated(&self) -> Vec<Start> {
        spread(&self.data.valid, VALIDATION)
    }

    /// Whether errors are in the units of the series: not, if there are several columns, whose units differ.
    fn has_units(&self) -> bool {
        self.data.series[0].targets.len() == 1
    }
}

/// The word of a choice, as it is written on the command line.
fn option_word(choice: impl serde::Serialize) -> String {
    let word = serde_json::to_value(choice).unwrap_or_default();
    word.as_str().unwrap_or_default().to_string()
}

/// All of them, or about `most`, evenly spread.
fn spread(starts: &[Start], most: usize) -> Vec<Start> {
    starts.iter().step_by(starts.len().div_ceil(most).max(1)).copied().collect()
}

impl Task for Forecast {
    const NAME: &'static str = "forecast";
    const ABOUT: &'static str = "Predict the next values of a series";
    const LOSS: &'static str = "mean squared error in units of the usual change";
    const METRIC: &'static str = "rmse";
    const OPTIONS: &'static [TaskOption] = &ForecastOptions::OPTIONS;
    const HAS_TEST: bool = true;

    type Options = ForecastOptions;
    type Model = Forecaster<AnyLayer>;

    fn defaults() -> Settings {
        let own = ForecastOptions::default();
        let options =
            ForecastOptions { length: 0, test_share: 10, combine: Combine::Residual, ..own };
        Settings { hidden: 32, validate_every: 50, ..Settings::new(Self::NAME, &options) }
    }

    /// Noise on the inputs of recurrent matrices, for cells that can have it: a series is short, and a model learns it by
    /// heart soon.
    fn adapted(settings: Settings) -> Settings {
        let variational_dropout = NoiseRates::Same(DROPOUT);
        let noise = NoiseSettings { variational_dropout, ..settings.noise };
        let fits = settings.engine != Engine::Rtrl && noise.check(settings.cell).is_ok();
        if fits { Settings { noise, ..settings } } else { settings }
    }

    fn loss_name(options: &ForecastOptions) -> &'static str {
        match options.head {
            Head::Point => Self::LOSS,
            Head::Gaussian | Head::StudentT => "nats per value",
            Head::Quantiles => "mean pinball loss in units of the usual change",
        }
    }

    fn check(_settings: &Settings, options: &ForecastOptions) -> Result<(), Error> {
        options.check()
    }

    fn new(settings: &Settings) -> Result<Self, Error> {
        let options: ForecastOptions = settings.options()?;
        let Some(csv) = options.csv.as_deref().filter(|_| !options.column.0.is_empty()) else {
            return Err(Error::input("forecast: no file or no column"));
        };
        let frame = Frame::load(Path::new(csv), &options.columns(), &options.format, None)?;
        let data = ForecastData::of_frame(frame, &options, data_name(csv))?;
        Ok(Self::of(settings, options, data))
    }

    fn adopt(&mut self, from: &FolderInfo, settings: &Settings) -> Result<(), Error> {
        let theirs: ForecastOptions = settings.options()?;
        self.options.check_same_columns(&theirs)?;
        let learned_errors = |combine| combine == Combine::Residual;
        if learned_errors(self.options.combine) != learned_errors(theirs.combine) {
            let own = option_word(theirs.combine);
            return Err(Error::input(format!(
                "its network was trained with --combine {own}: say so"
            )));
        }
        if let Some(model) = from.model.as_ref().filter(|_| self.linear.is_some()) {
            let config = serde_json::from_value::<ForecasterConfig>(model.config.clone());
            let values = self.data.series[0].targets.len() * self.options.outputs_ahead();
            let theirs = config.ok().and_then(|config| config.linear);
            let fits = |linear: &LinearForecast| linear.is_sound(values, self.options.length);
            self.linear = Some(theirs.filter(fits).ok_or_else(|| {
                Error::input("its linear part is of other windows or steps ahead: start without it")
            })?);
        }
        // Runs of the first versions have none, and scale by the same values.
        let Some(other) = &from.forecast else { return Ok(()) };
        let info = &mut self.data.info;
        if self.options.is_auto() {
            // What its data left of the time, or all that it asked for.
            info.calendar.clone_from(&other.calendar);
            if info.calendar.is_none() {
                info.calendar = Some(theirs.features());
            }
        } else if calendar_of(info, &self.options) != calendar_of(other, &theirs) {
            return Err(Error::input(
                "its model reads something else of the time: start without it",
            ));
        }
        let (targets, covariates) = (info.scales[0].len(), info.covariates.mean.len());
        if !other.is_sound(targets, covariates) {
            return Err(Error::input("its model has other columns: start without it"));
        }
        let asked: ForecastOptions = self.settings.options()?;
        let length = other.length.unwrap_or(theirs.length);
        if asked.length == 0 && length != self.options.length {
            return Err(Error::input(format!(
                "its windows have {length} values, and {} fit this table: say --length {length}",
                self.options.length
            )));
        }
        for (name, scales) in info.names.iter().zip(&mut info.scales) {
            if let Some(at) = other.names.iter().position(|known| known == name) {
                scales.clone_from(&other.scales[at]);
            }
        }
        info.covariates = other.covariates.clone();
        Ok(())
    }

    fn sequence_size(options: &ForecastOptions) -> SequenceSize {
        SequenceSize {
            time: if options.length == 0 { LONGEST_WINDOW } else { options.length },
            input: options.most_inputs(),
            input_has_gradients: false,
        }
    }

    fn model(&self, device: &Device) -> Result<Self::Model, Error> {
        self.config().try_init(device)
    }

    fn loss(
        &self,
        model: &Self::Model,
        step: u64,
        _state: Option<AnyState>,
        device: &Device,
    ) -> (Tensor<1>, Option<AnyState>) {
        (self.error(model, &self.trained(step), device), None)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        let starts = self.validated();
        let scores = |starts: &[Start]| {
            let (input, target) = self.tensors(starts, device);
            let outputs = model.forward(input, None);
            let loss = self.options.head.loss(outputs.clone(), target.clone());
            let loss = f64::from(loss.into_scalar::<f32>());
            let metric = match self.options.head {
                Head::Point => loss,
                head => {
                    let outputs: Vec<f64> = outputs.into_data().iter::<f64>().collect();
                    let said = outputs.chunks(head.parameters()).map(|one| head.said(one).center);
                    let target: Vec<f64> = target.into_data().iter::<f64>().collect();
                    let errors = said.zip(&target).map(|(said, target)| (said - target).powi(2));
                    errors.sum::<f64>() / target.len() as f64
                }
            };
            (Scores { loss, metric }, starts.len())
        };
        let scores = mean_scores(starts.chunks(self.settings.batch).map(scores));
        let unit = if self.has_units() { self.data.info.scales[0][0].change } else { 1.0 };
        Scores { metric: scores.metric.sqrt() * unit, ..scores }
    }

    fn test(&self, model: &Self::Model, device: &Device) -> Option<TestScores> {
        if self.data.test.is_empty() {
            return None;
        }
        let (test_loss, scores) = self.scores(model, device);
        let of_model = Scores { loss: test_loss, metric: scores.errors.rmse };
        let plain = TestScores::new(self.data.test.len(), of_model);
        Some(TestScores { forecast: Some(scores), ..plain })
    }

    fn readout(
        &self,
        model: &Self::Model,
        device: &Device,
    ) -> Option<(Readout<AnyCell>, Vec<Batch>)> {
        if self.options.head != Head::Point {
            return None;
        }
        let starts = self.validated();
        let batch = |windows: &[Start]| {
            let (input, target) = self.tensors(windows, device);
            let share = windows.len() as f64 / starts.len() as f64;
            Batch { share, ..Batch::new(Input::Values(input), Target::Values(target)) }
        };
        let batches = starts.chunks(self.settings.batch).map(batch).collect();
        Some((readout(&model.recurrent, &model.head, Reads::LastHidden)?, batches))
    }

    fn training_batch(&self, device: &Device) -> Option<Batch> {
        if self.options.head != Head::Point {
            return None;
        }
        let (input, target) = self.tensors(&self.trained(0), device);
        Some(Batch::new(Input::Values(input), Target::Values(target)))
    }

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "windows")
    }

    fn describe(&self) -> String {
        let windows = self.windows(&self.validated());
        let reader = Reader { linear: None, ..self.reader() };
        let changes: Vec<f32> = windows.iter().flat_map(|window| reader.target(window)).collect();
        let squares = changes.iter().map(|change| f64::from(*change).powi(2)).sum::<f64>();
        let loss = squares / changes.len() as f64;
        let (values, gaps) = self.data.counts();
        let gaps = match gaps {
            0 => String::new(),
            gaps => format!(", {gaps} of them filled in"),
        };
        let of = match self.data.series.len() {
            1 => String::new(),
            count => format!(" of {count} series"),
        };
        let unit = if self.has_units() { self.data.info.scales[0][0].change } else { 1.0 };
        let rmse = figure(loss.sqrt() * unit);
        let last = match self.options.head {
            Head::Point => format!("loss {} (rmse {rmse})", figure(loss)),
            _ => format!("rmse {rmse}"),
        };
        let test = match self.options.test_share {
            0 => String::new(),
            share => format!("; the last {share} % are the test"),
        };
        let line = format!(
            "{values} values{of}{gaps}; windows of {}, {} ahead; saying the last value again has {last} on \
             the validation part{test}",
            self.options.length, self.options.horizon,
        );
        let mut notes = self.data.notes.clone();
        let asked = self.settings.options::<ForecastOptions>().map_or(0, |asked| asked.length);
        if asked == 0 && self.options.length > WINDOW {
            notes.push(format!(
                "windows reach beyond a season of {} (--length)",
                self.data.info.season
            ));
        }
        if self.options.is_auto() {
            let read = calendar_of(&self.data.info, &self.options);
            let read: Vec<_> = read.into_iter().map(CalendarFeature::name).collect();
            notes.push(match read.is_empty() {
                true => "nothing of the calendar fits".to_string(),
                false => format!("of the calendar the model reads {}", read.join(", ")),
            });
        }
        if self.options.combine == Combine::Residual && self.linear.is_none() {
            notes.push(
                "too far ahead or too few windows for a linear part: the network is alone".into(),
            );
        }
        with_notes(line, &notes, self.options.csv.as_deref())
    }

    fn info(&self) -> FolderInfo {
        let series = SeriesInfo {
            values: self.data.counts().0,
            fingerprint: format!("{:016x}", self.data.fingerprint),
        };
        let forecast = Some(self.data.info.clone());
        FolderInfo { series: Some(series), forecast, ..FolderInfo::of_model(&self.config()) }
    }
}

#[cfg(test)]
mod tests;
