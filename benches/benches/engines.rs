//! Forward and backward pass of one LSTM layer: both engines, and Burn's own layer.
//!
//! Shows: what a training step of a small layer costs by each way of differentiating it, on the
//! backend `flex` in f32, side by side in one run. The loss is the sum of the outputs; gradients
//! are taken with respect to the input and all parameters.
//!
//! Command: `cargo bench -p bptt-benches --bench engines`
//!
//! What to expect: three lines with the time of one forward and backward pass, the manual engine's
//! the shortest. Small on purpose: larger sizes and other devices are for `bptt bench`.

use bptt::{Engine, LstmConfig};
use burn::Tensor;
use burn::tensor::{Device, Distribution};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const BATCH: usize = 16;
const TIME: usize = 64;
const INPUT: usize = 32;
const HIDDEN: usize = 64;

fn engines(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    device.seed(1);
    let shape = [BATCH, TIME, INPUT];
    let input = Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let size = format!("lstm B={BATCH} T={TIME} I={INPUT} H={HIDDEN}");
    let mut group = criterion.benchmark_group(size);
    group.sample_size(10);

    let layer = LstmConfig::new(INPUT, HIDDEN).init(&device);
    for engine in Engine::ALL {
        let layer = layer.clone().with_engine(engine);
        group.bench_function(engine.name(), |bencher| {
            bencher.iter(|| train_step(&input, |x| layer.forward(x, None).0));
        });
    }
    let layer = burn::nn::LstmConfig::new(INPUT, HIDDEN, true).init(&device);
    group.bench_function("burn-nn", |bencher| {
        bencher.iter(|| train_step(&input, |x| layer.forward(x, None).0));
    });
    group.finish();
}

/// One forward and one backward pass.
fn train_step(input: &Tensor<3>, forward: impl Fn(Tensor<3>) -> Tensor<3>) {
    let input = input.clone().detach().require_grad();
    let grads = forward(input.clone()).sum().backward();
    // Reads a number, so that a backend that works later has worked.
    black_box(input.grad(&grads).map(|d| d.sum().into_scalar::<f32>()));
}

criterion_group!(benches, engines);
criterion_main!(benches);
