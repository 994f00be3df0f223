//! Which layer of any kind, and its config.

use crate::cell_list::CellKind;
use crate::config::AnyRecurrentConfig;
use crate::engine::Engine;
#[cfg(feature = "scanned-cells")]
use crate::scanned::{AnyScannedConfig, ScannedKind};
use bptt_kernels::Kernel;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which layer, by the name that it has on the command line and in files: a cell that runs step by step, or a layer that
/// runs as a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LayerKind {
    /// A cell that runs step by step.
    Cell(CellKind),
    /// A layer that runs as a scan.
    #[cfg(feature = "scanned-cells")]
    #[cfg_attr(docsrs, doc(cfg(feature = "scanned-cells")))]
    Scanned(ScannedKind),
}

impl LayerKind {
    /// All of them: the cells first.
    pub fn all() -> Vec<Self> {
        let cells = CellKind::ALL.into_iter().map(Self::Cell);
        #[cfg(feature = "scanned-cells")]
        let cells = cells.chain(ScannedKind::ALL.into_iter().map(Self::Scanned));
        cells.collect()
    }

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cell(kind) => kind.name(),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(kind) => kind.name(),
        }
    }

    /// A description in a few words.
    pub fn description(self) -> &'static str {
        match self {
            Self::Cell(kind) => kind.description(),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(kind) => kind.description(),
        }
    }

    /// The cell, if it runs step by step.
    pub fn cell(self) -> Option<CellKind> {
        match self {
            Self::Cell(kind) => Some(kind),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(_) => None,
        }
    }
}

impl From<CellKind> for LayerKind {
    fn from(kind: CellKind) -> Self {
        Self::Cell(kind)
    }
}

#[cfg(feature = "scanned-cells")]
impl From<ScannedKind> for LayerKind {
    fn from(kind: ScannedKind) -> Self {
        Self::Scanned(kind)
    }
}

impl PartialEq<CellKind> for LayerKind {
    fn eq(&self, kind: &CellKind) -> bool {
        self.cell() == Some(*kind)
    }
}

impl Serialize for LayerKind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for LayerKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        Self::all().into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::all().into_iter().map(Self::name).collect();
            let expected = names.join(", ");
            serde::de::Error::custom(format!(
                "no cell is called `{name}`, expected one of {expected}"
            ))
        })
    }
}

/// Makes an [`AnyLayer`](crate::AnyLayer): the config of a cell that runs step by step, or of a layer that runs as a scan. In a file it is
/// that config, whose `kind` says which of them it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "a program has a few of them")]
pub enum AnyLayerConfig {
    /// Of a cell that runs step by step.
    Recurrent(AnyRecurrentConfig),
    /// Of a layer that runs as a scan.
    #[cfg(feature = "scanned-cells")]
    #[cfg_attr(docsrs, doc(cfg(feature = "scanned-cells")))]
    Scanned(AnyScannedConfig),
}

/// Setters of options that both configs have.
macro_rules! setters {
    ($($(#[$meta:meta])* $set:ident($field:ident: $Type:ty);)*) => {$(
        $(#[$meta])*
        pub fn $set(mut self, $field: $Type) -> Self {
            match &mut self {
                Self::Recurrent(config) => config.$field = $field,
                #[cfg(feature = "scanned-cells")]
                Self::Scanned(config) => config.$field = $field,
            }
            self
        }
    )*};
}

/// An option that both configs have.
macro_rules! common {
    ($config:expr, $field:ident) => {
        match $config {
            Self::Recurrent(config) => config.$field,
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(config) => config.$field,
        }
    };
}

impl AnyLayerConfig {
    /// With the default of each option.
    ///
    /// # Arguments
    ///
    /// - `kind`: which layer
    /// - `d_input`: the size of the input, `I`
    /// - `d_hidden`: the number of units, `H`
    pub fn new(kind: impl Into<LayerKind>, d_input: usize, d_hidden: usize) -> Self {
        match kind.into() {
            LayerKind::Cell(kind) => {
                Self::Recurrent(AnyRecurrentConfig::new(kind, d_input, d_hidden))
            }
            #[cfg(feature = "scanned-cells")]
            LayerKind::Scanned(kind) => {
                Self::Scanned(AnyScannedConfig::new(kind, d_input, d_hidden))
            }
        }
    }

    setters! {
        /// How many layers are stacked, `L`.
        with_num_layers(num_layers: usize);
        /// Whether there are biases. LRU and S5 have no such option, and it has to stay true for them.
        with_bias(bias: bool);
        /// Whether inputs are `[B, T, I]` (else `[T, B, I]`).
        with_batch_first(batch_first: bool);
        /// The probability of dropping an output between two layers, while training.
        with_dropout(dropout: f64);
        /// Whether there is a backward direction beside the forward one.
        with_bidirectional(bidirectional: bool);
        /// Whether the layer runs from the last step to the first; only for one direction.
        with_reverse(reverse: bool);
        /// How the layer is differentiated.
        with_engine(engine: Engine);
        /// Which kernel the manual engine runs.
        with_kernel(kernel: Kernel);
    }

    /// Which layer.
    pub fn kind(&self) -> LayerKind {
        match self {
            Self::Recurrent(config) => config.kind.into(),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(config) => config.kind.into(),
        }
    }

    /// The size of the input, `I`.
    pub fn d_input(&self) -> usize {
        common!(self, d_input)
    }

    /// The number of units, `H`.
    pub fn d_hidden(&self) -> usize {
        common!(self, d_hidden)
    }

    /// How many layers are stacked, `L`.
    pub fn num_layers(&self) -> usize {
        common!(self, num_layers)
    }

    /// How many heads share the units; 1 for a layer that runs as a scan, which has no recurrent weights.
    pub fn num_heads(&self) -> usize {
        match self {
            Self::Recurrent(config) => config.num_heads,
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(_) => 1,
        }
    }

    /// Whether inputs are `[B, T, I]`.
    pub fn batch_first(&self) -> bool {
        common!(self, batch_first)
    }

    /// Whether there is a backward direction beside the forward one.
    pub fn bidirectional(&self) -> bool {
        common!(self, bidirectional)
    }

    /// The size of the output in one direction: `P`, `O`, or `H`.
    pub fn d_output(&self) -> usize {
        let own = match self {
            Self::Recurrent(config) => config.proj_size,
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(config) => config.d_output,
        };
        if own > 0 { own } else { self.d_hidden() }
    }
}

impl From<AnyRecurrentConfig> for AnyLayerConfig {
    fn from(config: AnyRecurrentConfig) -> Self {
        Self::Recurrent(config)
    }
}

#[cfg(feature = "scanned-cells")]
impl From<AnyScannedConfig> for AnyLayerConfig {
    fn from(config: AnyScannedConfig) -> Self {
        Self::Scanned(config)
    }
}

impl Serialize for AnyLayerConfig {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Recurrent(config) => config.serialize(to),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(config) => config.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for AnyLayerConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        let read = match serde_json::from_value(value["kind"].clone()) {
            #[cfg(feature = "scanned-cells")]
            Ok(LayerKind::Scanned(_)) => serde_json::from_value(value).map(Self::Scanned),
            Ok(LayerKind::Cell(_)) => serde_json::from_value(value).map(Self::Recurrent),
            Err(why) => Err(why),
        };
        read.map_err(serde::de::Error::custom)
    }
}

impl burn::config::Config for AnyLayerConfig {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_read_by_its_name() {
        for kind in LayerKind::all() {
            let json = serde_json::to_value(kind).expect("a name");
            assert_eq!(json, kind.name());
            assert_eq!(serde_json::from_value::<LayerKind>(json).expect("the same"), kind);
            let config = AnyLayerConfig::new(kind, 3, 4).with_num_layers(2);
            let json = serde_json::to_value(&config).expect("plain data");
            let again: AnyLayerConfig = serde_json::from_value(json).expect("the same");
            assert_eq!((again.kind(), again.d_hidden(), again.num_layers()), (kind, 4, 2));
        }
        let error = serde_json::from_value::<LayerKind>("perceptron".into()).expect_err("no cell");
        assert!(error.to_string().contains("expected one of rnn, lstm"), "{error}");
    }

    /// A file from before there were other layers than those with a cell.
    #[test]
    fn the_config_of_a_cell_is_that_of_any_layer() {
        let config = AnyRecurrentConfig::new(CellKind::Gru, 3, 4).with_reset_after(false);
        let json = serde_json::to_value(&config).expect("plain data");
        let AnyLayerConfig::Recurrent(again) = serde_json::from_value(json).expect("a config")
        else {
            panic!("a GRU runs step by step");
        };
        assert!(!again.reset_after);
    }
}
