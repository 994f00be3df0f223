//! Measures how the cost of both engines grows with the number of steps.
//!
//! Command: `cargo run --release -p bptt-benches --example linear_in_time`
//!
//! Expect a line for each engine, size and length, and how much longer the backward pass at
//! T = 4096 takes than at T = 512, for eight times the steps. Autograd: 8 to 10 at I = H = 256 and
//! 10 to 12 at I = H = 128. What it has above 8 is Burn's: it searches its list of checkpoints once
//! for each of them, at a cost that does not depend on the size. At B = 32, the input tracked, on
//! flex; medians of three; three minutes.
//!
//! Then the manual engine's training step from T = 1024 to 16,384, a line for each cell and size: how
//! much longer a step of the longest sequence takes than one of the shortest. About 1 to 1.2; more where the
//! trace outgrows what the kernels keep from one sequence to the next, an eighth of the memory that there is:
//! fresh pages cost a fault each.

use bptt::{AnyRecurrentConfig, CellKind, Engine, LstmConfig, Recurrent, SequenceCell};
use bptt_benches::median;
use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use std::time::Instant;

/// The batch `B`.
const BATCH: usize = 32;

fn main() {
    let device = Device::flex().autodiff();
    device.seed(1);
    for hidden in [128, 256] {
        for engine in Engine::BACKWARD {
            let lstm = LstmConfig::new(hidden, hidden).with_engine(engine).init(&device);
            let backward = |time: usize| {
                let [forward, backward] = medians(&lstm, [BATCH, time, hidden]);
                println!(
                    "{:<8} I = H = {hidden}  T {time:>4}  forward {forward:8.1} ms  backward \
                     {backward:8.1} ms",
                    engine.name(),
                );
                backward
            };
            let (short, long) = (backward(512), backward(4096));
            println!("{:<8} backward at T 4096 over T 512: {:.1}", engine.name(), long / short);
        }
    }
    for (batch, hidden) in [(8, 64), (32, 128)] {
        for cell in CellKind::ALL {
            let layer = AnyRecurrentConfig::new(cell, hidden, hidden).init(&device);
            let step = |time: usize| medians(&layer, [batch, time, hidden]).iter().sum::<f64>();
            let [short, long] = [1024, 16_384].map(step);
            println!(
                "{:<5} B = {batch}, I = H = {hidden}  T 1024 {short:7.1} ms  T 16384 {long:7.1} ms  \
                 per step {:.2}",
                cell.name(),
                long / short / 16.0,
            );
        }
    }
}

/// The median times of the forward and the backward pass, in milliseconds.
fn medians<C: SequenceCell>(layer: &Recurrent<C>, shape: [usize; 3]) -> [f64; 2] {
    let device = layer.devices()[0].clone();
    let mut times: [Vec<f64>; 2] = Default::default();
    for _ in 0..3 {
        let input = Tensor::<3>::random(shape, Distribution::Default, &device);
        let start = Instant::now();
        let loss = layer.forward(input.require_grad(), None).0.sum();
        times[0].push(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        let _ = loss.backward();
        times[1].push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.map(median)
}
