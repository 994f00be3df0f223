//! A linear autoregression for short series: its weights are drawn towards a forecast without weights, as much as
//! cross-validation says.
//!
//! Least squares on few windows follows their noise. Here a penalty on the squares of the weights draws the forecast towards
//! the last value, or towards a seasonal one (Hoerl and Kennard 1970; a random walk as the point that is drawn to, as in
//! Litterman 1986). Blocks of windows are left out one after the other, with those whose values overlap with theirs
//! (Burman, Chow and Nolan 1994): the point and the penalty are those whose forecasts of the left out values are best. For
//! autoregressions such cross-validation is sound (Bergmeir, Hyndman and Koo 2018). The forecasts of what was left out are
//! kept too: their errors are those of values that were not learned from.

use crate::series::of_json;
use crate::tasks::forecast::data::{ForecastData, Start};
use crate::tasks::forecast::least_squares::Normal;
use crate::tasks::forecast::linear::{AHEAD, LinearBase, LinearForecast, WORK, row, window};
use crate::tasks::forecast::options::ForecastOptions;
use std::ops::Range;

/// The most lags.
const LAGS: usize = 256;
/// How many blocks of windows are left out, one after the other.
const BLOCKS: usize = 10;
/// The penalties, for each row and in units of a change: 10^-4 to 10^3.
const PENALTIES: [f64; 15] = [
    1e-4, 3.2e-4, 1e-3, 3.2e-3, 1e-2, 3.2e-2, 0.1, 0.32, 1.0, 3.2, 10.0, 32.0, 100.0, 320.0, 1000.0,
];

/// A linear autoregression, and what it says of values that it has not learned from.
#[derive(Clone, Debug)]
pub(super) struct Shrunk {
    pub(super) linear: LinearForecast,
    /// In the order of time: where a window begins, and what is said after it by weights that have not learned from it, `[K·M]`,
    /// in own units.
    pub(super) left_out: Vec<(Start, Vec<f64>)>,
}

impl Shrunk {
    /// Fits it on some windows, for so many steps ahead. `None`: the horizon is too far, or the windows are too few.
    pub(super) fn fit(
        data: &ForecastData,
        options: &ForecastOptions,
        starts: &[Start],
        ahead: usize,
    ) -> Option<Self> {
        if ahead > AHEAD {
            return None;
        }
        let (lags, season) = (options.length.min(LAGS), data.info.season);
        let mut bases = vec![LinearBase::Last];
        if season > 1 && season + 2 <= lags {
            bases.extend([LinearBase::Season(season), LinearBase::SeasonalWalk(season)]);
        }
        let every = (bases.len() * starts.len() * lags * lags).div_ceil(WORK).max(1);
        let mut fitted: Vec<Start> = starts.iter().rev().step_by(every).copied().collect();
        let place = |&(series, start): &Start| data.series[series].start + start as i64;
        fitted.sort_by_key(|start| (place(start), start.0));
        let places: Vec<i64> = fitted.iter().map(place).collect();
        let targets = data.series[0].targets.len();
        let mut linear =
            LinearForecast { lags, weights: vec![Vec::new(); ahead * targets], bases: Vec::new() };
        let mut left_out: Vec<(Start, Vec<f64>)> = Vec::new();
        for target in 0..targets {
            let problem = |&base| {
                let rows = Rows::new(data, options.length, &fitted, target, (base, lags, ahead));
                Problem {
                    base,
                    lags,
                    ratio: ratio(data, target),
                    folds: folds(&places, ahead),
                    rows,
                }
            };
            let best = bases.iter().map(problem).filter_map(|problem| {
                let (score, penalty) = problem.best_penalty()?;
                Some((score, penalty, problem))
            });
            let (_, penalty, problem) = best.min_by(|a, b| a.0.total_cmp(&b.0))?;
            for (step, own) in problem.weights(penalty)?.into_iter().enumerate() {
                linear.weights[step * targets + target] = own;
            }
            linear.bases.push(problem.base);
            for (at, (row, said)) in problem.left_out(penalty)?.into_iter().enumerate() {
                if target == 0 {
                    left_out.push((fitted[row], vec![0.0; ahead * targets]));
                }
                let all = &mut left_out[at].1;
                said.into_iter().enumerate().for_each(|(k, said)| all[k * targets + target] = said);
            }
        }
        Some(Self { linear, left_out })
    }
}

/// The usual deviation in units of the usual change, over all series.
fn ratio(data: &ForecastData, target: usize) -> f64 {
    let of = data.info.scales.iter().map(|scales| scales[target].deviation / scales[target].change);
    (of.map(f64::ln).sum::<f64>() / data.info.scales.len() as f64).exp()
}

/// A block of rows that is left out, and those beside it whose values overlap with its.
#[derive(Clone, Debug)]
struct Fold {
    block: Range<usize>,
    near: Vec<usize>,
}

/// The blocks of windows that begin at these places, in order.
fn folds(places: &[i64], ahead: usize) -> Vec<Fold> {
    let (count, overlap) = (places.len(), ahead as i64 - 1);
    let blocks = BLOCKS.min(count);
    let fold = |at: usize| {
        let block = at * count / blocks..(at + 1) * count / blocks;
        let (first, last) = (places[block.start] - overlap, places[block.end - 1] + overlap);
        let before = places[..block.start].partition_point(|place| *place < first)..block.start;
        let after = block.end..places.partition_point(|place| *place <= last).max(block.end);
        Fold { block, near: before.chain(after).collect() }
    };
    (0..blocks).map(fold).collect()
}

/// What is read of each window, and what is to be said.
#[derive(Clone, Debug)]
struct Rows {
    /// `[N][lags + 1]`, standardised values and a 1.
    standard: Vec<Vec<f64>>,
    /// `[N][K]`, how the values differ from the base, in units of the usual change.
    values: Vec<Vec<f64>>,
    /// `[N][K]`, the base in own units, and `[N]`, the usual change.
    base: Vec<Vec<f64>>,
    change: Vec<f64>,
}

impl Rows {
    fn new(
        data: &ForecastData,
        length: usize,
        starts: &[Start],
        target: usize,
        (base, lags, ahead): (LinearBase, usize, usize),
    ) -> Self {
        let [mut standard, mut values, mut bases] = [const { Vec::new() }; 3];
        let mut change = Vec::new();
        for &(series, start) in starts {
            let (one, end) = (&data.series[series], start + length);
            let scale = &data.info.scales[series][target];
            let window = window(one, target, end, lags);
            standard.push(row(&window, scale));
            let said: Vec<f64> = (1..=ahead).map(|step| base.value(&window, step)).collect();
            let next = &one.targets[target].values[end..end + ahead];
            let differs = next.iter().zip(&said).map(|(next, said)| (next - said) / scale.change);
            values.push(differs.collect());
            bases.push(said);
            change.push(scale.change);
        }
        Self { standard, values, base: bases, change }
    }
}

/// The fit of one column from one base.
#[derive(Clone, Debug)]
struct Problem {
    base: LinearBase,
    lags: usize,
    /// The usual deviation in units of the usual change.
    ratio: f64,
    folds: Vec<Fold>,
    rows: Rows,
}

impl Problem {
    /// What the weights stand for, as sums of standardised values: changes from one value to the next, or from one season to
    /// the next, in units of the usual change, so that weights of 0 say the base; and the last value.
    fn features(&self) -> Vec<Vec<(usize, f64)>> {
        let (lags, unit) = (self.lags, self.ratio);
        let change = |at: usize, back: usize| vec![(at, unit), (at - back, -unit)];
        let mut all: Vec<Vec<(usize, f64)>> = match self.base {
            LinearBase::Last => (1..lags).map(|at| change(at, 1)).collect(),
            LinearBase::Season(season) => {
                let seasonal = (season..lags).map(|at| change(at, season));
                seasonal.chain((1..season).map(|at| change(at, 1))).collect()
            }
            LinearBase::SeasonalWalk(season) => {
                let twice = |at: usize| {
                    let before = change(at - 1, season).into_iter().map(|(at, unit)| (at, -unit));
                    change(at, season).into_iter().chain(before).collect()
                };
                let seasonal = (season + 1..lags).map(twice);
                let seasonal = seasonal.chain([change(lags - 1, season)]);
                seasonal.chain((1..season).map(|at| change(at, 1))).collect()
            }
        };
        all.push(vec![(lags - 1, 1.0)]);
        all
    }

    /// `[N][lags + 1]`: the features and a 1.
    fn inputs(&self) -> Vec<Vec<f64>> {
        let features = self.features();
        let input = |standard: &Vec<f64>| {
            let of =
                |parts: &Vec<(usize, f64)>| parts.iter().map(|(at, x)| standard[*at] * x).sum();
            features.iter().map(of).chain([1.0]).collect()
        };
        self.rows.standard.iter().map(input).collect()
    }

    fn sums(&self, inputs: &[Vec<f64>], rows: impl Iterator<Item = usize>) -> Normal {
        let mut sums = Normal::new(self.lags + 1, self.rows.values[0].len());
        rows.for_each(|row| sums.add(&inputs[row], &self.rows.values[row]));
        sums
    }

    /// The penalties of all weights, for so many rows. The one that stands alone has hardly any.
    fn ridge(&self, penalty: f64, rows: usize) -> Vec<f64> {
        let rows = rows.max(1) as f64;
        let mut ridge = vec![(penalty + 1e-9) * rows; self.lags];
        ridge.push(1e-9 * rows);
        ridge
    }

    /// For each fold, the sums without its rows and those near it, and how many rows these are.
    fn without(&self, inputs: &[Vec<f64>]) -> Vec<(Normal, usize)> {
        let block = |fold: &Fold| self.sums(inputs, fold.block.clone());
        let blocks: Vec<Normal> = self.folds.iter().map(block).collect();
        let mut total = Normal::new(self.lags + 1, self.rows.values[0].len());
        blocks.iter().for_each(|block| total.plus(block));
        let without = |(fold, block): (&Fold, &Normal)| {
            let near = self.sums(inputs, fold.near.iter().copied());
            (total.minus(block).minus(&near), inputs.len() - fold.block.len() - fold.near.len())
        };
        self.folds.iter().zip(&blocks).map(without).collect()
    }

    /// The penalty with the best forecasts of what is left out, and how good they are: the mean over the steps ahead of the
    /// logarithm of the squared error, in units of the usual change. `None`: there are too few rows.
    fn best_penalty(&self) -> Option<(f64, f64)> {
        let inputs = self.inputs();
        let (rows, steps) = (inputs.len(), self.rows.values.first()?.len());
        let work = rows * steps * (self.lags + 1) * PENALTIES.len();
        let every = work.div_ceil(WORK / 4).max(1);
        let mut squares = vec![vec![0.0; steps]; PENALTIES.len()];
        for (fold, (sums, learned)) in self.folds.iter().zip(self.without(&inputs)) {
            if learned < 2 {
                return None;
            }
            for (squares, penalty) in squares.iter_mut().zip(PENALTIES) {
                let weights = sums.solve(&self.ridge(penalty, learned))?;
                for row in fold.block.clone().step_by(every) {
                    for (k, (sum, weights)) in squares.iter_mut().zip(&weights).enumerate() {
                        *sum += (self.rows.values[row][k] - dot(&inputs[row], weights)).powi(2);
                    }
                }
            }
        }
        let score = |squares: &Vec<f64>| {
            let logs = squares.iter().map(|sum| sum.max(f64::MIN_POSITIVE).ln());
            logs.sum::<f64>() / steps as f64
        };
        let all = squares.iter().map(score).zip(PENALTIES);
        all.filter(|(score, _)| score.is_finite()).min_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// What is said of rows by weights that have not learned from them, in own units.
    fn left_out(&self, penalty: f64) -> Option<Vec<(usize, Vec<f64>)>> {
        let inputs = self.inputs();
        let mut all = Vec::with_capacity(inputs.len());
        for (fold, (sums, learned)) in self.folds.iter().zip(self.without(&inputs)) {
            let weights = sums.solve(&self.ridge(penalty, learned))?;
            for row in fold.block.clone() {
                let (base, change) = (&self.rows.base[row], self.rows.change[row]);
                let said =
                    |(base, weights): (&f64, &Vec<f64>)| base + change * dot(&inputs[row], weights);
                all.push((row, base.iter().zip(&weights).map(said).collect()));
            }
        }
        Some(all)
    }

    /// The weights of all rows, `[K][lags + 1]`, for standardised values.
    fn weights(&self, penalty: f64) -> Option<Vec<Vec<f64>>> {
        let inputs = self.inputs();
        let sums = self.sums(&inputs, 0..inputs.len());
        let features = self.features();
        let of_values = |weights: Vec<f64>| -> Vec<f64> {
            let mut all = vec![0.0; self.lags + 1];
            for (parts, weight) in features.iter().zip(&weights) {
                parts.iter().for_each(|(at, x)| all[*at] += x * weight);
            }
            all[self.lags] = weights[self.lags];
            // As they are read again when the run is resumed.
            all.into_iter().map(of_json).collect()
        };
        Some(sums.solve(&self.ridge(penalty, inputs.len()))?.into_iter().map(of_values).collect())
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Series;
    use crate::tasks::forecast::data::OneSeries;

    /// SplitMix64, from -1 to 1.
    fn noise(t: usize) -> f64 {
        let mut x = (t as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 40) as f64 / f64::from(1 << 23) - 1.0
    }

    fn data(values: Vec<f64>, options: &ForecastOptions) -> ForecastData {
        let column: Vec<Option<f64>> = values.into_iter().map(Some).collect();
        let targets = vec![Series::of_column(&column).unwrap()];
        let [past, ahead] = [const { Vec::new() }; 2];
        let one = OneSeries { name: String::new(), start: 0, targets, past, ahead };
        ForecastData::new(vec![one], None, Vec::new(), options, "x").unwrap()
    }

    fn options(length: usize, horizon: usize) -> ForecastOptions {
        ForecastOptions { length, horizon, season: 4, test_share: 10, ..ForecastOptions::default() }
    }

    fn season(t: usize) -> f64 {
        [3.0, -1.0, -4.0, 2.0][t % 4] + 0.1 * t as f64 + 0.5 * noise(t)
    }

    #[test]
    fn short_series_with_a_season_are_said_better_than_by_least_squares() {
        let options = options(16, 2);
        let data = data((0..400).map(season).collect(), &options);
        // 25 windows for 17 weights; all others are what comes next.
        let (few, next) = data.train.split_at(25);
        let shrunk = Shrunk::fit(&data, &options, few, 2).unwrap();
        assert_ne!(shrunk.linear.bases, [LinearBase::Last]);
        let least = LinearForecast::fit(&data, &options, few).unwrap();
        let error = |linear: &LinearForecast| {
            let of = |&start: &Start| {
                let end = start.1 + options.length;
                let said = linear.of_window(&data, &options, start);
                (0..2).map(|k| (said[k] - season(end + k)).powi(2)).sum::<f64>()
            };
            (next.iter().map(of).sum::<f64>() / (2 * next.len()) as f64).sqrt()
        };
        let (shrunk_error, least_error) = (error(&shrunk.linear), error(&least));
        assert!(shrunk_error < 0.7 * least_error, "{shrunk_error} {least_error}");
        // What was left out says how large these errors are.
        let left_out = shrunk.left_out.iter().flat_map(|((_, start), said)| {
            let end = start + options.length;
            said.iter().enumerate().map(move |(k, said)| said - season(end + k))
        });
        let own: Vec<f64> = left_out.map(|error| error.powi(2)).collect();
        let own = (own.iter().sum::<f64>() / own.len() as f64).sqrt();
        assert!((0.6..1.6).contains(&(own / shrunk_error)), "{own} {shrunk_error}");
    }

    #[test]
    fn many_windows_leave_the_weights_of_least_squares() {
        let options = options(3, 1);
        let mut values = vec![0.0, 1.0];
        for t in 2..6000 {
            values.push(1.4 * values[t - 1] - 0.7 * values[t - 2] + noise(t));
        }
        let data = data(values, &options);
        let shrunk = Shrunk::fit(&data, &options, &data.train, 1).unwrap().linear;
        let least = LinearForecast::fit(&data, &options, &data.train).unwrap();
        for &start in data.test.iter().take(50) {
            let [a, b] = [&shrunk, &least].map(|one| one.of_window(&data, &options, start)[0]);
            assert!((a - b).abs() < 0.05, "{a} {b}");
        }
    }

    #[test]
    fn what_is_left_out_was_not_learned_from() {
        let options = options(8, 3);
        let data = data((0..200).map(season).collect(), &options);
        let places: Vec<i64> = data.train.iter().map(|start| start.1 as i64).collect();
        for base in [LinearBase::Last, LinearBase::Season(4), LinearBase::SeasonalWalk(4)] {
            let problem = Problem {
                base,
                lags: 8,
                ratio: ratio(&data, 0),
                folds: folds(&places, 3),
                rows: Rows::new(&data, 8, &data.train, 0, (base, 8, 3)),
            };
            // The features are as many as the values, and say the same.
            let inputs = problem.inputs();
            assert!(inputs.iter().all(|row| row.len() == 9));
            let plain =
                problem.sums(&inputs, 0..inputs.len()).solve(&problem.ridge(0.1, inputs.len()));
            let of_values = problem.weights(0.1).unwrap();
            for (row, standard) in inputs.iter().zip(&problem.rows.standard) {
                let [a, b] = [dot(row, &plain.as_ref().unwrap()[2]), dot(standard, &of_values[2])];
                assert!((a - b).abs() < 1e-9, "{a} {b}");
            }
            // Windows overlap: a change of a value is a change of three rows, in one block or two.
            let before = problem.left_out(0.1).unwrap();
            for changed in [0, 40, 41, 70, 100, data.train.len() - 1] {
                let mut other = problem.clone();
                for (back, row) in (0..3).zip((0..=changed).rev()) {
                    other.rows.values[row][back] += 5.0;
                }
                let after = other.left_out(0.1).unwrap();
                let differs = |row: usize| (before[row].1[0] - after[row].1[0]).abs();
                assert_eq!((before[changed].0, after[changed].0), (changed, changed));
                // Sums from which rows are taken away again are rounded.
                assert!(differs(changed) < 1e-9, "{base:?} {changed}: {}", differs(changed));
                assert!(differs((changed + 60) % before.len()) > 1e-6, "{base:?} {changed}");
            }
        }
    }

    #[test]
    fn blocks_are_all_rows_and_those_beside_them_overlap() {
        let places: Vec<i64> = (0..25).collect();
        let all = folds(&places, 3);
        let rows: Vec<usize> = all.iter().flat_map(|fold| fold.block.clone()).collect();
        assert_eq!(rows, (0..25).collect::<Vec<_>>());
        assert_eq!((all[1].block.clone(), &all[1].near[..]), (2..5, &[0, 1, 5, 6][..]));
        assert_eq!(all[0].near, [2, 3]);
        // Of two series, windows at the same time overlap too.
        assert_eq!(folds(&[0, 0, 1, 1], 1)[0].near, [1]);
        assert_eq!(folds(&[7], 1).len(), 1);
    }
}
