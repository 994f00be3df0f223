//! The dynamics of a trained run on its own validation data.
//!
//! [`dynamics`](crate::dynamics()) loads a run and measures it by `bptt_probe::dynamics`. What it finds is made of
//! [`Section`](section::Section)s. Each is a file with a struct, which has its fields in the JSON, its lines in the
//! terminal and its pictures on the page:
//!
//! | section | file |
//! | --- | --- |
//! | gradients through time, by path | `gradients.rs` |
//! | how long units hold, and saturated gates | `gates.rs` |
//! | Jacobians, and products of them | `jacobians.rs` |
//! | Lyapunov exponents | `spectrum.rs` |
//! | the ends of the Hessian's spectrum | `curvature.rs` |
//! | fixed points and slow points | `fixed_points/` |
//! | truncated gradients | `truncation.rs` |
//!
//! A new section is such a file, a field of [`RunDynamics`], a line where `run.rs` measures it, and one each in
//! `result.rs` and `page.rs`. If it has an option, this is a field of [`DynamicsOptions`].

mod curvature;
mod draw;
mod fixed_points;
mod gates;
mod gradients;
mod jacobians;
mod options;
mod page;
mod result;
mod run;
mod section;
mod spectrum;
mod trained;
mod truncation;

pub use curvature::Curvature;
pub use fixed_points::{FixedPoint, FixedPoints};
pub use gates::{HeldUnit, Holding, NamedGate};
pub use gradients::{GradientNorm, GradientsThroughTime, StatePart};
pub use jacobians::{JacobianBound, JacobianProduct, Jacobians, StepJacobian};
pub use options::{ConstantInput, DynamicsOptions, DynamicsProgress};
pub use page::dynamics_page;
pub use result::RunDynamics;
pub(crate) use run::dynamics_of;
pub use spectrum::{AutonomousSpectrum, DrivenSpectrum};
