//! What a model says about a value: a number, a distribution, or quantiles.

use burn::Tensor;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// The quantiles that are reported. The outer two are the ends of the interval of 90 %, the middle one is the median.
pub const LEVELS: [f64; 7] = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95];

/// What a model says about each value ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// A number, which minimises the mean squared error.
    #[default]
    Point,
    /// A normal distribution, by its negative log-likelihood.
    Gaussian,
    /// Student's t distribution with a location, a scale and degrees of freedom, by its negative log-likelihood. It
    /// forgives outliers.
    StudentT,
    /// The quantiles of [`LEVELS`], by the pinball loss (Koenker and Bassett 1978).
    Quantiles,
}

/// What is said about one value, in the units of the outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Said {
    /// The forecast itself.
    pub(crate) center: f64,
    /// A unit for errors: the distribution's scale; 1 where there is none.
    pub(crate) scale: f64,
    /// The quantiles of [`LEVELS`]; for a point, that point.
    pub(crate) quantiles: [f64; LEVELS.len()],
}

impl Said {
    /// A number and nothing about its error.
    pub(crate) fn point(value: f64) -> Self {
        Self { center: value, scale: 1.0, quantiles: [value; LEVELS.len()] }
    }

    /// With an offset added to each quantile, in units of the scale. Then they may cross.
    pub(crate) fn shifted(&self, offsets: &[f64; LEVELS.len()]) -> Self {
        let mut quantiles = self.quantiles;
        let both = quantiles.iter_mut().zip(offsets);
        both.for_each(|(quantile, offset)| *quantile += self.scale * offset);
        Self { quantiles, ..*self }
    }

    /// With quantiles in order (the rearrangement of Chernozhukov, Fernández-Val and Galichon 2010).
    pub(crate) fn sorted(mut self) -> Self {
        self.quantiles.sort_by(f64::total_cmp);
        self
    }

    /// Whether a value lies in the interval of 90 %.
    pub(crate) fn covers(&self, value: f64) -> bool {
        let [low, .., high] = self.quantiles;
        (low..=high).contains(&value)
    }
}

/// The smallest scale of a distribution, in units of the usual change.
const LEAST: f64 = 1e-3;
/// The fewest degrees of freedom, so that the distribution has a variance.
const FREEDOM: f64 = 2.1;

impl Head {
    /// How many outputs there are for each value.
    pub(crate) fn parameters(self) -> usize {
        match self {
            Self::Point => 1,
            Self::Gaussian => 2,
            Self::StudentT => 3,
            Self::Quantiles => LEVELS.len(),
        }
    }

    /// The mean loss of outputs `[B, N·P]` for targets `[B, N]`.
    pub(crate) fn loss(self, outputs: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
        if self == Self::Point {
            let error = outputs - target;
            return error.clone().mul(error).mean();
        }
        let [batch, values] = target.dims();
        let all = batch * values;
        let outputs = outputs.reshape([all, self.parameters()]);
        let target = target.reshape([all, 1]);
        let output = |k: usize| outputs.clone().narrow(1, k, 1);
        let scale = || softplus(output(1)).add_scalar(LEAST);
        match self {
            Self::Point => unreachable!("it is above"),
            Self::Gaussian => {
                let scale = scale();
                let z = (target - output(0)) / scale.clone();
                let half_log_tau = 0.5 * std::f64::consts::TAU.ln();
                (scale.log() + z.clone().mul(z).mul_scalar(0.5)).mean().add_scalar(half_log_tau)
            }
            Self::StudentT => {
                let (scale, freedom) = (scale(), softplus(output(2)).add_scalar(FREEDOM));
                let z = (target - output(0)) / scale.clone();
                let half = freedom.clone().mul_scalar(0.5);
                let more = half.clone().add_scalar(0.5);
                let spread = (z.clone().mul(z) / freedom.clone()).log1p();
                let log_norm = log_gamma(half) - log_gamma(more.clone())
                    + freedom.mul_scalar(std::f64::consts::PI).log().mul_scalar(0.5);
                (log_norm + scale.log() + more.mul(spread)).mean()
            }
            Self::Quantiles => {
                let level =
                    Tensor::<1>::from_data(LEVELS, &target.device()).reshape([1, LEVELS.len()]);
                let error = target - outputs;
                let over = error.clone().clamp_min(0.0).mul(level.clone());
                let under = error.neg().clamp_min(0.0).mul(level.neg().add_scalar(1.0));
                (over + under).mean().mul_scalar(2.0)
            }
        }
    }

    /// What the outputs for one value say.
    pub(crate) fn said(self, outputs: &[f64]) -> Said {
        let soft = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        let spread = |standard: &dyn Fn(f64) -> f64| {
            let scale = soft(outputs[1]) + LEAST;
            let quantiles = LEVELS.map(|level| outputs[0] + scale * standard(level));
            Said { center: outputs[0], scale, quantiles }
        };
        match self {
            Self::Point => Said::point(outputs[0]),
            Self::Gaussian => spread(&|level| Normal::standard().inverse_cdf(level)),
            Self::StudentT => {
                let freedom = soft(outputs[2]) + FREEDOM;
                let quantile = |level: f64| {
                    let student = StudentsT::new(0.0, 1.0, freedom);
                    student.map_or(0.0, |student| student.inverse_cdf(level))
                };
                spread(&quantile)
            }
            Self::Quantiles => {
                let mut quantiles = [0.0; LEVELS.len()];
                quantiles.copy_from_slice(outputs);
                // Quantiles that are learned on their own may cross.
                quantiles.sort_by(f64::total_cmp);
                Said { center: quantiles[LEVELS.len() / 2], scale: 1.0, quantiles }
            }
        }
    }
}

/// ln(1 + eˣ), without overflow.
fn softplus(x: Tensor<2>) -> Tensor<2> {
    x.clone().clamp_min(0.0) + x.abs().neg().exp().log1p()
}

/// ln Γ(x) for x > 0: Stirling's series at x + 4 (Abramowitz and Stegun 6.1.41), whose error is below 1e-7, and the
/// recurrence down to x.
fn log_gamma(x: Tensor<2>) -> Tensor<2> {
    let product = (0..4).fold(x.ones_like(), |product, k| product.mul(x.clone().add_scalar(k)));
    let y = x.add_scalar(4.0);
    let inverse = y.clone().recip();
    let square = inverse.clone().mul(inverse.clone());
    let series = square.mul_scalar(-1.0 / 360.0).add_scalar(1.0 / 12.0).mul(inverse);
    let half_log_tau = 0.5 * std::f64::consts::TAU.ln();
    y.clone().sub_scalar(0.5).mul(y.clone().log()) - y + series.add_scalar(half_log_tau)
        - product.log()
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};
    use statrs::distribution::Continuous;

    fn tensor(values: &[f64], shape: [usize; 2]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
    }

    /// The losses are those of the distributions whose quantiles are said.
    #[test]
    fn losses_are_negative_log_likelihoods() {
        for (head, outputs) in
            [(Head::Gaussian, vec![0.3, -0.4]), (Head::StudentT, vec![0.3, -0.4, 1.7])]
        {
            for target in [-2.0, 0.3, 5.0] {
                let loss =
                    head.loss(tensor(&outputs, [1, outputs.len()]), tensor(&[target], [1, 1]));
                let said = head.said(&outputs);
                let density = match head {
                    Head::Gaussian => Normal::new(0.3, said.scale).unwrap().ln_pdf(target),
                    _ => {
                        let freedom = 1.7_f64.exp().ln_1p() + FREEDOM;
                        StudentsT::new(0.3, said.scale, freedom).unwrap().ln_pdf(target)
                    }
                };
                let loss = f64::from(loss.into_scalar::<f32>());
                assert!(
                    (loss + density).abs() < 1e-5 * density.abs().max(1.0),
                    "{loss}, {density}"
                );
                // The quantiles are symmetrical, and wider for heavy tails.
                let [low, high] = [said.quantiles[0], said.quantiles[6]];
                assert!((low + high - 0.6).abs() < 1e-6 && high > 0.3 + 1.6 * said.scale);
            }
        }
    }

    #[test]
    fn the_pinball_loss_is_least_at_the_quantiles() {
        let targets: Vec<f64> = (0..101).map(|t| f64::from(t) / 100.0).collect();
        let of = |quantiles: &[f64]| {
            let outputs: Vec<f64> = targets.iter().flat_map(|_| quantiles.to_vec()).collect();
            let loss = Head::Quantiles.loss(tensor(&outputs, [101, 7]), tensor(&targets, [101, 1]));
            f64::from(loss.into_scalar::<f32>())
        };
        let best = of(&LEVELS);
        for k in 0..7 {
            for step in [-0.05, 0.05] {
                let mut other = LEVELS;
                other[k] += step;
                assert!(of(&other) > best, "{k} {step}");
            }
        }
        assert_eq!(Head::Quantiles.said(&[3.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0]).quantiles[0], 1.0);
    }

    #[test]
    fn logarithms_of_gamma_are_right() {
        let x: Vec<f64> = vec![0.6, 1.0, 1.55, 2.0, 3.7, 20.0, 500.0];
        let found = log_gamma(tensor(&x, [7, 1])).into_data();
        for (x, found) in x.iter().zip(found.iter::<f64>()) {
            let expected = statrs::function::gamma::ln_gamma(*x);
            assert!(
                (found - expected).abs() < 2e-6 * expected.abs().max(1.0),
                "{x}: {found}, {expected}"
            );
        }
    }
}
