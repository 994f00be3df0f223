//! What resets cost: a pass over rows with a reset every 13 steps beside one over the same rows without.
//!
//! Command: `cargo run --release -p bptt-benches --example resets [ROUNDS]` (a minute with the default, 15).
//!
//! What to expect: a line for each size and cell, with the time of a training step and of a forward pass over those of
//! the dense batch, medians of passes in turns. They should be below 1.03: a reset writes a row of the state, and the
//! products are the same.

use bptt::{AnyRecurrent, AnyRecurrentConfig, AnyState, CellKind, SequenceOptions};
use bptt_benches::median;
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Device, Distribution, TensorData};
use std::time::Instant;

/// A row is reset every so many steps, each row at other steps.
const EVERY: usize = 13;

/// `B`, `T`, `I`, `H`: the sizes of `against_torch.py`.
const SIZES: [[usize; 4]; 5] = [
    [32, 100, 128, 128],
    [64, 128, 256, 256],
    [16, 512, 256, 512],
    [1, 512, 64, 64],
    [7, 61, 75, 100],
];

fn main() {
    let rounds = std::env::args().nth(1).map_or(15, |n| n.parse().expect("a number of rounds"));
    let device = Device::flex().autodiff();
    println!("resets every {EVERY} steps over none, {rounds} rounds: train, infer");
    for [batch, time, input, hidden] in SIZES {
        for cell in CellKind::ALL {
            let layer = AnyRecurrentConfig::new(cell, input, hidden).init(&device);
            let x = Tensor::<3>::random([batch, time, input], Distribution::Default, &device);
            let flags = (0..batch * time).map(|i| (i + i / time) % EVERY == EVERY - 1).collect();
            let options = SequenceOptions::new().with_resets(Tensor::from_data(
                TensorData::new::<bool, _>(flags, [batch, time]),
                &device,
            ));
            let mut seconds = [(); 4].map(|()| Vec::new());
            for round in 0..rounds + 2 {
                let dense = SequenceOptions::new();
                let taken = [
                    train(&layer, &x, &dense),
                    train(&layer, &x, &options),
                    infer(&layer, &x, &dense),
                    infer(&layer, &x, &options),
                ];
                // The first rounds warm up.
                if round > 1 {
                    seconds.iter_mut().zip(taken).for_each(|(all, one)| all.push(one));
                }
            }
            let [train, train_resets, infer, infer_resets] = seconds.map(median);
            println!(
                "{batch:3}, {time:3}, {input:3}, {hidden:3}  {:5} {:.3} {:.3}  ({:.2} and {:.2} ms)",
                cell.name(),
                train_resets / train,
                infer_resets / infer,
                train * 1e3,
                infer * 1e3,
            );
        }
    }
}

/// Seconds of a training step, with the gradient of the input.
fn train(layer: &AnyRecurrent, x: &Tensor<3>, options: &SequenceOptions<AnyState>) -> f64 {
    let x = x.clone().detach().require_grad();
    let start = Instant::now();
    let gradients = layer.forward_with(x.clone(), options, None).0.sum().backward();
    assert!(x.grad(&gradients).is_some());
    start.elapsed().as_secs_f64()
}

/// Seconds of a forward pass without a tape.
fn infer(layer: &AnyRecurrent, x: &Tensor<3>, options: &SequenceOptions<AnyState>) -> f64 {
    let (layer, x) = (layer.valid(), x.clone().inner());
    let start = Instant::now();
    let (outputs, _) = layer.forward_with(x, options, None);
    let seconds = start.elapsed().as_secs_f64();
    drop(outputs);
    seconds
}
