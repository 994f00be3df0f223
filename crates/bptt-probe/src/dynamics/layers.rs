//! A glance at the Jacobians of each layer, cheap enough to be taken while a model is trained.

use crate::dynamics::eigen::eigenvalues;
use crate::dynamics::matrix::{Matrix, dot};
use crate::dynamics::recurrent::Network;
use crate::dynamics::singular::singular_values;
use crate::dynamics::system::{System, jacobian};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

/// Over how many directions of a layer the norm of the product is taken.
const DIRECTIONS: usize = 8;

/// How large the Jacobians of one layer are along a sequence, `∂s_t / ∂s_{t-1}` of the layer's own state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerJacobians {
    /// The largest modulus of the eigenvalues, of the step in the middle.
    pub spectral_radius: f64,
    /// The largest singular value, of the same step.
    pub largest_singular_value: f64,
    /// `log10 ‖J_T ⋯ J_1 u‖` over all steps, as a root mean square over 8 random unit vectors `u`. It is known to some
    /// 0.1.
    pub log10_product_norm: f64,
}

/// Looks at the Jacobians of each layer, along so many steps of the network's input from a state of zeros on. The random
/// vectors are the same in every call.
///
/// # Errors
///
/// One line, if the network does not stay finite.
pub fn layer_jacobians(network: &mut Network, steps: usize) -> Result<Vec<LayerJacobians>, String> {
    let (size, parts) = (network.size(), network.parts());
    let mut rng = StdRng::seed_from_u64(1);
    let part_of = |row: usize| &parts[(row - 1) / DIRECTIONS];
    let mut bundle = Matrix::from_fn(1 + DIRECTIONS * parts.len(), size, |row, column| match row {
        0 => 0.0,
        _ if part_of(row).contains(&column) => StandardNormal.sample(&mut rng),
        _ => 0.0,
    });
    let mut logs = vec![0.0; parts.len()];
    rescale(&mut bundle, &parts, &mut vec![0.0; parts.len()]);
    let mut middle = bundle.row(0).to_vec();
    for step in 0..steps {
        if step == steps / 2 {
            middle = bundle.row(0).to_vec();
        }
        network.step(step, &mut bundle);
        rescale(&mut bundle, &parts, &mut logs);
    }
    let whole = jacobian(network, steps / 2, &middle);
    let blocks = network.own_blocks(&whole).into_iter().zip(logs);
    let of = |(block, log): (Matrix, f64)| {
        let (re, im) = eigenvalues(&block)?[0];
        Ok(LayerJacobians {
            spectral_radius: re.hypot(im),
            largest_singular_value: singular_values(&block)?[0],
            log10_product_norm: log,
        })
    };
    blocks.map(of).collect()
}

/// Keeps of each direction the part of its own layer, divides those of a layer by the root mean square of their norms,
/// and adds the logarithm of it.
fn rescale(bundle: &mut Matrix, parts: &[std::ops::Range<usize>], logs: &mut [f64]) {
    for (l, (part, log)) in parts.iter().zip(logs).enumerate() {
        let rows = 1 + l * DIRECTIONS..1 + (l + 1) * DIRECTIONS;
        let square = |row| {
            let own = &bundle.row(row)[part.clone()];
            dot(own, own)
        };
        let norm = (rows.clone().map(square).sum::<f64>() / DIRECTIONS as f64).sqrt();
        *log += norm.log10();
        let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
        for row in rows {
            let row = bundle.row_mut(row);
            row[..part.start].fill(0.0);
            row[part.end..].fill(0.0);
            row[part.clone()].iter_mut().for_each(|x| *x *= scale);
        }
    }
}
