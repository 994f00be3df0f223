//! Both ends of the spectrum of the Hessian. `bptt landscape` shows what lies between them.

use crate::dynamics::options::{DynamicsOptions, DynamicsProgress};
use crate::dynamics::section::Section;
use crate::dynamics::trained::Trained;
use crate::figure::figure;
use crate::random::{Purpose, generator};
use bptt::available_memory;
use bptt_probe::picture::Figure;
use bptt_probe::readout::Batch;
use bptt_probe::spectrum::{EndOptions, Ends, ends};
use rand::RngExt;
use serde::Serialize;

/// The largest number of Hessian-vector products.
const PRODUCTS: usize = 40;
/// Batches are taken until they have so many steps,
const STEPS: usize = 1 << 14;
/// or so many steps times parameters: a product takes some twenty operations for each.
const WORK: usize = 2_000_000_000;

/// The largest and the smallest eigenvalue of the Hessian of the loss, at the trained model. Not for models whose Krylov
/// space does not fit the memory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curvature {
    /// The largest eigenvalue.
    pub hessian_max: f64,
    /// An eigenvalue is within this distance of `hessian_max`.
    pub hessian_max_error: f64,
    /// The smallest eigenvalue.
    pub hessian_min: f64,
    /// An eigenvalue is within this distance of `hessian_min`.
    pub hessian_min_error: f64,
    /// Whether both have converged.
    pub hessian_converged: bool,
    /// A lower bound of `max |λ| / min |λ|`.
    pub condition: f64,
    /// The share of the validation data that they are of: its first batches.
    pub hessian_share: f64,
    /// How many Hessian-vector products there were.
    pub hessian_products: usize,
}

impl Curvature {
    pub(super) fn measure(
        trained: &Trained,
        options: &DynamicsOptions,
        progress: &mut dyn FnMut(DynamicsProgress),
    ) -> Option<Self> {
        let count = trained.readout.parameters().len();
        let bytes = (count * size_of::<f64>()) as u128 * (PRODUCTS + 4) as u128;
        if available_memory(bytes).is_some_and(|there| (there as u128) < bytes) {
            return None;
        }
        let (batches, share) = first(&trained.batches, count);
        let mut random = generator(options.seed, Purpose::Landscape, 0);
        let start: Vec<f64> = (0..count).map(|_| random.random_range(-1.0..1.0)).collect();
        let mut done = 0;
        let mut product = |v: &[f64]| {
            let product = trained.readout.any_derivatives(&batches, Some(v)).product;
            done += 1;
            progress(DynamicsProgress { stage: "curvature", done, total: PRODUCTS });
            product
        };
        let how = EndOptions { steps: PRODUCTS, top: 1, wanted: 1, ..EndOptions::default() };
        let Ends { top, bottom, condition, converged, steps } = ends(&start, &mut product, &how);
        Some(Self {
            hessian_max: top[0].value,
            hessian_max_error: top[0].residual,
            hessian_min: bottom.value,
            hessian_min_error: bottom.residual,
            hessian_converged: converged,
            condition,
            hessian_share: share,
            hessian_products: steps,
        })
    }
}

/// The first batches, as far as a product with them is quick.
fn first(all: &[Batch], parameters: usize) -> (Vec<Batch>, f64) {
    let most = STEPS.min(WORK / parameters.max(1));
    let mut steps = 0;
    let is_wanted = |batch: &&Batch| {
        let wanted = steps == 0 || steps < most;
        steps += batch.steps();
        wanted
    };
    let count = all.iter().take_while(is_wanted).count();
    Batch::first(all.to_vec(), count)
}

impl Section for Curvature {
    fn lines(&self) -> Vec<String> {
        let of = match self.hessian_share < 1.0 {
            true => format!(", on {:.0} % of the data", 100.0 * self.hessian_share),
            false => String::new(),
        };
        let within = |value: f64, error: f64| format!("{} ± {error:.1e}", figure(value));
        vec![format!(
            "Hessian           eigenvalues from {} to {}, condition {:.1e} or more{of}",
            within(self.hessian_min, self.hessian_min_error),
            within(self.hessian_max, self.hessian_max_error),
            self.condition,
        )]
    }

    fn figures(_: &[(&str, &Self)]) -> Vec<Figure> {
        Vec::new()
    }
}
