//! Scanned layers of any kind, chosen at run time.

use super::config::{LruConfig, MinGruConfig, MinLstmConfig, RgLruConfig, S5Config};
use super::layer::{Gates, LayerOperands, ScannedLayer};
use super::minimal::{MinGruLayer, MinLstmLayer};
use super::rg_lru::RgLruLayer;
use super::stack::Scanned;
use super::state_space::{LruLayer, S5Layer};
use crate::engine::Engine;
use crate::error::ConfigError;
use crate::one_of::one_of;
use bptt_kernels::{Kernel, ScanPlan};
use burn::Tensor;
use burn::config::Config;
use burn::tensor::{DType, Device};
use serde::{Deserialize, Serialize};

/// Declares what follows from the list of scanned layers. In each line: the name of the variant, the layer, its config,
/// the name on the command line and in files, and what it is.
macro_rules! scanned_layers {
    ($($Variant:ident($Layer:ident, $Config:ident), $name:literal, $description:literal;)*) => {
        /// Which scanned layer, by the name that it has on the command line and in files.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum ScannedKind {
            $(
                #[doc = $description]
                #[serde(rename = $name)]
                $Variant,
            )*
        }

        impl ScannedKind {
            /// All of them.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$Variant),*];

            /// The name on the command line and in files.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$Variant => $name,)*
                }
            }

            /// A description in a few words.
            pub fn description(self) -> &'static str {
                match self {
                    $(Self::$Variant => $description,)*
                }
            }
        }

        /// One layer of any kind in one direction. The paths of its parameters are those of the layer that it is.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum AnyScannedLayer {
            $(
                #[doc = $description]
                $Variant($Layer),
            )*
        }

        one_of!(AnyScannedLayer { $($Variant)* });

        impl ScannedLayer for AnyScannedLayer {
            fn name(&self) -> &'static str {
                match self {
                    $(Self::$Variant(layer) => layer.name(),)*
                }
            }

            fn d_input(&self) -> usize {
                match self {
                    $(Self::$Variant(layer) => layer.d_input(),)*
                }
            }

            fn d_state(&self) -> usize {
                match self {
                    $(Self::$Variant(layer) => layer.d_state(),)*
                }
            }

            fn d_output(&self) -> usize {
                match self {
                    $(Self::$Variant(layer) => layer.d_output(),)*
                }
            }

            fn d_gates(&self) -> usize {
                match self {
                    $(Self::$Variant(layer) => layer.d_gates(),)*
                }
            }

            fn dtype(&self) -> DType {
                match self {
                    $(Self::$Variant(layer) => layer.dtype(),)*
                }
            }

            fn gates(&self, input: Tensor<3>) -> (Gates, Option<Tensor<1>>) {
                match self {
                    $(Self::$Variant(layer) => layer.gates(input),)*
                }
            }

            fn scan(&self, engine: Engine, operands: LayerOperands, plan: &ScanPlan) -> Tensor<3> {
                match self {
                    $(Self::$Variant(layer) => layer.scan(engine, operands, plan),)*
                }
            }

            fn outputs(&self, states: Tensor<3>, input: Tensor<3>) -> Tensor<3> {
                match self {
                    $(Self::$Variant(layer) => layer.outputs(states, input),)*
                }
            }

            fn output_is_state(&self) -> bool {
                match self {
                    $(Self::$Variant(layer) => layer.output_is_state(),)*
                }
            }
        }

        impl AnyScannedConfig {
            fn stack(&self, device: &Device) -> Result<Scanned<AnyScannedLayer>, ConfigError> {
                match self.kind {
                    $(ScannedKind::$Variant => {
                        let layer = $Config::from(self).try_init(device)?;
                        Ok(layer.map_layers(AnyScannedLayer::$Variant))
                    })*
                }
            }
        }

        $(
            /// The config of this layer with the sizes and options of one of any kind. Its kind is not read.
            impl From<&AnyScannedConfig> for $Config {
                fn from(of: &AnyScannedConfig) -> Self {
                    Self::new(of.d_input, of.d_hidden)
                        .with_num_layers(of.num_layers)
                        .with_batch_first(of.batch_first)
                        .with_dropout(of.dropout)
                        .with_bidirectional(of.bidirectional)
                        .with_reverse(of.reverse)
                        .with_engine(of.engine)
                        .with_kernel(of.kernel)
                        .set_own(of)
                }
            }
        )*
    };
}

scanned_layers! {
    MinGru(MinGruLayer, MinGruConfig), "mingru", "Minimal GRU, parallel in time";
    MinLstm(MinLstmLayer, MinLstmConfig), "minlstm", "Minimal LSTM, parallel in time";
    RgLru(RgLruLayer, RgLruConfig), "rg-lru", "Real-gated linear recurrent unit, parallel in time";
    Lru(LruLayer, LruConfig), "lru", "Linear recurrent unit, parallel in time";
    S5(S5Layer, S5Config), "s5", "Diagonal state-space layer (S5), parallel in time";
}

impl ScannedKind {
    /// Whether it has the option [`AnyScannedConfig::bias`].
    pub fn has_bias(self) -> bool {
        matches!(self, Self::MinGru | Self::MinLstm | Self::RgLru)
    }

    /// Whether it has the option [`AnyScannedConfig::log_space`].
    pub fn has_log_space(self) -> bool {
        matches!(self, Self::MinGru | Self::MinLstm)
    }

    /// Whether its state is complex: two numbers a unit. These layers have the option [`AnyScannedConfig::d_output`].
    pub fn is_complex(self) -> bool {
        matches!(self, Self::Lru | Self::S5)
    }
}

/// Makes a scanned layer of a kind that is chosen at run time. An option that this kind does not have must keep its
/// default.
#[derive(Config, Debug)]
#[non_exhaustive]
pub struct AnyScannedConfig {
    /// Which layer.
    pub kind: ScannedKind,
    /// The size of the input, `I`.
    pub d_input: usize,
    /// The number of units, `H`.
    pub d_hidden: usize,
    /// For minGRU and minLSTM: whether the candidate is made positive; see [`MinGruConfig::log_space`].
    #[config(default = false)]
    pub log_space: bool,
    /// For minGRU, minLSTM and RG-LRU: whether there are biases.
    #[config(default = true)]
    pub bias: bool,
    /// For LRU and S5: the size of the output, `O`; 0: `H`.
    #[config(default = 0)]
    pub d_output: usize,
    /// How many layers are stacked, `L`.
    #[config(default = 1)]
    pub num_layers: usize,
    /// Whether inputs are `[B, T, I]` (else `[T, B, I]`).
    #[config(default = true)]
    pub batch_first: bool,
    /// The probability of dropping an output between two layers, while training.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Whether there is a backward direction beside the forward one.
    #[config(default = false)]
    pub bidirectional: bool,
    /// Whether the layer runs from the last step to the first; only for one direction.
    #[config(default = false)]
    pub reverse: bool,
    /// How the layer is differentiated: manual or autograd.
    #[config(default = "Engine::Manual")]
    pub engine: Engine,
    /// Which kernel the manual engine runs.
    #[config(default = "Kernel::Auto")]
    pub kernel: Kernel,
}

impl AnyScannedConfig {
    /// Makes the layer.
    ///
    /// # Panics
    ///
    /// If the options exclude each other; [`try_init`](Self::try_init) returns this as an error.
    pub fn init(&self, device: &Device) -> Scanned<AnyScannedLayer> {
        self.try_init(device).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Makes the layer.
    ///
    /// # Errors
    ///
    /// One line that says which options exclude each other, or which the layer does not have.
    pub fn try_init(&self, device: &Device) -> Result<Scanned<AnyScannedLayer>, ConfigError> {
        let kind = self.kind;
        let others = [
            ("log_space", self.log_space && !kind.has_log_space()),
            ("bias", !self.bias && !kind.has_bias()),
            ("d_output", self.d_output > 0 && !kind.is_complex()),
        ];
        if let Some((name, _)) = others.iter().find(|(_, is_wrong)| *is_wrong) {
            let message =
                format!("{}: there is no option {name}: expected its default", kind.name());
            return Err(ConfigError::new(message));
        }
        self.stack(device)
    }
}

impl MinGruConfig {
    fn set_own(self, of: &AnyScannedConfig) -> Self {
        self.with_log_space(of.log_space).with_bias(of.bias)
    }
}

impl MinLstmConfig {
    fn set_own(self, of: &AnyScannedConfig) -> Self {
        self.with_log_space(of.log_space).with_bias(of.bias)
    }
}

impl RgLruConfig {
    fn set_own(self, of: &AnyScannedConfig) -> Self {
        self.with_bias(of.bias)
    }
}

impl LruConfig {
    fn set_own(self, of: &AnyScannedConfig) -> Self {
        self.with_d_output(of.d_output)
    }
}

impl S5Config {
    fn set_own(self, of: &AnyScannedConfig) -> Self {
        self.with_d_output(of.d_output)
    }
}
