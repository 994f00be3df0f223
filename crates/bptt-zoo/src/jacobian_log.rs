//! `jacobians.jsonl`: how large the Jacobians of each layer are along a validation sequence, while a run is trained.

use crate::error::Error;
use crate::gradient_log::rounded;
use crate::settings::Settings;
use crate::task::{SequenceModel, Task};
use bptt_probe::device;
use bptt_probe::dynamics::{LayerJacobians, Network, layer_jacobians};
use bptt_probe::readout::Input;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// How large the Jacobians of one layer are after some training steps: a line of `jacobians.jsonl`. See
/// [`LayerJacobians`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JacobianPoint {
    /// The number of training steps before.
    pub step: u64,
    /// The layer, counted from the input.
    pub layer: usize,
    /// Of the Jacobian of the step in the middle of the sequence.
    pub spectral_radius: f64,
    /// Of the same Jacobian.
    pub largest_singular_value: f64,
    /// `log10` of what a random gradient is multiplied with over the whole sequence, as a root mean square; `None`: 0.
    pub log10_product_norm: Option<f64>,
}

/// Collects these points while a run is trained.
#[derive(Debug)]
pub(crate) struct JacobianLog {
    every: u64,
    /// In host memory, where there is f64.
    device: Device,
    input: Input,
    /// The row of the input that is followed, and how many steps it has.
    row: usize,
    time: usize,
    points: Vec<JacobianPoint>,
}

impl JacobianLog {
    /// A log of each training step whose number is a multiple of `every`, along one sequence of the first validation batch.
    /// `before`: the points of the run so far.
    pub(crate) fn new<T: Task>(
        every: u64,
        before: Vec<JacobianPoint>,
        task: &T,
        model: &T::Model,
        settings: &Settings,
        device: &Device,
    ) -> Result<Self, Error> {
        let refused = |why: String| Error::input(format!("--probe jacobians: {why}"));
        let own = Some(settings.device.as_str()).filter(|name| device::is_host(name));
        let name = own.unwrap_or_else(|| device::default_name());
        if !device::is_host(name) {
            return Err(refused(
                "needs f64 in host memory, and this build has neither flex nor ndarray".into(),
            ));
        }
        let host = device::open(name).map_err(refused)?;
        let none = || refused(format!("`{}` has no recurrent layers to look at", T::NAME));
        let (_, batches) = task.readout(model, device).ok_or_else(none)?;
        let batch = batches.into_iter().next().ok_or_else(none)?;
        let (recurrent, read) = model.driven(&batch.input).ok_or_else(none)?;
        Network::new(recurrent, None, &host).map_err(refused)?;
        let [_, time, _] = read.dims();
        let lengths = batch.lengths.unwrap_or_default();
        let (row, time) = lengths
            .into_iter()
            .enumerate()
            .max_by_key(|(row, length)| (*length, usize::MAX - row))
            .unwrap_or((0, time));
        Ok(Self { every, device: host, input: batch.input, row, time, points: before })
    }

    /// Whether a training step is one of those.
    pub(crate) fn is_due(&self, step: u64) -> bool {
        step.is_multiple_of(self.every)
    }

    /// Reads a model before a training step. A model whose numbers are not finite has no Jacobians; training ends at such
    /// a one anyway.
    pub(crate) fn read(&mut self, step: u64, model: &impl SequenceModel) {
        let Some((recurrent, read)) = model.driven(&self.input) else { return };
        let [_, _, width] = read.dims();
        let read = read.slice([self.row..self.row + 1, 0..self.time, 0..width]);
        let read = read.reshape([self.time, width]);
        let network = Network::new(recurrent, Some(read), &self.device);
        let found = network.and_then(|mut network| layer_jacobians(&mut network, self.time));
        for (layer, found) in found.into_iter().flatten().enumerate() {
            let LayerJacobians { spectral_radius, largest_singular_value, log10_product_norm } =
                found;
            let is_finite = log10_product_norm.is_finite();
            self.points.push(JacobianPoint {
                step,
                layer,
                spectral_radius: rounded(spectral_radius),
                largest_singular_value: rounded(largest_singular_value),
                log10_product_norm: is_finite.then(|| rounded(log10_product_norm)),
            });
        }
    }

    pub(crate) fn points(&self) -> &[JacobianPoint] {
        &self.points
    }
}
