//! Both directions of a layer as one operation beside one direction after the other.
//!
//! Command: `cargo run --release -p bptt-benches --example both_directions` (two minutes); `-- 1,200,80,256` for one size
//! `B,T,I,H` only, `-- 32,100,40,256,2` with two layers; `--mode infer` or `--mode train` for one mode.
//!
//! Expect two lines for each size, for one thread and for two: the time one after the other, and the time at once over that:
//! the median of paired runs, one after the other in one process, and the interval that has the true median with 96 %
//! confidence. One after the other, each direction is a layer by itself, and their outputs are concatenated, as in a
//! layer that somebody writes by hand.
//!
//! An LSTM in f32 on flex. Run it on two cores with nothing beside it.

use bptt::{Lstm, LstmConfig};
use bptt_benches::median;
use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::time::Instant;

/// `B`, `T`, `I`, `H` and layers.
const SIZES: [[usize; 5]; 10] = [
    [1, 200, 80, 256, 1],
    [4, 100, 40, 128, 1],
    [32, 100, 40, 256, 2],
    [8, 35, 650, 650, 2],
    [1, 100, 64, 16, 1],
    [1, 100, 64, 64, 1],
    [8, 100, 64, 32, 1],
    [16, 100, 64, 128, 1],
    [64, 50, 64, 64, 1],
    [1, 20, 16, 32, 1],
];
/// How many pairs of runs there are, and which of their sorted ratios are the ends of the interval: the median is between
/// them with a probability of 96 %, by the binomial distribution.
const PAIRS: usize = 15;
const INTERVAL: [usize; 2] = [3, 11];
/// A run repeats what it measures until it takes this long, in seconds.
const RUN: f64 = 2e-3;

fn main() {
    let (mut sizes, mut modes) = (vec![], vec![]);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--mode" {
            modes.push(args.next().expect("a mode"));
            continue;
        }
        let numbers: Vec<usize> =
            arg.split(',').map(|number| number.parse().expect("a number")).collect();
        let [batch, time, input, hidden, ref layers @ ..] = numbers[..] else {
            panic!("expected B,T,I,H")
        };
        sizes.push([batch, time, input, hidden, layers.first().copied().unwrap_or(1)]);
    }
    if sizes.is_empty() {
        sizes.extend(SIZES);
    }
    if modes.is_empty() {
        modes.extend(["infer".to_string(), "train".to_string()]);
    }
    let pools = [1, 2].map(|threads| {
        ThreadPoolBuilder::new().num_threads(threads).build().expect("the system has threads")
    });
    for size in sizes {
        for mode in &modes {
            for pool in &pools {
                measure(size, mode, pool);
            }
        }
    }
}

/// The layers of a stack: each in both directions, and the same as two layers of one direction.
struct Layers {
    both: Vec<Lstm>,
    apart: Vec<[Lstm; 2]>,
}

impl Layers {
    fn new([_, _, input, hidden, layers]: [usize; 5], device: &Device) -> Self {
        let widths = || (0..layers).map(|layer| if layer == 0 { input } else { 2 * hidden });
        let both = |width| LstmConfig::new(width, hidden).with_bidirectional(true).init(device);
        let one =
            |width, reverse| LstmConfig::new(width, hidden).with_reverse(reverse).init(device);
        Self {
            both: widths().map(both).collect(),
            apart: widths().map(|width| [one(width, false), one(width, true)]).collect(),
        }
    }

    fn valid(&self) -> Self {
        Self {
            both: self.both.iter().map(|layer| layer.valid()).collect(),
            apart: self
                .apart
                .iter()
                .map(|pair| pair.each_ref().map(|layer| layer.valid()))
                .collect(),
        }
    }

    fn run(&self, input: Tensor<3>, at_once: bool) -> Tensor<3> {
        if at_once {
            return self.both.iter().fold(input, |x, layer| layer.forward(x, None).0);
        }
        self.apart.iter().fold(input, |x, pair| {
            let outputs = pair.each_ref().map(|layer| layer.forward(x.clone(), None).0);
            Tensor::cat(outputs.to_vec(), 2)
        })
    }
}

fn measure(size: [usize; 5], mode: &str, pool: &ThreadPool) {
    let device = Device::flex().autodiff();
    let layers = Layers::new(size, &device);
    let plain = layers.valid();
    let [batch, time, width, hidden, count] = size;
    let input = Tensor::<3>::random([batch, time, width], Distribution::Default, &Device::flex());
    let once = |at_once| match mode {
        "infer" => drop(plain.run(input.clone(), at_once)),
        _ => drop(layers.run(Tensor::from_inner(input.clone()), at_once).sum().backward()),
    };
    let seconds = |at_once: bool, runs: usize| {
        pool.install(|| {
            let start = Instant::now();
            (0..runs).for_each(|_| once(at_once));
            start.elapsed().as_secs_f64() / runs as f64
        })
    };
    // These fill the memory pools, and start the threads.
    seconds(false, 3);
    seconds(true, 3);
    let runs = (RUN / seconds(false, 3)).ceil().max(1.0) as usize;
    let (mut apart, mut ratios) = (vec![], vec![]);
    for pair in 0..PAIRS {
        // Each of the two is first in half of the pairs.
        let first = seconds(pair % 2 == 0, runs);
        let second = seconds(pair % 2 == 1, runs);
        let (at_once, other) = if pair % 2 == 0 { (first, second) } else { (second, first) };
        apart.push(other);
        ratios.push(at_once / other);
    }
    ratios.sort_by(f64::total_cmp);
    let [low, high] = INTERVAL.map(|index| ratios[index]);
    println!(
        "B {batch:>2}  T {time:>3}  I {width:>3}  H {hidden:>3}  layers {count}  {mode}  threads {}  {:9.3} ms  x{:.2}  [{low:.2}, {high:.2}]",
        pool.current_num_threads(),
        median(apart) * 1e3,
        ratios[PAIRS / 2],
    );
}
