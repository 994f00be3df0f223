//! `sharpness.jsonl`: the largest eigenvalue of the Hessian, while a run is trained.

use crate::error::Error;

use crate::optimizer::OptimizerKind;
use crate::random::{Purpose, generator};
use crate::settings::Settings;
use crate::task::Task;
use crate::vector::parameters;
use bptt::AnyCell;
use bptt_probe::device::is_host;
use bptt_probe::readout::{Batch, Readout};
use bptt_probe::spectrum::largest;
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::{DType, Device};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// The largest number of Hessian-vector products for one eigenvalue.
const STEPS: usize = 40;
/// An eigenvalue has converged if its residual is below this share of it. Its error is in proportion to the square.
const TOLERANCE: f64 = 1e-3;

/// The largest eigenvalue of the Hessian before a training step: a line of `sharpness.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SharpnessPoint {
    /// The number of training steps before this one.
    pub step: u64,
    /// The loss of the batch.
    pub loss: f64,
    /// The largest eigenvalue of its Hessian.
    pub sharpness: f64,
    /// An eigenvalue lies within this distance of it.
    pub sharpness_error: f64,
    /// `2 / lr`: gradient descent leaves a minimum that is sharper.
    pub two_over_lr: f64,
    /// With Adam, after its first step: the largest eigenvalue of the preconditioned Hessian.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preconditioned: Option<f64>,
    /// Up to which preconditioned sharpness Adam is stable: `38 / lr`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preconditioned_bound: Option<f64>,
}

/// Collects these points while a run is trained. The batch is always the same.
pub(crate) struct SharpnessLog {
    every: u64,
    optimizer: OptimizerKind,
    readout: Readout<AnyCell>,
    batch: [Batch; 1],
    /// Where Lanczos' method begins, always.
    start: Vec<f64>,
    points: Vec<SharpnessPoint>,
}

impl SharpnessLog {
    /// A log of each training step whose number is a multiple of `every`. `before`: the points of the run so far.
    ///
    /// # Errors
    ///
    /// If the task has no second derivatives.
    pub(crate) fn new<T: Task>(
        every: u64,
        before: Vec<SharpnessPoint>,
        task: &T,
        model: &T::Model,
        settings: &Settings,
        device: &Device,
    ) -> Result<Self, Error> {
        let parts = task.readout(model, device);
        let batch = task.training_batch(device);
        // A task without batches of its training has those of its validation.
        let parts = parts.and_then(|(readout, batches)| {
            Some((readout, batch.or_else(|| batches.into_iter().next())?))
        });
        let Some((readout, batch)) = parts else {
            return Err(Error::input(format!(
                "--probe sharpness: no second derivatives for the models of `{}`, which are not recurrent layers with \
                 one linear layer",
                T::NAME,
            )));
        };
        let dtype = if is_host(&settings.device) { DType::F64 } else { DType::F32 };
        let mut random = generator(settings.seed, Purpose::Sharpness, 0);
        let start = parameters(model).iter().map(|_| random.random_range(-1.0..1.0)).collect();
        Ok(Self {
            every,
            optimizer: settings.optimizer,
            readout: readout.cast(dtype),
            batch: [Batch { share: 1.0, ..batch }.cast(dtype)],
            start,
            points: before,
        })
    }

    /// Measures the model before a training step, if the step is one of those. Numbers that are not finite are no point.
    /// `lr` is the learning rate of the step.
    pub(crate) fn read<M: Module>(
        &mut self,
        step: u64,
        lr: f64,
        model: &M,
        optimizer: &ModuleOptimizer,
    ) -> Result<(), Error> {
        if !step.is_multiple_of(self.every) {
            return Ok(());
        }
        let readout = self.readout.clone().with_parameters(&parameters(model));
        let mut loss = f64::NAN;
        // Of `D H D` with a diagonal matrix `D`; `None`: the identity.
        let mut sharpest = |scale: Option<&[f64]>| {
            let scaled = |v: &[f64]| match scale {
                Some(scale) => v.iter().zip(scale).map(|(v, scale)| v * scale).collect(),
                None => v.to_vec(),
            };
            let mut is_finite = true;
            let mut product = |v: &[f64]| {
                let found = readout.any_derivatives(&self.batch, Some(&scaled(v)));
                loss = found.loss;
                is_finite &= found.product.iter().all(|x| x.is_finite());
                if is_finite { scaled(&found.product) } else { vec![0.0; v.len()] }
            };
            let pair = largest(&self.start, &mut product, STEPS, TOLERANCE);
            is_finite.then_some(pair)
        };
        let Some(plain) = sharpest(None) else { return Ok(()) };
        let scale = self.optimizer.preconditioner(optimizer)?;
        let scale = scale.map(|p| p.iter().map(|p| 1.0 / p.sqrt()).collect::<Vec<_>>());
        let preconditioned = scale.and_then(|scale| sharpest(Some(&scale)));
        self.points.push(SharpnessPoint {
            step,
            loss: rounded(loss),
            sharpness: rounded(plain.value),
            sharpness_error: rounded(plain.residual),
            two_over_lr: 2.0 / lr,
            preconditioned_bound: preconditioned.as_ref().map(|_| self.optimizer.bound(lr)),
            preconditioned: preconditioned.map(|pair| rounded(pair.value)),
        });
        Ok(())
    }

    pub(crate) fn points(&self) -> &[SharpnessPoint] {
        &self.points
    }
}

/// Five digits are enough for a picture. The order in which threads add up does not show in them.
fn rounded(number: f64) -> f64 {
    format!("{number:.4e}").parse().expect("it was a number")
}
