//! Lanczos' method with full re-orthogonalisation.

use crate::spectrum::tridiagonal::{Pair, eigen};
use crate::spectrum::vector::{add_scaled, dot, norm, normalized};

/// The fewest steps of [`largest`].
const FEWEST: usize = 4;

/// Multiplies a symmetric matrix with a vector.
pub type Product<'a> = dyn FnMut(&[f64]) -> Vec<f64> + 'a;

/// An approximate eigenvalue with its eigenvector.
#[derive(Clone, Debug)]
pub struct Eigenpair {
    /// The value, `θ`.
    pub value: f64,
    /// `‖A y - θ y‖`: an eigenvalue of `A` lies within this distance of the value. It is at least the rounding of the
    /// products.
    pub residual: f64,
    /// The vector `y`, of length 1.
    pub vector: Vec<f64>,
}

/// How [`ends`] searches.
#[derive(Clone, Copy, Debug)]
pub struct EndOptions {
    /// The largest number of steps, each with one product. The vectors of all steps are kept: `8 n` bytes a step.
    pub steps: usize,
    /// How many of the largest eigenvalues are returned.
    pub top: usize,
    /// How many of them have to converge, besides the smallest eigenvalue.
    pub wanted: usize,
    /// A value has converged if its residual is below this, relative to the largest absolute value.
    pub tolerance: f64,
}

impl Default for EndOptions {
    fn default() -> Self {
        Self { steps: 100, top: 10, wanted: 2, tolerance: 1e-6 }
    }
}

/// Both ends of a spectrum.
#[derive(Clone, Debug)]
pub struct Ends {
    /// The largest eigenvalues, the largest first.
    pub top: Vec<Eigenpair>,
    /// The smallest eigenvalue.
    pub bottom: Eigenpair,
    /// A lower bound of the condition number `max |λ| / min |λ|`. It is the number itself if the matrix is definite and
    /// both ends have converged. It is at most `1 / ε`, about 4.5e15: rounding hides what is beyond.
    pub condition: f64,
    /// How many steps were taken.
    pub steps: usize,
    /// Whether the wanted values have converged.
    pub converged: bool,
}

/// The basis of a Krylov space, and the matrix in this basis, which is tridiagonal.
#[derive(Clone, Debug)]
pub(super) struct Lanczos {
    basis: Vec<Vec<f64>>,
    /// The vector of the next step; `None` if the space cannot grow.
    next: Option<Vec<f64>>,
    diagonal: Vec<f64>,
    /// The entries beside the diagonal. The last entry belongs to `next`.
    off: Vec<f64>,
    /// The largest length of a product.
    size: f64,
}

impl Lanczos {
    pub(super) fn new(start: &[f64]) -> Self {
        let next = Some(normalized(start));
        Self { basis: Vec::new(), next, diagonal: Vec::new(), off: Vec::new(), size: 0.0 }
    }

    /// One step. Returns whether there was one to take: the space cannot grow beyond an invariant space.
    pub(super) fn step(&mut self, product: &mut Product<'_>) -> bool {
        let Some(v) = self.next.take() else { return false };
        let mut w = product(&v);
        let along = dot(&w, &v);
        self.size = self.size.max(norm(&w));
        self.diagonal.push(along);
        self.basis.push(v);
        // In exact arithmetic the last two vectors are enough. With rounding, the others come back, and converged values
        // would appear again and again. Two passes make the basis orthogonal to rounding.
        for _ in 0..2 {
            for v in &self.basis {
                let along = dot(&w, v);
                add_scaled(&mut w, -along, v);
            }
        }
        let left = norm(&w);
        self.off.push(left);
        // What is left of a vector in the space is rounding.
        let nothing = left <= 4.0 * f64::EPSILON * self.size * (w.len() as f64).sqrt();
        if self.basis.len() < w.len() && !nothing {
            self.next = Some(normalized(&w));
        }
        true
    }

    pub(super) fn steps(&self) -> usize {
        self.diagonal.len()
    }

    /// The eigenvalues and eigenvectors in the basis, in ascending order.
    pub(super) fn pairs(&self) -> Vec<Pair> {
        eigen(&self.diagonal, &self.off)
    }

    /// `‖A y - θ y‖` of a pair.
    fn residual(&self, pair: &Pair) -> f64 {
        // There is nothing beyond an invariant space.
        let beyond = if self.next.is_some() { self.off[self.off.len() - 1] } else { 0.0 };
        let residual = beyond * pair.vector[pair.vector.len() - 1].abs();
        residual.max(f64::EPSILON * self.size)
    }

    fn eigenpair(&self, pair: &Pair) -> Eigenpair {
        let mut vector = vec![0.0; self.basis[0].len()];
        for (factor, v) in pair.vector.iter().zip(&self.basis) {
            add_scaled(&mut vector, *factor, v);
        }
        Eigenpair { value: pair.value, residual: self.residual(pair), vector: normalized(&vector) }
    }
}

impl Ends {
    /// The eigenvalues with their vectors whose residual is at most this share of the largest absolute value.
    pub fn known(&self, share: f64) -> Vec<Eigenpair> {
        let largest = f64::max(self.top[0].value.abs(), self.bottom.value.abs());
        // In a small space, the smallest value may be one of the largest, too.
        let below = self.top.iter().all(|pair| self.bottom.value < pair.value);
        let bottom = below.then_some(&self.bottom);
        let pairs = self.top.iter().chain(bottom);
        pairs.filter(|pair| pair.residual <= share * largest).cloned().collect()
    }
}

/// The largest eigenvalues of a symmetric matrix with their vectors, and the smallest one, by Lanczos' method.
///
/// An eigenvalue with several vectors is found once: the method sees only the part of the matrix that can be reached
/// from the start.
///
/// C. Lanczos, "An iteration method for the solution of the eigenvalue problem of linear differential and integral
/// operators", Journal of Research of the National Bureau of Standards 45 (1950), 255–282. B. N. Parlett, "The symmetric
/// eigenvalue problem", Prentice-Hall, 1980, chapter 13.
///
/// # Arguments
///
/// - `start`: a random vector; its length is the size of the matrix
/// - `product`: the matrix times a vector
///
/// # Panics
///
/// If the start is empty or zero, or if no step is allowed.
pub fn ends(start: &[f64], product: &mut Product<'_>, options: &EndOptions) -> Ends {
    assert!(options.steps > 0 && norm(start) > 0.0, "a start and at least one step are needed");
    let mut space = Lanczos::new(start);
    let mut converged = false;
    while !converged && space.steps() < options.steps && space.step(product) {
        // The small eigenvalue problem costs less than a product, but not nothing.
        let steps = space.steps();
        if space.next.is_none() || steps.is_multiple_of(5) || steps == options.steps {
            converged = space.next.is_none() || have_converged(&space, options);
        }
    }
    let pairs = space.pairs();
    let top = pairs.iter().rev().take(options.top.max(1)).map(|pair| space.eigenpair(pair));
    Ends {
        top: top.collect(),
        bottom: space.eigenpair(&pairs[0]),
        condition: condition(&space, &pairs),
        steps: space.steps(),
        converged,
    }
}

fn have_converged(space: &Lanczos, options: &EndOptions) -> bool {
    let pairs = space.pairs();
    let largest = pairs.iter().map(|pair| pair.value.abs()).fold(0.0, f64::max);
    let mut wanted = pairs.iter().rev().take(options.wanted).chain(pairs.first());
    pairs.len() > options.wanted
        && wanted.all(|pair| space.residual(pair) <= options.tolerance * largest)
}

/// The largest eigenvalue of a symmetric matrix with its vector, by Lanczos' method, and nothing else of the spectrum: this
/// takes fewer products than [`ends`].
///
/// # Arguments
///
/// - `start`: a random vector; its length is the size of the matrix
/// - `product`: the matrix times a vector
/// - `steps`: the largest number of products
/// - `tolerance`: it has converged if its residual is below this, relative to the value. The value itself is then known
///   far better, in proportion to the square of the residual
///
/// # Panics
///
/// If the start is empty or zero, or if no step is allowed.
pub fn largest(
    start: &[f64],
    product: &mut Product<'_>,
    steps: usize,
    tolerance: f64,
) -> Eigenpair {
    assert!(steps > 0 && norm(start) > 0.0, "a start and at least one step are needed");
    let mut space = Lanczos::new(start);
    loop {
        space.step(product);
        let pairs = space.pairs();
        let top = &pairs[pairs.len() - 1];
        // In the first steps, a residual can be small by chance.
        let converged =
            space.steps() >= FEWEST && space.residual(top) <= tolerance * top.value.abs();
        if converged || space.next.is_none() || space.steps() == steps {
            return space.eigenpair(top);
        }
    }
}

/// `max |θ| ≤ max |λ|`, and `min |λ| ≤ ‖A y‖ = √(θ² + r²)` for every approximate vector `y` of length 1.
fn condition(space: &Lanczos, pairs: &[Pair]) -> f64 {
    let largest = pairs.iter().map(|pair| pair.value.abs()).fold(0.0, f64::max);
    let stretch = |pair: &Pair| pair.value.hypot(space.residual(pair));
    largest / pairs.iter().map(stretch).fold(f64::INFINITY, f64::min)
}

/// For each vector, the squared cosine of its angle to the gradient: the share of `‖g‖²` along the vector. The sum is the
/// share of the gradient in the space of these vectors, if they are orthogonal.
pub fn alignment(gradient: &[f64], vectors: &[Eigenpair]) -> Vec<f64> {
    let square = dot(gradient, gradient);
    vectors.iter().map(|pair| dot(gradient, &pair.vector).powi(2) / square).collect()
}
