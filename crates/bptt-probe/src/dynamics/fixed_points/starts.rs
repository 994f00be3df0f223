//! Where the search begins, and how far apart the visited states are.

use crate::dynamics::fixed_points::settings::Settings;
use crate::dynamics::matrix::Matrix;
use rand::rngs::StdRng;
use rand::seq::index::sample;
use rand::{RngExt, SeedableRng};

/// The states from which `q` is minimised: visited ones, and as many between two of these.
pub(super) fn starts(visited: &Matrix, settings: &Settings) -> Vec<Vec<f64>> {
    let mut random = StdRng::seed_from_u64(settings.seed);
    let count = settings.starts.div_ceil(2).min(visited.rows());
    let rows = sample(&mut random, visited.rows(), count);
    let mut all: Vec<_> = rows.into_iter().map(|row| visited.row(row).to_vec()).collect();
    while all.len() < settings.starts {
        let [a, b] = [0; 2].map(|_| visited.row(random.random_range(0..visited.rows())));
        let share = random.random_range(0.0..1.0);
        all.push(a.iter().zip(b).map(|(a, b)| a + share * (b - a)).collect());
    }
    all
}

/// The root mean square of the rows' distances from their mean; 1 if they are all the same.
pub(super) fn spread(rows: &Matrix) -> f64 {
    let mean = rows.mean_row();
    let squares = (0..rows.rows()).map(|row| distance(rows.row(row), &mean).powi(2));
    let spread = (squares.sum::<f64>() / rows.rows() as f64).sqrt();
    if spread > 0.0 { spread } else { 1.0 }
}

/// The distance of a state from the nearest row.
pub(super) fn nearest(rows: &Matrix, state: &[f64]) -> f64 {
    (0..rows.rows()).map(|row| distance(rows.row(row), state)).fold(f64::INFINITY, f64::min)
}

/// Euclid's.
pub(super) fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}
