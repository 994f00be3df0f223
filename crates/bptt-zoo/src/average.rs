//! Averages of the weights over the training steps.

use burn::Tensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which average of the weights is validated and kept as the best model. On the command line and in JSON it is a text, such
/// as `ema:0.999`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Average {
    /// None: the weights themselves.
    #[default]
    None,
    /// An exponential moving average with this decay: `w̄ ← d w̄ + (1 - d) w` after each step. In the first steps the decay
    /// is `(1 + t) / (10 + t)`, where this is smaller, so that the first weights are soon forgotten.
    ///
    /// B. T. Polyak and A. B. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal on Control and
    /// Optimization 30 (1992).
    Ema(f64),
    /// The mean of the weights after each step from this one on; before it, the weights themselves.
    ///
    /// P. Izmailov and others, "Averaging weights leads to wider optima and better generalization" (SWA), UAI 2018, which
    /// takes one of the weights in each epoch.
    Swa(u64),
}

impl fmt::Display for Average {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(out, "none"),
            Self::Ema(decay) => write!(out, "ema:{decay}"),
            Self::Swa(first) => write!(out, "swa:{first}"),
        }
    }
}

impl FromStr for Average {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}`: expected none, ema:DECAY or swa:STEP, as in ema:0.999");
        let average = match text.split_once(':') {
            None if text == "none" => Self::None,
            Some(("ema", decay)) => Self::Ema(decay.parse().map_err(|_| wrong())?),
            Some(("swa", first)) => Self::Swa(first.parse().map_err(|_| wrong())?),
            _ => return Err(wrong()),
        };
        match average {
            Self::Ema(decay) if !(decay > 0.0 && decay < 1.0) => {
                Err(format!("`{text}`: the decay has to be between 0 and 1"))
            }
            Self::Swa(0) => Err(format!("`{text}`: the first step is 1")),
            _ => Ok(average),
        }
    }
}

impl TryFrom<String> for Average {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Average> for String {
    fn from(average: Average) -> Self {
        average.to_string()
    }
}

impl Average {
    /// How much the weights after the `step`-th step count in the average that has them; `None`: there is no average yet.
    pub(crate) fn share(self, step: u64) -> Option<f64> {
        let step_number = step as f64;
        match self {
            Self::None => None,
            Self::Ema(decay) => Some(1.0 - decay.min((1.0 + step_number) / (10.0 + step_number))),
            Self::Swa(first) => (step >= first).then(|| 1.0 / (step - first + 1) as f64),
        }
    }

    /// The average after the `step`-th step.
    ///
    /// # Arguments
    ///
    /// - `before`: the average before the step, if there is one
    /// - `weights`: the model after the step, on a device without autodiff
    pub(crate) fn after<M: Module>(self, step: u64, before: Option<M>, weights: M) -> Option<M> {
        let share = self.share(step)?;
        let Some(before) = before else { return Some(weights) };
        let mut values = Values(GradientsParams::new());
        weights.visit(&mut values);
        Some(before.map(&mut Mix { values: values.0, share }))
    }
}

/// The values of the parameters, by their ids.
struct Values(GradientsParams);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val());
    }
}

struct Mix {
    values: GradientsParams,
    share: f64,
}

impl ModuleMapper for Mix {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = match self.values.remove::<D>(id) {
            Some(value) => tensor.mul_scalar(1.0 - self.share).add(value.mul_scalar(self.share)),
            None => tensor,
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::store::numbered;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    /// The weights after the k-th step are all k.
    fn averages(average: Average, steps: u64) -> Vec<Option<f32>> {
        let device = Device::flex();
        let model = |value: f64| -> Linear {
            let layer = LinearConfig::new(2, 3).with_bias(false).init(&device);
            let weight = layer.weight.map(|weight| weight.zeros_like() + value);
            numbered(Linear { weight, ..layer })
        };
        let mut held = None;
        (1..=steps)
            .map(|step| {
                held = average.after(step, held.take(), model(step as f64));
                let mean = |held: &Linear| held.weight.val().mean().into_scalar::<f32>();
                held.as_ref().map(mean)
            })
            .collect()
    }

    #[test]
    fn the_averages_are_those_of_their_definitions() {
        assert_eq!(averages(Average::None, 2), [None, None]);
        let swa = averages(Average::Swa(3), 6);
        assert_eq!(swa[..2], [None, None]);
        for (found, expected) in swa[2..].iter().zip([3.0, 3.5, 4.0, 4.5]) {
            assert!((found.unwrap() - expected).abs() < 1e-5, "{swa:?}");
        }
        let mut expected: f64 = 1.0;
        for (k, found) in averages(Average::Ema(0.5), 12).into_iter().enumerate() {
            let step = (k + 1) as f64;
            // Up to the eighth step (1 + t) / (10 + t) is below a half.
            let decay = if k < 7 { (1.0 + step) / (10.0 + step) } else { 0.5 };
            expected = if k == 0 { 1.0 } else { decay * expected + (1.0 - decay) * step };
            assert!(
                (f64::from(found.unwrap()) - expected).abs() < 1e-5,
                "{k}: {found:?}, {expected}"
            );
        }
    }

    #[test]
    fn names_are_read_and_written() {
        for name in ["none", "ema:0.999", "swa:100"] {
            assert_eq!(name.parse::<Average>().unwrap().to_string(), name);
        }
        for wrong in ["ema", "ema:1", "ema:x", "swa:0", "swa:0.5", "mean:3", ""] {
            let why = wrong.parse::<Average>().unwrap_err();
            assert!(why.starts_with(&format!("`{wrong}`: ")), "{why}");
        }
    }
}
