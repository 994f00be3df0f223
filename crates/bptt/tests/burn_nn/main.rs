//! Layers of `burn::nn` and of bptt compute the same functions, and a model with the latter loads files of the former.
//!
//! This is a separate test crate for one reason: in f64 the layers of `burn::nn` run only on a device whose default
//! type is f64, and the default type is chosen once for a whole process.
#![cfg(feature = "flex")]

mod files;
mod layers;
mod refusals;

use burn::Tensor;
use burn::tensor::{Device, Distribution, FloatDType};
use std::sync::Once;

/// In f64.
fn flex() -> Device {
    static F64: Once = Once::new();
    let mut device = Device::flex();
    F64.call_once(|| device.configure(FloatDType::F64).expect("nothing has used it before"));
    device
}

/// The devices, and the size of rounding errors on each: f64, and f32 with Burn's own sigmoid.
fn devices() -> Vec<(Device, f64)> {
    #[allow(unused_mut, reason = "without the feature")]
    let mut devices = vec![(flex(), 1e-12)];
    #[cfg(feature = "ndarray")]
    #[allow(deprecated, reason = "as long as Burn has it")]
    devices.push((Device::ndarray(), 2e-5));
    devices
}

fn noise<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// ‖a − b‖ / ‖b‖
fn error<const D: usize>(a: &Tensor<D>, b: &Tensor<D>) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let numbers = |tensor: &Tensor<D>| tensor.to_data().iter::<f64>().collect::<Vec<_>>();
    let (a, b) = (numbers(a), numbers(b));
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut a.iter().zip(&b).map(|(a, b)| a - b));
    let whole = norm(&mut b.iter().copied());
    assert!(whole > 1e-3, "nothing to compare: all is zero");
    difference / whole
}
