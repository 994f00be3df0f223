//! Measures layers that run as a scan beside an LSTM with as many parameters, and with as many units.
//!
//! Command: `cargo run --release -p bptt-benches --example scan`; sizes after `--`, such as `-- 64 256`, for these only
//!
//! Expect a line for each layer, at T = 4096 and B = 1: the time without gradients (infer); the time of forward and
//! backward pass as the first layer of a network, whose input has no gradient (first), and as a layer above (above); each
//! with the LSTM's time over it. `G/s` is how many multiplications and additions of the weights a second the first of them
//! has, in 10⁹. With as many parameters, a layer does as many as the LSTM; so the ratio is how much faster the machine computes
//! a product of matrices than a step's product of a matrix and a vector, and it grows with the LSTM's recurrent weights,
//! which leave one cache after the other (`docs/src/cells.md`). With as many units, minGRU does a quarter of them, and
//! minLSTM three eighths.
//!
//! Then the time of a step as the sequence grows from 512 to 65,536 steps, which does not grow: the scan is linear in T.
//! Last, a step of a stream.
//!
//! In f32 on flex. The layers of a size run in turns, so that they share what else the machine does; medians, and the
//! smallest in brackets. The size 2048 takes most of the time.

use bptt::scanned::{LruConfig, MinGruConfig, MinLstmConfig, RgLruConfig, S5Config};
use bptt::{LstmConfig, RecurrentLayer};
use bptt_benches::median;
use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use std::time::Instant;

/// `T` of the comparisons.
const TIME: usize = 4096;

fn main() {
    let device = Device::flex().autodiff();
    device.seed(1);
    let sizes: Vec<usize> =
        std::env::args().skip(1).map(|size| size.parse().expect("a size")).collect();
    for size in if sizes.is_empty() { vec![64, 256, 1024, 2048] } else { sizes } {
        compare(size, &device);
    }
    let gru = MinGruConfig::new(128, 512).init(&device);
    for time in [512, 1024, 2048, 4096, 8192, 16_384, 65_536] {
        let contender = Contender::new("mingru", &gru);
        let runs = (0..7).map(|_| contender.run(time, Mode::First)).skip(2).collect();
        println!(
            "mingru, I 128, H 512  T {time:>6}: {:.2} µs a step",
            median(runs) * 1e3 / time as f64
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

/// Compares layers with an LSTM of as many inputs and units as `size`.
fn compare(size: usize, device: &Device) {
    let lstm = LstmConfig::new(size, size).init(device);
    let parameters = lstm.num_params();
    let mut all = vec![Contender::new("lstm", &lstm)];
    println!("LSTM of {size} inputs and units, {parameters} parameters; T = {TIME}, B = 1");
    // 2 H (I + 1) = 8 I (I + 1), as the LSTM has; 3 H (I + 1).
    all.push(Contender::new("mingru", &MinGruConfig::new(size, 4 * size).init(device)));
    all.push(Contender::new("minlstm", &MinLstmConfig::new(size, 8 * size / 3).init(device)));
    if size <= 512 {
        // H (I + 2 H + 3), with the projection of the input; 2 H I + 2 H H + H I for the complex ones.
        let solve = |a: f64, b: f64| {
            let count = parameters as f64;
            ((-b + (b * b + 4.0 * a * count).sqrt()) / (2.0 * a)).round() as usize
        };
        let units = solve(2.0, size as f64 + 3.0);
        all.push(Contender::new("rg-lru", &RgLruConfig::new(size, units).init(device)));
        let units = solve(2.0, 3.0 * size as f64 + 3.0);
        all.push(Contender::new("lru", &LruConfig::new(size, units).init(device)));
        all.push(Contender::new("s5", &S5Config::new(size, units).init(device)));
    }
    all.push(Contender::new("mingru", &MinGruConfig::new(size, size).init(device)));
    all.push(Contender::new("minlstm", &MinLstmConfig::new(size, size).init(device)));
    let rounds = if size > 1024 { 3 } else { 9 };
    let mut times = vec![[(); 3].map(|()| Vec::new()); all.len()];
    for round in 0..=rounds {
        for (contender, times) in all.iter().zip(&mut times) {
            for (mode, times) in [Mode::Infer, Mode::First, Mode::Above].into_iter().zip(times) {
                let time = contender.run(TIME, mode);
                // The first round only fills the memory pools.
                if round > 0 {
                    times.push(time);
                }
            }
        }
    }
    let least = |times: &Vec<f64>| times.iter().copied().fold(f64::INFINITY, f64::min);
    let slow = times[0].clone();
    for (contender, times) in all.iter().zip(&times) {
        let Contender { name, units, parameters, .. } = contender;
        print!("  {name:<8} H {units:>5} {parameters:>9} parameters ");
        for ((what, times), slow) in ["infer", "first", "above"].iter().zip(times).zip(&slow) {
            let (middle, smallest) = (median(times.clone()), least(times));
            print!(
                "  {what} {middle:7.1} ({smallest:7.1}) ms {:5.2}x ({:5.2}x)",
                median(slow.clone()) / middle,
                least(slow) / smallest
            );
        }
        println!("  {:4.0} G/s", *parameters as f64 * TIME as f64 / least(&times[0]) / 1e6);
    }
}

/// What is measured.
#[derive(Clone, Copy)]
enum Mode {
    /// Without gradients.
    Infer,
    /// Forward and backward, with an input that has no gradient.
    First,
    /// Forward and backward, with all gradients.
    Above,
}

/// A layer that is measured.
struct Contender {
    name: &'static str,
    units: usize,
    parameters: usize,
    run: Box<dyn Fn(usize, Mode) -> f64>,
}

impl Contender {
    fn new<L: RecurrentLayer + 'static>(name: &'static str, layer: &L) -> Self {
        let (units, parameters) = (layer.d_output(), layer.num_params());
        let (layer, plain) = (layer.clone(), layer.valid());
        let device = plain.devices().remove(0);
        let run = move |time, mode| {
            let shape = [1, time, layer.d_input()];
            let input = Tensor::<3>::random(shape, Distribution::Default, &device);
            let input = match mode {
                Mode::Infer => input,
                Mode::First => Tensor::from_inner(input),
                Mode::Above => Tensor::from_inner(input).require_grad(),
            };
            let start = Instant::now();
            match mode {
                Mode::Infer => drop(plain.forward(input, None)),
                _ => drop(layer.forward(input, None).0.sum().backward()),
            }
            start.elapsed().as_secs_f64() * 1e3
        };
        Self { name, units, parameters, run: Box::new(run) }
    }

    /// The time in milliseconds.
    fn run(&self, time: usize, mode: Mode) -> f64 {
        (self.run)(time, mode)
    }
}
