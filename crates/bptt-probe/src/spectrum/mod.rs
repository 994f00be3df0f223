//! The spectrum of a symmetric matrix that is given by its products with vectors: both ends, the density, the sum.
//!
//! A Hessian has a row for each parameter, and is never written down. Its products with vectors are exact
//! ([`hessian_vector_product`](crate::curvature::hessian_vector_product), [`Readout`](crate::readout::Readout)), and
//! every quantity here is computed from some dozens of them. Vectors are `f64`. The same start and generator give the
//! same bits.
//!
//! ```
//! use bptt_probe::spectrum::{EndOptions, ends, trace};
//! use rand::SeedableRng;
//!
//! // The matrix diag(1, 2, …, 30).
//! let mut product = |v: &[f64]| -> Vec<f64> {
//!     v.iter().enumerate().map(|(k, v)| (k + 1) as f64 * v).collect()
//! };
//! let found = ends(&[1.0; 30], &mut product, &EndOptions::default());
//! assert!((found.top[0].value - 30.0).abs() <= found.top[0].residual + 1e-12);
//! assert!((found.condition - 30.0).abs() < 1e-9);
//!
//! // For a diagonal matrix, one probe of random signs is exact.
//! let mut rng = rand::rngs::StdRng::seed_from_u64(1);
//! assert_eq!(trace(30, &mut product, &[], 4, &mut rng).value, 465.0);
//! ```

mod density;
mod lanczos;
#[cfg(test)]
mod tests;
mod tridiagonal;
mod vector;

pub use density::{Density, Estimate, density, trace};
pub use lanczos::{Eigenpair, EndOptions, Ends, Product, alignment, ends, largest};
