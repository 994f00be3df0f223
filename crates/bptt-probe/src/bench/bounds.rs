//! What a run cannot be faster than, measured right after it.

use crate::bench::settings::{Contender, Mode, Settings};
use crate::device;
use crate::setting::DType;
use bptt::kernels::{product_seconds, reading_seconds};
use bptt::{Engine, Kernel, SequenceCell};
use serde::{Deserialize, Serialize};

/// How many rows the product of the inputs is measured with, where a run has so many.
const ROWS: usize = 256;

/// What a run of one layer cannot be faster than, in milliseconds; of one step for a step of a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bounds {
    /// What takes longest at the best rate that was measured: `products` or `cache`.
    pub by: String,
    /// The time that this takes: the longer of the next and of `reading_ms`.
    pub alone_ms: f64,
    /// The operations of the products, at the rate of a product of two matrices of `1024 × 1024`.
    pub large_ms: f64,
    /// The same products as in the run, of the same sizes, without anything else: with packed weights that stay in the
    /// cache.
    pub products_ms: f64,
    /// The weights, read once in each step from the cache that they fit: the recurrent ones, and in a step of a stream all.
    pub reading_ms: f64,
}

impl Bounds {
    /// Measures them for one layer in one direction that the kernels for host memory run in `f32`; `None` for others.
    ///
    /// # Arguments
    ///
    /// - `gflops`: the rate of the large product
    pub(super) fn of(settings: &Settings, threads: usize, gflops: f64) -> Option<Self> {
        let Settings { batch, time, input, hidden, mode, .. } = *settings;
        let is_ours = settings.engine == Contender::Ours(Engine::Manual)
            && settings.kernel == Kernel::Auto
            && device::is_host(&settings.device)
            && settings.dtype == DType::F32;
        let is_one = [settings.layers, settings.heads] == [1, 1] && !settings.bidirectional;
        let cell = settings.cell.cell()?.default_cell().layout();
        if !is_ours || !is_one || settings.noise.is_some() || !cell.has_recurrent_weights() {
            return None;
        }
        let columns = cell.gates() * hidden;
        let of_state = [batch, hidden, columns];
        let (products, reading) = match mode {
            Mode::Infer => {
                let rows = batch.checked_mul(time)?;
                let some = rows.min(ROWS);
                let inputs = product_seconds(&[[some, input, columns]], threads)?;
                let states = product_seconds(&[of_state], threads)?;
                let reading = reading_seconds(hidden * columns, threads)?;
                let (rows, time) = (rows as f64, time as f64);
                (inputs * rows / some as f64 + states * time, reading * time)
            }
            Mode::Step => {
                // To wake a thread takes longer than a step of few rows, which has one.
                let threads = if batch <= FEW { 1 } else { threads };
                let products = product_seconds(&[[batch, input, columns], of_state], threads)?;
                (products, reading_seconds((input + hidden) * columns, threads)?)
            }
            Mode::Train | Mode::Pool(_) => return None,
        };
        let large = settings.flops() / gflops / 1e9;
        let by = if reading > large { "cache" } else { "products" };
        Some(Self {
            by: by.into(),
            alone_ms: 1e3 * reading.max(large),
            large_ms: 1e3 * large,
            products_ms: 1e3 * products,
            reading_ms: 1e3 * reading,
        })
    }
}

/// A step of a stream of so many rows is computed by one thread.
const FEW: usize = 4;
