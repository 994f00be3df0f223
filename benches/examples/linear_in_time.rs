//! Shows that the cost of both engines is linear in the number of steps.
//!
//! Command: `cargo run --release -p bptt-benches --example linear_in_time`
//!
//! Expect a line for each engine and length, and for each engine how much longer the backward pass
//! at T = 4096 takes than at T = 512: about 8, eight times the steps. At B = 4, I = H = 16, the
//! input tracked, on flex; medians of five.

use bptt::{Engine, LstmConfig};
use burn::tensor::{Device, Distribution, Tensor};
use std::time::Instant;

fn main() {
    let device = Device::flex().autodiff();
    device.seed(1);
    for engine in Engine::ALL {
        let lstm = LstmConfig::new(16, 16).with_engine(engine).init(&device);
        let backward = |time: usize| {
            let mut times: Vec<[f64; 2]> = (0..5)
                .map(|_| {
                    let shape = [4, time, 16];
                    let input = Tensor::<3>::random(shape, Distribution::Default, &device);
                    let start = Instant::now();
                    let loss = lstm.forward(input.require_grad(), None).0.sum();
                    let forward = start.elapsed().as_secs_f64() * 1e3;
                    let start = Instant::now();
                    let _ = loss.backward();
                    [forward, start.elapsed().as_secs_f64() * 1e3]
                })
                .collect();
            let mut median = |which: usize| {
                times.sort_by(|a, b| a[which].total_cmp(&b[which]));
                times[2][which]
            };
            let (forward, backward) = (median(0), median(1));
            let name = engine.name();
            println!("{name:<8} T {time:>4}  forward {forward:8.1} ms  backward {backward:8.1} ms");
            backward
        };
        let (short, long) = (backward(512), backward(4096));
        println!("{:<8} backward at T 4096 over T 512: {:.1}", engine.name(), long / short);
    }
}
