//! The noise of a layer, for its users.

use crate::any_layer::AnyLayer;
use crate::cell::SequenceCell;
use crate::layer_noise::LayerNoise;
use crate::recurrent::Recurrent;
use crate::recurrent_noise::RecurrentNoise;
use bptt_kernels::StepNoise;

impl<C: SequenceCell> Recurrent<C> {
    /// The layer's noise; `None` if it has none.
    pub fn noise(&self) -> Option<RecurrentNoise> {
        self.noise.as_ref().map(|layer| layer.noise)
    }

    /// The same layer with its noise drawn from another seed, from the first sequence on. A program that sets it before
    /// each training step, from the number of the step, can be interrupted and resumed.
    pub fn with_noise_seed(mut self, seed: u64) -> Self {
        self.noise = self.noise.map(|layer| LayerNoise::new(layer.noise.with_seed(seed)));
        self
    }

    /// What the layer does around its steps in evaluation, for programs that run its cell by themselves: the expectation
    /// of zoneout. `None`: nothing.
    pub fn evaluation_noise(&self) -> Option<StepNoise> {
        self.noise.as_ref()?.next(false).steps(0, [0, 0], [0, 0])
    }
}

impl AnyLayer {
    /// The same layer with its noise drawn from another seed; see
    /// [`Recurrent::with_noise_seed`](crate::Recurrent::with_noise_seed). A layer that runs as a scan has no noise, and
    /// stays as it is.
    pub fn with_noise_seed(self, seed: u64) -> Self {
        match self {
            Self::Recurrent(layer) => Self::Recurrent(layer.with_noise_seed(seed)),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(layer) => Self::Scanned(layer),
        }
    }
}
