//! What a network reads of a window, and what its answers mean.

use crate::folder_files::ForecastInfo;
use crate::series::Standardization;
use crate::tasks::forecast::calendar::CalendarFeature;
use crate::tasks::forecast::data::OneSeries;
use crate::tasks::forecast::head::Said;
use crate::tasks::forecast::linear::LinearForecast;
use crate::tasks::forecast::model::Forecaster;
use crate::tasks::forecast::options::{ForecastOptions, Strategy};
use bptt::AnyLayer;
use burn::Tensor;
use burn::tensor::{Device, TensorData};

/// What of the time a model reads.
pub(crate) fn calendar_of(info: &ForecastInfo, options: &ForecastOptions) -> Vec<CalendarFeature> {
    info.calendar.clone().unwrap_or_else(|| options.features())
}

/// Reads windows for a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) options: &'a ForecastOptions,
    pub(crate) info: &'a ForecastInfo,
    /// What the network's answers are added to; `None`: the last value.
    pub(crate) linear: Option<&'a LinearForecast>,
}

/// A window of one series, from which its next values are said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) series: &'a OneSeries,
    pub(crate) scales: &'a [Standardization],
    /// Its first step.
    pub(crate) start: usize,
}

impl Reader<'_> {
    /// The numbers of a window, `[T, I]`: for each target its value and its change; the covariates that are known up to
    /// now; those that are known ahead, for each step ahead; and the calendar of the next step.
    pub(crate) fn encode(&self, window: &Window<'_>) -> Vec<f32> {
        self.encode_values(window, &self.values(window))
    }

    /// The same with other values, `[M][T]`.
    fn encode_values(&self, window: &Window<'_>, values: &[Vec<f64>]) -> Vec<f32> {
        let Window { series, scales, start } = *window;
        let coded: Vec<Vec<f32>> =
            values.iter().zip(scales).map(|(values, scale)| scale.encode(values)).collect();
        let length = values[0].len();
        let features = calendar_of(self.info, self.options);
        if let ([only], true, true, true) =
            (&coded[..], series.past.is_empty(), series.ahead.is_empty(), features.is_empty())
        {
            return only.clone();
        }
        let ahead = self.options.outputs_ahead();
        let mut all = Vec::with_capacity(length * self.options.inputs(&features));
        for t in 0..length {
            coded.iter().for_each(|coded| all.extend(&coded[2 * t..2 * t + 2]));
            let at = start + t;
            let scaled = |k: usize, value: f64| {
                ((value - self.info.covariates.mean[k]) / self.info.covariates.deviation[k]) as f32
            };
            all.extend(series.past.iter().enumerate().map(|(k, column)| scaled(k, column[at])));
            for (k, column) in series.ahead.iter().enumerate() {
                // What is not known any more is held.
                let value = |step: usize| column[(at + step).min(column.len() - 1)];
                all.extend((1..=ahead).map(|step| scaled(series.past.len() + k, value(step))));
            }
            if let Some(grid) = &self.info.grid {
                let place = series.start + at as i64 + 1;
                features.iter().for_each(|feature| feature.add(grid, place, &mut all));
            }
        }
        all
    }

    /// The changes that a model should predict at once, `[K·M]`.
    pub(crate) fn target(&self, window: &Window<'_>) -> Vec<f32> {
        let Window { series, scales, start } = *window;
        let end = start + self.options.length;
        let base = self.base(&self.values(window), scales);
        let at = |(k, base): (usize, &f64)| {
            let (step, target) = (k / scales.len(), k % scales.len());
            ((series.targets[target].values[end + step] - base) / scales[target].change) as f32
        };
        base.iter().enumerate().map(at).collect()
    }

    /// The values of a window, `[M][T]`.
    fn values(&self, window: &Window<'_>) -> Vec<Vec<f64>> {
        let range = window.start..window.start + self.options.length;
        let targets = 0..window.series.targets.len();
        targets.map(|target| window.series.window(target, range.clone())).collect()
    }

    /// What a network's answers are added to after these values, `[K·M]`.
    fn base(&self, values: &[Vec<f64>], scales: &[Standardization]) -> Vec<f64> {
        match self.linear {
            Some(linear) => linear.of_values(values, scales),
            None => {
                let last = values.iter().map(|all| all[all.len() - 1]);
                let count = self.options.outputs_ahead() * values.len();
                last.cycle().take(count).collect()
            }
        }
    }

    /// The windows as a tensor, `[B, T, I]`.
    pub(crate) fn input(&self, windows: &[Window<'_>], device: &Device) -> Tensor<3> {
        let numbers: Vec<f32> = windows.iter().flat_map(|window| self.encode(window)).collect();
        self.tensor(numbers, windows.len(), device)
    }

    fn tensor(&self, numbers: Vec<f32>, count: usize, device: &Device) -> Tensor<3> {
        let width = numbers.len() / (count * self.options.length);
        Tensor::from_data(TensorData::new(numbers, [count, self.options.length, width]), device)
    }

    /// What a model says about the next values of each window, `[B][K·M]`, in their own units.
    pub(crate) fn say(
        &self,
        model: &Forecaster<AnyLayer>,
        windows: &[Window<'_>],
        device: &Device,
    ) -> Vec<Vec<Said>> {
        match self.options.strategy {
            Strategy::Direct => {
                let output = model.forward(self.input(windows, device), None);
                let base = |window: &Window<'_>| self.base(&self.values(window), window.scales);
                self.decoded(output, windows, windows.iter().map(base))
            }
            Strategy::Recursive => self.roll(model, windows, device),
        }
    }

    /// The answers of a model in their own units. `base` has what they are added to, `[K·M]` for each window.
    fn decoded(
        &self,
        output: Tensor<2>,
        windows: &[Window<'_>],
        base: impl Iterator<Item = Vec<f64>>,
    ) -> Vec<Vec<Said>> {
        let outputs = output.dims()[1];
        let head = self.options.head;
        let numbers: Vec<f64> = output.into_data().iter::<f64>().collect();
        let one = |((window, base), numbers): ((&Window<'_>, Vec<f64>), &[f64])| {
            let targets = window.scales.len();
            let said = numbers.chunks(head.parameters()).enumerate().map(|(k, numbers)| {
                let said = head.said(numbers);
                let (base, unit) = (base[k], window.scales[k % targets].change);
                Said {
                    center: base + unit * said.center,
                    scale: unit * said.scale,
                    quantiles: said.quantiles.map(|quantile| base + unit * quantile),
                }
            });
            said.collect()
        };
        windows.iter().zip(base).zip(numbers.chunks(outputs)).map(one).collect()
    }

    /// One value after the other: what is said is read as if it were known.
    fn roll(
        &self,
        model: &Forecaster<AnyLayer>,
        windows: &[Window<'_>],
        device: &Device,
    ) -> Vec<Vec<Said>> {
        let mut values: Vec<Vec<Vec<f64>>> =
            windows.iter().map(|window| self.values(window)).collect();
        let mut said = vec![Vec::new(); windows.len()];
        for step in 0..self.options.horizon {
            let rows = windows.iter().zip(&values).flat_map(|(window, values)| {
                let moved = Window { start: window.start + step, ..*window };
                let last: Vec<Vec<f64>> = values.iter().map(|all| all[step..].to_vec()).collect();
                self.encode_values(&moved, &last)
            });
            let input = self.tensor(rows.collect(), windows.len(), device);
            let base =
                windows.iter().zip(&values).map(|(window, all)| self.base(all, window.scales));
            let base: Vec<Vec<f64>> = base.collect();
            let answers = self.decoded(model.forward(input, None), windows, base.into_iter());
            for ((said, values), answer) in said.iter_mut().zip(&mut values).zip(answers) {
                values.iter_mut().zip(&answer).for_each(|(all, said)| all.push(said.center));
                said.extend(answer);
            }
        }
        said
    }
}
