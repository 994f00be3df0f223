//! Layers of any kind, chosen at run time: those that run step by step, and those that run as a scan.

use crate::any_config::AnyLayerConfig;
use crate::cell_list::AnyCell;
use crate::engine::Engine;
use crate::error::ConfigError;
use crate::gradient_probe::GradientProbe;
use crate::layer::RecurrentLayer;
use crate::one_of::one_of;
use crate::recurrent::Recurrent;
#[cfg(feature = "scanned-cells")]
use crate::scanned::AnyScanned;
use crate::sequence_options::SequenceOptions;
use crate::state::AnyState;
#[cfg(feature = "scanned-cells")]
use crate::state::{RecurrentState, ScannedState};
use bptt_kernels::{Kernel, MaskedOutput};
use burn::Tensor;
use burn::tensor::{Bool, DType, Device};

impl AnyLayerConfig {
    /// Makes the layer.
    ///
    /// # Panics
    ///
    /// If the options exclude each other; [`try_init`](Self::try_init) returns this as an error.
    pub fn init(&self, device: &Device) -> AnyLayer {
        self.try_init(device).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Makes the layer.
    ///
    /// # Errors
    ///
    /// One line that says which options exclude each other.
    pub fn try_init(&self, device: &Device) -> Result<AnyLayer, ConfigError> {
        match self {
            Self::Recurrent(config) => config.try_init(device).map(AnyLayer::Recurrent),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(config) => config.try_init(device).map(AnyLayer::Scanned),
        }
    }
}

/// A layer of any kind. Made by [`AnyLayerConfig`].
#[derive(Clone, Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "a program has a few of them")]
pub enum AnyLayer {
    /// A cell that runs step by step.
    Recurrent(Recurrent<AnyCell>),
    /// A layer that runs as a scan.
    #[cfg(feature = "scanned-cells")]
    #[cfg_attr(docsrs, doc(cfg(feature = "scanned-cells")))]
    Scanned(AnyScanned),
}

one_of!(AnyLayer { Recurrent #[cfg(feature = "scanned-cells")] Scanned });

impl AnyLayer {
    /// The layer, if its cell runs step by step.
    pub fn recurrent(&self) -> Option<&Recurrent<AnyCell>> {
        match self {
            Self::Recurrent(layer) => Some(layer),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(_) => None,
        }
    }

    /// The same layer with a gradient probe, if its cell runs step by step; see
    /// [`Recurrent::with_gradient_probe`](crate::Recurrent::with_gradient_probe). A layer that runs as a scan has none, and
    /// stays as it is.
    pub fn with_gradient_probe(self, probe: Option<GradientProbe>) -> Self {
        match self {
            Self::Recurrent(layer) => Self::Recurrent(layer.with_gradient_probe(probe)),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(layer) => Self::Scanned(layer),
        }
    }

    /// The same layer with another kernel for the manual engine.
    pub fn with_kernel(self, kernel: Kernel) -> Self {
        match self {
            Self::Recurrent(layer) => Self::Recurrent(layer.with_kernel(kernel)),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(layer) => Self::Scanned(layer.with_kernel(kernel)),
        }
    }

    /// The engine that differentiates it.
    pub fn engine(&self) -> Engine {
        match self {
            Self::Recurrent(layer) => layer.engine(),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(layer) => layer.engine(),
        }
    }

    /// A state of zeros, the same as `None`.
    ///
    /// # Arguments
    ///
    /// - `batch`: `B`
    /// - `like`: a tensor with the device and the type for the state
    pub fn zero_state<const D: usize>(&self, batch: usize, like: &Tensor<D>) -> AnyState {
        match self {
            Self::Recurrent(layer) => layer.zero_state(batch, like),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(layer) => any(layer.zero_state(batch, like)),
        }
    }
}

#[cfg(feature = "scanned-cells")]
fn any(state: ScannedState) -> AnyState {
    AnyState::from_parts(state.hidden, None)
}

#[cfg(feature = "scanned-cells")]
fn scanned(state: AnyState) -> ScannedState {
    ScannedState::new(state.hidden)
}

/// Calls a method of the layer that returns outputs and a state.
macro_rules! forward {
    ($layer:expr, $state:expr, |$of:ident, $given:ident| $call:expr) => {
        match $layer {
            Self::Recurrent($of) => {
                let $given = $state;
                $call
            }
            #[cfg(feature = "scanned-cells")]
            Self::Scanned($of) => {
                let $given = $state.map(scanned);
                let (outputs, state) = $call;
                (outputs, any(state))
            }
        }
    };
}

impl RecurrentLayer for AnyLayer {
    type State = AnyState;

    fn forward(&self, input: Tensor<3>, state: Option<AnyState>) -> (Tensor<3>, AnyState) {
        forward!(self, state, |layer, state| layer.forward(input, state))
    }

    fn forward_lengths(
        &self,
        input: Tensor<3>,
        lengths: &[usize],
        state: Option<AnyState>,
    ) -> (Tensor<3>, AnyState) {
        forward!(self, state, |layer, state| layer.forward_lengths(input, lengths, state))
    }

    fn forward_masked(
        &self,
        input: Tensor<3>,
        mask: Tensor<2, Bool>,
        masked_output: MaskedOutput,
        state: Option<AnyState>,
    ) -> (Tensor<3>, AnyState) {
        forward!(self, state, |layer, state| {
            layer.forward_masked(input, mask, masked_output, state)
        })
    }

    fn forward_with(
        &self,
        input: Tensor<3>,
        options: &SequenceOptions<AnyState>,
        state: Option<AnyState>,
    ) -> (Tensor<3>, AnyState) {
        match self {
            Self::Recurrent(layer) => layer.forward_with(input, options, state),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(layer) => {
                let options = options.clone().map_state(scanned);
                let (outputs, state) = layer.forward_with(input, &options, state.map(scanned));
                (outputs, any(state))
            }
        }
    }

    fn step(&self, input: Tensor<2>, state: Option<AnyState>) -> (Tensor<2>, AnyState) {
        forward!(self, state, |layer, state| layer.step(input, state))
    }

    fn with_engine(self, engine: Engine) -> Self {
        match self {
            Self::Recurrent(layer) => Self::Recurrent(layer.with_engine(engine)),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(layer) => Self::Scanned(layer.with_engine(engine)),
        }
    }

    fn dtype(&self) -> DType {
        match self {
            Self::Recurrent(layer) => layer.dtype(),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(layer) => layer.dtype(),
        }
    }

    fn d_input(&self) -> usize {
        match self {
            Self::Recurrent(layer) => layer.d_input(),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(layer) => layer.d_input(),
        }
    }

    fn d_output(&self) -> usize {
        match self {
            Self::Recurrent(layer) => layer.d_output(),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(layer) => layer.d_output(),
        }
    }

    fn is_batch_first(&self) -> bool {
        match self {
            Self::Recurrent(layer) => layer.is_batch_first(),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(layer) => layer.is_batch_first(),
        }
    }

    fn is_bidirectional(&self) -> bool {
        match self {
            Self::Recurrent(layer) => layer.is_bidirectional(),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(layer) => layer.is_bidirectional(),
        }
    }

    fn output_is_hidden(&self) -> bool {
        match self {
            Self::Recurrent(layer) => layer.output_is_hidden(),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(layer) => layer.output_is_hidden(),
        }
    }
}
