//! Forecasting: which values come next in a series?
//!
//! The model reads a window of values, and predicts how much the next values differ from the last one. So an untrained
//! model predicts small changes, and a trained model can follow a series that rises above all values of the training
//! data. The first 90 % of the series is for training, the rest is for validation. The loss is the squared error, in
//! units of the root mean square of the change from one value to the next. So for one step ahead, repeating the last
//! value has a loss of 1 on the training data.

use crate::error::Error;
use crate::figure::figure;
use crate::folder_files::{FolderInfo, SeriesInfo};
use crate::model_config::ModelConfig;
use crate::option::TaskOption;
use crate::random::{Purpose, generator};
use crate::series::{Series, Standardization};
use crate::settings::Settings;
use crate::task::{Scores, SequenceSize, Task};
use crate::tasks::parts::{
    LONGEST, VALIDATION, last_hidden, mean_scores, readout, sequence_model, with_notes,
};
use bptt::{AnyCell, AnyLayer, AnyLayerConfig, AnyState, RaggedBatch, RecurrentLayer};
use bptt_probe::readout::{Batch, Input, Readout, Reads, Target};
use burn::Tensor;
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, TensorData};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::Path;

/// The config of a [`Forecaster`].
#[derive(Config, Debug)]
pub struct ForecasterConfig {
    /// The recurrent layers, over inputs of size 2.
    pub recurrent: AnyLayerConfig,
    /// How many values are predicted at once, `K`.
    pub horizon: usize,
    /// How the numbers of the series are scaled for the network.
    pub standard: Standardization,
}

/// Reads a window of a series and predicts the next values: recurrent layers, and a linear layer on the last hidden
/// state.
#[derive(Module, Debug)]
pub struct Forecaster<R: Module> {
    /// Any recurrent layer over inputs of size 2.
    pub recurrent: R,
    /// `D·P -> K`
    pub head: Linear,
    /// How the numbers of the series are scaled for the network.
    #[module(skip)]
    pub standard: Standardization,
}

impl ModelConfig for ForecasterConfig {
    type Model = Forecaster<AnyLayer>;
    const KIND: &'static str = "forecaster";

    fn recurrent(&self) -> &AnyLayerConfig {
        &self.recurrent
    }

    fn outputs(&self) -> usize {
        self.horizon
    }

    fn check(&self) -> Result<(), Error> {
        if self.recurrent.d_input() != 2 {
            let message =
                format!("d_input is {}, and a forecaster's is 2", self.recurrent.d_input());
            return Err(Error::input(message));
        }
        if !self.standard.is_sound() {
            let message = "deviation and change have to be above 0, and all three finite";
            return Err(Error::input(format!("{:?}: {message}", self.standard)));
        }
        Ok(())
    }

    fn model(&self, recurrent: AnyLayer, head: Linear) -> Self::Model {
        Forecaster { recurrent, head, standard: self.standard }
    }
}

impl<R: RecurrentLayer> Forecaster<R> {
    /// How the next values differ from each window's last, in units of
    /// [`change`](Standardization::change): `[B, T, 2]` -> `[B, K]`.
    ///
    /// # Arguments
    ///
    /// - `input`: each value, standardised, and its change from the value before
    /// - `lengths`: how many steps of each row belong to the window; `None`: all
    ///
    /// # Panics
    ///
    /// If shapes or lengths do not fit.
    pub fn forward(&self, input: Tensor<3>, lengths: Option<&[usize]>) -> Tensor<2> {
        self.head.forward(last_hidden(&self.recurrent, input, lengths))
    }

    /// Predicts the next values of each series, in its own units.
    ///
    /// # Arguments
    ///
    /// - `windows`: the last values of each series; their lengths may differ
    /// - `device`: the model's
    ///
    /// # Panics
    ///
    /// If a window is empty.
    pub fn forecast(&self, windows: &[impl AsRef<[f64]>], device: &Device) -> Vec<Vec<f64>> {
        let encode = |window: &_| self.standard.encode(AsRef::<[f64]>::as_ref(window));
        let rows: Vec<_> = windows.iter().map(encode).collect();
        let RaggedBatch { input, lengths, .. } = RaggedBatch::pad(&rows, 2, device);
        let answer = self.forward(input, Some(&lengths));
        let horizon = answer.dims()[1];
        let numbers: Vec<f64> = answer.into_data().iter::<f64>().collect();
        let values = |(window, changes): (&_, &[f64])| {
            let last = *AsRef::<[f64]>::as_ref(window).last().expect("a window has a value");
            changes.iter().map(|change| last + self.standard.change * change).collect()
        };
        windows.iter().zip(numbers.chunks(horizon)).map(values).collect()
    }
}

sequence_model!(Forecaster);

/// The options of [`Forecast`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastOptions {
    /// Values in a window, `T`.
    pub length: usize,
    /// How many values are predicted at once, `K`.
    pub horizon: usize,
    /// The file with the series.
    pub csv: Option<String>,
    /// The name of the column.
    pub column: Option<String>,
}

impl Default for ForecastOptions {
    fn default() -> Self {
        Self { length: 50, horizon: 1, csv: None, column: None }
    }
}

/// The forecast of a series.
#[derive(Clone, Debug)]
pub struct Forecast {
    settings: Settings,
    options: ForecastOptions,
    series: Series,
    standard: Standardization,
    /// Where the windows of training and of validation begin. The values after a window are known, and lie in the
    /// same part of the series.
    train: Vec<usize>,
    valid: Vec<usize>,
}

impl Forecast {
    /// Makes the task for these settings and a series.
    ///
    /// # Errors
    ///
    /// If the series is too short, or does not change.
    pub fn with_series(settings: &Settings, series: Series) -> Result<Self, Error> {
        let options: ForecastOptions = settings.options()?;
        let name = options.column.as_deref().unwrap_or("the series");
        let runs = known_runs(&series.known);
        let (window, ahead) = (options.length, options.horizon);
        let count = series.values.len();
        let split = count - count / 10;
        let starts = |targets: Range<usize>| -> Vec<usize> {
            let begin = targets.start.saturating_sub(window)..targets.end;
            let fits = |start: &usize| {
                let next = start + window..start + window + ahead;
                let inside = targets.start <= next.start && next.end <= targets.end;
                inside && runs[next.start] >= ahead
            };
            begin.filter(fits).collect()
        };
        let (train, valid) = (starts(0..split), starts(split..count));
        if train.is_empty() || valid.is_empty() {
            let gaps = match series.gaps() {
                0 => String::new(),
                gaps => format!(", {gaps} of them gaps,"),
            };
            return Err(Error::input(format!(
                "{name}: {count} values{gaps} are too few for windows of {window} and {ahead} ahead, in \
                 the first 90 % and after them: take a longer series, or a smaller --length or --horizon",
            )));
        }
        let standard = Standardization::of(&series.values[..split]).ok_or_else(|| {
            Error::input(format!(
                "{name}: its first 90 % are all the same, or further apart than numbers of f64 can be: \
                 nothing to learn"
            ))
        })?;
        Ok(Self { settings: settings.clone(), options, series, standard, train, valid })
    }

    /// The config of the model.
    pub fn config(&self) -> ForecasterConfig {
        let recurrent = self.settings.layer_config(2);
        ForecasterConfig::new(recurrent, self.options.horizon, self.standard)
    }

    /// The values that a model reads. A gap at the end of a window holds the last known value. Linear interpolation, as
    /// in other gaps, is not possible there, because it would use a value that has to be predicted.
    fn window(&self, start: usize) -> Vec<f64> {
        let Series { values, known, .. } = &self.series;
        let end = start + self.options.length;
        let mut window = values[start..end].to_vec();
        // The first value of a series is known.
        let last = known[..end].iter().rposition(|known| *known).unwrap_or(0);
        window[(last + 1).saturating_sub(start)..].fill(values[last]);
        window
    }

    /// The changes that a model should predict, `[K]`.
    fn target(&self, start: usize) -> impl Iterator<Item = f32> {
        let end = start + self.options.length;
        let last = self.window(start)[self.options.length - 1];
        let unit = self.standard.change;
        let next = &self.series.values[end..end + self.options.horizon];
        next.iter().map(move |value| ((value - last) / unit) as f32)
    }

    /// The windows that begin at `starts`, `[B, T, 2]`, and what a model should predict, `[B, K]`.
    fn tensors(&self, starts: &[usize], device: &Device) -> (Tensor<3>, Tensor<2>) {
        let ForecastOptions { length, horizon, .. } = self.options;
        let values = |&start: &usize| self.standard.encode(&self.window(start));
        let input: Vec<f32> = starts.iter().flat_map(values).collect();
        let target: Vec<f32> = starts.iter().flat_map(|&start| self.target(start)).collect();
        let input = TensorData::new(input, [starts.len(), length, 2]);
        let target = TensorData::new(target, [starts.len(), horizon]);
        (Tensor::from_data(input, device), Tensor::from_data(target, device))
    }

    /// The mean squared error on the windows that begin at `starts`.
    fn error(&self, model: &Forecaster<AnyLayer>, starts: &[usize], device: &Device) -> Tensor<1> {
        let (input, target) = self.tensors(starts, device);
        let error = model.forward(input, None) - target;
        error.clone().mul(error).mean()
    }

    /// Where the windows of a training step begin.
    fn trained(&self, step: u64) -> Vec<usize> {
        let mut random = generator(self.settings.seed, Purpose::Training, step);
        let mut start = || self.train[random.random_range(0..self.train.len())];
        (0..self.settings.batch).map(|_| start()).collect()
    }

    /// Where the windows for validation begin: all windows, or a selection that is spread over the whole validation
    /// part.
    fn validated(&self) -> Vec<usize> {
        let step = self.valid.len().div_ceil(VALIDATION);
        self.valid.iter().step_by(step).copied().collect()
    }
}

impl Task for Forecast {
    const NAME: &'static str = "forecast";
    const ABOUT: &'static str = "Predict the next values of a series";
    const LOSS: &'static str = "mean squared error in units of the usual change";
    const METRIC: &'static str = "rmse";
    const OPTIONS: &'static [TaskOption] = &[
        TaskOption::size("length", "T", "values in a window", 2, LONGEST),
        TaskOption::size("horizon", "K", "how many values to say at once", 1, 1 << 16),
        TaskOption::file(
            "csv",
            "a CSV file whose first line has the columns' names (`-`: standard input); an empty field \
             is a gap",
        )
        .required(),
        TaskOption::text("column", "NAME", "the column with the series").required(),
    ];

    type Options = ForecastOptions;
    type Model = Forecaster<AnyLayer>;

    fn new(settings: &Settings) -> Result<Self, Error> {
        let ForecastOptions { csv, column, .. } = settings.options()?;
        let (Some(csv), Some(column)) = (csv, column) else {
            return Err(Error::input("forecast: no file or no column"));
        };
        Self::with_series(settings, Series::load(Path::new(&csv), &column)?)
    }

    fn sequence_size(options: &ForecastOptions) -> SequenceSize {
        SequenceSize { time: options.length, input: 2, input_has_gradients: false }
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
        let scores = |starts: &[usize]| {
            let loss = self.error(model, starts, device).into_scalar::<f32>().into();
            (Scores { loss, metric: 0.0 }, starts.len())
        };
        let Scores { loss, .. } = mean_scores(starts.chunks(self.settings.batch).map(scores));
        Scores { loss, metric: loss.sqrt() * self.standard.change }
    }

    fn readout(
        &self,
        model: &Self::Model,
        device: &Device,
    ) -> Option<(Readout<AnyCell>, Vec<Batch>)> {
        let starts = self.validated();
        let batch = |windows: &[usize]| {
            let (input, target) = self.tensors(windows, device);
            let share = windows.len() as f64 / starts.len() as f64;
            Batch { share, ..Batch::new(Input::Values(input), Target::Values(target)) }
        };
        let batches = starts.chunks(self.settings.batch).map(batch).collect();
        Some((readout(&model.recurrent, &model.head, Reads::LastHidden)?, batches))
    }

    fn training_batch(&self, device: &Device) -> Option<Batch> {
        let (input, target) = self.tensors(&self.trained(0), device);
        Some(Batch::new(Input::Values(input), Target::Values(target)))
    }

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "windows")
    }

    fn describe(&self) -> String {
        let starts = self.validated();
        let changes = starts.iter().flat_map(|&start| self.target(start));
        let squares = changes.map(|change| f64::from(change).powi(2)).sum::<f64>();
        let loss = squares / (starts.len() * self.options.horizon) as f64;
        let gaps = match self.series.gaps() {
            0 => String::new(),
            gaps => format!(", {gaps} of them filled in"),
        };
        let line = format!(
            "{} values{gaps}; windows of {}, {} ahead; saying the last value again has loss {} (rmse {})",
            self.series.values.len(),
            self.options.length,
            self.options.horizon,
            figure(loss),
            figure(loss.sqrt() * self.standard.change),
        );
        with_notes(line, &self.series.notes, self.options.csv.as_deref())
    }

    fn info(&self) -> FolderInfo {
        let series = SeriesInfo {
            values: self.series.values.len(),
            fingerprint: format!("{:016x}", self.series.fingerprint),
        };
        FolderInfo { series: Some(series), ..FolderInfo::of_model(&self.config()) }
    }
}

/// For each value, how many known values follow each other from this one on.
fn known_runs(known: &[bool]) -> Vec<usize> {
    let mut runs = vec![0; known.len()];
    let mut run = 0;
    for (t, &known) in known.iter().enumerate().rev() {
        run = if known { run + 1 } else { 0 };
        runs[t] = run;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(text: &str, length: usize, horizon: usize) -> Result<Forecast, Error> {
        let settings = Forecast::defaults().with_option("length", length);
        let settings = settings.with_option("horizon", horizon);
        Forecast::with_series(&settings, Series::parse(text.as_bytes(), "t", "x")?)
    }

    #[test]
    fn windows_end_where_the_next_values_are_known_and_of_their_part() {
        // 40 values, of which 36 are for training. The 20th is a gap.
        let line = |t: usize| if t == 20 { "0,\n".to_string() } else { format!("0,{}\n", t * t) };
        let text = "t,x\n".to_string() + &(0..40).map(line).collect::<String>();
        let forecast = task(&text, 5, 2).unwrap();
        let expected: Vec<usize> = (0..30).filter(|start| ![14, 15].contains(start)).collect();
        assert_eq!(forecast.train, expected);
        assert_eq!(forecast.valid, [31, 32, 33]);
        assert!(forecast.describe().starts_with("40 values, 1 of them filled in; windows of 5"));
        let change = forecast.standard.change;
        let target: Vec<f64> = forecast.target(31).map(|x| f64::from(x) * change).collect();
        assert!((target[0] - (36 * 36 - 35 * 35) as f64).abs() < 1e-3, "{target:?}");
        assert!((target[1] - (37 * 37 - 35 * 35) as f64).abs() < 1e-3, "{target:?}");
    }

    #[test]
    fn no_window_knows_what_is_to_be_said() {
        // Every other value is a gap, and some more values in a row. The value after a gap is varied.
        let text = |changed: usize, value: usize| {
            let line = |t: usize| match t {
                _ if t == changed => format!("{t},{value}\n"),
                _ if t % 2 == 1 || (10..20).contains(&t) => format!("{t},\n"),
                _ => format!("{t},{}\n", (t * t) % 17),
            };
            "t,x\n".to_string() + &(0..60).map(line).collect::<String>()
        };
        for changed in [6, 20, 40] {
            let [a, b] = [5, 99].map(|value| task(&text(changed, value), 5, 1).unwrap());
            let start = changed - 5;
            assert!(a.train.contains(&start), "{changed}");
            assert_eq!(a.window(start), b.window(start), "{changed}");
            // In a later window, the gap is filled by linear interpolation.
            assert_ne!(a.window(start + 1), b.window(start + 1));
            let unit = b.standard.change;
            let said: Vec<f64> = b.target(start).map(|x| f64::from(x) * unit).collect();
            let held = b.window(start)[4];
            assert!((said[0] - (99.0 - held)).abs() < 1e-4, "{said:?} after {held}");
        }
    }

    #[test]
    fn series_that_teach_nothing_are_one_line() {
        let text = |values: &[usize]| {
            "x\n".to_string() + &values.iter().map(|x| format!("{x}\n")).collect::<String>()
        };
        let message = task(&text(&[7; 30]), 5, 1).unwrap_err().to_string();
        assert!(message.contains("all the same"), "{message}");
        let message = task(&text(&[1, 2, 3, 4, 5]), 5, 1).unwrap_err().to_string();
        assert!(message.contains("5 values are too few for windows of 5"), "{message}");
        task(&text(&(0..10).collect::<Vec<_>>()), 5, 1).unwrap();
    }
}
