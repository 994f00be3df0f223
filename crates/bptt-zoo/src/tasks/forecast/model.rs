//! The model of a forecast: recurrent layers, and a linear layer on the last hidden state.

use crate::error::Error;
use crate::model_config::ModelConfig;
use crate::series::Standardization;
use crate::tasks::forecast::head::Head;
use crate::tasks::forecast::linear::LinearForecast;
use crate::tasks::parts::{last_hidden, sequence_model};
use bptt::{AnyLayer, AnyLayerConfig, RaggedBatch, RecurrentLayer};
use burn::Tensor;
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// The config of a [`Forecaster`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForecasterConfig {
    /// The recurrent layers, over inputs of size 2, or that of the shape.
    pub recurrent: AnyLayerConfig,
    /// How many values are predicted at once, `K`.
    pub horizon: usize,
    /// How the numbers of the series are scaled for the network; of the first column of the first series, if there are
    /// several.
    pub standard: Standardization,
    /// What it reads and says, if that is more than one series and its next values.
    #[serde(default, skip_serializing_if = "ForecastShape::is_plain")]
    pub shape: ForecastShape,
    /// The linear forecast that the network's answers are added to. `None`: they are added to the last value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linear: Option<LinearForecast>,
}

/// What a [`Forecaster`] reads and says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecastShape {
    /// How many columns are forecast, `M`.
    pub targets: usize,
    /// How many numbers each step has, `I`: two for each target, and those of covariates and the calendar.
    pub inputs: usize,
    /// What is said about each value.
    pub head: Head,
}

impl Default for ForecastShape {
    fn default() -> Self {
        Self { targets: 1, inputs: 2, head: Head::Point }
    }
}

impl ForecastShape {
    /// Whether it reads one series, and says its next values.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl Config for ForecasterConfig {}

impl ForecasterConfig {
    /// The config of a model for one series.
    pub fn new(recurrent: AnyLayerConfig, horizon: usize, standard: Standardization) -> Self {
        Self { recurrent, horizon, standard, shape: ForecastShape::default(), linear: None }
    }

    /// The same, for what this shape says.
    pub fn with_shape(self, shape: ForecastShape) -> Self {
        Self { shape, ..self }
    }

    /// The same, for what differs from this linear forecast.
    pub fn with_linear(self, linear: Option<LinearForecast>) -> Self {
        Self { linear, ..self }
    }
}

/// Reads a window of a series and predicts the next values: recurrent layers, and a linear layer on the last hidden
/// state.
#[derive(Module, Debug)]
pub struct Forecaster<R: Module> {
    /// Any recurrent layer over inputs of size 2, or that of the shape.
    pub recurrent: R,
    /// `D·P -> K·M` times the parameters of the head
    pub head: Linear,
    /// How the numbers of the series are scaled for the network.
    #[module(skip)]
    pub standard: Standardization,
    /// What it reads and says.
    #[module(skip)]
    pub shape: ForecastShape,
    /// The linear forecast that its answers are added to; `None`: the last value.
    #[module(skip)]
    pub linear: Option<LinearForecast>,
}

impl ModelConfig for ForecasterConfig {
    type Model = Forecaster<AnyLayer>;
    const KIND: &'static str = "forecaster";

    fn recurrent(&self) -> &AnyLayerConfig {
        &self.recurrent
    }

    fn outputs(&self) -> usize {
        let ForecastShape { targets, head, .. } = self.shape;
        self.horizon.saturating_mul(targets).saturating_mul(head.parameters())
    }

    fn check(&self) -> Result<(), Error> {
        let (found, expected) = (self.recurrent.d_input(), self.shape.inputs);
        if found != expected {
            let message = match self.shape.is_plain() {
                true => format!("d_input is {found}, and a forecaster's is 2"),
                false => format!("d_input is {found}, and that of its shape is {expected}"),
            };
            return Err(Error::input(message));
        }
        if !self.standard.is_sound() {
            let message = "deviation and change have to be above 0, and all three finite";
            return Err(Error::input(format!("{:?}: {message}", self.standard)));
        }
        let values = self.horizon.saturating_mul(self.shape.targets);
        match &self.linear {
            Some(linear) if !linear.is_sound(values, usize::MAX) => {
                Err(Error::input("linear: its weights do not fit the horizon and the targets"))
            }
            _ => Ok(()),
        }
    }

    fn model(&self, recurrent: AnyLayer, head: Linear) -> Self::Model {
        let Self { standard, shape, linear, .. } = self;
        Forecaster { recurrent, head, standard: *standard, shape: *shape, linear: linear.clone() }
    }
}

impl<R: RecurrentLayer> Forecaster<R> {
    /// How the next values differ from each window's last, or from what [`linear`](Self::linear) says, in units of
    /// [`change`](Standardization::change): `[B, T, I]` -> `[B, K·M·P]`, with `P` outputs for each value.
    ///
    /// # Arguments
    ///
    /// - `input`: for each target its value, standardised, and its change from the value before; then what else is read
    /// - `lengths`: how many steps of each row belong to the window; `None`: all
    ///
    /// # Panics
    ///
    /// If shapes or lengths do not fit.
    pub fn forward(&self, input: Tensor<3>, lengths: Option<&[usize]>) -> Tensor<2> {
        self.head.forward(last_hidden(&self.recurrent, input, lengths))
    }

    /// Predicts the next values of each series, in its own units.
    ///
    /// # Arguments
    ///
    /// - `windows`: the last values of each series; their lengths may differ
    /// - `device`: the model's
    ///
    /// # Panics
    ///
    /// If a window is empty or shorter than what [`linear`](Self::linear) reads, or if the model reads more than one series.
    pub fn forecast(&self, windows: &[impl AsRef<[f64]>], device: &Device) -> Vec<Vec<f64>> {
        let ForecastShape { targets, inputs, head } = self.shape;
        assert!(targets == 1 && inputs == 2, "this model reads more than the values of one series");
        let encode = |window: &_| self.standard.encode(AsRef::<[f64]>::as_ref(window));
        let rows: Vec<_> = windows.iter().map(encode).collect();
        let RaggedBatch { input, lengths, .. } = RaggedBatch::pad(&rows, 2, device);
        let answer = self.forward(input, Some(&lengths));
        let outputs = answer.dims()[1];
        let numbers: Vec<f64> = answer.into_data().iter::<f64>().collect();
        let values = |(window, changes): (&_, &[f64])| {
            let window = AsRef::<[f64]>::as_ref(window);
            let changes = changes.chunks(head.parameters()).map(|said| head.said(said).center);
            let base = match &self.linear {
                Some(linear) => linear.of_values(&[window], &[self.standard]),
                None => vec![*window.last().expect("a window has a value"); outputs],
            };
            base.iter().zip(changes).map(|(base, x)| base + self.standard.change * x).collect()
        };
        windows.iter().zip(numbers.chunks(outputs)).map(values).collect()
    }
}

sequence_model!(Forecaster);
