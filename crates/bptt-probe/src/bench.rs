//! Measures what a layer costs: time, work and memory of one run.

mod model;
mod settings;

pub use settings::{Contender, Mode, Settings};

use crate::bench::model::{Model, wait};
use crate::device;
use burn::Tensor;
use burn::tensor::{Device, Distribution};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// The result of a measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The cell: `rnn`, `lstm`, `gru`.
    pub cell: String,
    /// `manual`, `autograd` or `burn-nn`.
    pub engine: String,
    /// The manual engine's kernel, `auto` or `reference`; `-` for others.
    pub kernel: String,
    /// The device's name.
    pub device: String,
    /// `train`, `infer` or `step`.
    pub mode: String,
    /// The number of threads of the host's pool.
    pub threads: usize,
    /// `B`
    pub batch: usize,
    /// `T`
    pub time: usize,
    /// `I`
    pub input: usize,
    /// `H`
    pub hidden: usize,
    /// `L`
    pub layers: usize,
    /// The median time of the runs, in milliseconds; for `step`, the time of one step.
    pub median_ms: f64,
    /// The shortest.
    pub min_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Billions of operations per second: the operations of the matrix products, divided by the median time.
    pub gflops: f64,
    /// The peak memory of a run in bytes, besides the parameters and the input. It is known on host devices only.
    pub peak_bytes: Option<u64>,
    /// The number of measured runs.
    pub repeats: usize,
}

/// The speed of the device's own matrix product, in billions of operations per second. It is the best of several
/// products of `1024 × 1024` matrices, before and after the layer was measured.
#[derive(Clone, Copy, Debug)]
pub struct Ceiling {
    /// Before.
    pub before: f64,
    /// After.
    pub after: f64,
}

impl Ceiling {
    /// The better of both.
    pub fn best(self) -> f64 {
        self.before.max(self.after)
    }
}

/// How the program counts its allocations. The program passes this, because a library cannot install a counting
/// allocator.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Starts the count.
    pub reset: fn(),
    /// The peak of allocated bytes since the reset, minus the bytes that were allocated at the reset.
    pub peak: fn() -> usize,
}

/// How many runs come at least before the measured ones. The first of them counts the memory.
const WARM_UPS: usize = 2;

/// How long these runs take at least. In the first milliseconds of a program, its threads may share a core.
const WARM_UP: Duration = Duration::from_millis(100);

/// Measures a layer.
///
/// # Arguments
///
/// - `threads`: the number of threads of the host's pool, for the report
/// - `memory`: how to count allocations, if the program can
///
/// # Errors
///
/// One line, if the settings are wrong or the device does not work here.
pub fn bench(
    settings: &Settings,
    threads: usize,
    memory: Option<Memory>,
) -> Result<(Report, Option<Ceiling>), String> {
    settings.check()?;
    let plain = device::open(&settings.device)?;
    let memory = memory.filter(|_| device::is_host(&settings.device));
    let device = match settings.mode {
        Mode::Train => plain.clone().autodiff(),
        Mode::Infer | Mode::Step => plain.clone(),
    };
    device.seed(1);
    let model = Model::new(settings, &device)?;
    let shape = [settings.batch, settings.time, settings.input];
    let input = Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    // All steps use the same input, so that the measured time includes no slicing.
    let row = input.clone().slice([0..settings.batch, 0..1]);
    let row = row.reshape([settings.batch, settings.input]);
    let run = || {
        match settings.mode {
            Mode::Train => model.train(&input, &device)?,
            Mode::Infer => drop(model.forward(input.clone())),
            Mode::Step => model.stream(&row, settings.time),
        }
        wait(&device)
    };

    wait(&device)?;
    // The memory of the first run, because it also allocates the buffers that a kernel keeps for later runs.
    memory.inspect(|memory| (memory.reset)());
    run()?;
    let peak_bytes = memory.map(|memory| (memory.peak)() as u64);
    let begin = Instant::now();
    let mut runs = 1;
    while runs < WARM_UPS || begin.elapsed() < WARM_UP {
        run()?;
        runs += 1;
    }
    let before = settings.ceiling.then(|| product(&plain)).transpose()?;
    let per_run = if settings.mode == Mode::Step { settings.time as f64 } else { 1.0 };
    let mut times = (0..settings.repeats)
        .map(|_| Ok(seconds(run)? * 1e3 / per_run))
        .collect::<Result<Vec<f64>, String>>()?;
    let ceiling = match before {
        Some(before) => Some(Ceiling { before, after: product(&plain)? }),
        None => None,
    };

    times.sort_by(f64::total_cmp);
    let median_ms = median(&times);
    let report = Report {
        cell: settings.cell.name().into(),
        engine: settings.engine.name().into(),
        kernel: settings.kernel_name().into(),
        device: settings.device.clone(),
        mode: settings.mode.name().into(),
        threads,
        batch: settings.batch,
        time: settings.time,
        input: settings.input,
        hidden: settings.hidden,
        layers: settings.layers,
        median_ms,
        min_ms: times[0],
        max_ms: times[times.len() - 1],
        gflops: settings.flops() / median_ms / 1e6,
        peak_bytes,
        repeats: settings.repeats,
    };
    Ok((report, ceiling))
}

/// The median of sorted numbers.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
        _ => sorted[middle],
    }
}

fn seconds(run: impl FnOnce() -> Result<(), String>) -> Result<f64, String> {
    let start = Instant::now();
    run()?;
    // At least the clock's resolution, so that a rate stays finite.
    Ok(start.elapsed().as_secs_f64().max(1e-9))
}

/// The best of several large matrix products, in billions of operations per second.
fn product(device: &Device) -> Result<f64, String> {
    const SIZE: usize = 1024;
    const TIMES: usize = 6;
    let matrix =
        || Tensor::<2>::random([SIZE, SIZE], Distribution::Normal(0.0, 1.0), (device, F32));
    let (a, b) = (matrix(), matrix());
    let run = || {
        let product = a.clone().matmul(b.clone());
        wait(device)?;
        drop(product);
        Ok(())
    };
    run()?;
    let mut best = f64::INFINITY;
    for _ in 0..TIMES {
        best = best.min(seconds(run)?);
    }
    Ok(2.0 * (SIZE as f64).powi(3) / best / 1e9)
}

const F32: burn::tensor::DType = burn::tensor::DType::F32;

#[cfg(test)]
mod tests {
    use super::*;
    use bptt::{CellKind, Engine, Kernel};

    fn settings() -> Settings {
        Settings {
            cell: CellKind::Gru,
            engine: Contender::Ours(Engine::Manual),
            kernel: Kernel::Auto,
            device: "flex".into(),
            mode: Mode::Infer,
            batch: 2,
            time: 3,
            input: 4,
            hidden: 5,
            layers: 2,
            bidirectional: true,
            repeats: 1,
            ceiling: false,
        }
    }

    #[test]
    fn operations_are_those_of_the_products() {
        // 2·B·T, two directions, G·H, the input's and the state's columns of both layers.
        let forward = 2.0 * 2.0 * 3.0 * 2.0 * 15.0 * ((4.0 + 5.0) + (10.0 + 5.0));
        assert_eq!(settings().flops(), forward);
        assert_eq!(Settings { mode: Mode::Train, ..settings() }.flops(), 3.0 * forward);
        assert_eq!(Settings { mode: Mode::Step, ..settings() }.flops(), forward / 3.0);
    }

    #[test]
    fn sizes_that_overflow_are_too_large() {
        let huge = Settings { hidden: usize::MAX / 2, ..settings() };
        assert!(huge.check().is_err_and(|line| line.contains("too large")));
        assert_eq!(settings().check(), Ok(()));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[1.0, 2.0, 4.0, 8.0]), 3.0);
        assert_eq!(median(&[1.0, 2.0, 4.0]), 2.0);
    }
}
