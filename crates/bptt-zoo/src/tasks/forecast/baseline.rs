//! Forecasts that need no network: what a model has to beat.

use crate::tasks::forecast::data::{ForecastData, Start};
use crate::tasks::forecast::least_squares::least_squares;
use crate::tasks::forecast::options::ForecastOptions;

/// The most lags of the linear autoregression, and the most multiplications for its sums.
const LAGS: usize = 512;
const WORK: usize = 1 << 30;
/// With a further horizon, the linear autoregression is left out.
const AHEAD: usize = 1000;

/// Forecasts without a network.
pub(crate) struct Baselines<'a> {
    pub(crate) data: &'a ForecastData,
    pub(crate) options: &'a ForecastOptions,
}

/// The name of a baseline, and its forecasts, `[K·M]` for each window.
pub(crate) type Named = (String, Vec<Vec<f64>>);

impl Baselines<'_> {
    /// All of them, for windows that begin at `starts`.
    pub(crate) fn all(&self, starts: &[Start]) -> Vec<Named> {
        let season = self.data.info.season;
        let mut all = vec![("last value".to_string(), self.by_step(starts, Self::last))];
        if season > 1 {
            let name = format!("seasonal naive ({season})");
            all.push((name, self.by_step(starts, Self::seasonal)));
        }
        all.push(("drift".to_string(), self.by_step(starts, Self::drift)));
        all.extend(self.linear(starts));
        all
    }

    /// `of` takes the series, the target, the first step after the window, and how many steps ahead, from 1.
    fn by_step(
        &self,
        starts: &[Start],
        of: fn(&Self, usize, usize, usize, usize) -> f64,
    ) -> Vec<Vec<f64>> {
        let window = |&(series, start): &Start| {
            let targets = self.data.series[series].targets.len();
            let end = start + self.options.length;
            let each = |step| (0..targets).map(move |target| of(self, series, target, end, step));
            (1..=self.options.horizon).flat_map(each).collect()
        };
        starts.iter().map(window).collect()
    }

    /// The last value that is known before `end`.
    fn last(&self, series: usize, target: usize, end: usize, _ahead: usize) -> f64 {
        self.data.series[series].last(target, end)
    }

    /// The value one season before, or more seasons if that one is not known yet.
    fn seasonal(&self, series: usize, target: usize, end: usize, ahead: usize) -> f64 {
        let season = self.data.info.season;
        let back = ahead.div_ceil(season) * season;
        match (end + ahead - 1).checked_sub(back) {
            Some(at) => self.data.series[series].targets[target].values[at],
            None => self.last(series, target, end, ahead),
        }
    }

    /// The straight line through the first value of the series and the last one.
    fn drift(&self, series: usize, target: usize, end: usize, ahead: usize) -> f64 {
        let last = self.last(series, target, end, ahead);
        let first = self.data.series[series].targets[target].values[0];
        last + (last - first) / (end - 1).max(1) as f64 * ahead as f64
    }

    /// For each step ahead a linear function of the window, fitted by least squares on all windows before the test part:
    /// on the training and the validation part.
    fn linear(&self, starts: &[Start]) -> Option<Named> {
        let ForecastOptions { length, horizon, .. } = *self.options;
        if horizon > AHEAD {
            return None;
        }
        let lags = length.min(LAGS);
        let fitted: Vec<Start> = self.data.train.iter().chain(&self.data.valid).copied().collect();
        let every = (fitted.len() * lags * lags).div_ceil(WORK).max(1);
        let fitted: Vec<Start> = fitted.into_iter().step_by(every).collect();
        let targets = self.data.series[0].targets.len();
        let mut forecasts = vec![vec![0.0; horizon * targets]; starts.len()];
        for target in 0..targets {
            let rows: Vec<Vec<f64>> =
                fitted.iter().map(|&start| self.row(start, target, lags)).collect();
            let values: Vec<Vec<f64>> = fitted
                .iter()
                .map(|&(series, start)| {
                    let end = start + length;
                    let one = &self.data.series[series].targets[target].values[end..end + horizon];
                    let scale = self.data.info.scales[series][target];
                    let last = self.last(series, target, end, 1);
                    one.iter().map(|value| (value - last) / scale.change).collect()
                })
                .collect();
            let weights = least_squares(&rows, &values)?;
            for (&(series, start), forecast) in starts.iter().zip(&mut forecasts) {
                let row = self.row((series, start), target, lags);
                let last = self.last(series, target, start + length, 1);
                let change = self.data.info.scales[series][target].change;
                for (step, weights) in weights.iter().enumerate() {
                    let sum: f64 = row.iter().zip(weights).map(|(x, weight)| x * weight).sum();
                    forecast[step * targets + target] = last + change * sum;
                }
            }
        }
        Some((format!("linear autoregression ({lags})"), forecasts))
    }

    /// The last values of a window, standardised, and a 1.
    fn row(&self, (series, start): Start, target: usize, lags: usize) -> Vec<f64> {
        let end = start + self.options.length;
        let scale = self.data.info.scales[series][target];
        let window = self.data.series[series].window(target, end - lags..end);
        let standard = window.iter().map(|value| (value - scale.mean) / scale.deviation);
        standard.chain([1.0]).collect()
    }
}
