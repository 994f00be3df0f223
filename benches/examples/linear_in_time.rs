//! Measures how the cost of both engines grows with the number of steps.
//!
//! Command: `cargo run --release -p bptt-benches --example linear_in_time`
//!
//! Expect a line for each engine and length, and for each engine how much longer the backward pass
//! at T = 4096 takes than at T = 512, for eight times the steps: manual 8 to 10, autograd 10 to 13.
//! What the autograd engine has above that is Burn's: it searches its list of checkpoints once for
//! each of them. At B = 32, I = H = 128, the input tracked, on flex; medians of three; a minute.

use bptt::{Engine, LstmConfig};
use burn::tensor::{Device, Distribution, Tensor};
use std::time::Instant;

fn main() {
    let device = Device::flex().autodiff();
    device.seed(1);
    for engine in Engine::ALL {
        let lstm = LstmConfig::new(128, 128).with_engine(engine).init(&device);
        let backward = |time: usize| {
            let mut times: Vec<[f64; 2]> = (0..3)
                .map(|_| {
                    let shape = [32, time, 128];
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
                times[1][which]
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
