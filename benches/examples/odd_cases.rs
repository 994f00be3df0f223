//! Whether widths that are no multiples of anything, and numbers that are denormal, cost more.
//!
//! Command: `cargo run --release -p bptt-benches --example odd_cases` (a minute).
//!
//! What to expect: for each cell and width the operations a second of a training step, and how much
//! longer, for each operation, one takes than at the next multiple of 32: about 1.2 at most, for RNN and
//! GRU at 75 and 100 units, where nothing else uses the cores; up to 1.3 for an RNN where something does,
//! since its work outside of the products weighs more. Then a training step on denormal inputs, states
//! and gradients beside one on ordinary ones: the same time, where the processor works denormals at full
//! speed.

use bptt::{AnyRecurrent, AnyRecurrentConfig, CellKind, SequenceCell};
use bptt_benches::median;
use burn::Tensor;
use burn::tensor::{Device, Distribution};
use std::time::Instant;

const BATCH: usize = 32;
const TIME: usize = 100;
const ROUNDS: usize = 15;
/// So many in a row: the other layer's numbers are not what a layer finds in the cache.
const STEPS: usize = 4;

fn main() {
    println!("{:>5} {:>7}  {:>6}  {:>21}", "cell", "I = H", "GF/s", "/ next multiple of 32");
    for cell in CellKind::ALL {
        for width in [75_usize, 100, 127, 250] {
            let round = width.next_multiple_of(32);
            let at = |width: usize| (layer(cell, width), input(width, 1.0));
            let [odd, even] = in_turns([at(width), at(round)], 1.0);
            let per_flop = |seconds: f64, width| seconds / flops(cell, width);
            println!(
                "{:>5} {width:>7}  {:>6.1}  {:>21.2}",
                cell.name(),
                1e-9 / per_flop(odd, width),
                per_flop(odd, width) / per_flop(even, round),
            );
        }
    }
    println!("\n{:>5}  {:>12} {:>12}  {:>5}", "cell", "ordinary ms", "denormal ms", "ratio");
    for cell in CellKind::ALL {
        let of = |scale| (layer(cell, 128), input(128, scale));
        let [ordinary] = in_turns([of(1.0)], 1.0);
        let [denormal] = in_turns([of(1e-41)], 1e-41);
        println!(
            "{:>5}  {:>12.2} {:>12.2}  {:>5.2}",
            cell.name(),
            1e3 * ordinary,
            1e3 * denormal,
            denormal / ordinary,
        );
    }
}

/// Without biases, so that a state stays as small as its inputs.
fn layer(cell: CellKind, width: usize) -> AnyRecurrent {
    let device = Device::flex().autodiff();
    AnyRecurrentConfig::new(cell, width, width).with_bias(false).init(&device)
}

fn input(width: usize, scale: f64) -> Tensor<3> {
    let normal = Distribution::Normal(0.0, 1.0);
    Tensor::random([BATCH, TIME, width], normal, &Device::flex()).mul_scalar(scale)
}

/// The median seconds of training steps, worked in turns. The loss is the outputs' sum, scaled.
fn in_turns<const N: usize>(all: [(AnyRecurrent, Tensor<3>); N], scale: f64) -> [f64; N] {
    let mut seconds = [const { Vec::new() }; N];
    for round in 0..=ROUNDS {
        for ((layer, input), seconds) in all.iter().zip(&mut seconds) {
            let start = Instant::now();
            for _ in 0..STEPS {
                let leaf = Tensor::from_inner(input.clone()).require_grad();
                let outputs = layer.forward(leaf.clone(), None).0;
                let scaled = if scale == 1.0 { outputs } else { outputs.mul_scalar(scale) };
                let gradients = scaled.sum().backward();
                assert!(leaf.grad(&gradients).is_some());
            }
            if round > 0 {
                seconds.push(start.elapsed().as_secs_f64() / STEPS as f64);
            }
        }
    }
    seconds.map(median)
}

/// Multiplications and additions of a training step: a forward pass, and twice as many on the way back.
fn flops(cell: CellKind, width: usize) -> f64 {
    let gates = cell.default_cell().gates();
    3.0 * 2.0 * (BATCH * TIME * gates * 2 * width * width) as f64
}
