//! What was found.

use crate::dynamics::curvature::Curvature;
use crate::dynamics::fixed_points::FixedPoints;
use crate::dynamics::gates::Holding;
use crate::dynamics::gradients::GradientsThroughTime;
use crate::dynamics::jacobians::Jacobians;
use crate::dynamics::section::Section;
use crate::dynamics::spectrum::DrivenSpectrum;
use crate::dynamics::trained::Trained;
use crate::figure::figure;
use bptt_probe::dynamics::System;
use bptt_probe::truncation::Truncation;
use serde::Serialize;

/// The dynamics of a trained run. It serialises to the fields of `bptt dynamics --run --json`, those of the sections
/// among them. Numbers that are not finite are `null` there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunDynamics {
    /// The run folder.
    pub run: String,
    /// The task's name.
    pub task: &'static str,
    /// The cell's name.
    pub cell: &'static str,
    /// The number of layers.
    pub layers: usize,
    /// The number of hidden units of a layer.
    pub hidden: usize,
    /// The number of numbers of the state: hidden units and memories of all layers.
    pub state_size: usize,
    /// The seed of all random numbers.
    pub seed: u64,
    /// What the loss is, with its unit.
    pub loss_name: &'static str,
    /// The loss of the run's model on its validation data.
    pub loss: f64,
    /// What the metric is.
    pub metric_name: &'static str,
    /// The metric on the same data.
    pub metric: f64,
    /// Gradients through time.
    #[serde(flatten)]
    pub gradients: GradientsThroughTime,
    /// Lyapunov exponents.
    #[serde(flatten)]
    pub spectrum: DrivenSpectrum,
    /// Jacobians; not for states of more than 2000 numbers.
    #[serde(flatten)]
    pub jacobians: Option<Jacobians>,
    /// How long units hold what they have, and their gates.
    #[serde(flatten)]
    pub holding: Holding,
    /// The ends of the Hessian's spectrum; not for models whose Krylov space does not fit the memory.
    #[serde(flatten)]
    pub curvature: Option<Curvature>,
    /// Fixed points and slow points, if they were wanted.
    #[serde(flatten)]
    pub fixed_points: Option<FixedPoints>,
    /// Truncated gradients.
    #[serde(flatten)]
    pub truncation: Option<Truncation>,
}

/// What is known of a run without a measurement.
pub(super) struct Head {
    pub(super) cell: &'static str,
    pub(super) state_size: usize,
}

impl Head {
    pub(super) fn of(trained: &Trained) -> Result<Self, crate::error::Error> {
        let state_size = trained.network(None)?.size();
        Ok(Self { cell: trained.settings.cell.name(), state_size })
    }
}

impl RunDynamics {
    /// A summary for the terminal.
    pub fn summary(&self) -> String {
        let Self { run, task, cell, layers, hidden, loss, loss_name, .. } = self;
        let mut lines = vec![format!(
            "{run}: {task} {cell}, {layers} x {hidden}, validation loss {} {loss_name}",
            figure(*loss)
        )];
        lines.extend(self.gradients.lines());
        lines.extend(self.spectrum.lines());
        lines.extend(self.jacobians.iter().flat_map(Section::lines));
        lines.extend(self.holding.lines());
        lines.extend(self.curvature.iter().flat_map(Section::lines));
        lines.extend(self.fixed_points.iter().flat_map(Section::lines));
        lines.extend(self.truncation.iter().flat_map(Section::lines));
        lines.join("\n").replace("-inf", "−∞")
    }
}
