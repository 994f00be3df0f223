//! The layers that run as a scan: every layer by both engines, each kernel, each device in host memory and each type, on
//! the same numbers; and what users rely on.
#![cfg(all(feature = "flex", feature = "scanned-cells"))]
#![allow(deprecated, reason = "burn-ndarray is deprecated in Burn 0.22 and gone in 0.23")]

mod layers;
mod matrix;
mod rows;

use bptt::scanned::{
    LruConfig, MinGruConfig, MinLstmConfig, RgLruConfig, S5Config, Scanned, ScannedLayer,
};
use bptt::{Engine, Kernel, ScannedState, SequenceOptions};
use burn::Tensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, DType, Device, Gradients, TensorData};

/// The sizes and options of the layers that are compared.
#[derive(Clone, Copy, Debug)]
struct Shape {
    input: usize,
    hidden: usize,
    layers: usize,
    bidirectional: bool,
    reverse: bool,
    batch_first: bool,
}

impl Shape {
    const fn plain(input: usize, hidden: usize) -> Self {
        Self { input, hidden, layers: 1, bidirectional: false, reverse: false, batch_first: true }
    }
}

/// Does something with a layer of each kind.
trait Visit {
    fn visit<L: ScannedLayer>(&mut self, layer: Scanned<L>);
}

/// Calls the visitor with a layer of each kind, on flex with autodiff, in f32. The numbers are always the same.
fn every_layer(shape: Shape, visitor: &mut impl Visit) {
    let device = Device::flex().autodiff();
    let Shape { input, hidden, layers, bidirectional, reverse, batch_first } = shape;
    macro_rules! visit {
        ($($config:expr;)*) => {$(
            let layer = $config
                .with_num_layers(layers)
                .with_bidirectional(bidirectional)
                .with_reverse(reverse)
                .with_batch_first(batch_first)
                .init(&device);
            visitor.visit(layer.map(&mut Vary(Noise::new(7))));
        )*};
    }
    visit! {
        MinGruConfig::new(input, hidden);
        MinGruConfig::new(input, hidden).with_log_space(true).with_bias(false);
        MinLstmConfig::new(input, hidden);
        MinLstmConfig::new(input, hidden).with_log_space(true);
        RgLruConfig::new(input, hidden);
        LruConfig::new(input, hidden).with_d_output(hidden + 1);
        S5Config::new(input, hidden);
    }
}

/// Parameters with numbers that are always the same, in the range of what was drawn: Burn draws from one source for all
/// threads.
struct Vary(Noise);

impl ModuleMapper for Vary {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let (shape, device) = (tensor.shape(), tensor.device());
            let data: Vec<f32> = tensor.to_data().iter::<f32>().collect();
            // The logarithms of LRU are around -1, and stay so; all others are around 0.
            let mean = data.iter().sum::<f32>() / data.len() as f32;
            let center = if D == 1 { mean.clamp(-2.0, 2.0) } else { 0.0 };
            let values: Vec<f32> =
                data.iter().map(|_| center + 0.4 * self.0.next() as f32).collect();
            Tensor::from_data(TensorData::new(values, shape), &device).require_grad()
        })
    }
}

/// The same parameters on another device, in another type.
struct Onto<'a>(&'a Device, DType);

impl ModuleMapper for Onto<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let data = tensor.to_data();
            let tensor = Tensor::from_data(data, (self.0, self.1));
            if tensor.is_autodiff() { tensor.require_grad() } else { tensor }
        })
    }
}

/// The gradients of all parameters.
struct Collect<'a>(&'a Gradients, Vec<Vec<f64>>);

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let d = param.grad(self.0).expect("a gradient for each parameter");
        self.1.push(numbers(d));
    }
}

/// Numbers between -1 and 1, always the same.
#[derive(Clone)]
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> f64 {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // With as many digits as an f32 has.
        f64::from((self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0)
    }

    fn tensor<const D: usize>(
        &mut self,
        shape: [usize; D],
        device: &Device,
        dtype: DType,
    ) -> Tensor<D> {
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| self.next()).collect();
        Tensor::from_data(TensorData::new(values, shape), (device, dtype))
    }
}

fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

fn bools(flags: &[bool], shape: [usize; 2], device: &Device) -> Tensor<2, Bool> {
    Tensor::from_data(TensorData::new(flags.to_vec(), shape), device)
}

/// Compares lists in units of the largest number of each.
fn close(found: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (list, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "{what}: list {list}");
        let largest = expected.iter().fold(1e-3, |max: f64, x| max.max(x.abs()));
        for (k, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!(
                (a - b).abs() <= tolerance * largest,
                "{what}: number {k} of list {list} is {a}, expected {b}"
            );
        }
    }
}

/// The message of an expected panic.
fn complaint<T>(act: impl FnOnce() -> T) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).err();
    panic.expect("should panic").downcast_ref::<String>().cloned().expect("a formatted message")
}
