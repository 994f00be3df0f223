//! The linear autoregression: for each step ahead and each column a linear function of the window, by least squares.

use crate::series::Standardization;
use crate::tasks::forecast::data::{ForecastData, OneSeries, Start};
use crate::tasks::forecast::least_squares::least_squares;
use crate::tasks::forecast::options::ForecastOptions;
use serde::{Deserialize, Serialize};

/// The most lags, and the most multiplications for the sums.
const LAGS: usize = 512;
const WORK: usize = 1 << 30;
/// With a further horizon there is none.
const AHEAD: usize = 1000;

/// A linear function of a window's last values for each value that is said. It reads its own column alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearForecast {
    /// How many of the window's last values it reads.
    pub lags: usize,
    /// By step ahead and column, `[K·M][lags + 1]`: how much the value differs from the last one that is known, in units of
    /// the usual change, is the sum of these times the standardised values; the last weight stands alone.
    pub weights: Vec<Vec<f64>>,
}

impl LinearForecast {
    /// Fits it on some windows. `None`: the horizon is too far, or there are no weights that fit best.
    pub(super) fn fit(
        data: &ForecastData,
        options: &ForecastOptions,
        starts: &[Start],
    ) -> Option<Self> {
        let ForecastOptions { length, horizon, .. } = *options;
        if horizon > AHEAD {
            return None;
        }
        let lags = length.min(LAGS);
        let every = (starts.len() * lags * lags).div_ceil(WORK).max(1);
        let fitted: Vec<Start> = starts.iter().step_by(every).copied().collect();
        let targets = data.series[0].targets.len();
        let mut weights = vec![Vec::new(); horizon * targets];
        for target in 0..targets {
            let row = |&(series, start): &Start| {
                let scale = &data.info.scales[series][target];
                row(&data.series[series], target, scale, start + length, lags)
            };
            let rows: Vec<Vec<f64>> = fitted.iter().map(row).collect();
            let values = |&(series, start): &Start| {
                let (one, end) = (&data.series[series], start + length);
                let last = one.last(target, end);
                let change = data.info.scales[series][target].change;
                let next = &one.targets[target].values[end..end + horizon];
                next.iter().map(|value| (value - last) / change).collect()
            };
            let values: Vec<Vec<f64>> = fitted.iter().map(values).collect();
            for (step, own) in least_squares(&rows, &values)?.into_iter().enumerate() {
                weights[step * targets + target] = own;
            }
        }
        Some(Self { lags, weights })
    }

    /// The forecasts after the window that ends before the step `end`, `[K·M]`, in their own units.
    pub(crate) fn of(&self, one: &OneSeries, scales: &[Standardization], end: usize) -> Vec<f64> {
        let targets = one.targets.len();
        let rows: Vec<_> =
            (0..targets).map(|target| row(one, target, &scales[target], end, self.lags)).collect();
        let said = |(at, weights): (usize, &Vec<f64>)| {
            let target = at % targets;
            let sum: f64 = rows[target].iter().zip(weights).map(|(x, weight)| x * weight).sum();
            one.last(target, end) + scales[target].change * sum
        };
        self.weights.iter().enumerate().map(said).collect()
    }

    /// The same after the window that begins at `start`.
    pub(super) fn of_window(
        &self,
        data: &ForecastData,
        options: &ForecastOptions,
        (series, start): Start,
    ) -> Vec<f64> {
        self.of(&data.series[series], &data.info.scales[series], start + options.length)
    }

    /// Whether it says so many values after windows of this length, and its numbers can be used.
    pub(crate) fn is_sound(&self, values: usize, length: usize) -> bool {
        let fits = |weights: &Vec<f64>| {
            weights.len() == self.lags + 1 && weights.iter().all(|weight| weight.is_finite())
        };
        self.lags <= length && self.weights.len() == values && self.weights.iter().all(fits)
    }
}

/// The last values of a window, standardised, and a 1.
fn row(
    one: &OneSeries,
    target: usize,
    scale: &Standardization,
    end: usize,
    lags: usize,
) -> Vec<f64> {
    let window = one.window(target, end - lags..end);
    let standard = window.iter().map(|value| (value - scale.mean) / scale.deviation);
    standard.chain([1.0]).collect()
}
