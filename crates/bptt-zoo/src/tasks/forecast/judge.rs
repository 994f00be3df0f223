//! How good a model is on the test part: what it says, corrected and combined by the validation part, beside the truth.

use crate::series::Series;
use crate::task::{Scores, Task};
use crate::tasks::forecast::baseline::Baselines;
use crate::tasks::forecast::combination::{Combination, TwoForecasts};
use crate::tasks::forecast::data::Start;
use crate::tasks::forecast::follow::Ahead;
use crate::tasks::forecast::head::{Head, LEVELS, Said};
use crate::tasks::forecast::linear::LinearForecast;
use crate::tasks::forecast::model::Forecaster;
use crate::tasks::forecast::options::Combine;
use crate::tasks::forecast::score::{
    Calibration, ErrorScores, ForecastScores, HorizonError, Pair, coverage, width,
};
use crate::tasks::forecast::shrunk::Shrunk;
use crate::tasks::forecast::{Forecast, spread};
use crate::tasks::parts::mean_scores;
use bptt::AnyLayer;
use burn::tensor::Device;

/// How many windows of the test part are judged, and how many of the validation part correct the quantiles, if there are
/// so many: they are spread over the whole part.
const JUDGED: usize = 4096;
/// From how many windows at least the errors of points are taken, where the validation part has fewer and there are such in the
/// training part.
const CORRECTING: usize = 200;

/// The network together with a linear autoregression, as it is judged on the validation part.
struct Together {
    both: Combination,
    /// The linear forecast of the training part alone.
    linear: LinearForecast,
    /// What such a forecast says of windows of the training part that it has not learned from.
    left_out: Vec<(Start, Vec<f64>)>,
}

impl Together {
    /// The same without what was learned from the validation part.
    fn trained(&self) -> Combination {
        Combination { linear: self.linear.clone(), trained: None, ..self.both.clone() }
    }
}

/// The root mean square of errors, each in units of the seasonal naive forecast's.
fn size(pairs: &[Vec<Pair>]) -> f64 {
    let square = |pair: &Pair| ((pair.truth - pair.said.center) / pair.naive).powi(2);
    let count = pairs.iter().map(Vec::len).sum::<usize>().max(1) as f64;
    (pairs.iter().flatten().map(square).sum::<f64>() / count).sqrt()
}

impl Forecast {
    /// What is said about the values after each window, and what they are: `[K·M]` for each window.
    fn said(
        &self,
        model: &Forecaster<AnyLayer>,
        starts: &[Start],
        device: &Device,
    ) -> Vec<Vec<Pair>> {
        let say = |starts: &[Start]| self.reader().say(model, &self.windows(starts), device);
        let said = starts.chunks(self.settings.batch).flat_map(say);
        starts.iter().zip(said).map(|(&start, said)| self.pairs(start, said)).collect()
    }

    /// What is said beside what is true.
    fn pairs(&self, (series, start): Start, said: Vec<Said>) -> Vec<Pair> {
        let one = &self.data.series[series];
        let targets = one.targets.len();
        let end = start + self.options.length;
        let pair = |(at, said): (usize, Said)| {
            let (step, column) = (at / targets, at % targets);
            let change = self.data.info.scales[series][column].change;
            let unit = if self.has_units() { 1.0 } else { change };
            let naive = self.naive(series, column);
            Pair {
                truth: one.targets[column].values[end + step],
                said,
                unit,
                naive,
                step,
                column,
                series,
            }
        };
        said.into_iter().enumerate().map(pair).collect()
    }

    /// The mean absolute error of the seasonal naive forecast on the training part of a series.
    fn naive(&self, series: usize, column: usize) -> f64 {
        let Series { values, known, .. } = &self.data.series[series].targets[column];
        let season = self.data.info.season;
        let end = self.data.cuts[series][0].max(season + 1).min(values.len());
        let pairs = (season..end).filter(|&at| known[at] && known[at - season]);
        let (sum, count) = pairs.fold((0.0, 0.0), |(sum, count), at| {
            (sum + (values[at] - values[at - season]).abs(), count + 1.0)
        });
        if sum > 0.0 { sum / count } else { self.data.info.scales[series][column].change }
    }

    /// The network together with a linear autoregression, by its forecasts on the validation part. `None`: all is the
    /// network's.
    fn combination(&self, starts: &[Start], said: &[Vec<Pair>]) -> Option<Together> {
        let (data, targets) = (&self.data, self.data.series[0].targets.len());
        let learned = data.learned();
        match self.options.combine {
            Combine::None => None,
            Combine::Linear => {
                let fit = |starts: &[Start]| LinearForecast::fit(data, &self.options, starts);
                // What is fitted on the validation part too would seem too good on it.
                let linear = fit(&data.train)?;
                let network = Combination::shares(&self.both(&linear, starts, said), targets);
                let both = Combination { network, linear: fit(&learned)?, trained: None };
                Some(Together { both, linear, left_out: Vec::new() })
            }
            Combine::Residual => {
                let fit = |starts: &[Start]| {
                    Shrunk::fit(data, &self.options, starts, self.options.horizon)
                };
                let Shrunk { linear, left_out } = fit(&data.train)?;
                let windows = self.both(&linear, starts, said);
                // A run that ends by the clock does not say how often it looks: as often as by default.
                let steps = self.settings.steps.or(Self::defaults().steps).unwrap_or(1);
                let looks = steps / self.settings.validate_every.max(1);
                let network = Combination::evident_shares(&windows, targets, looks);
                let trained = Some(linear.clone());
                let both = Combination { network, linear: fit(&learned)?.linear, trained };
                Some(Together { both, linear, left_out })
            }
        }
    }

    /// What the network and a linear forecast say.
    fn both(
        &self,
        linear: &LinearForecast,
        starts: &[Start],
        said: &[Vec<Pair>],
    ) -> Vec<Vec<TwoForecasts>> {
        let window = |(pairs, &start): (&Vec<Pair>, &Start)| {
            let linear = linear.of_window(&self.data, &self.options, start);
            let both = |(pair, linear): (&Pair, f64)| TwoForecasts {
                truth: pair.truth,
                network: pair.said.center,
                linear,
                unit: pair.naive,
            };
            pairs.iter().zip(linear).map(both).collect()
        };
        said.iter().zip(starts).map(window).collect()
    }

    /// What is said together with a linear autoregression.
    fn combined(
        &self,
        both: Option<&Combination>,
        starts: &[Start],
        said: &[Vec<Pair>],
    ) -> Vec<Vec<Pair>> {
        let Some(both) = both else { return said.to_vec() };
        let window = |(pairs, &(series, start)): (&Vec<Pair>, &Start)| {
            let own: Vec<Said> = pairs.iter().map(|pair| pair.said).collect();
            let (one, scales) = (&self.data.series[series], &self.data.info.scales[series]);
            let said = both.of(one, scales, start + self.options.length, &own);
            pairs.iter().zip(said).map(|(pair, said)| Pair { said, ..*pair }).collect()
        };
        said.iter().zip(starts).map(window).collect()
    }

    /// By what quantiles are corrected: by the validation part; and for points, if it has few windows, by the last windows of the
    /// training part as they are said by weights that were fitted without them.
    ///
    /// These errors are those of the linear part. They are scaled by how much the model is better than it on the validation part;
    /// and where errors on the validation part are larger than on the training part, so far that they are as large.
    fn calibration(
        &self,
        together: Option<&Together>,
        starts: &[Start],
        said: &[Vec<Pair>],
    ) -> Calibration {
        let Some(Together { linear, left_out, .. }) = together else {
            return Calibration::of(said);
        };
        let count = left_out.len().min(CORRECTING.saturating_sub(said.len()));
        if self.options.head != Head::Point || count == 0 {
            return Calibration::of(said);
        }
        let points = |start: Start, values: Vec<f64>| -> Vec<Pair> {
            self.pairs(start, values.into_iter().map(Said::point).collect())
        };
        let before = left_out[left_out.len() - count..].iter();
        let mut before: Vec<Vec<Pair>> =
            before.map(|(start, values)| points(*start, values.clone())).collect();
        let of_linear =
            |&start: &Start| points(start, linear.of_window(&self.data, &self.options, start));
        let of_linear: Vec<Vec<Pair>> = starts.iter().map(of_linear).collect();
        let least = size(&of_linear).min(size(&before));
        let scale = if least > 0.0 { size(said) / least } else { 1.0 };
        for pair in before.iter_mut().flatten() {
            let said = Said::point(pair.truth + scale * (pair.said.center - pair.truth));
            // The unit of a point's errors is the usual change.
            let change = self.data.info.scales[pair.series][pair.column].change;
            pair.said = Said { scale: change, ..said };
        }
        before.extend_from_slice(said);
        Calibration::of(&before)
    }

    /// What is said, corrected by quantiles that follow the errors of each series as they become known; and the offsets at the end, if
    /// there is one series.
    fn followed(
        &self,
        calibration: &Calibration,
        starts: &[Start],
        said: &[Vec<Pair>],
    ) -> (Vec<Pair>, Vec<[f64; LEVELS.len()]>) {
        let (mut all, mut latest, mut first) = (Vec::new(), Vec::new(), 0);
        for group in starts.chunk_by(|a, b| a.0 == b.0) {
            let series = &self.data.series[group[0].0];
            let said = &said[first..first + group.len()];
            first += group.len();
            let window = |(&(_, start), pairs): (&Start, &Vec<Pair>)| Ahead {
                end: start + self.options.length,
                said: pairs.iter().map(|pair| pair.said).collect(),
                is_followed: true,
            };
            let windows: Vec<Ahead> = group.iter().zip(said).map(window).collect();
            let known = |step: usize, column: usize| {
                let Series { values, known, .. } = &series.targets[column];
                known.get(step).filter(|known| **known).map(|_| values[step])
            };
            let targets = series.targets.len();
            let (corrected, offsets) =
                calibration.follow(&calibration.offsets, &windows, targets, &known);
            let pairs = said.iter().flatten().zip(corrected.into_iter().flatten());
            all.extend(pairs.map(|(pair, said)| Pair { said, ..*pair }));
            latest = offsets;
        }
        if self.data.series.len() > 1 {
            latest.clear();
        }
        (all, latest)
    }

    /// The scores on the test part.
    pub(super) fn scores(
        &self,
        model: &Forecaster<AnyLayer>,
        device: &Device,
    ) -> (f64, ForecastScores) {
        let valid = spread(&self.data.valid, JUDGED);
        let said = self.said(model, &valid, device);
        let both = self.combination(&valid, &said);
        let trained = both.as_ref().map(Together::trained);
        let said = self.combined(trained.as_ref(), &valid, &said);
        let calibration = self.calibration(both.as_ref(), &valid, &said);
        let starts = spread(&self.data.test, JUDGED);
        let own = self.said(model, &starts, device);
        let both = both.map(|together| together.both);
        let together = self.combined(both.as_ref(), &starts, &own);
        let corrected =
            |(at, pair): (usize, &Pair)| Pair { said: calibration.apply(at, &pair.said), ..*pair };
        let fixed = together.iter().flat_map(|pairs| pairs.iter().enumerate().map(corrected));
        let fixed: Vec<Pair> = fixed.collect();
        let (pairs, latest) = self.followed(&calibration, &starts, &together);
        let calibration = Calibration { latest, ..calibration };
        let has_own = self.options.head != Head::Point;
        let alone = match self.options.combine {
            Combine::Residual => "with all of its network",
            Combine::Linear | Combine::None => "its network alone",
        };
        let network = ErrorScores::of(alone.to_string(), own.iter().flatten());
        let scores = ForecastScores {
            errors: ErrorScores::of("model".to_string(), pairs.iter()),
            network: both.is_some().then_some(network),
            linear: both.as_ref().map(|both| self.linear_part(&both.linear, &starts)),
            baselines: self.baselines(&starts),
            horizon_error: HorizonError::of_each(&pairs, self.options.horizon),
            coverage: coverage(pairs.iter()),
            fixed_coverage: coverage(fixed.iter()),
            own_coverage: has_own.then(|| coverage(own.iter().flatten())),
            interval_width: width(pairs.iter()),
            columns: if self.has_units() { Vec::new() } else { self.each_column(&pairs) },
            series: if self.data.series.len() > 1 { self.each_series(&pairs) } else { Vec::new() },
            season: self.data.info.season,
            calibration,
            combination: both,
        };
        (self.test_loss(model, &starts, &pairs, device), scores)
    }

    /// The loss on the test part: of a point that of what is said together, of a distribution that of the network.
    fn test_loss(
        &self,
        model: &Forecaster<AnyLayer>,
        starts: &[Start],
        pairs: &[Pair],
        device: &Device,
    ) -> f64 {
        if self.options.head == Head::Point && self.options.combine != Combine::None {
            let square = |pair: &Pair| {
                let change = self.data.info.scales[pair.series][pair.column].change;
                ((pair.truth - pair.said.center) / change).powi(2)
            };
            return pairs.iter().map(square).sum::<f64>() / pairs.len() as f64;
        }
        let loss = |starts: &[Start]| {
            let loss = self.error(model, starts, device).into_scalar::<f32>().into();
            (Scores { loss, metric: 0.0 }, starts.len())
        };
        mean_scores(starts.chunks(self.settings.batch).map(loss)).loss
    }

    /// The errors of the linear part alone.
    fn linear_part(&self, linear: &LinearForecast, starts: &[Start]) -> ErrorScores {
        let pairs = starts.iter().flat_map(|&start| {
            let values = linear.of_window(&self.data, &self.options, start);
            self.pairs(start, values.into_iter().map(Said::point).collect())
        });
        ErrorScores::of("its linear part alone".to_string(), pairs.collect::<Vec<_>>().iter())
    }

    /// The errors of forecasts without a network.
    fn baselines(&self, starts: &[Start]) -> Vec<ErrorScores> {
        let all = Baselines { data: &self.data, options: &self.options }.all(starts);
        let scores = |(name, forecasts): (String, Vec<Vec<f64>>)| {
            let pairs = starts.iter().zip(forecasts).flat_map(|(&start, values)| {
                self.pairs(start, values.into_iter().map(Said::point).collect())
            });
            ErrorScores::of(name, pairs.collect::<Vec<_>>().iter())
        };
        all.into_iter().map(scores).collect()
    }

    /// The errors of each column.
    fn each_column(&self, pairs: &[Pair]) -> Vec<ErrorScores> {
        let columns = self.options.column.0.iter().enumerate().map(|(column, name)| {
            let those = pairs.iter().filter(move |pair| pair.column == column);
            ErrorScores::of(name.clone(), those)
        });
        columns.collect()
    }

    /// The errors on each series. A series that ends before the test begins has none.
    fn each_series(&self, pairs: &[Pair]) -> Vec<ErrorScores> {
        let series = self.data.info.names.iter().enumerate().filter_map(|(series, name)| {
            let those = pairs.iter().filter(move |pair| pair.series == series);
            those.clone().next()?;
            Some(ErrorScores::of(name.clone(), those))
        });
        series.collect()
    }
}
