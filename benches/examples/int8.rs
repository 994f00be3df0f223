//! Measures int8 weights through Burn's quantisation: whether they are faster, and what they cost in accuracy.
//!
//! Command: `cargo run --release -p bptt-benches --example int8 [RUN]`, where RUN is the folder of a
//! `bptt train char-lm --out RUN`.
//!
//! Expect, for an LSTM at B = 1, I = H = 256 on flex: the time of a step in f32; what a layer with int8 weights does,
//! by each engine; the times of one product `[1, 256] x [256, 1024]` in f32 and with int8 weights, and of turning these
//! back into f32 alone. With a run, also its validation loss with its own weights, and with recurrent weights that were
//! rounded to int8.

use bptt::{Engine, LstmConfig};
use bptt_benches::median;
use bptt_zoo::{CharLm, RunFolder, Task};
use burn::module::{Module, ModuleMapper, Param, Quantizer};
use burn::tensor::quantization::{Calibration, QuantScheme, QuantStore, QuantValue, ScaleDtype};
use burn::tensor::{Device, Distribution, Tensor};
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// `I` and `H`.
const SIZE: usize = 256;
/// How often each thing is timed.
const ROUNDS: usize = 501;

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    device.seed(1);
    layers(&device);
    products(&device);
    match std::env::args().nth(1) {
        Some(run) => losses(&RunFolder::new(run), &device),
        None => Ok(()),
    }
}

/// One scale for a matrix, and one for each 32 numbers of a row.
fn schemes() -> [(&'static str, QuantScheme); 2] {
    let int8 = QuantScheme::default().with_value(QuantValue::Q8S).with_store(QuantStore::Native);
    [
        ("int8, a scale for each matrix", int8.per_tensor(ScaleDtype::F32)),
        ("int8, a scale for each 32 numbers", int8.per_block([32], ScaleDtype::F32)),
    ]
}

/// In microseconds.
fn time<T>(mut work: impl FnMut() -> T) -> f64 {
    let run = |_| {
        let start = Instant::now();
        let done = work();
        let time = start.elapsed().as_secs_f64() * 1e6;
        drop(done);
        time
    };
    median((0..ROUNDS).map(run).collect())
}

fn layers(device: &Device) {
    let lstm = LstmConfig::new(SIZE, SIZE).init(device);
    let input = Tensor::<2>::random([1, SIZE], Distribution::Default, device);
    for engine in [Engine::Manual, Engine::Autograd] {
        let lstm = lstm.clone().with_engine(engine);
        let state = lstm.zero_state(1, &input);
        let plain = time(|| lstm.step(input.clone(), state.clone()));
        println!("step, f32, engine {}: {plain:.1} µs", engine.name());
        for (name, scheme) in schemes() {
            let mut quantizer = Quantizer::new(Calibration::MinMax, scheme);
            let lstm = lstm.clone().quantize_weights(&mut quantizer);
            let hook = std::panic::take_hook();
            std::panic::set_hook(Box::new(|_| {}));
            let step = || time(|| lstm.step(input.clone(), state.clone()));
            let found = catch_unwind(AssertUnwindSafe(step));
            std::panic::set_hook(hook);
            match found {
                Ok(time) => println!("step, {name}, engine {}: {time:.1} µs", engine.name()),
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                    // The rest is the whole scheme.
                    let text = text.split('(').next().unwrap_or_default();
                    println!("step, {name}, engine {}: refused, {text}", engine.name());
                }
            }
        }
    }
}

fn products(device: &Device) {
    let random = |shape| Tensor::<2>::random(shape, Distribution::Default, device);
    let (x, weight) = (random([1, SIZE]), random([SIZE, 4 * SIZE]));
    let plain = time(|| x.clone().matmul(weight.clone()));
    println!("product, f32: {plain:.1} µs");
    for (name, scheme) in schemes() {
        let small = weight.clone().quantize_dynamic(&scheme);
        let product = time(|| x.clone().matmul(small.clone()));
        let back = time(|| small.clone().dequantize());
        println!("product, {name}: {product:.1} µs, of which {back:.1} µs turn it back into f32");
    }
}

/// Rounds matrices to int8, and keeps them in f32.
struct Rounded(QuantScheme);

impl ModuleMapper for Rounded {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match D {
            2 => param.map(|weight| weight.quantize_dynamic(&self.0).dequantize()),
            _ => param,
        }
    }
}

fn losses(run: &RunFolder, device: &Device) -> Result<(), Box<dyn Error>> {
    let (model, _) = run.char_model(device)?;
    let task = CharLm::new(&run.settings()?)?;
    let loss = task.validate(&model, device).loss;
    println!("loss, f32: {loss:.5} {}", CharLm::LOSS);
    for (name, scheme) in schemes() {
        let mut rounded = model.clone();
        rounded.recurrent = rounded.recurrent.map(&mut Rounded(scheme));
        let loss = task.validate(&rounded, device).loss;
        println!("loss, {name}: {loss:.5} {}", CharLm::LOSS);
    }
    Ok(())
}
