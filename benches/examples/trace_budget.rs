//! What a bounded trace costs: the time of a training step against the memory it may keep.
//!
//! Command: `cargo run --release -p bptt-benches --example trace_budget [PICTURE.svg]` (a minute), or
//! with `long`, a sequence of 100,000 steps (half a minute).
//!
//! What to expect: a line for each budget, with the steps that are worked forward (as predicted, over
//! the sequence's length), the most memory above that before the step, and the time over that with
//! the whole trace. With a twentieth of it, the time should be at most 1.4 times as long. With `long`:
//! the whole process stays below 1 GiB.

use bptt::{Lstm, LstmConfig, hidden_state_cost};
use bptt_benches::median;
use burn::Tensor;
use burn::tensor::{DType, Device, Distribution};
use std::time::Instant;

const TIME: usize = 1000;
const ROWS: usize = 16;
const WIDTH: usize = 128;

/// How many numbers for each unit an LSTM keeps of a step, one of them its memory.
const NUMBERS: f64 = 5.0;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("long") => long(),
        picture => table(picture),
    }
}

fn table(picture: Option<&str>) {
    let device = Device::flex().autodiff();
    let lstm = LstmConfig::new(WIDTH, WIDTH).init(&device);
    let cost = |lstm: &Lstm| lstm.trace_cost(ROWS, TIME, DType::F32).expect("it fits");
    let whole = cost(&lstm).whole;
    let shares = [50.0, 20.0, 10.0, 5.0, 3.0, 2.0, 1.5];
    println!(
        "LSTM, T {TIME}, B {ROWS}, I {WIDTH}, H {WIDTH}; the whole trace has {} MB",
        whole / 1_000_000
    );
    let layers: Vec<Lstm> = std::iter::once(None)
        .chain(shares.iter().map(|share| Some((whole as f64 * share / 100.0) as usize)))
        .map(|budget| lstm.clone().with_trace_budget(budget))
        .collect();
    // In turns, so that a machine that slows down slows all of them down.
    let mut seconds = vec![Vec::new(); layers.len()];
    for round in 0..8 {
        for (layer, seconds) in layers.iter().zip(&mut seconds) {
            let taken = step(layer, TIME, ROWS, &device);
            if round > 0 {
                seconds.push(taken);
            }
        }
    }
    let mut seconds = seconds.into_iter().map(median);
    let base = seconds.next().expect("that of the whole trace");
    println!("{:>8}  {:>9}  {:>14}  {:>9}", "budget", "kept MB", "forward steps", "time");
    println!("{:>8}  {:>9.1}  {:>14.2}  {:>9.2}", "100 %", whole as f64 / 1e6, 1.0, 1.0);
    let mut measured = vec![(100.0, 1.0, 1.0)];
    for ((share, seconds), layer) in shares.into_iter().zip(seconds).zip(&layers[1..]) {
        let cost = cost(layer);
        let (forward, ratio) = (cost.ratio(), seconds / base);
        let kept = cost.bytes as f64 / 1e6;
        println!("{:>8}  {kept:>9.1}  {forward:>14.2}  {ratio:>9.2}", format!("{share} %"));
        measured.push((share, forward, ratio));
    }
    if let Some(path) = picture {
        std::fs::write(path, draw(&measured)).expect("the picture can be written");
    }
}

/// Seconds of a training step, with the gradient of the input.
fn step(layer: &Lstm, time: usize, rows: usize, device: &Device) -> f64 {
    let shape = [rows, time, layer.d_input()];
    let input = Tensor::random(shape, Distribution::Default, device).require_grad();
    let start = Instant::now();
    let gradients = layer.forward(input.clone(), None).0.sum().backward();
    assert!(input.grad(&gradients).is_some());
    start.elapsed().as_secs_f64()
}

fn long() {
    const STEPS: usize = 100_000;
    let device = Device::flex().autodiff();
    let lstm = LstmConfig::new(256, 256).with_trace_budget(Some(32 << 20)).init(&device);
    for _ in 0..2 {
        let seconds = step(&lstm, STEPS, 1, &device);
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("no VmHWM here");
        println!("T {STEPS}, B 1, I = H = 256, a budget of 32 MiB: {seconds:.1} s; {peak}");
    }
}

/// Cost against budget: measured times, predicted steps, and the optimum of the hidden states' schedule.
fn draw(measured: &[(f64, f64, f64)]) -> String {
    const SIZE: [f64; 2] = [640.0, 360.0];
    // Budget on a logarithmic axis from 1 % to 100 %, cost from 1 to 5.
    let x = |share: f64| 60.0 + (share.log10() / 2.0) * (SIZE[0] - 90.0);
    let y = |cost: f64| SIZE[1] - 50.0 - (cost - 1.0) / 4.0 * (SIZE[1] - 80.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        SIZE[0], SIZE[1],
    );
    let mut add = |line: String| {
        svg.push_str(&line);
        svg.push('\n');
    };
    for share in [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0] {
        add(format!(
            "<path d=\"M{0:.1} {1:.1}V{2:.1}\" stroke=\"#ddd\"/><text x=\"{0:.1}\" y=\"{3:.1}\" \
             text-anchor=\"middle\">{share} %</text>",
            x(share),
            y(1.0),
            y(5.0),
            y(1.0) + 18.0,
        ));
    }
    for cost in 1..=5 {
        let at = y(f64::from(cost));
        add(format!(
            "<path d=\"M{:.1} {at:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"50\" y=\"{:.1}\" \
             text-anchor=\"end\">{cost}</text>",
            x(1.0),
            x(100.0),
            at + 4.0,
        ));
    }
    let mut line = |points: Vec<(f64, f64)>, colour: &str, dash: &str, name: &str, row: f64| {
        let inside = points.iter().filter(|(share, cost)| *share >= 1.0 && *cost <= 5.0);
        let path: Vec<String> =
            inside.map(|&(share, cost)| format!("{:.1},{:.1}", x(share), y(cost))).collect();
        add(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-dasharray=\"{dash}\"/>\n<path d=\"M400 {row}h30\" stroke=\"{colour}\" \
             stroke-width=\"2\" stroke-dasharray=\"{dash}\"/><text x=\"438\" y=\"{}\">{name}</text>",
            path.join(" "),
            row + 4.0,
        ));
    };
    // States alone, step by step: a fifth of a step's trace each.
    let optimum = (10..=1000_usize).map(|states| {
        let share = (states as f64 + NUMBERS) / (TIME as f64 * NUMBERS) * 100.0;
        (share, hidden_state_cost(TIME, states) as f64 / TIME as f64)
    });
    line(optimum.collect(), "#999", "4 3", "optimum of single steps", 50.0);
    line(measured.iter().map(|m| (m.0, m.1)).collect(), "#1f77b4", "", "forward steps / T", 70.0);
    line(measured.iter().map(|m| (m.0, m.2)).collect(), "#d62728", "", "time, measured", 90.0);
    add(format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">memory kept, share of the whole trace</text>",
        SIZE[0] / 2.0,
        SIZE[1] - 12.0,
    ));
    add("<text x=\"60\" y=\"20\">cost, 1 = with the whole trace</text>".to_string());
    svg + "</svg>\n"
}
