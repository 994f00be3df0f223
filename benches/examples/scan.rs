//! Measures layers that run as a scan beside an LSTM with as many parameters, and with as many units.
//!
//! Command: `cargo run --release -p bptt-benches --example scan`
//!
//! Expect a line for each cell and size: forward and backward in milliseconds at T = 4096 and B = 1, and the LSTM's time
//! over its own. With as many parameters, about as much work is in products, and these are most of the time: on two cores
//! the ratio is 0.4 to 1.1 where the LSTM's weights stay in the cache. Then the time of a step as the sequence grows from
//! 1024 to 65,536 steps, which does not grow: the scan is linear in T. Last, a step of a stream.
//!
//! The input is not tracked, as in the first layer of a network. In f32 on flex; medians of seven.

use bptt::scanned::{LruConfig, MinGruConfig, MinLstmConfig, RgLruConfig, S5Config};
use bptt::{LstmConfig, RecurrentLayer};
use bptt_benches::median;
use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use std::time::Instant;

fn main() {
    let device = Device::flex().autodiff();
    device.seed(1);
    for size in [128, 256, 512] {
        let lstm = LstmConfig::new(size, size).init(&device);
        let parameters = lstm.num_params();
        let slow = line("lstm", &lstm, size, None);
        // 2 H (I + 1) = 8 I (I + 1), as the LSTM has.
        let gru = MinGruConfig::new(size, 4 * size).init(&device);
        assert_eq!(gru.num_params(), parameters);
        line("mingru", &gru, size, Some(slow));
        let log = MinGruConfig::new(size, 4 * size).with_log_space(true).init(&device);
        line("mingru, log-space", &log, size, Some(slow));
        let lstm = MinLstmConfig::new(size, 8 * size / 3).init(&device);
        line("minlstm", &lstm, size, Some(slow));
        // H (I + 2 H + 3), with the projection of the input; 2 H I + 2 H H + H I for the complex ones.
        let solve = |a: f64, b: f64| {
            let count = parameters as f64;
            ((-b + (b * b + 4.0 * a * count).sqrt()) / (2.0 * a)).round() as usize
        };
        let rg_lru = RgLruConfig::new(size, solve(2.0, size as f64 + 3.0)).init(&device);
        line("rg-lru", &rg_lru, size, Some(slow));
        let units = solve(2.0, 3.0 * size as f64 + 3.0);
        line("lru", &LruConfig::new(size, units).init(&device), size, Some(slow));
        line("s5", &S5Config::new(size, units).init(&device), size, Some(slow));
    }
    // As many units.
    let slow = line("lstm", &LstmConfig::new(512, 512).init(&device), 512, None);
    line("mingru", &MinGruConfig::new(512, 512).init(&device), 512, Some(slow));
    line("minlstm", &MinLstmConfig::new(512, 512).init(&device), 512, Some(slow));
    line("rg-lru", &RgLruConfig::new(512, 512).init(&device), 512, Some(slow));
    let gru = MinGruConfig::new(128, 512).init(&device);
    for time in [1024, 4096, 16_384, 65_536] {
        let [forward, backward] = medians(&gru, [1, time, 128]);
        println!(
            "mingru, I 128, H 512  T {time:>6}: {:.2} µs a step",
            (forward + backward) * 1e3 / time as f64
        );
    }
    let plain = Device::flex();
    let gru = MinGruConfig::new(128, 512).init(&plain);
    let input = Tensor::<2>::random([1, 128], Distribution::Default, &plain);
    let (_, mut state) = gru.step(input.clone(), None);
    let start = Instant::now();
    for _ in 0..1000 {
        (_, state) = gru.step(input.clone(), state);
    }
    println!(
        "mingru, I 128, H 512  a step of a stream: {:.1} µs",
        start.elapsed().as_secs_f64() * 1e3
    );
}

/// Prints the times of a layer; returns their sum.
fn line<L: RecurrentLayer>(name: &str, layer: &L, size: usize, slow: Option<f64>) -> f64 {
    let [forward, backward] = medians(layer, [1, 4096, size]);
    let sum = forward + backward;
    let faster = slow.map(|slow| format!("  {:.1} times as fast as the LSTM", slow / sum));
    println!(
        "{name:<18} I {size:>3}  {:>8} parameters  forward {forward:7.1} ms  backward {backward:7.1} ms{}",
        layer.num_params(),
        faster.unwrap_or_default(),
    );
    sum
}

/// The median times of the forward and the backward pass, in milliseconds.
fn medians<L: RecurrentLayer>(layer: &L, shape: [usize; 3]) -> [f64; 2] {
    let plain = layer.devices().remove(0).inner();
    let values = Tensor::<3>::random(shape, Distribution::Default, &plain);
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    for round in 0..9 {
        let input = Tensor::from_inner(values.clone());
        let start = Instant::now();
        let (outputs, _) = layer.forward(input, None);
        let there = start.elapsed().as_secs_f64() * 1e3;
        let start = Instant::now();
        let gradients = outputs.sum().backward();
        let back = start.elapsed().as_secs_f64() * 1e3;
        drop(gradients);
        // The first two rounds only fill the memory pools.
        if round > 1 {
            forward.push(there);
            backward.push(back);
        }
    }
    [median(forward), median(backward)]
}
