//! The dynamics of a recurrent layer: Jacobians, Lyapunov spectra, and what theory says of them.
//!
//! A gradient that flows back over `T` steps is multiplied with `T` Jacobians `∂(h, c)_t / ∂(h, c)_{t−1}`. Their
//! eigenvalues, singular values and Lyapunov exponents say whether it vanishes or explodes, and along how many
//! directions it does neither.
//!
//! - [`System`] is a map with its derivative; [`Network`] is a recurrent layer of any cell as one. Its derivatives come
//!   from the cell's own `step` in dual numbers.
//! - [`lyapunov`] measures a [`Spectrum`] without forming a Jacobian.
//! - [`jacobian`] forms one; [`eigenvalues`], [`singular_values`] and [`log_abs_det`] take it apart.
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
mod lyapunov;
mod matrix;
pub mod mean_field;
mod measured;
mod norms;
pub mod page;
mod principal;
pub mod random;
mod recurrent;
mod reflector;
mod singular;
pub mod sweep;
mod system;
mod units;

pub use eigen::eigenvalues;
pub use gram_schmidt::orthonormalise;
pub use lyapunov::{BLOCKS, Settings, Spectrum, lyapunov};
pub use matrix::{Factor, Matrix};
pub use norms::jacobian_norms;
pub use principal::PrincipalPlane;
pub use recurrent::{LayerNumbers, Network, random_weights};
pub use singular::singular_values;
pub use system::{System, jacobian, log_abs_det};
