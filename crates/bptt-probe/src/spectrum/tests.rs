//! Matrices whose spectrum is known.

use crate::spectrum::density::{density, trace};
use crate::spectrum::lanczos::{EndOptions, alignment, ends, largest};
use crate::spectrum::vector::{dot, norm};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

fn normal(size: usize, rng: &mut StdRng) -> Vec<f64> {
    (0..size).map(|_| StandardNormal.sample(rng)).collect()
}

/// The reflection that turns a diagonal matrix into one with all entries: `Q = I - 2 u uᵀ`.
fn reflected(u: &[f64], v: &[f64]) -> Vec<f64> {
    let along = 2.0 * dot(u, v);
    v.iter().zip(u).map(|(v, u)| v - along * u).collect()
}

/// The product of `Q diag(values) Q`.
fn rotated(values: &[f64], seed: u64) -> impl Fn(&[f64]) -> Vec<f64> {
    let mut u = normal(values.len(), &mut StdRng::seed_from_u64(seed));
    let length = norm(&u);
    u.iter_mut().for_each(|x| *x /= length);
    let values = values.to_vec();
    move |v| {
        let inner: Vec<f64> = reflected(&u, v).iter().zip(&values).map(|(v, d)| v * d).collect();
        reflected(&u, &inner)
    }
}

#[test]
fn ends_of_a_known_spectrum_are_found_within_their_residuals() {
    // A bulk around zero, and a few values outside of it, as in a trained network.
    let mut values: Vec<f64> = (0..400).map(|k| (k as f64 - 200.0) / 1000.0).collect();
    values.extend([3.0, 5.0, 9.0, -2.0]);
    let product = rotated(&values, 1);
    let start = normal(values.len(), &mut StdRng::seed_from_u64(2));
    let found = ends(&start, &mut |v| product(v), &EndOptions::default());
    assert!(found.converged && found.steps < 60, "{} steps", found.steps);
    for (pair, expected) in found.top.iter().zip([9.0, 5.0]) {
        assert!((pair.value - expected).abs() <= pair.residual.max(1e-12), "{}", pair.value);
        assert!(pair.residual <= 9e-6);
        // The residual that is reported is the true one.
        let image = product(&pair.vector);
        let off = image.iter().zip(&pair.vector).map(|(a, v)| a - pair.value * v);
        let off = norm(&off.collect::<Vec<_>>());
        assert!((off - pair.residual).abs() < 1e-11, "{off:e} {:e}", pair.residual);
    }
    assert!((found.bottom.value + 2.0).abs() <= found.bottom.residual.max(1e-12));
    // The matrix is singular: it has the eigenvalue 0, so that every finite bound holds.
    assert!(found.condition > 9.0 / 0.2, "{}", found.condition);
}

#[test]
fn the_largest_alone_takes_few_products() {
    // The smallest value is larger in size, and is not what is wanted.
    let mut values: Vec<f64> = (0..400).map(|k| (k as f64 - 200.0) / 1000.0).collect();
    values.extend([3.0, 5.0, 9.0, -20.0]);
    let product = rotated(&values, 1);
    let start = normal(values.len(), &mut StdRng::seed_from_u64(2));
    let mut count = 0;
    let mut counted = |v: &[f64]| {
        count += 1;
        product(v)
    };
    let found = largest(&start, &mut counted, 60, 1e-3);
    assert!(count < 20, "{count}");
    // The error of the value is the square of the residual, over the gap.
    assert!(found.residual <= 9e-3 && (found.value - 9.0).abs() <= found.residual.powi(2) / 3.0);
    let few = largest(&start, &mut |v| product(v), 3, 1e-3);
    assert!(few.value < 9.0 && few.residual > 9e-3);
    // A space that cannot grow is the whole matrix.
    assert_eq!(largest(&[1.0], &mut |v| vec![-2.0 * v[0]], 60, 1e-3).value, -2.0);
}

/// Half of `xᵀ A x` has the sharpness of `A` everywhere, and gradient descent is stable up to `lr = 2 / sharpness`.
#[test]
fn the_edge_of_stability_of_a_quadratic_is_its_largest_eigenvalue() {
    let values: Vec<f64> = (1..=40).map(f64::from).collect();
    let product = rotated(&values, 5);
    let start = normal(40, &mut StdRng::seed_from_u64(6));
    let sharpness = largest(&start, &mut |v| product(v), 40, 1e-6).value;
    assert!((sharpness - 40.0).abs() < 1e-9, "{sharpness}");
    let after = |lr: f64| {
        let mut x = start.clone();
        for _ in 0..4000 {
            let gradient = product(&x);
            x.iter_mut().zip(gradient).for_each(|(x, g)| *x -= lr * g);
        }
        norm(&x)
    };
    assert!(after(0.99 * 2.0 / sharpness) < 1e-9 && after(1.01 * 2.0 / sharpness) > 1e9);
}

#[test]
fn the_condition_of_a_definite_matrix_is_exact() {
    let values: Vec<f64> = (0..50).map(|k| 1.5f64.powi(k - 25)).collect();
    let product = rotated(&values, 3);
    let start = normal(50, &mut StdRng::seed_from_u64(4));
    let options = EndOptions { tolerance: 1e-12, ..EndOptions::default() };
    let found = ends(&start, &mut |v| product(v), &options);
    let expected = 1.5f64.powi(49);
    assert!((found.condition / expected - 1.0).abs() < 1e-6, "{} {expected}", found.condition);
}

/// After as many steps as there are different eigenvalues, the space is invariant, and nothing is left to find.
#[test]
fn repeated_eigenvalues_end_the_search() {
    let values = [[1.0; 40], [4.0; 40], [-2.0; 40]].concat();
    let product = rotated(&values, 5);
    let start = normal(120, &mut StdRng::seed_from_u64(6));
    let found = ends(&start, &mut |v| product(v), &EndOptions::default());
    assert!(found.converged && found.steps <= 4, "{} steps", found.steps);
    assert!((found.top[0].value - 4.0).abs() < 1e-12 && (found.bottom.value + 2.0).abs() < 1e-12);
    assert!((found.condition - 4.0).abs() < 1e-9, "{}", found.condition);
}

/// `m` rows of `n` normal numbers, `X`: the spectrum of `XᵀX / m` is Marchenko and Pastur's, between `(1 ± √(n/m))²`.
#[test]
fn a_wishart_matrix_has_the_density_of_marchenko_and_pastur() {
    const N: usize = 200;
    const M: usize = 800;
    let mut rng = StdRng::seed_from_u64(7);
    let rows: Vec<Vec<f64>> = (0..M).map(|_| normal(N, &mut rng)).collect();
    let mut product = |v: &[f64]| {
        let mut sum = vec![0.0; N];
        for row in &rows {
            let along = dot(row, v) / M as f64;
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += along * x);
        }
        sum
    };
    let found = density(N, &mut product, &[], 60, 40, &mut rng);
    let ratio = N as f64 / M as f64;
    let (low, high) = ((1.0 - ratio.sqrt()).powi(2), (1.0 + ratio.sqrt()).powi(2));
    assert!((found.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    // The moments of the law: 1, 1 + r, 1 + 3 r + r². The standard errors of 60 probes are 0.7, 1.2 and 1.7 %, by the
    // variance `2 Σ (Aᵏ)ᵢⱼ²` beside the diagonal; four of them are allowed.
    let moments = [1.0, 1.0 + ratio, 1.0 + 3.0 * ratio + ratio * ratio];
    for ((power, expected), error) in (1..).zip(moments).zip([0.007, 0.012, 0.017]) {
        let moment = found.mean(|x| x.powi(power));
        assert!((moment / expected - 1.0).abs() < 4.0 * error, "{power}: {moment} {expected}");
    }
    // The density itself, within the interval and not too near to its ends.
    let sigma = 0.05;
    let grid: Vec<f64> = (0..=20).map(|k| low + (high - low) * f64::from(k) / 20.0).collect();
    let law = |x: f64| {
        let inside = ((high - x) * (x - low)).max(0.0);
        inside.sqrt() / (std::f64::consts::TAU * ratio * x)
    };
    let smooth = found.smooth(&grid, sigma);
    for (x, found) in grid.iter().zip(smooth).filter(|(x, _)| **x > low + 0.2 && **x < high - 0.2) {
        assert!((found - law(*x)).abs() < 0.12, "at {x}: {found} {}", law(*x));
    }
    let trace = found.trace;
    let exact: f64 = rows.iter().map(|row| dot(row, row)).sum::<f64>() / M as f64;
    assert!((trace.value - exact).abs() < 4.0 * trace.error, "{trace:?} {exact}");
    assert!(trace.error > 0.0 && trace.error < 0.05 * exact, "{trace:?}");
}

/// The error bar of the trace is that of the formula: the variance of a probe is `2 Σ aᵢⱼ²` beside the diagonal.
#[test]
fn the_trace_has_the_error_bar_of_the_formula() {
    const N: usize = 60;
    const PROBES: usize = 400;
    let values: Vec<f64> = (0..N).map(|k| k as f64).collect();
    let product = rotated(&values, 8);
    let unit = |k: usize| -> Vec<f64> { (0..N).map(|i| f64::from(i == k)).collect() };
    let columns: Vec<Vec<f64>> = (0..N).map(|k| product(&unit(k))).collect();
    let beside = |k: usize| dot(&columns[k], &columns[k]) - columns[k][k].powi(2);
    let expected = (2.0 * (0..N).map(beside).sum::<f64>() / PROBES as f64).sqrt();
    let found = trace(N, &mut |v| product(v), &[], PROBES, &mut StdRng::seed_from_u64(9));
    assert!((found.error / expected - 1.0).abs() < 0.2, "{found:?} {expected}");
    let exact = values.iter().sum::<f64>();
    assert!((found.value - exact).abs() < 4.0 * expected, "{found:?} {exact}");
    let single = trace(N, &mut |v| product(v), &[], 1, &mut StdRng::seed_from_u64(9));
    assert!(single.error.is_infinite());
}

/// A few large eigenvalues make most of the error of a trace, unless they are known.
#[test]
fn what_is_known_makes_no_error() {
    let mut values: Vec<f64> = (0..300).map(|k| f64::from(k % 7) / 100.0).collect();
    values.extend([50.0, 80.0, -30.0]);
    let size = values.len();
    let exact = values.iter().sum::<f64>();
    let product = rotated(&values, 12);
    let start = normal(size, &mut StdRng::seed_from_u64(13));
    let found = ends(&start, &mut |v| product(v), &EndOptions::default());
    let known = found.known(1e-9);
    assert!(known.len() >= 3, "{}", known.len());
    let mut rng = StdRng::seed_from_u64(14);
    let plain = trace(size, &mut |v| product(v), &[], 20, &mut rng);
    let beside = trace(size, &mut |v| product(v), &known, 20, &mut rng);
    assert!(plain.error > 5.0 && beside.error < 0.1, "{plain:?} {beside:?}");
    assert!((beside.value - exact).abs() < 4.0 * beside.error.max(1e-9), "{beside:?} {exact}");
    let density = density(size, &mut |v| product(v), &known, 20, 10, &mut rng);
    assert!((density.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let off = (density.trace.value - exact).abs();
    assert!(off < 4.0 * density.trace.error.max(1e-9), "{:?} {exact}", density.trace);
    // Each known value has the weight of one.
    let above = density.mean(|x| f64::from(x > 1.0)) * size as f64;
    let below = density.mean(|x| f64::from(x < -1.0)) * size as f64;
    assert!((above - 2.0).abs() < 1e-9 && (below - 1.0).abs() < 1e-9, "{above} {below}");
}

/// With all eigenvalues known, nothing is left for the probes.
#[test]
fn a_space_that_is_known_needs_no_probes() {
    let values = [1.0, 2.0, 5.0];
    let product = rotated(&values, 15);
    let found = ends(&[0.3, -0.5, 0.9], &mut |v| product(v), &EndOptions::default());
    let known = found.known(1e-9);
    assert_eq!(known.len(), 3);
    let mut rng = StdRng::seed_from_u64(16);
    let found = density(3, &mut |v| product(v), &known, 5, 5, &mut rng);
    assert!((found.trace.value - 8.0).abs() < 1e-12 && found.trace.error == 0.0);
    assert_eq!((found.points.len(), found.weights.len()), (3, 3));
}

#[test]
fn a_gradient_along_an_eigenvector_is_aligned_with_it() {
    let values: Vec<f64> = (0..30).map(f64::from).collect();
    let product = rotated(&values, 10);
    let start = normal(30, &mut StdRng::seed_from_u64(11));
    let options = EndOptions { top: 3, wanted: 3, tolerance: 1e-12, ..EndOptions::default() };
    let found = ends(&start, &mut |v| product(v), &options);
    let vector = |k: usize| found.top[k].vector.iter();
    let gradient: Vec<f64> = vector(0).zip(vector(2)).map(|(a, b)| 3.0 * a - 4.0 * b).collect();
    let aligned = alignment(&gradient, &found.top);
    for (found, expected) in aligned.iter().zip([0.36, 0.0, 0.64]) {
        assert!((found - expected).abs() < 1e-9, "{aligned:?}");
    }
}
