//! The dynamics of a recurrent layer: Jacobians, Lyapunov spectra, and what theory says of them.
//!
//! A gradient that flows back over `T` steps is multiplied with `T` Jacobians `∂(h, c)_t / ∂(h, c)_{t−1}`. Their
//! eigenvalues, singular values and Lyapunov exponents say whether it vanishes or explodes, and along how many
//! directions it does neither.
//!
//! - [`System`] is a map with its derivative; [`Network`] is a recurrent layer of any cell as one. Its derivatives come
//!   from the cell's own `step` in dual numbers.
//! - [`lyapunov`] measures a [`Spectrum`] without forming a Jacobian.
//! - [`jacobian`] forms one; [`eigenvalues`], [`singular_values`], [`numerical_range`] and [`log_abs_det`] take it apart.
//!   [`span_products`] and [`jacobian_norms`] follow products of them, [`own_derivatives`] how long a unit holds.
//! - [`Trajectory`] is a network's way along its input: the gradient of the state at every step, by path, what units keep,
//!   and how far gates are at their bounds.
//! - [`fixed_points`] finds where a network stays, and what it is like there; [`PrincipalPlane`] shows it.
//! - [`mean_field`] has closed forms.
//! - [`random`](random::random) does all of it for a random network, as `bptt dynamics --random` does, and
//!   [`sweep`](sweep::sweep) for many of them, as `bptt dynamics --sweep` does.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use bptt::CellKind;
//! use bptt_probe::dynamics::{Network, Settings, lyapunov};
//! use burn::tensor::Device;
//!
//! let device = Device::flex();
//! let mut network = Network::random(CellKind::Gru, 16, 0.5, 1, &device);
//! let settings = Settings::new(4, 200, 1);
//! let spectrum = lyapunov(&mut network, &[0.1; 16], &settings, &device, &mut |_| ()).unwrap();
//! // It forgets where it began.
//! assert!(spectrum.exponents[0] < 0.0);
//! # }
//! ```

mod eigen;
pub mod fixed_points;
mod gram_schmidt;
mod layers;
mod lyapunov;
mod matrix;
pub mod mean_field;
mod measured;
mod norms;
mod numerical_range;
pub mod page;
mod principal;
mod products;
pub mod random;
mod recurrent;
mod reflector;
mod singular;
pub mod sweep;
mod system;
mod traced;
mod trajectory;
mod units;

pub use eigen::eigenvalues;
pub use gram_schmidt::orthonormalise;
pub use layers::{LayerJacobians, layer_jacobians};
pub use lyapunov::{BLOCKS, Settings, Spectrum, lyapunov};
pub use matrix::{Factor, Matrix};
pub use norms::jacobian_norms;
pub use numerical_range::{NumericalRange, numerical_range};
pub use principal::PrincipalPlane;
pub use products::{SpanProduct, own_derivatives, span_products};
pub use recurrent::{LayerNumbers, Network, random_weights};
pub use singular::singular_values;
pub use system::{System, jacobian, log_abs_det};
pub use traced::GateKind;
pub use trajectory::{GateUse, LayerGradients, PathNorms, Trajectory};
