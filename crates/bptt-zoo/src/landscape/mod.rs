//! The loss of a trained run on a plane or along a line through its parameters, and the curvature where it ended.
//!
//! [`landscape`](crate::landscape()) computes both, by the spectra of `bptt_probe` and the exact second derivatives of
//! the run's own model on its own validation data.

mod options;
mod other;
mod page;
mod result;
mod run;
mod sharpness;
mod work;

pub use options::{LandscapeOptions, PlaneKind};
pub use result::{DensityCurve, Landscape, LineBetween, PlanePoint};
pub(crate) use run::landscape_of;
