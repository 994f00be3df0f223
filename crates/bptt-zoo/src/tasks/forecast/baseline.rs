//! Forecasts that need no network: what a model has to beat.

use crate::tasks::forecast::data::{ForecastData, Start};
use crate::tasks::forecast::linear::LinearForecast;
use crate::tasks::forecast::options::ForecastOptions;

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

    /// The linear autoregression, fitted on all windows before the test part: on the training and the validation part.
    fn linear(&self, starts: &[Start]) -> Option<Named> {
        let linear = LinearForecast::fit(self.data, self.options, &self.data.learned())?;
        let one = |&start: &Start| linear.of_window(self.data, self.options, start);
        let forecasts = starts.iter().map(one).collect();
        Some((format!("linear autoregression ({})", linear.lags), forecasts))
    }
}
