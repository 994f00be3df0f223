//! What the probe measures, and whether its checks would notice.
#![cfg(feature = "flex")]

mod curvature;
mod mutants;
mod naive_kernel;
mod properties;
