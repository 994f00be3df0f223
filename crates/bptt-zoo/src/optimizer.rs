//! The optimisers.

use crate::error::Error;
use crate::store::second_moments;
use burn::optim::{AdamConfig, ModuleOptimizer, SgdConfig};
use serde::{Deserialize, Serialize};

/// Adam's decay of the mean of the gradient.
const BETA_1: f64 = 0.9;
/// Adam's decay of the mean of its square.
const BETA_2: f64 = 0.999;
/// Burn's default, 1e-5, is large compared with the gradients of long sequences.
const EPSILON: f64 = 1e-8;

/// How parameters follow their gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam: each parameter has a step size of its own.
    ///
    /// D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    #[default]
    Adam,
    /// Plain gradient descent, without momentum.
    Sgd,
}

impl OptimizerKind {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adam => "adam",
            Self::Sgd => "sgd",
        }
    }

    pub(crate) fn init(self) -> ModuleOptimizer {
        match self {
            Self::Adam => AdamConfig::new()
                .with_beta_1(BETA_1 as f32)
                .with_beta_2(BETA_2 as f32)
                .with_epsilon(EPSILON as f32)
                .init(),
            Self::Sgd => SgdConfig::new().init(),
        }
    }

    /// Up to which sharpness it is stable on a quadratic: `2 / lr` for the Hessian with plain gradient descent, and for the
    /// preconditioned Hessian `(2 + 2 β₁) / ((1 - β₁) lr)` with Adam, `38 / lr`.
    ///
    /// J. Cohen, B. Ghorbani, S. Krishnan and others, "Adaptive gradient methods at the edge of stability",
    /// arXiv:2207.14484, 2022.
    pub(crate) fn bound(self, lr: f64) -> f64 {
        match self {
            Self::Adam => (2.0 + 2.0 * BETA_1) / ((1.0 - BETA_1) * lr),
            Self::Sgd => 2.0 / lr,
        }
    }

    /// Adam's preconditioner after `t` steps, `(1 - β₁ᵗ) (√(v / (1 - β₂ᵗ)) + ε)`, a number for each parameter in the order
    /// of the module. Adam divides by it. `None` before the first step, and for plain gradient descent.
    pub(crate) fn preconditioner(self, of: &ModuleOptimizer) -> Result<Option<Vec<f64>>, Error> {
        if self == Self::Sgd {
            return Ok(None);
        }
        let moments = second_moments(of.to_record()).map_err(|why| {
            Error::input(format!("cannot read the state of the optimiser: {why}"))
        })?;
        Ok(moments.map(|(time, moments)| {
            let [first, second] = [BETA_1, BETA_2].map(|beta| 1.0 - beta.powf(time));
            moments.iter().map(|v| first * ((v / second).sqrt() + EPSILON)).collect()
        }))
    }
}
