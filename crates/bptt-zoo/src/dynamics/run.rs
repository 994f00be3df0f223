//! Measures the dynamics of a run.

use crate::dynamics::curvature::Curvature;
use crate::dynamics::fixed_points::FixedPoints;
use crate::dynamics::gates::Holding;
use crate::dynamics::gradients::GradientsThroughTime;
use crate::dynamics::jacobians::Jacobians;
use crate::dynamics::options::{DynamicsOptions, DynamicsProgress};
use crate::dynamics::result::{Head, RunDynamics};
use crate::dynamics::spectrum::DrivenSpectrum;
use crate::dynamics::trained::Trained;
use crate::dynamics::truncation;
use crate::error::Error;
use crate::folder::RunFolder;
use crate::task::Task;
use burn::tensor::Device;

/// Measures the dynamics of the run in a folder. See [`dynamics`](crate::dynamics()).
pub(crate) fn dynamics_of<T: Task>(
    folder: &RunFolder,
    options: &DynamicsOptions,
    device: &Device,
    progress: &mut dyn FnMut(DynamicsProgress),
) -> Result<RunDynamics, Error> {
    options.check()?;
    let trained = Trained::load::<T>(folder, device)?;
    let Head { cell, state_size } = Head::of(&trained)?;
    Ok(RunDynamics {
        run: trained.run.clone(),
        task: trained.task,
        cell,
        layers: trained.settings.layers,
        hidden: trained.settings.hidden,
        state_size,
        seed: options.seed,
        loss_name: trained.loss_name,
        loss: trained.scores.loss,
        metric_name: trained.metric_name,
        metric: trained.scores.metric,
        gradients: GradientsThroughTime::measure(&trained, progress)?,
        jacobians: Jacobians::measure(&trained, progress)?,
        holding: Holding::measure(&trained, progress)?,
        spectrum: DrivenSpectrum::measure(&trained, options, progress)?,
        curvature: Curvature::measure(&trained, options, progress),
        fixed_points: match options.fixed_points {
            Some(starts) => Some(FixedPoints::measure(&trained, starts, options, progress)?),
            None => None,
        },
        truncation: match options.truncation {
            true => Some(truncation::measure(&trained, progress)?),
            false => None,
        },
    })
}
