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
//! The times are the layer's: the loss is a sum over all outputs, the padding's too, and its gradient a
//! tensor as large, which Burn fills; what both take by themselves is measured beside and taken off.

use bptt::{AnyRecurrent, AnyRecurrentConfig, CellKind, Skipped};
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
            for ((shape, mask), [steps, losses]) in all.iter().zip(&mut seconds) {
                let of_step = step(&layer, *shape, *mask, width, &device);
                let of_loss = loss(*shape, width, &device);
                if round > 1 {
                    steps.push(of_step);
                    losses.push(of_loss);
                }
            }
        }
        let seconds: Vec<_> =
            seconds.into_iter().map(|[steps, losses]| median(steps) - median(losses)).collect();
        let dense = seconds[0] / (ROWS * STEPS) as f64;
        println!("  {:37} {:8.3} us a step", "dense", dense * 1e6);
        for (batch, seconds) in ragged.iter().zip(&seconds[3..]) {
            let each = seconds / batch.valid() as f64;
            let padding = 1.0 - batch.valid() as f64 / batch.mask.len() as f64;
            println!(
                "  {:37} {:8.3} us a step, {:.2} of it; padding {:2.0} %",
                batch.name,
                each * 1e6,
                each / dense,
                padding * 100.0,
            );
        }
        let valid = ROWS * OTHERS + ALONE - OTHERS;
        let each = (seconds[1] + seconds[2]) / valid as f64;
        let name = format!("{ROWS} rows of {OTHERS}, then 1 of {}, dense", ALONE - OTHERS);
        println!("  {name:37} {:8.3} us a step, {:.2} of it", each * 1e6, each / dense);
    }
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
    device: &Device,
) -> f64 {
    let input =
        Tensor::<3>::random([rows, time, width], Distribution::Default, device).require_grad();
    let mask =
        mask.map(|mask| Tensor::from_data(TensorData::new(mask.clone(), [rows, time]), device));
    let start = Instant::now();
    let (outputs, _) = match mask {
        None => layer.forward(input.clone(), None),
        Some(mask) => layer.forward_masked(input.clone(), mask, Skipped::Zero, None),
    };
    let gradients = outputs.sum().backward();
    assert!(input.grad(&gradients).is_some());
    start.elapsed().as_secs_f64()
}

/// Seconds that the loss and its gradient take, over outputs of this shape.
fn loss([rows, time]: [usize; 2], width: usize, device: &Device) -> f64 {
    let outputs = Tensor::<3>::zeros([rows, time, width], device).require_grad();
    let start = Instant::now();
    let gradients = outputs.clone().sum().backward();
    assert!(outputs.grad(&gradients).is_some());
    start.elapsed().as_secs_f64()
}
