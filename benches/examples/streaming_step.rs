//! Measures one step of a stream beside the reading of the weights that it takes.
//!
//! Command: `cargo run --release -p bptt-benches --example streaming_step`
//!
//! Expect a line for each cell: the time of a step at B = 1, I = H = 256, the time in which one
//! thread reads as many bytes as the weights have, from the same cache, and their ratio. A step
//! cannot be faster than that reading. On flex, f32; medians; a few seconds.

use bptt::{AnyRecurrentConfig, CellKind};
use bptt_benches::median;
use burn::tensor::{Device, Distribution, Tensor};
use std::hint::black_box;
use std::time::Instant;

/// `I` and `H`.
const SIZE: usize = 256;
/// Steps, and readings, that are timed together.
const STEPS: usize = 500;
/// How often.
const ROUNDS: usize = 21;

fn main() {
    let device = Device::flex();
    device.seed(1);
    let input = Tensor::<2>::random([1, SIZE], Distribution::Default, &device);
    for (kind, gates) in [(CellKind::Rnn, 1), (CellKind::Gru, 3), (CellKind::Lstm, 4)] {
        let layer = AnyRecurrentConfig::new(kind, SIZE, SIZE).init(&device);
        let weights = vec![1.0_f32; 2 * gates * SIZE * SIZE];
        let (mut steps, mut reads) = (Vec::new(), Vec::new());
        let mut state = layer.step(input.clone(), None).1;
        // In turns, so that whatever else the machine does falls on both.
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for _ in 0..STEPS {
                state = layer.step(input.clone(), Some(state)).1;
            }
            steps.push(microseconds(start));
            let start = Instant::now();
            for _ in 0..STEPS {
                black_box(sum(black_box(&weights)));
            }
            reads.push(microseconds(start));
        }
        let (step, read) = (median(steps), median(reads));
        println!(
            "{:<4} step {step:6.1} µs   reading {:4} KiB {read:6.1} µs   ratio {:.2}",
            kind.name(),
            weights.len() * 4 / 1024,
            step / read,
        );
    }
}

/// Of one step or reading.
fn microseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e6 / STEPS as f64
}

/// Thirty-two sums side by side, so that the additions do not wait for each other.
fn sum(all: &[f32]) -> f32 {
    let mut sums = [0.0; 32];
    for chunk in all.chunks_exact(32) {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x;
        }
    }
    sums.iter().sum()
}
