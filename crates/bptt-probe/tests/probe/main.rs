//! Tests what the probe measures, and whether its checks notice errors.
#![cfg(feature = "flex")]

mod curvature;
mod curvature_tape;
mod dynamics;
mod fixed_points;
mod initializers;
mod jacobians;
mod naive_kernel;
mod properties;
mod readout;
mod reference_files;
mod resets;
mod sweep;
mod trajectory;
mod truncation;
