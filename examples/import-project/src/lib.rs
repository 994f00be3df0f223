//! Which shape has the wave? A small Burn project around a recurrent layer of `bptt`.
//!
//! - [`data`]: waves of three shapes, made up on the spot, of different lengths, with the end of another wave before them
//! - [`model`]: a [`Classifier`](model::Classifier) with a `bptt::Lstm` in it, and its two steps
//!   for Burn's training loop
//! - [`training`]: Burn's `SupervisedTraining`, with metrics and checkpoints; saving and loading
//!
//! Nothing here is special to `bptt` but the layer itself: it is a Burn module.

pub mod data;
pub mod model;
pub mod training;

use burn::tensor::Device;

pub use data::{Shape, Wave, WaveBatch, WaveBatcher, waves};
pub use model::{Classifier, ClassifierConfig};
pub use training::{TrainingConfig, load, train};

/// Whatever goes wrong in this project.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The device of the backend that was chosen by feature. If there are several, a GPU comes first.
#[allow(unreachable_code, reason = "the first backend that is compiled in wins")]
pub fn device() -> Device {
    #[cfg(feature = "cuda")]
    return Device::cuda(0);
    #[cfg(feature = "wgpu")]
    return Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    #[cfg(feature = "flex")]
    return Device::flex();
    // Whatever Burn was built with.
    Device::default()
}
