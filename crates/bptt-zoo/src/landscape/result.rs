//! What was found.

use crate::sharpness_log::SharpnessPoint;
use bptt_probe::landscape::Surface;
use serde::Serialize;

/// The loss around a trained run, and its curvature. It serialises to the fields of `bptt landscape --json`. Numbers that
/// are not finite are `null` there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Landscape {
    /// The run folder.
    pub run: String,
    /// The task's name.
    pub task: &'static str,
    /// The cell's name.
    pub cell: &'static str,
    /// The number of trained parameters.
    pub parameters: usize,
    /// The seed of all random numbers.
    pub seed: u64,
    /// What the loss is, with its unit.
    pub loss_name: &'static str,
    /// The loss of the run's model on all of its validation data.
    pub loss: f64,
    /// The share of the validation data that the curvature is of.
    pub share: f64,
    /// The loss on that share.
    pub curvature_loss: f64,
    /// `‖g‖`
    pub gradient_norm: f64,
    /// The largest eigenvalue of the Hessian.
    pub hessian_max: f64,
    /// An eigenvalue is within this distance of `hessian_max`.
    pub hessian_max_error: f64,
    /// The smallest eigenvalue of the Hessian.
    pub hessian_min: f64,
    /// An eigenvalue is within this distance of `hessian_min`.
    pub hessian_min_error: f64,
    /// Whether both have converged, and the second largest value.
    pub converged: bool,
    /// A lower bound of `max |λ| / min |λ|`.
    pub condition: f64,
    /// The sum of all eigenvalues; `None` without probes.
    pub trace: Option<f64>,
    /// Its standard error.
    pub trace_error: Option<f64>,
    /// The largest eigenvalues, the largest first.
    pub top_eigenvalues: Vec<f64>,
    /// An eigenvalue is within this distance of each.
    pub top_errors: Vec<f64>,
    /// The share of `‖g‖²` along the eigenvector of each.
    pub gradient_alignment: Vec<f64>,
    /// The distribution of the eigenvalues; `None` without probes.
    pub density: Option<DensityCurve>,
    /// The learning rate of the run.
    pub lr: f64,
    /// `2 / lr`: plain gradient descent with this rate leaves a minimum whose `hessian_max` is above.
    pub two_over_lr: f64,
    /// How many Hessian-vector products there were.
    pub products: usize,
    /// Where the loss was evaluated: `random`, `eigenvectors`, `runs` or `through`.
    pub plane: &'static str,
    /// The loss on a plane.
    pub surface: Option<Surface>,
    /// The three points through which a plane goes.
    pub points: Option<Vec<PlanePoint>>,
    /// The loss along the line to another run.
    pub line: Option<LineBetween>,
    /// The sharpness along the training, if the run had this probe.
    pub sharpness: Vec<SharpnessPoint>,
}

/// A model on a plane.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanePoint {
    /// The folder of the run or of the checkpoint.
    pub run: String,
    /// Its place along the first axis.
    pub x: f64,
    /// Its place along the second axis.
    pub y: f64,
    /// Its loss, on the data of the first.
    pub loss: f64,
}

/// The density of the eigenvalues, `1/n Σ δ(λ - λᵢ)`, where each is widened to a Gaussian.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DensityCurve {
    /// The places.
    pub eigenvalue: Vec<f64>,
    /// The density at each place. Its integral is 1.
    pub density: Vec<f64>,
    /// The density as points: the eigenvalues that are known, and those of the quadrature, in ascending order.
    pub points: Vec<f64>,
    /// The weight of each point. Their sum is 1.
    pub weights: Vec<f64>,
    /// The standard deviation of the Gaussians.
    pub sigma: f64,
    /// The probes.
    pub probes: usize,
    /// The steps of each.
    pub steps: usize,
}

/// The loss along the line from one run to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LineBetween {
    /// The folder of the other run.
    pub to: String,
    /// The loss of the other run's model, on the data of the first.
    pub to_loss: f64,
    /// The Euclidean distance of the parameters.
    pub distance: f64,
    /// The places: 0 is the run, and 1 the other run.
    pub t: Vec<f64>,
    /// The loss at each place.
    pub loss: Vec<f64>,
    /// How far the loss between them rises above the straight line from one end's loss to the other's.
    pub barrier: f64,
}
