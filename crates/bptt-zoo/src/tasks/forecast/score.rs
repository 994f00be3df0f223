//! How good forecasts are.

use crate::figure::figure;
use crate::tasks::forecast::combination::{Combination, FEWEST};
use crate::tasks::forecast::head::{LEVELS, Said};
use serde::{Deserialize, Serialize};

/// How good the forecasts of a run are on its test part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ForecastScores {
    /// The errors of the model.
    pub errors: ErrorScores,
    /// The errors of the network alone, if the model is a combination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<ErrorScores>,
    /// The errors of the linear part alone, if the model is a combination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linear: Option<ErrorScores>,
    /// The errors of forecasts without a network, on the same windows.
    pub baselines: Vec<ErrorScores>,
    /// The errors for each step ahead.
    pub horizon_error: Vec<HorizonError>,
    /// The share of the values that lie in the interval of 90 %.
    pub coverage: f64,
    /// The same without following the errors of the test as they become known.
    pub fixed_coverage: f64,
    /// The same for the interval that the model itself says, before the validation part has corrected it. `None`: a
    /// point has no interval.
    pub own_coverage: Option<f64>,
    /// The mean width of the interval of 90 %.
    pub interval_width: f64,
    /// The errors of each column, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ErrorScores>,
    /// The errors on each series, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<ErrorScores>,
    /// The steps in a season, for the seasonal naive forecast and the unit of the MASE.
    pub season: usize,
    /// What the validation part has corrected.
    pub calibration: Calibration,
    /// The network together with a linear autoregression. `None`: the model is the network alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combination: Option<Combination>,
}

/// The errors of a forecast. Those of several columns are in units of each one's usual change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorScores {
    /// Of what: `model`, a baseline, or a column.
    pub name: String,
    /// The root mean square.
    pub rmse: f64,
    /// The mean absolute error.
    pub mae: f64,
    /// The mean absolute error in units of that of the seasonal naive forecast on the training part, one step ahead
    /// (Hyndman and Koehler 2006).
    pub mase: f64,
    /// The mean of 2|y - f| / (|y| + |f|), from 0 to 2.
    pub smape: f64,
    /// The mean pinball loss over the reported quantiles, twice. For a point this is the mean absolute error.
    pub pinball: f64,
}

/// The errors for one step ahead.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HorizonError {
    /// How many steps ahead, from 1.
    pub ahead: usize,
    /// The root mean square of the errors.
    pub rmse: f64,
    /// The mean absolute error.
    pub mae: f64,
    /// The share of the values in the interval of 90 %.
    pub coverage: f64,
}

/// A value, what was said about it, and its units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) truth: f64,
    pub(crate) said: Said,
    /// The unit of RMSE and MAE: 1, or the usual change where there are several columns.
    pub(crate) unit: f64,
    /// The unit of the MASE.
    pub(crate) naive: f64,
    /// Which step ahead, from 0, and which column.
    pub(crate) step: usize,
    pub(crate) column: usize,
    /// Which series, from 0.
    pub(crate) series: usize,
}

impl Pair {
    fn error(&self) -> f64 {
        (self.truth - self.said.center) / self.unit
    }

    fn pinball(&self) -> f64 {
        let of = |(level, quantile): (f64, f64)| {
            let error = (self.truth - quantile) / self.unit;
            2.0 * if error > 0.0 { level * error } else { (level - 1.0) * error }
        };
        LEVELS.into_iter().zip(self.said.quantiles).map(of).sum::<f64>() / LEVELS.len() as f64
    }
}

/// The mean over all pairs.
fn mean<'a>(pairs: impl Iterator<Item = &'a Pair>, of: impl Fn(&Pair) -> f64) -> f64 {
    let (sum, count) = pairs.fold((0.0, 0.0), |(sum, count), pair| (sum + of(pair), count + 1.0));
    sum / count
}

impl ErrorScores {
    pub(crate) fn of<'a>(name: String, pairs: impl Iterator<Item = &'a Pair> + Clone) -> Self {
        let smape = |pair: &Pair| {
            let size = pair.truth.abs() + pair.said.center.abs();
            if size > 0.0 { 2.0 * (pair.truth - pair.said.center).abs() / size } else { 0.0 }
        };
        Self {
            name,
            rmse: mean(pairs.clone(), |pair| pair.error().powi(2)).sqrt(),
            mae: mean(pairs.clone(), |pair| pair.error().abs()),
            mase: mean(pairs.clone(), |pair| (pair.truth - pair.said.center).abs() / pair.naive),
            smape: mean(pairs.clone(), smape),
            pinball: mean(pairs, Pair::pinball),
        }
    }
}

impl HorizonError {
    /// The errors of each of the first `steps` steps ahead.
    pub(crate) fn of_each(pairs: &[Pair], steps: usize) -> Vec<Self> {
        let one = |step: usize| {
            let those = || pairs.iter().filter(move |pair| pair.step == step);
            Self {
                ahead: step + 1,
                rmse: mean(those(), |pair| pair.error().powi(2)).sqrt(),
                mae: mean(those(), |pair| pair.error().abs()),
                coverage: coverage(those()),
            }
        };
        (0..steps).map(one).collect()
    }
}

/// The share of pairs whose value lies in the interval.
pub(crate) fn coverage<'a>(pairs: impl Iterator<Item = &'a Pair>) -> f64 {
    mean(pairs, |pair| f64::from(u8::from(pair.said.covers(pair.truth))))
}

/// The mean width of the intervals.
pub(crate) fn width<'a>(pairs: impl Iterator<Item = &'a Pair>) -> f64 {
    mean(pairs, |pair| (pair.said.quantiles[LEVELS.len() - 1] - pair.said.quantiles[0]) / pair.unit)
}

/// What is added to each quantile that a model says, in units of its scale, so that it is one on the validation part:
/// conformal prediction, for quantiles (Romano, Patterson and Candès 2019).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// By value ahead and column, `[K·M]`, or one for all: an offset for each quantile.
    pub offsets: Vec<[f64; LEVELS.len()]>,
    /// As many: how large errors are, in units of the scale. The deviation of a normal distribution whose interval of 90 % is as
    /// wide. None: the quantiles do not follow the errors.
    #[serde(default)]
    pub spread: Vec<f64>,
    /// The offsets after the test, which have followed its errors, `[K·M]`; none, if there are several series.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latest: Vec<[f64; LEVELS.len()]>,
}

impl Calibration {
    /// The correction by the values of the validation part: `[K·M]` pairs for each window.
    pub(crate) fn of(windows: &[Vec<Pair>]) -> Self {
        let values = windows.first().map_or(0, Vec::len);
        let of = |pairs: &[&Pair]| {
            let errors = |of: &dyn Fn(&Said) -> f64| {
                let error = |pair: &&Pair| (pair.truth - of(&pair.said)) / pair.said.scale;
                let mut errors: Vec<f64> = pairs.iter().map(error).collect();
                errors.sort_by(f64::total_cmp);
                errors
            };
            let mut offsets = [0.0; LEVELS.len()];
            for (k, level) in LEVELS.into_iter().enumerate() {
                offsets[k] = quantile(&errors(&|said| said.quantiles[k]), level);
            }
            let centered = errors(&|said| said.center);
            let [low, .., high] = LEVELS.map(|level| quantile(&centered, level));
            (offsets, (high - low) / NORMAL_WIDTH)
        };
        let both: Vec<_> = match windows.len() < FEWEST {
            true => vec![of(&windows.iter().flatten().collect::<Vec<_>>())],
            false => (0..values)
                .map(|at| of(&windows.iter().map(|pairs| &pairs[at]).collect::<Vec<_>>()))
                .collect(),
        };
        let (offsets, spread) = both.into_iter().unzip();
        Self { offsets, spread, latest: Vec::new() }
    }

    /// What is said after the correction of the value at this place of `[K·M]`.
    pub(crate) fn apply(&self, at: usize, said: &Said) -> Said {
        let Some(offsets) = self.offsets.get(at).or(self.offsets.first()) else { return *said };
        said.shifted(offsets).sorted()
    }

    /// Whether it is of so many values, and its numbers can be used.
    pub(crate) fn is_sound(&self, values: usize) -> bool {
        let all = self.offsets.iter().chain(&self.latest).flatten().chain(&self.spread);
        [1, values].contains(&self.offsets.len())
            && [0, 1, values].contains(&self.spread.len())
            && [0, values].contains(&self.latest.len())
            && all.clone().all(|number| number.is_finite())
            && self.spread.iter().all(|spread| *spread >= 0.0)
    }
}

/// The quantile of sorted numbers by which a new number of the same kind is below it with this probability.
fn quantile(sorted: &[f64], level: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = (level * (sorted.len() + 1) as f64 - 1.0).clamp(0.0, last as f64);
    let low = place.floor() as usize;
    let share = place - low as f64;
    sorted[low] + share * (sorted[(low + 1).min(last)] - sorted[low])
}

/// How wide the interval of 90 % of a normal distribution is, in deviations.
const NORMAL_WIDTH: f64 = 3.29;

/// How many series have a line of their own; those with the largest MASE.
const SHOWN: usize = 12;

impl ForecastScores {
    /// The scores as lines for a person: errors beside those of the baselines, and the interval.
    pub fn lines(&self) -> Vec<String> {
        let mut series: Vec<&ErrorScores> = self.series.iter().collect();
        series.sort_by(|a, b| b.mase.total_cmp(&a.mase));
        let more = series.len().saturating_sub(SHOWN);
        series.truncate(SHOWN);
        let all = std::iter::once(&self.errors).chain(&self.network).chain(&self.linear);
        let all = all.chain(&self.baselines).chain(&self.columns);
        let all: Vec<&ErrorScores> = all.chain(series).collect();
        let width = all.iter().map(|one| one.name.chars().count()).max().unwrap_or(0).max(5);
        let mut lines = vec![format!(
            "{:width$} {:>11} {:>11} {:>8} {:>8} {:>11}",
            "", "rmse", "mae", "mase", "smape", "pinball"
        )];
        for one in all {
            lines.push(format!(
                "{:width$} {:>11} {:>11} {:>8.4} {:>8.4} {:>11}",
                one.name,
                figure(one.rmse),
                figure(one.mae),
                one.mase,
                one.smape,
                figure(one.pinball),
            ));
        }
        if more > 0 {
            lines.push(format!("{more} more series, with a lower mase, are in test.json"));
        }
        lines.extend(self.combination.as_ref().map(Combination::line));
        let own = self
            .own_coverage
            .map_or_else(String::new, |own| format!("; the model's own {:.1} %", 100.0 * own));
        lines.push(format!(
            "the interval of 90 % has {:.1} % of the values (fixed by the validation part {:.1} %{own}); its mean \
             width is {}",
            100.0 * self.coverage,
            100.0 * self.fixed_coverage,
            figure(self.interval_width),
        ));
        if let [first, .., last] = &self.horizon_error[..] {
            lines.push(format!(
                "rmse 1 step ahead {}, {} steps ahead {}",
                figure(first.rmse),
                last.ahead,
                figure(last.rmse)
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(truth: f64, center: f64, scale: f64) -> Pair {
        let said = Said { center, scale, quantiles: [center; 7] };
        Pair { truth, said, unit: 1.0, naive: 2.0, step: 0, column: 0, series: 0 }
    }

    #[test]
    fn errors_are_those_of_their_definitions() {
        let pairs = [pair(1.0, 3.0, 1.0), pair(4.0, 3.0, 1.0)];
        let scores = ErrorScores::of("m".to_string(), pairs.iter());
        assert!((scores.rmse - 2.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!((scores.mae, scores.mase), (1.5, 0.75));
        assert!((scores.smape - (2.0 * 2.0 / 4.0 + 2.0 / 7.0) / 2.0).abs() < 1e-12);
        // The mean of the levels is a half: a point has the mean absolute error.
        assert!((scores.pinball - 1.5).abs() < 1e-12);
        assert_eq!(coverage([pair(3.0, 3.0, 1.0), pair(3.1, 3.0, 1.0)].iter()), 0.5);
    }

    #[test]
    fn corrected_intervals_cover_what_they_should() {
        // Errors from -1 to 1 in units of a scale that differs from window to window.
        let error = |n: usize| ((n * 7919) % 1999) as f64 / 999.0 - 1.0;
        let windows: Vec<Vec<Pair>> = (0..1999)
            .map(|n| vec![pair(error(n) * (1.0 + (n % 3) as f64), 0.0, 1.0 + (n % 3) as f64)])
            .collect();
        let calibration = Calibration::of(&windows);
        assert!((calibration.offsets[0][0] + 0.9).abs() < 0.01, "{calibration:?}");
        let all: Vec<Pair> = windows
            .iter()
            .flatten()
            .map(|pair| Pair { said: calibration.apply(0, &pair.said), ..*pair })
            .collect();
        assert!((coverage(all.iter()) - 0.9).abs() < 0.005);
        // Few windows are corrected together.
        assert_eq!(Calibration::of(&windows[..5]).offsets.len(), 1);
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.5), 2.0);
        assert_eq!((quantile(&[1.0, 2.0], 0.01), quantile(&[], 0.5)), (1.0, 0.0));
    }
}
