//! The first values of weights.

use crate::error::ConfigError;
use crate::initializers::name::{Named, Stored, Value, parse, store, text};
use crate::initializers::orthogonal::orthogonal;
use crate::initializers::spectral_radius::spectral_radius;
use burn::Tensor;
use burn::module::{Initializer, Param};
use burn::tensor::{Device, TensorData};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::f64::consts::SQRT_2;

/// How weights get their first values.
///
/// Each gate has a matrix of its own in the rows of a weight: `[H, I]` of `weight_ih`, `[H, P]` of `weight_hh`, and the
/// projection `[P, H]` is one. Every such matrix is initialised by itself: it is orthogonal, or has the radius, and the
/// fans of Glorot and He are its columns and rows. (`torch.nn.init` and Keras take the matrix of all gates at once.)
///
/// It is read from the names that the command has, and written with them. An initialiser of Burn's can be used as well:
///
/// ```
/// use bptt::{RnnConfig, WeightInitializer};
/// use burn::module::Initializer;
///
/// let config = RnnConfig::new(3, 8)
///     .with_input_initializer(Initializer::XavierUniform { gain: 1.0 }.into())
///     .with_recurrent_initializer(WeightInitializer::Orthogonal { gain: 1.0 });
/// assert_eq!("orthogonal".parse(), Ok(config.recurrent_initializer));
/// assert_eq!(config.input_initializer.to_string(), "xavier-uniform");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum WeightInitializer {
    /// PyTorch's: uniform in `[-1/√H, 1/√H]`, for input weights, too. `torch`
    #[default]
    Torch,
    /// A random orthogonal matrix times the gain; with orthonormal rows or columns if it is not square. A vector that it
    /// is multiplied with keeps its norm. `orthogonal`
    ///
    /// A. M. Saxe, J. L. McClelland and S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep
    /// linear neural networks", ICLR 2014.
    Orthogonal {
        /// All singular values.
        gain: f64,
    },
    /// `scale` on the diagonal, and zeros elsewhere, also if it is not square. With `relu` and zero biases, a network
    /// begins as a sum over all inputs (IRNN). `identity`
    ///
    /// Q. V. Le, N. Jaitly and G. E. Hinton, "A simple way to initialize recurrent networks of rectified linear units"
    /// (2015), arXiv:1504.00941.
    Identity {
        /// The diagonal.
        scale: f64,
    },
    /// Normal random numbers, scaled so that the largest modulus of the eigenvalues is `radius`, as in echo state
    /// networks. For recurrent weights without a projection. `radius:0.9`
    ///
    /// H. Jaeger, "The 'echo state' approach to analysing and training recurrent neural networks", GMD report 148
    /// (2001).
    SpectralRadius {
        /// The largest modulus.
        radius: f64,
    },
    /// Normal random numbers of the variance `gain² / N`, with `N` columns, as `bptt dynamics --random` draws them.
    /// `normal`
    ///
    /// H. Sompolinsky, A. Crisanti and H. J. Sommers, "Chaos in random neural networks", Physical Review Letters 61
    /// (1988).
    Normal {
        /// `g`; of a square matrix it is about the spectral radius.
        gain: f64,
    },
    /// One of Burn's. The names `xavier-uniform`, `xavier-normal` (Glorot and Bengio 2010), `kaiming-uniform`,
    /// `kaiming-normal` (He et al. 2015), `uniform:0.1` (in `[-0.1, 0.1]`), `zeros` and `constant:0.1` are those of
    /// Burn's initialisers.
    Burn(Initializer),
}

const NAMES: &[Named<WeightInitializer>] = &[
    Named { names: &["torch"], value: Value::None, make: |_| WeightInitializer::Torch },
    Named {
        names: &["xavier-uniform", "xavier", "glorot", "glorot-uniform"],
        value: Value::Optional("GAIN", 1.0),
        make: |gain| WeightInitializer::Burn(Initializer::XavierUniform { gain }),
    },
    Named {
        names: &["xavier-normal", "glorot-normal"],
        value: Value::Optional("GAIN", 1.0),
        make: |gain| WeightInitializer::Burn(Initializer::XavierNormal { gain }),
    },
    // He's variance is 2 / N, for layers with a rectifier.
    Named {
        names: &["kaiming-uniform", "kaiming", "he", "he-uniform"],
        value: Value::Optional("GAIN", SQRT_2),
        make: |gain| {
            WeightInitializer::Burn(Initializer::KaimingUniform { gain, fan_out_only: false })
        },
    },
    Named {
        names: &["kaiming-normal", "he-normal"],
        value: Value::Optional("GAIN", SQRT_2),
        make: |gain| {
            WeightInitializer::Burn(Initializer::KaimingNormal { gain, fan_out_only: false })
        },
    },
    Named {
        names: &["orthogonal"],
        value: Value::Optional("GAIN", 1.0),
        make: |gain| WeightInitializer::Orthogonal { gain },
    },
    Named {
        names: &["identity", "eye"],
        value: Value::Optional("SCALE", 1.0),
        make: |scale| WeightInitializer::Identity { scale },
    },
    Named {
        names: &["radius", "spectral-radius"],
        value: Value::Required("RADIUS"),
        make: |radius| WeightInitializer::SpectralRadius { radius },
    },
    Named {
        names: &["normal"],
        value: Value::Optional("GAIN", 1.0),
        make: |gain| WeightInitializer::Normal { gain },
    },
    Named {
        names: &["uniform"],
        value: Value::Required("BOUND"),
        make: |bound| WeightInitializer::Burn(Initializer::Uniform { min: -bound, max: bound }),
    },
    Named {
        names: &["zeros"],
        value: Value::None,
        make: |_| WeightInitializer::Burn(Initializer::Zeros),
    },
    Named {
        names: &["constant"],
        value: Value::Required("VALUE"),
        make: |value| WeightInitializer::Burn(Initializer::Constant { value }),
    },
];

/// The matrices of all gates, under each other in one weight.
pub(crate) struct GateBlocks {
    /// How many.
    pub(crate) gates: usize,
    /// Of one matrix.
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// `H`
    pub(crate) hidden: usize,
}

impl WeightInitializer {
    /// Checks whether input weights can have it.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong, without the name of the option.
    pub fn check_input(&self) -> Result<(), ConfigError> {
        match self {
            Self::SpectralRadius { .. } => Err(ConfigError::new(
                "input weights are not square, so they have no spectral radius: expected another \
                 initializer, such as normal",
            )),
            _ => self.check(),
        }
    }

    /// Checks whether recurrent weights can have it.
    ///
    /// # Arguments
    ///
    /// - `projected`: whether the layer has a projection
    ///
    /// # Errors
    ///
    /// One line that says what is wrong, without the name of the option.
    pub fn check_recurrent(&self, projected: bool) -> Result<(), ConfigError> {
        match self {
            Self::SpectralRadius { .. } if projected => Err(ConfigError::new(
                "with a projection, recurrent weights are not square, so they have no spectral radius: \
                 expected another initializer, such as orthogonal",
            )),
            _ => self.check(),
        }
    }

    /// Checks whether recurrent weights that are diagonal weights alone can have it.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong, without the name of the option.
    pub fn check_diagonal(&self) -> Result<(), ConfigError> {
        match self.of_diagonal() {
            Some(_) => self.check(),
            None => Err(ConfigError::new(
                "the cell's recurrent weights are one number a unit, and this is made of whole matrices: expected \
                 torch, identity[:SCALE], uniform:BOUND, zeros or constant:VALUE",
            )),
        }
    }

    /// What it is for the diagonals of matrices; `None` if it is made of whole matrices, or of their sizes.
    fn of_diagonal(&self) -> Option<Option<Initializer>> {
        match self {
            Self::Torch => Some(None),
            Self::Identity { scale } => Some(Some(Initializer::Constant { value: *scale })),
            Self::Burn(
                initializer @ (Initializer::Zeros
                | Initializer::Ones
                | Initializer::Constant { .. }
                | Initializer::Uniform { .. }
                | Initializer::Normal { .. }),
            ) => Some(Some(initializer.clone())),
            _ => None,
        }
    }

    /// Draws diagonal weights, `[V, H]`. Beside matrices that it is made of, they have PyTorch's values.
    pub(crate) fn draw_diagonals(
        &self,
        count: usize,
        hidden: usize,
        device: &Device,
    ) -> Param<Tensor<2>> {
        let initializer = self.of_diagonal().flatten().unwrap_or_else(|| torch(hidden));
        initializer.init([count, hidden], device)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let (what, value) = match *self {
            Self::Orthogonal { gain } | Self::Normal { gain } => ("gain", gain),
            Self::SpectralRadius { radius } => ("spectral radius", radius),
            Self::Burn(Initializer::Uniform { min, max }) if min >= max => {
                return Err(ConfigError::new(format!(
                    "uniform from {min} to {max}: expected bounds with room between them"
                )));
            }
            Self::Torch | Self::Identity { .. } | Self::Burn(_) => return Ok(()),
        };
        match value > 0.0 && value.is_finite() {
            true => Ok(()),
            false => {
                Err(ConfigError::new(format!("a {what} of {value}: expected a positive number")))
            }
        }
    }

    /// Draws a weight. The random numbers are the device's.
    pub(crate) fn draw(&self, blocks: &GateBlocks, device: &Device) -> Param<Tensor<2>> {
        let GateBlocks { gates, rows, columns, hidden } = *blocks;
        let size = rows * columns;
        // All gates under each other, `[gates · rows, columns]`.
        let shape = [gates * rows, columns];
        let of_burn = |initializer: &Initializer| {
            initializer.init_with(shape, Some(columns), Some(rows), device)
        };
        match self {
            Self::Torch => of_burn(&torch(hidden)),
            Self::Normal { gain } => {
                let std = gain / (columns as f64).sqrt();
                of_burn(&Initializer::Normal { mean: 0.0, std })
            }
            Self::Orthogonal { gain } | Self::Burn(Initializer::Orthogonal { gain }) => {
                let scaled = |matrix: Vec<f64>| matrix.into_iter().map(|x| gain * x);
                let values: Vec<_> =
                    (0..gates).flat_map(|_| scaled(orthogonal(rows, columns, device))).collect();
                Param::from_data(TensorData::new(values, shape), device)
            }
            Self::Identity { scale } => {
                let on_diagonal = |index: usize| index % size / columns == index % columns;
                let value = |index| if on_diagonal(index) { *scale } else { 0.0 };
                let values: Vec<_> = (0..gates * size).map(value).collect();
                Param::from_data(TensorData::new(values, shape), device)
            }
            Self::SpectralRadius { radius } => {
                let of_gate = |_| {
                    let normal = burn::tensor::Distribution::Normal(0.0, 1.0);
                    let drawn = Tensor::<2>::random([rows, columns], normal, device);
                    drawn.clone().mul_scalar(radius / spectral_radius(drawn))
                };
                Param::from_tensor(Tensor::cat((0..gates).map(of_gate).collect(), 0))
            }
            Self::Burn(initializer) => of_burn(initializer),
        }
    }

    /// The name with its value. `None`: an initialiser of Burn's without a name here.
    fn name(&self) -> Option<String> {
        let (name, value) = match *self {
            Self::Torch => ("torch", f64::NAN),
            Self::Orthogonal { gain } => ("orthogonal", gain),
            Self::Identity { scale } => ("identity", scale),
            Self::SpectralRadius { radius } => ("radius", radius),
            Self::Normal { gain } => ("normal", gain),
            Self::Burn(ref initializer) => match *initializer {
                Initializer::XavierUniform { gain } => ("xavier-uniform", gain),
                Initializer::XavierNormal { gain } => ("xavier-normal", gain),
                Initializer::KaimingUniform { gain, fan_out_only: false } => {
                    ("kaiming-uniform", gain)
                }
                Initializer::KaimingNormal { gain, fan_out_only: false } => {
                    ("kaiming-normal", gain)
                }
                Initializer::Uniform { min, max } if min == -max => ("uniform", max),
                Initializer::Zeros => ("zeros", f64::NAN),
                Initializer::Constant { value } => ("constant", value),
                Initializer::Orthogonal { gain } => ("orthogonal", gain),
                _ => return None,
            },
        };
        Some(text(NAMES, name, value))
    }
}

/// PyTorch's first values of all parameters of a layer.
pub(super) fn torch(hidden: usize) -> Initializer {
    let bound = 1.0 / (hidden as f64).sqrt();
    Initializer::Uniform { min: -bound, max: bound }
}

impl From<Initializer> for WeightInitializer {
    fn from(initializer: Initializer) -> Self {
        match initializer {
            Initializer::Orthogonal { gain } => Self::Orthogonal { gain },
            other => Self::Burn(other),
        }
    }
}

impl std::str::FromStr for WeightInitializer {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let initializer = parse("weights", NAMES, text)?;
        initializer.check()?;
        Ok(initializer)
    }
}

impl std::fmt::Display for WeightInitializer {
    /// The name with its value, as it is read. An initialiser of Burn's without a name is written as Burn debugs it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.name(), self) {
            (Some(name), _) => f.pad(&name),
            (None, Self::Burn(initializer)) => write!(f, "{initializer:?}"),
            (None, other) => write!(f, "{other:?}"),
        }
    }
}

impl Serialize for WeightInitializer {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let burn = if let Self::Burn(initializer) = self { Some(initializer) } else { None };
        store(self.name(), burn, to)
    }
}

impl<'de> Deserialize<'de> for WeightInitializer {
    /// From a name, or from what Burn writes; nothing is PyTorch's.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Option::<Stored>::deserialize(from)? {
            None => Ok(Self::Torch),
            Some(stored) => stored.read().map_err(serde::de::Error::custom),
        }
    }
}
