//! Measures what a layer costs: time, work and memory of one run.

mod bounds;
mod latency;
mod load;
mod memory;
mod model;
mod pool;
mod report;
mod settings;
mod warm_up;

pub use bounds::Bounds;
pub use memory::Memory;
pub use report::{LoadReport, Report};
pub use settings::{Contender, Load, Mode, Settings};

use crate::bench::latency::{Percentiles, clock, median};
use crate::bench::model::{Model, wait};
use crate::bench::report::Figures;
use crate::bench::warm_up::warm_up;
use crate::device;
use bptt::kernels::sequence_launches;
use burn::Tensor;
use burn::tensor::{Device, Distribution};
use std::time::{Duration, Instant};

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

/// How many single steps are timed at least, so that ten of them lie above the 99.9th percentile.
const SINGLE_STEPS: usize = 10_000;

/// After this time no more single steps are timed, even if there are fewer.
const SINGLE_STEPS_END: Duration = Duration::from_secs(60);

/// Measures a layer.
///
/// # Arguments
///
/// - `threads`: the number of threads of the host's pool, for the report
/// - `memory`: how to count allocations, if the program can
///
/// # Errors
///
/// One line, if the settings are wrong, if the device does not work here, or if it does not have the float type.
pub fn bench(
    settings: &Settings,
    threads: usize,
    memory: Option<Memory>,
) -> Result<(Report, Option<Ceiling>), String> {
    settings.check()?;
    let plain = device::open(&settings.device)?;
    if !settings.dtype.works_on(&settings.device, &plain) {
        let (device, dtype) = (&settings.device, settings.dtype.name());
        return Err(format!("device '{device}' has no {dtype}: see bptt devices"));
    }
    let memory = memory.filter(|_| device::is_host(&settings.device));
    let device = match settings.mode {
        Mode::Train => plain.clone().autodiff(),
        Mode::Infer | Mode::Step => plain.clone(),
        Mode::Pool(load) => return Ok((pool::bench(settings, &load, threads, memory)?, None)),
    };
    device.seed(1);
    let model = Model::new(settings, &plain)?;
    let shape = [settings.batch, settings.time, settings.input];
    let kind = (&device, settings.dtype.burn());
    let input = Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), kind);
    // All steps use the same input, so that the measured time includes no slicing.
    let row = input.clone().slice([0..settings.batch, 0..1]);
    let row = row.reshape([settings.batch, settings.input]);
    let run = || {
        match settings.mode {
            Mode::Train => model.train(&input, &device)?,
            Mode::Infer => drop(model.forward(input.clone())),
            Mode::Step | Mode::Pool(_) => model.stream(&row, settings.time),
        }
        wait(&device)
    };

    wait(&device)?;
    // The memory of the first run, because it also allocates the buffers that a kernel keeps for later runs.
    memory.inspect(|memory| (memory.reset)());
    let launched = sequence_launches();
    run()?;
    let launches = (!device::is_host(&settings.device)).then(|| sequence_launches() - launched);
    let peak_bytes = memory.map(|memory| (memory.peak)() as u64);
    warm_up(1, run)?;
    let before = settings.ceiling.then(|| product(&plain)).transpose()?;
    let per_run = if settings.mode == Mode::Step { settings.time as f64 } else { 1.0 };
    let mut times = (0..settings.repeats)
        .map(|_| Ok(seconds(run)? * 1e3 / per_run))
        .collect::<Result<Vec<f64>, String>>()?;
    let (clock_ms, latency) = match settings.mode {
        Mode::Step => {
            let clock = clock();
            let times = single_steps(&model, &row, settings, &device, clock)?;
            (Some(clock), Some(Percentiles::of(times)))
        }
        _ => (None, None),
    };
    let ceiling = match before {
        Some(before) => Some(Ceiling { before, after: product(&plain)? }),
        None => None,
    };

    let bounds = ceiling.and_then(|ceiling| Bounds::of(settings, threads, ceiling.best()));

    times.sort_by(f64::total_cmp);
    let median_ms = median(&times);
    let figures = Figures {
        median_ms,
        min_ms: times[0],
        max_ms: times[times.len() - 1],
        gflops: settings.flops() / median_ms / 1e6,
        peak_bytes,
        repeats: settings.repeats,
        latency,
        clock_ms,
        launches,
        load: None,
        ceiling_gflops: ceiling.map(Ceiling::best),
        bounds,
    };
    Ok((Report::of(settings, threads, figures), ceiling))
}

/// The times of single steps of one stream, in milliseconds, without the time that the clock takes.
fn single_steps(
    model: &Model,
    row: &Tensor<2>,
    settings: &Settings,
    device: &Device,
    clock: f64,
) -> Result<Vec<f64>, String> {
    let steps = SINGLE_STEPS.max(settings.repeats.saturating_mul(settings.time));
    let mut times = Vec::with_capacity(SINGLE_STEPS);
    let mut state = None;
    let begin = Instant::now();
    while times.is_empty() || (times.len() < steps && begin.elapsed() < SINGLE_STEPS_END) {
        let time = seconds(|| {
            state = Some(model.step(row.clone(), state.take()));
            wait(device)
        })?;
        times.push((time * 1e3 - clock).max(0.0));
    }
    Ok(times)
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
    use crate::setting::DType;
    use bptt::{CellKind, Engine, Kernel};

    fn settings() -> Settings {
        Settings {
            cell: CellKind::Gru.into(),
            engine: Contender::Ours(Engine::Manual),
            kernel: Kernel::Auto,
            device: "flex".into(),
            dtype: DType::F32,
            mode: Mode::Infer,
            batch: 2,
            time: 3,
            input: 4,
            hidden: 5,
            heads: 1,
            layers: 2,
            bidirectional: true,
            repeats: 1,
            noise: None,
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
        let pool = Settings { mode: Mode::Pool(LOAD), ..settings() };
        assert_eq!(pool.flops(), forward / 3.0 / 2.0);
    }

    const LOAD: Load =
        Load { streams: 3, rate: 2000.0, seconds: 0.5, max_wait_ms: 0.5, deadline_ms: 1000.0 };

    fn under(load: Load) -> Settings {
        Settings { mode: Mode::Pool(load), time: 1, bidirectional: false, ..settings() }
    }

    #[test]
    fn a_load_that_makes_no_sense_is_named() {
        assert_eq!(under(LOAD).check(), Ok(()));
        let wrong = [
            (Load { streams: 0, ..LOAD }, "streams is 0"),
            (Load { rate: 0.0, ..LOAD }, "rate is 0"),
            (Load { rate: f64::NAN, ..LOAD }, "rate is NaN"),
            (Load { seconds: -1.0, ..LOAD }, "seconds is -1"),
            (Load { seconds: f64::INFINITY, ..LOAD }, "seconds is inf"),
            (Load { deadline_ms: 0.0, ..LOAD }, "deadline is 0"),
            (Load { max_wait_ms: -0.1, ..LOAD }, "max-wait is -0.1"),
            (Load { rate: 1e8, seconds: 100.0, ..LOAD }, "too many to draw"),
            (Load { streams: usize::MAX, ..LOAD }, "too large"),
        ];
        for (load, named) in wrong {
            let line = under(load).check().expect_err(named);
            assert!(line.contains(named), "{line}");
        }
        let both = Settings { bidirectional: true, ..under(LOAD) };
        assert!(both.check().is_err_and(|line| line.contains("no next step")));
        let theirs = Settings { engine: Contender::BurnNn, layers: 1, ..under(LOAD) };
        assert!(theirs.check().is_err_and(|line| line.contains("no pool")));
    }

    #[cfg(feature = "flex")]
    #[test]
    fn a_pool_answers_all_that_arrives() {
        let (report, _) = bench(&under(LOAD), 1, None).expect("it can be measured");
        let load = report.load.expect("of a pool");
        // The same arrivals for the same seed: about rate times seconds.
        assert!((900..1100).contains(&load.inputs), "{}", load.inputs);
        assert_eq!((load.answers, load.misses), (load.inputs, 0));
        assert!(load.mean_batch >= 1.0 && load.mean_batch <= 2.0, "{}", load.mean_batch);
        assert!(load.busy > 0.0 && load.busy < 1.0, "{}", load.busy);
        assert_eq!(report.samples, Some(load.inputs));
        assert!(report.p50_ms <= report.longest_ms && report.p999_ms.is_none());
        assert!(report.min_ms > 0.0 && Some(report.max_ms) == report.longest_ms);
    }

    #[cfg(feature = "flex")]
    #[test]
    fn what_bounds_a_layer_takes_less_time() {
        let one = Settings { layers: 1, bidirectional: false, ceiling: true, ..settings() };
        for mode in [Mode::Infer, Mode::Step] {
            let large = Settings { mode, batch: 8, time: 50, input: 64, hidden: 64, ..one.clone() };
            let (report, ceiling) = bench(&large, 1, None).expect("it can be measured");
            assert_eq!(report.ceiling_gflops, ceiling.map(Ceiling::best));
            let bounds = report.bounds.expect("of one layer");
            assert_eq!(bounds.alone_ms, bounds.large_ms.max(bounds.reading_ms));
            assert!(bounds.reading_ms > 0.0 && bounds.products_ms > 0.0, "{bounds:?}");
            // Other programs may slow one measurement down, and not the other.
            assert!(bounds.products_ms < 3.0 * report.max_ms, "{bounds:?} {}", report.max_ms);
        }
        let stack = Settings { ceiling: true, ..settings() };
        let (report, _) = bench(&stack, 1, None).expect("it can be measured");
        assert!(report.bounds.is_none() && report.ceiling_gflops.is_some());
    }

    #[test]
    fn sizes_that_overflow_are_too_large() {
        let huge = Settings { hidden: usize::MAX / 2, ..settings() };
        assert!(huge.check().is_err_and(|line| line.contains("too large")));
        assert_eq!(settings().check(), Ok(()));
    }
}
