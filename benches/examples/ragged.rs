//! What padding costs: a training step over a ragged batch beside one over a dense batch of as many
//! valid steps.
//!
//! Command: `cargo run --release -p bptt-benches --example ragged` (half a minute).
//!
//! What to expect: a line for each way in which a batch can be ragged, with the share of padding and
//! the time for each valid step over that of the dense batch. It should be near 1; a kernel that
//! computes the padding too would show 1 / (1 - padding). Where one row goes on alone, each of its steps
//! reads all weights for itself: beside it stands what its two parts take as dense batches.
//!
//! The loss is of the final state, so that the times are the layer's. Behind them, what a step takes if the
//! loss is a sum over all outputs, those of the padding too: then Burn fills and multiplies tensors as large
//! as the padded outputs, valid or not.

use bptt::{AnyRecurrent, AnyRecurrentConfig, CellKind, MaskedOutput};
use bptt_benches::median;
use burn::Tensor;
use burn::tensor::{Device, Distribution, TensorData};
use std::time::Instant;

const ROWS: usize = 32;
const STEPS: usize = 100;
/// The row that goes on alone, and the others.
const ALONE: usize = 800;
const OTHERS: usize = 80;

fn main() {
    let device = Device::flex().autodiff();
    for (cell, width) in
        [(CellKind::Lstm, 128), (CellKind::Lstm, 256), (CellKind::Gru, 128), (CellKind::Rnn, 256)]
    {
        let layer = AnyRecurrentConfig::new(cell, width, width).init(&device);
        println!("{cell:?}, B {ROWS}, I {width}, H {width}");
        let ragged = Ragged::all();
        // In turns, so that a machine that slows down slows all of them down.
        let shapes =
            [[ROWS, STEPS], [ROWS, OTHERS], [1, ALONE - OTHERS]].map(|shape| (shape, None));
        let batches = ragged.iter().map(|batch| ([ROWS, batch.time], Some(&batch.mask)));
        let all: Vec<_> = shapes.into_iter().chain(batches).collect();
        let mut seconds = vec![[Vec::new(), Vec::new()]; all.len()];
        for round in 0..11 {
            for ((shape, mask), seconds) in all.iter().zip(&mut seconds) {
                for (loss, seconds) in [Loss::State, Loss::Outputs].into_iter().zip(seconds) {
                    let taken = step(&layer, *shape, *mask, width, loss, &device);
                    if round > 1 {
                        seconds.push(taken);
                    }
                }
            }
        }
        let seconds: Vec<_> = seconds.into_iter().map(|both| both.map(median)).collect();
        let dense = seconds[0].map(|seconds| seconds / (ROWS * STEPS) as f64);
        let each = |seconds: [f64; 2], valid: usize| {
            let [state, outputs] = seconds.map(|seconds| seconds / valid as f64);
            let ratios = [state / dense[0], outputs / dense[1]];
            format!("{:7.3} us a step, {:.2} ({:.2}) of it", state * 1e6, ratios[0], ratios[1])
        };
        println!("  {:37} {:7.3} us a step", "dense", dense[0] * 1e6);
        for (batch, &seconds) in ragged.iter().zip(&seconds[3..]) {
            let padding = 100.0 * (1.0 - batch.valid() as f64 / batch.mask.len() as f64);
            let each = each(seconds, batch.valid());
            println!("  {:37} {each}; padding {padding:2.0} %", batch.name);
        }
        let name = format!("{ROWS} rows of {OTHERS}, then 1 of {}, dense", ALONE - OTHERS);
        let both = [0, 1].map(|loss| seconds[1][loss] + seconds[2][loss]);
        println!("  {name:37} {}", each(both, ROWS * OTHERS + ALONE - OTHERS));
    }
}

/// What the loss is a sum of.
#[derive(Clone, Copy)]
enum Loss {
    State,
    Outputs,
}

struct Ragged {
    name: &'static str,
    time: usize,
    /// `[B, T]`
    mask: Vec<bool>,
}

impl Ragged {
    fn all() -> Vec<Self> {
        let lengths = |name, time, length: &dyn Fn(usize) -> usize| {
            let mask = (0..ROWS).flat_map(|b| (0..time).map(move |t| (b, t)));
            Self { name, time, mask: mask.map(|(b, t)| t < length(b)).collect() }
        };
        // Multiples of 7 visit all remainders, in no order.
        let shuffled = |b: usize| b * 7 % ROWS;
        vec![
            lengths("lengths of 6 to 192, shuffled", 192, &|b| 6 * (shuffled(b) + 1)),
            lengths("lengths of 80 to 111, shuffled", 111, &|b| 80 + shuffled(b)),
            lengths("one row of 800, the others of 80", ALONE, &|b| match b {
                5 => ALONE,
                _ => OTHERS,
            }),
            Self {
                name: "a mask with every third step gone",
                time: 150,
                mask: (0..ROWS * 150).map(|i| (i + i / 150) % 3 != 0).collect(),
            },
        ]
    }

    fn valid(&self) -> usize {
        self.mask.iter().filter(|&&flag| flag).count()
    }
}

/// Seconds of a training step, with the gradient of the input.
fn step(
    layer: &AnyRecurrent,
    [rows, time]: [usize; 2],
    mask: Option<&Vec<bool>>,
    width: usize,
    loss: Loss,
    device: &Device,
) -> f64 {
    let input =
        Tensor::<3>::random([rows, time, width], Distribution::Default, device).require_grad();
    let mask =
        mask.map(|mask| Tensor::from_data(TensorData::new(mask.clone(), [rows, time]), device));
    let start = Instant::now();
    let (outputs, state) = match mask {
        None => layer.forward(input.clone(), None),
        Some(mask) => layer.forward_masked(input.clone(), mask, MaskedOutput::Zero, None),
    };
    let gradients = match loss {
        Loss::State => state.hidden.sum().backward(),
        Loss::Outputs => outputs.sum().backward(),
    };
    assert!(input.grad(&gradients).is_some());
    start.elapsed().as_secs_f64()
}
