//! The first values of biases.

use crate::cell::SequenceCell;
use crate::error::ConfigError;
use crate::initializers::name::{Named, Stored, Value, parse, store, text};
use crate::initializers::weight::torch;
use bptt_cells::{DiagonalRole, GateRole};
use bptt_kernels::CellLayout;
use burn::Tensor;
use burn::module::{Initializer, Param};
use burn::tensor::{Device, Distribution, TensorData};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How biases get their first values. Every gate has two biases, `b` and `b_h`, whose sum counts for a gate.
///
/// Two of them set the gates that hold the memory, which a cell names by [`GateRole`]. They put their values into `b`;
/// the biases of the other gates, and all of `b_h`, are zero. (In a cell with layer normalisation, into the shift behind it.)
///
/// It is read from the names that the command has, and written with them:
///
/// ```
/// use bptt::{BiasInitializer, LstmConfig};
///
/// let config = LstmConfig::new(3, 8).with_bias_initializer(BiasInitializer::Chrono { max_time: 400.0 });
/// assert_eq!("chrono:400".parse(), Ok(config.bias_initializer));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum BiasInitializer {
    /// PyTorch's: uniform in `[-1/√H, 1/√H]`. `torch`
    #[default]
    Torch,
    /// One value for all forget gates (an LSTM's `f`, a GRU's `z`, which keeps the state where it is open). A cell
    /// without such a gate has one that writes in place of it (an LSTM with coupled gates, whose forget gate is `1 - i`),
    /// which gets the negative value. `forget:1`
    ///
    /// F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to forget", Neural Computation 12 (2000); R. Jozefowicz,
    /// W. Zaremba and I. Sutskever, "An empirical exploration of recurrent network architectures", ICML 2015, who
    /// recommend 1.
    Forget {
        /// Of each forget gate; a positive one keeps the memory.
        value: f64,
    },
    /// `ln u` for each forget gate, with `u` uniform in `[1, max_time - 1]`, and the negative number for the gate that
    /// writes into the same unit. So the units forget with time constants from 1 to `max_time` steps. `chrono:400`
    ///
    /// C. Tallec and Y. Ollivier, "Can recurrent neural networks warp time?", ICLR 2018.
    Chrono {
        /// `T_max`, about the longest dependence in the data, in steps.
        max_time: f64,
    },
    /// One of Burn's, for `b` and `b_h` each. The names `zeros`, `constant:0.1` and `uniform:0.1` are those of Burn's
    /// initialisers.
    Burn(Initializer),
}

/// Whether the biases of gates that hold the memory are shifts among the diagonal weights of the cell.
pub(crate) fn has_memory_shifts(layout: &CellLayout) -> bool {
    let holds = |role: &DiagonalRole| {
        matches!(role, DiagonalRole::Shift(GateRole::Forget | GateRole::Input))
    };
    layout.diagonal_roles.iter().any(holds)
}

const NAMES: &[Named<BiasInitializer>] = &[
    Named { names: &["torch"], value: Value::None, make: |_| BiasInitializer::Torch },
    Named {
        names: &["zeros"],
        value: Value::None,
        make: |_| BiasInitializer::Burn(Initializer::Zeros),
    },
    Named {
        names: &["constant"],
        value: Value::Required("VALUE"),
        make: |value| BiasInitializer::Burn(Initializer::Constant { value }),
    },
    Named {
        names: &["uniform"],
        value: Value::Required("BOUND"),
        make: |bound| BiasInitializer::Burn(Initializer::Uniform { min: -bound, max: bound }),
    },
    Named {
        names: &["forget"],
        value: Value::Optional("VALUE", 1.0),
        make: |value| BiasInitializer::Forget { value },
    },
    Named {
        names: &["chrono"],
        value: Value::Required("T_MAX"),
        make: |max_time| BiasInitializer::Chrono { max_time },
    },
];

impl BiasInitializer {
    /// Checks whether a cell's biases can have it.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong, without the name of the option.
    pub fn check(&self, cell: &impl SequenceCell) -> Result<(), ConfigError> {
        self.check_value()?;
        let layout = cell.layout();
        let holds = |role: &GateRole| *role != GateRole::Other;
        let has_gates = layout.gate_roles.iter().any(holds) || has_memory_shifts(&layout);
        match self.sets_memory_gates() && !has_gates {
            true => Err(ConfigError::new(format!(
                "it sets the gates that hold the memory, and {} has none: expected torch, zeros, \
                 constant:VALUE or uniform:BOUND",
                cell.name()
            ))),
            false => Ok(()),
        }
    }

    /// Whether it sets the biases of the gates that hold the memory.
    pub(crate) fn sets_memory_gates(&self) -> bool {
        matches!(self, Self::Forget { .. } | Self::Chrono { .. })
    }

    fn check_value(&self) -> Result<(), ConfigError> {
        let message = match self {
            Self::Forget { value } if !value.is_finite() => {
                format!("a forget bias of {value}: expected a number")
            }
            Self::Chrono { max_time } if !(*max_time > 2.0 && max_time.is_finite()) => {
                format!("a longest time of {max_time}: expected a number of steps above 2")
            }
            Self::Burn(Initializer::Uniform { min, max }) if min >= max => {
                format!("uniform from {min} to {max}: expected bounds with room between them")
            }
            Self::Burn(
                Initializer::XavierUniform { .. }
                | Initializer::XavierNormal { .. }
                | Initializer::Orthogonal { .. }
                | Initializer::KaimingUniform { fan_out_only: true, .. }
                | Initializer::KaimingNormal { fan_out_only: true, .. },
            ) => "a bias is no matrix: expected an initializer of vectors".to_string(),
            _ => return Ok(()),
        };
        Err(ConfigError::new(message))
    }

    /// Draws `b` and `b_h`, `[G·H]` each. The random numbers are the device's.
    ///
    /// # Arguments
    ///
    /// - `roles`: one for each gate, or none
    pub(crate) fn draw(
        &self,
        gates: usize,
        hidden: usize,
        roles: &[GateRole],
        device: &Device,
    ) -> [Param<Tensor<1>>; 2] {
        let of_burn = |by: &Initializer| {
            [(); 2].map(|()| by.init_with([gates * hidden], Some(hidden), None, device))
        };
        let zeros = || Initializer::Zeros.init([gates * hidden], device);
        match self {
            Self::Torch => of_burn(&torch(hidden)),
            Self::Forget { .. } | Self::Chrono { .. } => {
                let of_gates = self.of_memory_gates(roles, hidden, device);
                // The gates of a cell without roles may have shifts that get the values.
                let bias = of_gates.filter(|_| !roles.is_empty());
                [bias.map_or_else(zeros, Param::from_tensor), zeros()]
            }
            Self::Burn(initializer) => of_burn(initializer),
        }
    }

    /// What it gives to gates with these roles, `[len · H]`, if it sets the gates that hold the memory.
    pub(crate) fn of_memory_gates(
        &self,
        roles: &[GateRole],
        hidden: usize,
        device: &Device,
    ) -> Option<Tensor<1>> {
        match self {
            Self::Forget { value } => {
                // Where `1 - i` forgets, `i` has the opposite sign.
                let has_forget = roles.contains(&GateRole::Forget);
                let of_gate = |role: &GateRole| match role {
                    GateRole::Forget => *value,
                    GateRole::Input if !has_forget => -value,
                    _ => 0.0,
                };
                let values: Vec<_> =
                    roles.iter().flat_map(|role| vec![of_gate(role); hidden]).collect();
                Some(Tensor::from_data(TensorData::new(values, [roles.len() * hidden]), device))
            }
            Self::Chrono { max_time } => {
                let times = Distribution::Uniform(1.0, max_time - 1.0);
                let forget = Tensor::<1>::random([hidden], times, device).log();
                let of_gate = |role: &GateRole| match role {
                    GateRole::Forget => forget.clone(),
                    GateRole::Input => forget.clone().neg(),
                    GateRole::Other => forget.zeros_like(),
                };
                Some(Tensor::cat(roles.iter().map(of_gate).collect(), 0))
            }
            Self::Torch | Self::Burn(_) => None,
        }
    }

    /// The name with its value. `None`: an initialiser of Burn's without a name here.
    fn name(&self) -> Option<String> {
        let (name, value) = match *self {
            Self::Torch => ("torch", f64::NAN),
            Self::Forget { value } => ("forget", value),
            Self::Chrono { max_time } => ("chrono", max_time),
            Self::Burn(Initializer::Zeros) => ("zeros", f64::NAN),
            Self::Burn(Initializer::Constant { value }) => ("constant", value),
            Self::Burn(Initializer::Uniform { min, max }) if min == -max => ("uniform", max),
            Self::Burn(_) => return None,
        };
        Some(text(NAMES, name, value))
    }
}

impl From<Initializer> for BiasInitializer {
    fn from(initializer: Initializer) -> Self {
        Self::Burn(initializer)
    }
}

impl std::str::FromStr for BiasInitializer {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let initializer = parse("biases", NAMES, text)?;
        initializer.check_value()?;
        Ok(initializer)
    }
}

impl std::fmt::Display for BiasInitializer {
    /// The name with its value, as it is read. An initialiser of Burn's without a name is written as Burn debugs it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.name(), self) {
            (Some(name), _) => f.pad(&name),
            (None, Self::Burn(initializer)) => write!(f, "{initializer:?}"),
            (None, other) => write!(f, "{other:?}"),
        }
    }
}

impl Serialize for BiasInitializer {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let burn = if let Self::Burn(initializer) = self { Some(initializer) } else { None };
        store(self.name(), burn, to)
    }
}

impl<'de> Deserialize<'de> for BiasInitializer {
    /// From a name, or from what Burn writes; nothing is PyTorch's.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Option::<Stored>::deserialize(from)? {
            None => Ok(Self::Torch),
            Some(stored) => stored.read().map_err(serde::de::Error::custom),
        }
    }
}
