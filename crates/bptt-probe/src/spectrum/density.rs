//! How the eigenvalues are distributed, and their sum.

use crate::spectrum::lanczos::{Eigenpair, Lanczos, Product};
use crate::spectrum::vector::{add_scaled, dot, norm};
use rand::RngExt;
use rand::rngs::StdRng;
use serde::Serialize;
use std::f64::consts::TAU;

/// A mean over random probes, with its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// The standard deviation of the mean; infinite for a single probe.
    pub error: f64,
}

impl Estimate {
    /// The estimate from samples, and an exact number that is added.
    fn of(samples: &[f64], exact: f64) -> Self {
        if samples.is_empty() {
            return Self { value: exact, error: 0.0 };
        }
        let count = samples.len() as f64;
        let value = samples.iter().sum::<f64>() / count;
        let squares = samples.iter().map(|sample| (sample - value).powi(2)).sum::<f64>();
        let error = match samples.len() {
            1 => f64::INFINITY,
            _ => (squares / (count - 1.0) / count).sqrt(),
        };
        Self { value: exact + value, error }
    }
}

/// The spectral density `φ(λ) = 1/n Σᵢ δ(λ - λᵢ)`, as a sum of weighted points.
#[derive(Clone, Debug)]
pub struct Density {
    /// The points of all probes, in ascending order.
    pub points: Vec<f64>,
    /// Their weights, whose sum is 1.
    pub weights: Vec<f64>,
    /// The sum of all eigenvalues by the same probes; see [`trace`].
    pub trace: Estimate,
}

/// The spectral density of a symmetric matrix by stochastic Lanczos quadrature.
///
/// For a probe `v` of random signs, `E[vᵀ f(A) v] = tr f(A)`. After `m` steps of Lanczos' method from `v`, the
/// eigenvalues of the tridiagonal matrix and the squared first entries of its eigenvectors are the points and weights of
/// a Gauss quadrature, which is exact for polynomials `f` up to degree `2 m - 1`.
///
/// Eigenvalues that are known are taken as they are, and the probes see the rest of the matrix. A few large values would
/// otherwise make most of the error.
///
/// S. Ubaru, J. Chen, Y. Saad, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature", SIAM Journal on Matrix
/// Analysis and Applications 38 (2017), 1075–1099. B. Ghorbani, S. Krishnan, Y. Xiao, "An investigation into neural net
/// optimization via Hessian eigenvalue density", ICML 2019.
///
/// # Arguments
///
/// - `size`: the size of the matrix
/// - `product`: the matrix times a vector
/// - `known`: eigenvalues with their vectors ([`Ends::known`](crate::spectrum::Ends::known)); may be empty
/// - `probes`, `steps`: how many products there are is `probes · steps`
///
/// # Panics
///
/// If the size, the probes or the steps are 0.
pub fn density(
    size: usize,
    product: &mut Product<'_>,
    known: &[Eigenpair],
    probes: usize,
    steps: usize,
    rng: &mut StdRng,
) -> Density {
    assert!(size > 0 && probes > 0 && steps > 0, "a density needs a matrix, probes and steps");
    let mut all: Vec<_> = known.iter().map(|pair| (pair.value, 1.0 / size as f64)).collect();
    let mut forms = Vec::new();
    let rest = size.saturating_sub(known.len());
    let mut beside = |v: &[f64]| without(product(v), known);
    for _ in 0..if rest > 0 { probes } else { 0 } {
        let probe = without(signs(size, rng), known);
        let mut space = Lanczos::new(&probe);
        while space.steps() < steps && space.step(&mut beside) {}
        let pairs = space.pairs();
        let share = rest as f64 / (size * probes) as f64;
        let weight = |first: f64| share * first * first;
        all.extend(pairs.iter().map(|pair| (pair.value, weight(pair.vector[0]))));
        let mean = pairs.iter().map(|pair| pair.value * pair.vector[0].powi(2)).sum::<f64>();
        forms.push(norm(&probe).powi(2) * mean);
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (points, weights) = all.into_iter().unzip();
    Density { points, weights, trace: Estimate::of(&forms, sum(known)) }
}

impl Density {
    /// `∫ f(λ) φ(λ) dλ`; times `n`, the trace of `f(A)`.
    pub fn mean(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.points.iter().zip(&self.weights).map(|(point, weight)| weight * f(*point)).sum()
    }

    /// The density at each place of a grid, where each point is widened to a Gaussian with the standard deviation
    /// `sigma`.
    pub fn smooth(&self, grid: &[f64], sigma: f64) -> Vec<f64> {
        let height = 1.0 / (sigma * TAU.sqrt());
        let bell = |x: f64| height * (-0.5 * (x / sigma).powi(2)).exp();
        grid.iter().map(|at| self.mean(|point| bell(at - point))).collect()
    }
}

/// The sum of all eigenvalues by Hutchinson's method: the mean of `vᵀ A v` over probes of random signs. Its variance is
/// `2 Σ aᵢⱼ²` over the entries beside the diagonal.
///
/// M. F. Hutchinson, "A stochastic estimator of the trace of the influence matrix for Laplacian smoothing splines",
/// Communications in Statistics 19 (1990), 433–450.
///
/// Eigenvalues that are known are added as they are, and the probes see the rest of the matrix.
///
/// R. A. Meyer, C. Musco, C. Musco, D. P. Woodruff, "Hutch++: optimal stochastic trace estimation", Symposium on
/// Simplicity in Algorithms, 2021.
///
/// # Panics
///
/// If there is no probe.
pub fn trace(
    size: usize,
    product: &mut Product<'_>,
    known: &[Eigenpair],
    probes: usize,
    rng: &mut StdRng,
) -> Estimate {
    assert!(probes > 0, "a trace needs probes");
    let form = |_| {
        let probe = without(signs(size, rng), known);
        dot(&product(&probe), &probe)
    };
    Estimate::of(&(0..probes).map(form).collect::<Vec<_>>(), sum(known))
}

/// A vector without its part along the known ones.
fn without(mut v: Vec<f64>, known: &[Eigenpair]) -> Vec<f64> {
    for pair in known {
        let along = dot(&v, &pair.vector);
        add_scaled(&mut v, -along, &pair.vector);
    }
    v
}

fn sum(known: &[Eigenpair]) -> f64 {
    known.iter().map(|pair| pair.value).sum()
}

/// A vector of random signs.
fn signs(size: usize, rng: &mut StdRng) -> Vec<f64> {
    (0..size).map(|_| if rng.random::<bool>() { 1.0 } else { -1.0 }).collect()
}
