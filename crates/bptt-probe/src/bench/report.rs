//! The result of a measurement.

use crate::bench::bounds::Bounds;
use crate::bench::latency::Percentiles;
use crate::bench::settings::Settings;
use serde::{Deserialize, Serialize};

/// The result of a measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The cell: `rnn`, `lstm`, `gru`.
    pub cell: String,
    /// `manual`, `autograd` or `burn-nn`.
    pub engine: String,
    /// The manual engine's kernel, `auto`, `reference`, `steps` or `rows`; `-` for others.
    pub kernel: String,
    /// The device's name.
    pub device: String,
    /// The float type.
    pub dtype: String,
    /// `train`, `infer`, `step` or `pool`.
    pub mode: String,
    /// The number of threads of the host's pool.
    pub threads: usize,
    /// `B`; of a pool, the most rows of a batch.
    pub batch: usize,
    /// `T`; 1 for a pool.
    pub time: usize,
    /// `I`
    pub input: usize,
    /// `H`
    pub hidden: usize,
    /// How many heads the recurrent weights have.
    pub heads: usize,
    /// `L`
    pub layers: usize,
    /// Whether there is a backward direction too.
    pub bidirectional: bool,
    /// The median time of the runs, in milliseconds; for `step`, the time of one step, as the mean over the `T` steps of
    /// a run; for `pool`, the latency of an answer.
    pub median_ms: f64,
    /// The shortest.
    pub min_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// The median of single steps (`step`) or of the latencies of all answers (`pool`), in milliseconds. This and the
    /// other percentiles are `None` for other modes, and if fewer than ten times lie above them.
    pub p50_ms: Option<f64>,
    /// One in a hundred takes longer.
    pub p99_ms: Option<f64>,
    /// One in a thousand takes longer.
    pub p999_ms: Option<f64>,
    /// How many steps or answers the percentiles are of.
    pub samples: Option<usize>,
    /// The longest of them, in milliseconds.
    pub longest_ms: Option<f64>,
    /// What reading the clock takes, in milliseconds. It is subtracted from the times of single steps.
    pub clock_ms: Option<f64>,
    /// Billions of operations per second: the operations of the matrix products, divided by the median time; for `pool`,
    /// those of all answers, divided by the time in which they were computed.
    pub gflops: f64,
    /// The peak memory of a run in bytes, besides the parameters and the input. It is known on host devices only.
    pub peak_bytes: Option<u64>,
    /// The number of measured runs.
    pub repeats: usize,
    /// How many kernels of steps and sequences a run launches on a GPU, without the products before and behind the
    /// sequences; 0 by the reference body, whose launches are Burn's. `None` on host devices, and for `pool`.
    pub launches: Option<u64>,
    /// The load and what became of it, for `pool`.
    pub load: Option<LoadReport>,
    /// The rate of a product of two matrices of `1024 × 1024` on the device, in billions of operations per second, if it was
    /// measured.
    pub ceiling_gflops: Option<f64>,
    /// What the run cannot be faster than: with the former, of one layer in one direction in `f32` on a host device, for
    /// `infer` and `step`.
    pub bounds: Option<Bounds>,
}

/// A load on a pool of streams, and what became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadReport {
    /// How many streams there were.
    pub streams: usize,
    /// How many inputs were to arrive in a second.
    pub rate: f64,
    /// For how long, in seconds.
    pub seconds: f64,
    /// The most rows of a batch.
    pub max_batch: usize,
    /// The longest time that an input waits for others, in milliseconds.
    pub max_wait_ms: f64,
    /// An answer that takes longer comes too late, in milliseconds.
    pub deadline_ms: f64,
    /// How many inputs arrived.
    pub inputs: usize,
    /// How many of them were answered within twice the time. The others count as misses, and with the time that they had
    /// waited until then.
    pub answers: usize,
    /// Answers a second.
    pub throughput: f64,
    /// The mean number of rows in a batch.
    pub mean_batch: f64,
    /// The share of the time in which answers were computed.
    pub busy: f64,
    /// How many answers came after the deadline, or never.
    pub misses: usize,
    /// Their share of all inputs.
    pub miss_share: f64,
    /// Whether latencies grew from the beginning to the end, or some inputs have no answer. The pool cannot serve this load then, and the latencies
    /// depend on the number of seconds.
    pub overloaded: bool,
}

/// What was measured.
pub(super) struct Figures {
    pub(super) median_ms: f64,
    pub(super) min_ms: f64,
    pub(super) max_ms: f64,
    pub(super) gflops: f64,
    pub(super) peak_bytes: Option<u64>,
    pub(super) repeats: usize,
    pub(super) latency: Option<Percentiles>,
    pub(super) clock_ms: Option<f64>,
    pub(super) launches: Option<u64>,
    pub(super) load: Option<LoadReport>,
    pub(super) ceiling_gflops: Option<f64>,
    pub(super) bounds: Option<Bounds>,
}

impl Report {
    pub(super) fn of(settings: &Settings, threads: usize, figures: Figures) -> Self {
        let latency = figures.latency;
        Self {
            cell: settings.cell.name().into(),
            engine: settings.engine.name().into(),
            kernel: settings.kernel_name().into(),
            device: settings.device.clone(),
            dtype: settings.dtype.name().into(),
            mode: settings.mode.name().into(),
            threads,
            batch: settings.batch,
            time: settings.time,
            input: settings.input,
            hidden: settings.hidden,
            heads: settings.heads,
            layers: settings.layers,
            bidirectional: settings.bidirectional,
            median_ms: figures.median_ms,
            min_ms: figures.min_ms,
            max_ms: figures.max_ms,
            p50_ms: latency.and_then(|latency| latency.p50_ms),
            p99_ms: latency.and_then(|latency| latency.p99_ms),
            p999_ms: latency.and_then(|latency| latency.p999_ms),
            samples: latency.map(|latency| latency.count),
            longest_ms: latency.map(|latency| latency.longest_ms),
            clock_ms: figures.clock_ms,
            gflops: figures.gflops,
            peak_bytes: figures.peak_bytes,
            repeats: figures.repeats,
            launches: figures.launches,
            load: figures.load,
            ceiling_gflops: figures.ceiling_gflops,
            bounds: figures.bounds,
        }
    }
}
