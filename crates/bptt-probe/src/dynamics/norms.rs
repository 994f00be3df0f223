//! Norms of products of Jacobians: how a gradient grows or vanishes on its way.

use crate::dynamics::matrix::{Matrix, dot};
use crate::dynamics::system::System;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

/// How many directions the mean is taken over.
const DIRECTIONS: usize = 32;

/// `log10 ‖u J_t … J_1‖` for `t = 0, 1, …, steps`, as a root mean square over random unit vectors `u`: what is left of a
/// random gradient after it flowed back over `t` steps, from a state on the attractor.
///
/// The mean square over all `u` is `‖J_t … J_1‖_F² / n`, and that over all `v` of `‖J_t … J_1 v‖²` is the same number.
/// So directions are moved forwards, 32 of them, which gives it to some 10 %.
///
/// `time` is the time of the first step.
pub fn jacobian_norms(
    system: &mut dyn System,
    time: usize,
    state: &[f64],
    steps: usize,
    seed: u64,
) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut bundle = Matrix::from_fn(1 + DIRECTIONS, state.len(), |row, column| match row {
        0 => state[column],
        _ => StandardNormal.sample(&mut rng),
    });
    rescale(&mut bundle);
    let mut log = 0.0;
    let mut norms = vec![log];
    for step in 0..steps {
        system.step(time + step, &mut bundle);
        log += rescale(&mut bundle);
        norms.push(log);
    }
    norms
}

/// Divides all directions by the root mean square of their norms, and returns its log10. So no product gets too large
/// or too small for a number.
fn rescale(bundle: &mut Matrix) -> f64 {
    let directions = 1..bundle.rows();
    let square = directions.clone().map(|row| dot(bundle.row(row), bundle.row(row))).sum::<f64>();
    let norm = (square / directions.len() as f64).sqrt();
    if norm > 0.0 {
        directions.for_each(|row| bundle.row_mut(row).iter_mut().for_each(|x| *x /= norm));
    }
    norm.log10()
}
