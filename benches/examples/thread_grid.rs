//! Two threads beside one, over a grid of small and large layers: more threads must never be slower.
//!
//! Command: `cargo run --release -p bptt-benches --example thread_grid` (ten minutes); cells after `--`, such as
//! `-- lstm gru`, for these only; `--batch 4`, `--hidden 64` and `--mode infer` for a part of the grid.
//!
//! Expect a line for each size: the time of a step with one thread, and the time with two threads over that with one: the
//! median of paired runs, one after the other in one process, and the interval that has the true median with 96 %
//! confidence. A line ends with `SLOWER` if the whole interval is above 1.05; and with `LITTLE` if it is above 0.65
//! where a step takes one thread more than 20 µs. At the end, how many sizes there were of each kind. The command fails if one
//! was slower.
//!
//! In f32 on flex, T = 100, I = 64. Run it on two cores with nothing beside it.

use bptt::{AnyRecurrentConfig, CellKind};
use bptt_benches::median;
use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::process::ExitCode;
use std::time::Instant;

const TIME: usize = 100;
const INPUT: usize = 64;
const BATCHES: [usize; 6] = [1, 2, 4, 8, 16, 32];
const SIZES: [usize; 6] = [16, 32, 64, 128, 256, 512];
/// How many pairs of runs there are, and which of their sorted ratios are the ends of the interval: the median is between
/// them with a probability of 96 %, by the binomial distribution.
const PAIRS: usize = 15;
const INTERVAL: [usize; 2] = [3, 11];
/// A run repeats what it measures until it takes this long, in seconds.
const RUN: f64 = 2e-3;

fn main() -> ExitCode {
    let options = Options::parse(std::env::args().skip(1));
    let pools = [1, 2].map(|threads| {
        ThreadPoolBuilder::new().num_threads(threads).build().expect("the system has threads")
    });
    let device = Device::flex().autodiff();
    device.seed(1);
    let [mut all, mut slower, mut little] = [0; 3];
    for &cell in &options.cells {
        for mode in ["infer", "train"].into_iter().filter(|mode| options.modes.contains(mode)) {
            for &batch in &options.batches {
                for &hidden in &options.sizes {
                    let pair = measure(cell, mode, batch, hidden, &pools, &device);
                    let [low, high] = INTERVAL.map(|index| pair.ratios[index]);
                    let is_slower = low > 1.05;
                    let is_little = low > 0.65 && pair.step > 20e-6;
                    all += 1;
                    slower += usize::from(is_slower);
                    little += usize::from(is_little);
                    println!(
                        "{:<16} {mode}  B {batch:>2}  H {hidden:>3}  {:8.2} us a step  x{:.2}  [{low:.2}, {high:.2}]{}",
                        cell.name(),
                        pair.step * 1e6,
                        pair.ratios[PAIRS / 2],
                        match (is_slower, is_little) {
                            (true, _) => "  SLOWER",
                            (_, true) => "  LITTLE",
                            _ => "",
                        }
                    );
                }
            }
        }
    }
    println!(
        "of {all} sizes: {slower} slower with two threads, {little} of more than 20 us a step with less than 1/0.65"
    );
    if slower == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Which part of the grid is measured.
struct Options {
    cells: Vec<CellKind>,
    modes: Vec<&'static str>,
    batches: Vec<usize>,
    sizes: Vec<usize>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Self {
        let mut options = Self { cells: vec![], modes: vec![], batches: vec![], sizes: vec![] };
        while let Some(arg) = args.next() {
            let mut value = || args.next().expect("an option has a value");
            let mut number = || value().parse().expect("a number");
            match arg.as_str() {
                "--batch" => options.batches.push(number()),
                "--hidden" => options.sizes.push(number()),
                "--mode" if value() == "infer" => options.modes.push("infer"),
                "--mode" => options.modes.push("train"),
                name => {
                    let cell = CellKind::ALL.into_iter().find(|cell| cell.name() == name);
                    options.cells.push(cell.expect("a cell"));
                }
            }
        }
        fn all<T: Clone>(chosen: &mut Vec<T>, all: &[T]) {
            if chosen.is_empty() {
                chosen.extend_from_slice(all);
            }
        }
        all(&mut options.cells, &[CellKind::Lstm, CellKind::Gru, CellKind::Rnn]);
        all(&mut options.modes, &["infer", "train"]);
        all(&mut options.batches, &BATCHES);
        all(&mut options.sizes, &SIZES);
        options
    }
}

/// What one size took.
struct Pair {
    /// The time of a step with one thread, in seconds.
    step: f64,
    /// The times with two threads over those with one, sorted.
    ratios: Vec<f64>,
}

fn measure(
    cell: CellKind,
    mode: &str,
    batch: usize,
    hidden: usize,
    pools: &[ThreadPool; 2],
    device: &Device,
) -> Pair {
    let layer = AnyRecurrentConfig::new(cell, INPUT, hidden).init(device);
    let plain = layer.valid();
    let shape = [batch, TIME, INPUT];
    let input = Tensor::<3>::random(shape, Distribution::Default, &plain.devices().remove(0));
    let once = || match mode {
        "infer" => drop(plain.forward(input.clone(), None)),
        _ => drop(layer.forward(Tensor::from_inner(input.clone()), None).0.sum().backward()),
    };
    let seconds = |pool: &ThreadPool, runs: usize| {
        pool.install(|| {
            let start = Instant::now();
            (0..runs).for_each(|_| once());
            start.elapsed().as_secs_f64() / runs as f64
        })
    };
    // These fill the memory pools, and start the threads.
    pools.iter().for_each(|pool| {
        seconds(pool, 3);
    });
    let runs = (RUN / seconds(&pools[0], 3)).ceil().max(1.0) as usize;
    let mut of_one = Vec::new();
    let mut ratios = Vec::new();
    for pair in 0..PAIRS {
        // Each of the two is first in half of the pairs.
        let (one, two) = if pair % 2 == 0 {
            let one = seconds(&pools[0], runs);
            (one, seconds(&pools[1], runs))
        } else {
            let two = seconds(&pools[1], runs);
            (seconds(&pools[0], runs), two)
        };
        of_one.push(one);
        ratios.push(two / one);
    }
    ratios.sort_by(f64::total_cmp);
    Pair { step: median(of_one) / TIME as f64, ratios }
}
