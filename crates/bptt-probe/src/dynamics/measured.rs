//! What is measured of a random network, whatever its weights are.

use crate::dynamics::eigen::eigenvalues;
use crate::dynamics::lyapunov::{Settings, Spectrum, lyapunov};
use crate::dynamics::matrix::Matrix;
use crate::dynamics::norms::jacobian_norms;
use crate::dynamics::recurrent::Network;
use crate::dynamics::system::{System, jacobian};
use burn::tensor::Device;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

/// States of more numbers than this have no eigenvalues and singular values in the report: they would take longer than
/// the spectrum.
pub const LARGEST_JACOBIAN: usize = 2000;

/// Over how many steps the norms of products of Jacobians are followed.
const NORM_STEPS: usize = 200;

/// What was measured.
pub(super) struct Measured {
    pub(super) spectrum: Spectrum,
    /// The Jacobian at the last state, and its eigenvalues, the largest first; of states of at most
    /// [`LARGEST_JACOBIAN`] numbers.
    pub(super) jacobian: Option<Matrix>,
    pub(super) eigenvalues: Option<Vec<(f64, f64)>>,
    /// See [`jacobian_norms`]; from the last state on.
    pub(super) log10_jacobian_norms: Vec<f64>,
}

/// Measures a network without input from a random initial state on. The seed of the settings is that of the weights: the
/// state and the directions are drawn by seeds of their own, so that they do not repeat the weights.
pub(super) fn measure(
    network: &mut Network,
    settings: &Settings,
    device: &Device,
    progress: &mut dyn FnMut(usize),
) -> Result<Measured, String> {
    let mut rng = StdRng::seed_from_u64(settings.seed ^ 0x5354_4154_4500_0000);
    let state: Vec<f64> = (0..network.size()).map(|_| StandardNormal.sample(&mut rng)).collect();
    let settings = Settings { seed: settings.seed ^ 0x4449_5245_4354_0000, ..settings.clone() };
    let spectrum = lyapunov(network, &state, &settings, device, progress)?;
    let (total, formed) = (settings.steps(), network.size() <= LARGEST_JACOBIAN);
    let jacobian = formed.then(|| jacobian(network, total, &spectrum.state));
    let eigenvalues = jacobian.as_ref().map(eigenvalues).transpose()?;
    let steps = NORM_STEPS.min(settings.time);
    let log10_jacobian_norms =
        jacobian_norms(network, total, &spectrum.state, steps, settings.seed);
    Ok(Measured { spectrum, jacobian, eigenvalues, log10_jacobian_norms })
}
