//! A pool of streams under load, by the real clock.

use crate::bench::latency::{Percentiles, median};
use crate::bench::load::{Clock, Server, arrivals, drive, grew};
use crate::bench::memory::Memory;
use crate::bench::model::layer;
use crate::bench::report::{Figures, LoadReport, Report};
use crate::bench::settings::{Load, Settings};
use crate::bench::warm_up::warm_up;
use crate::device;
use bptt::{AnyCell, AnyLayer, StreamPool, StreamPoolConfig, cast};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Of the layer, the inputs and the arrivals.
const SEED: u64 = 1;

/// Closer to an event than this, the clock is watched. The system wakes a sleeping thread some ten microseconds late,
/// and that is not what is measured.
const WATCHED: Duration = Duration::from_micros(200);

/// Measures a pool.
pub(super) fn bench(
    settings: &Settings,
    load: &Load,
    threads: usize,
    memory: Option<Memory>,
) -> Result<Report, String> {
    let device = device::open(&settings.device)?;
    device.seed(SEED);
    let AnyLayer::Recurrent(layer) = layer(settings, &device)? else {
        return Err(format!("{} is not in a pool of streams", settings.cell.name()));
    };
    let layer = cast(layer, settings.dtype.burn());
    let arrivals = arrivals(load, SEED);
    if arrivals.is_empty() {
        return Err(format!(
            "no input arrived in {} s at {} a second: take more seconds, or a higher rate",
            load.seconds, load.rate,
        ));
    }
    let mut latencies = vec![f64::NAN; arrivals.len()];
    let mut random = StdRng::seed_from_u64(SEED);
    let input = (0..settings.input).map(|_| random.random_range(-1.0..1.0)).collect();

    memory.inspect(|memory| (memory.reset)());
    let config = StreamPoolConfig {
        max_streams: load.streams,
        max_batch: settings.batch,
        max_wait: Duration::from_secs_f64(load.max_wait_ms / 1e3),
        max_idle: None,
    };
    let pool = config.init(&layer).map_err(|error| error.to_string())?;
    let mut pool = Pool { pool, start: Instant::now(), input, batches: 0.into(), rows: 0.into() };
    pool.warm_up(load.streams, settings.batch)?;
    pool.start = Instant::now();
    let clock = Real(pool.start);
    // Twice as long: a pool that cannot keep up is not waited for until it is through.
    let latest = Duration::from_secs_f64(2.0 * load.seconds);
    let served = drive(&arrivals, load.streams, latest, &mut pool, &clock, &mut latencies);
    let peak_bytes = memory.map(|memory| (memory.peak)() as u64);

    let misses = latencies.iter().filter(|latency| **latency > load.deadline_ms).count();
    // An input without an answer has waited since its arrival, so the last ones have waited least.
    let overloaded = served.answers < arrivals.len() || grew(&latencies);
    let (inputs, answers) = (arrivals.len(), served.answers);
    let end = served.end.as_secs_f64().max(1e-9);
    let busy = served.busy.as_secs_f64().max(1e-9);
    let report = LoadReport {
        streams: load.streams,
        rate: load.rate,
        seconds: load.seconds,
        max_batch: settings.batch,
        max_wait_ms: load.max_wait_ms,
        deadline_ms: load.deadline_ms,
        inputs,
        answers,
        throughput: answers as f64 / end,
        mean_batch: pool.rows.get() as f64 / pool.batches.get().max(1) as f64,
        busy: busy / end,
        misses,
        miss_share: misses as f64 / inputs as f64,
        overloaded,
    };
    latencies.sort_by(f64::total_cmp);
    let figures = Figures {
        median_ms: median(&latencies),
        min_ms: latencies[0],
        max_ms: latencies[inputs - 1],
        gflops: answers as f64 * settings.flops() / busy / 1e9,
        peak_bytes,
        repeats: 1,
        latency: Some(Percentiles::of(latencies)),
        clock_ms: None,
        launches: None,
        load: Some(report),
        ceiling_gflops: None,
        bounds: None,
    };
    Ok(Report::of(settings, threads, figures))
}

/// The time since an instant.
struct Real(Instant);

impl Clock for Real {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wait_until(&self, time: Duration) {
        let left = time.saturating_sub(self.now());
        std::thread::sleep(left.saturating_sub(WATCHED));
        while self.now() < time {
            std::hint::spin_loop();
        }
    }
}

/// The pool, with a count of its batches.
struct Pool {
    pool: StreamPool<AnyCell, usize>,
    start: Instant,
    /// The same for all, so that the measured time includes no making of inputs.
    input: Vec<f32>,
    batches: Cell<usize>,
    rows: Cell<usize>,
}

impl Pool {
    /// Adds the streams, and runs batches until the layer has packed its weights and its threads have started.
    fn warm_up(&mut self, streams: usize, batch: usize) -> Result<(), String> {
        for stream in 0..streams {
            self.pool.add(stream, self.start).expect("a new stream, and there is room");
        }
        warm_up(0, || {
            for rows in [streams.min(batch), 1] {
                (0..rows).for_each(|stream| self.feed(stream, Duration::ZERO));
                self.pool.flush();
            }
            Ok(())
        })
    }
}

impl Server for Pool {
    fn feed(&mut self, stream: usize, now: Duration) {
        self.pool.feed(&stream, &self.input, self.start + now).expect("a stream that is free");
    }

    fn poll(&mut self, now: Duration) -> Vec<usize> {
        let (batches, rows) = (&self.batches, &self.rows);
        let answers = self.pool.poll_with(self.start + now, |outputs| {
            batches.set(batches.get() + 1);
            rows.set(rows.get() + outputs.dims()[0]);
            outputs
        });
        answers.iter().map(|(stream, _)| *stream).collect()
    }

    fn due(&self) -> Option<Duration> {
        self.pool.due().map(|due| due.saturating_duration_since(self.start))
    }
}
