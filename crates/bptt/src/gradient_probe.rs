//! Gradients through time: how large the gradient of the state is at every step.

use bptt_kernels::{GradientObserver, StateGradientNorms};
use std::sync::{Arc, Mutex, PoisonError};

/// Collects the norms of the gradient of the state, at every step of every layer, as the backward pass of the manual
/// engine computes them. A clone collects into the same list.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::{GradientProbe, RnnConfig};
/// use burn::tensor::{Device, Distribution, Tensor};
///
/// let device = Device::flex().autodiff();
/// let probe = GradientProbe::default();
/// let rnn = RnnConfig::new(3, 16).init(&device).with_gradient_probe(Some(probe.clone()));
///
/// let input = Tensor::<3>::random([2, 50, 3], Distribution::Default, &device);
/// let (_, state) = rnn.forward(input, None);
/// let _ = state.hidden.sum().backward();
///
/// // A loss at the end: what of it arrives at the first step?
/// let norms = &probe.take()[0].norms;
/// assert!(norms.hidden[0] < norms.hidden[49]);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct GradientProbe {
    all: Arc<Mutex<Vec<StateGradients>>>,
}

/// The norms of one backward pass of one layer in one direction.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StateGradients {
    /// The layer, counted from the input.
    pub layer: usize,
    /// The direction: 0, and 1 for the backward direction of a bidirectional layer.
    pub direction: usize,
    /// The norms, step by step in the order of time.
    pub norms: StateGradientNorms,
}

impl GradientProbe {
    /// What was collected since the last call, in the order in which the backward passes ran: the last layer first.
    pub fn take(&self) -> Vec<StateGradients> {
        std::mem::take(&mut *self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The observer of one layer in one direction.
    pub(crate) fn of(&self, layer: usize, direction: usize) -> Arc<dyn GradientObserver> {
        Arc::new(Part { probe: self.clone(), layer, direction })
    }
}

/// The probe for one layer in one direction.
#[derive(Debug)]
struct Part {
    probe: GradientProbe,
    layer: usize,
    direction: usize,
}

impl GradientObserver for Part {
    fn observe(&self, norms: StateGradientNorms) {
        let Self { probe, layer, direction } = self;
        let found = StateGradients { layer: *layer, direction: *direction, norms };
        probe.all.lock().unwrap_or_else(PoisonError::into_inner).push(found);
    }
}
