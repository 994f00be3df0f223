//! What the probe measures, and whether its checks would notice.
#![cfg(feature = "flex")]

mod curvature;
mod curvature_tape;
mod naive_kernel;
mod properties;
mod reference_files;
