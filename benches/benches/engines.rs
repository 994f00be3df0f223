//! One layer of each cell: both engines, and Burn's own layer.
//!
//! Shows: what a training step, a forward pass and a step of a stream cost, on the backend `flex`
//! in f32, side by side in one run. The loss is the sum of the outputs; gradients are taken with
//! respect to the input and all parameters.
//!
//! Command: `cargo bench -p bptt-benches --bench engines` (a quarter of an hour; a name such as
//! `train/lstm` at its end chooses)
//!
//! What to expect: a line with a time for each cell, size and engine. At the first size all engines
//! run, and the manual engine's time is the shortest; at the others only the manual engine does. For
//! other sizes and devices: `bptt bench`.

use bptt::{AnyRecurrentConfig, CellKind, Engine};
use burn::Tensor;
use burn::nn;
use burn::tensor::{Device, Distribution};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;

/// `B`, `T`, `I`, `H`; the last one fits no register and no tile.
const SIZES: [[usize; 4]; 5] = [
    [32, 100, 128, 128],
    [64, 128, 256, 256],
    [1, 512, 64, 64],
    [16, 512, 256, 512],
    [7, 61, 75, 100],
];

type Forward = Box<dyn Fn(Tensor<3>) -> Tensor<3>>;

fn train(criterion: &mut Criterion) {
    sequences(criterion, "train", &Device::flex().autodiff(), |forward, input| {
        let input = input.clone().detach().require_grad();
        let gradients = forward(input.clone()).sum().backward();
        drop(black_box((input.grad(&gradients), gradients)));
    });
}

fn infer(criterion: &mut Criterion) {
    sequences(criterion, "infer", &Device::flex(), |forward, input| {
        drop(black_box(forward(input.clone())));
    });
}

fn sequences(
    criterion: &mut Criterion,
    what: &str,
    device: &Device,
    run: impl Fn(&Forward, &Tensor<3>),
) {
    device.seed(1);
    for cell in CellKind::ALL {
        let mut group = criterion.benchmark_group(format!("{what}/{}", cell.name()));
        group.sample_size(10);
        for (k, size) in SIZES.into_iter().enumerate() {
            let [batch, time, width, _] = size;
            let input = Tensor::random([batch, time, width], Distribution::Default, device);
            let engines = if k == 0 { &["manual", "autograd", "burn-nn"][..] } else { &["manual"] };
            for engine in engines {
                let Some(forward) = layer(cell, engine, size, device) else { continue };
                let id = BenchmarkId::new(*engine, format!("{size:?}"));
                group.bench_function(id, |bencher| bencher.iter(|| run(&forward, &input)));
            }
        }
        group.finish();
    }
}

/// The layer's forward pass; `None` if `burn::nn` has no such layer.
fn layer(cell: CellKind, engine: &str, size: [usize; 4], device: &Device) -> Option<Forward> {
    let [_, _, width, hidden] = size;
    let ours = |engine| -> Forward {
        let config = AnyRecurrentConfig::new(cell, width, hidden).with_engine(engine);
        let layer = config.init(device);
        Box::new(move |x| layer.forward(x, None).0)
    };
    Some(match (engine, cell) {
        ("manual", _) => ours(Engine::Manual),
        ("autograd", _) => ours(Engine::Autograd),
        (_, CellKind::Rnn) => {
            let layer = nn::RnnConfig::new(width, hidden, true).init(device);
            Box::new(move |x| layer.forward(x, None).0)
        }
        (_, CellKind::Lstm) => {
            let layer = nn::LstmConfig::new(width, hidden, true).init(device);
            Box::new(move |x| layer.forward(x, None).0)
        }
        (_, CellKind::Gru) => {
            let layer = nn::GruConfig::new(width, hidden, true).init(device);
            Box::new(move |x| layer.forward(x, None))
        }
        _ => return None,
    })
}

/// One step of a stream, by the manual engine.
fn step(criterion: &mut Criterion) {
    const HIDDEN: usize = 256;
    let device = Device::flex();
    device.seed(1);
    let row = Tensor::<2>::random([1, HIDDEN], Distribution::Default, &device);
    let mut group = criterion.benchmark_group("step");
    for cell in CellKind::ALL {
        let layer = AnyRecurrentConfig::new(cell, HIDDEN, HIDDEN).init(&device);
        let mut state = None;
        group.bench_function(cell.name(), |bencher| {
            bencher.iter(|| state = Some(layer.step(row.clone(), state.take()).1));
        });
    }
    group.finish();
}

criterion_group!(benches, train, infer, step);
criterion_main!(benches);
