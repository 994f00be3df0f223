//! The linear autoregression: for each step ahead and each column a linear function of the window, by least squares.

use crate::series::Standardization;
use crate::tasks::forecast::data::{ForecastData, OneSeries, Start};
use crate::tasks::forecast::least_squares::least_squares;
use crate::tasks::forecast::options::ForecastOptions;
use serde::{Deserialize, Serialize};

/// The most lags, and the most multiplications for the sums.
const LAGS: usize = 512;
pub(super) const WORK: usize = 1 << 30;
/// With a further horizon there is none.
pub(super) const AHEAD: usize = 1000;

/// A linear function of a window's last values for each value that is said. It reads its own column alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearForecast {
    /// How many of the window's last values it reads.
    pub lags: usize,
    /// By step ahead and column, `[K·M][lags + 1]`: how much the value differs from its base, in units of the usual change,
    /// is the sum of these times the standardised values; the last weight stands alone.
    pub weights: Vec<Vec<f64>>,
    /// By column, what the value is said to differ from; none: from the last one that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<LinearBase>,
}

/// A forecast without weights, which those with weights begin from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinearBase {
    /// The last value.
    #[default]
    Last,
    /// The value one season before, of so many steps; more seasons, if that one is not known yet.
    Season(usize),
    /// The same, and how much the last value differs from the one a season before it.
    SeasonalWalk(usize),
}

impl LinearBase {
    /// What it says so many steps after a window, from 1.
    pub(super) fn value(self, window: &[f64], ahead: usize) -> f64 {
        let last = window.len() - 1;
        let before = |season: usize| window[last + ahead - ahead.div_ceil(season) * season];
        match self {
            Self::Last => window[last],
            Self::Season(season) => before(season),
            Self::SeasonalWalk(season) => before(season) + window[last] - window[last - season],
        }
    }

    /// Whether a window of so many values has all that it reads.
    fn fits(self, lags: usize) -> bool {
        match self {
            Self::Last => lags > 0,
            Self::Season(season) | Self::SeasonalWalk(season) => season > 0 && season < lags,
        }
    }
}

/// How many of a window's last values a linear autoregression reads.
pub(super) fn lags(options: &ForecastOptions) -> usize {
    options.length.min(LAGS)
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
        let lags = lags(options);
        let every = (starts.len() * lags * lags).div_ceil(WORK).max(1);
        let fitted: Vec<Start> = starts.iter().step_by(every).copied().collect();
        let targets = data.series[0].targets.len();
        let mut weights = vec![Vec::new(); horizon * targets];
        for target in 0..targets {
            let row = |&(series, start): &Start| {
                let window = window(&data.series[series], target, start + length, lags);
                row(&window, &data.info.scales[series][target])
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
        Some(Self { lags, weights, bases: Vec::new() })
    }

    /// The forecasts after the window that ends before the step `end`, `[K·M]`, in their own units.
    pub(crate) fn of(&self, one: &OneSeries, scales: &[Standardization], end: usize) -> Vec<f64> {
        let window = |target| window(one, target, end, self.lags);
        let windows: Vec<Vec<f64>> = (0..one.targets.len()).map(window).collect();
        self.of_values(&windows, scales)
    }

    /// The same after some values, `[M]` times at least as many as there are lags.
    pub(crate) fn of_values(
        &self,
        values: &[impl AsRef<[f64]>],
        scales: &[Standardization],
    ) -> Vec<f64> {
        let targets = values.len();
        let last = |all: &[f64]| all[all.len() - self.lags..].to_vec();
        let windows: Vec<Vec<f64>> = values.iter().map(|all| last(all.as_ref())).collect();
        let rows: Vec<_> = windows.iter().zip(scales).map(|(all, scale)| row(all, scale)).collect();
        let said = |(at, weights): (usize, &Vec<f64>)| {
            let target = at % targets;
            let sum: f64 = rows[target].iter().zip(weights).map(|(x, weight)| x * weight).sum();
            let base = self.bases.get(target).copied().unwrap_or_default();
            base.value(&windows[target], at / targets + 1) + scales[target].change * sum
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
            weights.len().checked_sub(1) == Some(self.lags)
                && weights.iter().all(|weight| weight.is_finite())
        };
        (1..=length).contains(&self.lags)
            && self.weights.len() == values
            && self.weights.iter().all(fits)
            && self.bases.iter().all(|base| base.fits(self.lags))
    }
}

/// The last values of a window that ends before the step `end`.
pub(super) fn window(one: &OneSeries, target: usize, end: usize, lags: usize) -> Vec<f64> {
    one.window(target, end - lags..end)
}

/// Values, standardised, and a 1.
pub(super) fn row(window: &[f64], scale: &Standardization) -> Vec<f64> {
    let standard = window.iter().map(|value| (value - scale.mean) / scale.deviation);
    standard.chain([1.0]).collect()
}
