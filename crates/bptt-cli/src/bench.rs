//! `bptt bench`

use crate::failure::Failure;
use crate::output;
use crate::verify::CellArg;
use bptt::{Engine, Kernel};
use bptt_probe::bench::{Ceiling, Contender, Memory, Mode, Report, Settings, bench};
use bptt_probe::device;
use clap::{Args, ValueEnum};
use peakmem_alloc::{INSTRUMENTED_SYSTEM, PeakMemAlloc, PeakMemAllocTrait};
use std::alloc::System;
use std::path::PathBuf;

/// The system's allocator, with a count of what is allocated.
#[global_allocator]
static ALLOCATOR: &PeakMemAlloc<System> = &INSTRUMENTED_SYSTEM;

const MEMORY: Memory =
    Memory { reset: || ALLOCATOR.reset_peak_memory(), peak: || ALLOCATOR.get_peak_memory() };

/// Arguments of `bptt bench`.
#[derive(Args)]
// So that `-3` is a bad number, and not an unknown option.
#[command(allow_negative_numbers = true)]
pub struct BenchArgs {
    /// The recurrent cell
    #[arg(long, value_enum)]
    cell: CellArg,
    /// Sequences side by side
    #[arg(long, value_name = "B")]
    batch: usize,
    /// Steps of a sequence
    #[arg(long, value_name = "T")]
    time: usize,
    /// Size of the input
    #[arg(long, value_name = "I")]
    input: usize,
    /// Size of the hidden state
    #[arg(long, value_name = "H")]
    hidden: usize,
    /// Recurrent layers, one on top of the other
    #[arg(long, value_name = "L", default_value_t = 1)]
    layers: usize,
    /// With a backward direction beside the forward one
    #[arg(long)]
    bidirectional: bool,
    /// Whose layer, and how it is differentiated
    #[arg(long, value_enum, default_value = "manual")]
    engine: EngineArg,
    /// Which kernel the manual engine runs
    #[arg(long, value_enum, default_value = "auto")]
    kernel: KernelArg,
    /// Where to run, see `bptt devices` [default: the first of this build]
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// What one run is
    #[arg(long, value_enum, default_value = "train")]
    mode: ModeArg,
    /// Threads of the pool that host devices compute with [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Measured runs; before them come two that are not measured, or as many as take a tenth of a second
    #[arg(long, value_name = "N", default_value_t = 10)]
    repeats: usize,
    /// Leave out the machine's own matrix product
    #[arg(long)]
    no_ceiling: bool,
    /// Write the result as JSON to FILE (`-`: standard output, and nothing else there)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum EngineArg {
    /// Back-propagation through time derived by hand
    Manual,
    /// Burn's autodiff
    Autograd,
    /// Real-time recurrent learning, gradients carried forwards: for small layers
    Rtrl,
    /// Burn's own layer of that name, one layer in one direction
    BurnNn,
}

#[derive(Clone, Copy, ValueEnum)]
enum KernelArg {
    /// The fastest that the device has
    Auto,
    /// The reference body in tensor operations
    Reference,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeArg {
    /// Forward and backward: gradients of the input and all parameters
    Train,
    /// Forward, nothing recorded
    Infer,
    /// One step of a stream, out of T in a row; times are those of one step
    Step,
}

/// Measures a layer and prints a few lines.
pub fn run(args: BenchArgs) -> Result<(), Failure> {
    let settings = args.settings();
    // Wrong settings are reported before anything is computed.
    settings.check().map_err(Failure::usage)?;
    output::check(&[args.json.as_ref()])?;
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads.into())
            .build_global()
            .map_err(|error| Failure::usage(format!("cannot have {threads} threads: {error}")))?;
    }
    let threads = rayon::current_num_threads();
    let (report, ceiling) = bench(&settings, threads, Some(MEMORY)).map_err(Failure::usage)?;
    output::say(args.json.as_ref(), &text(&settings, &report, ceiling));
    args.json.as_ref().map_or(Ok(()), |path| output::write_json(path, &report))
}

impl BenchArgs {
    fn settings(&self) -> Settings {
        Settings {
            cell: self.cell.into(),
            engine: match self.engine {
                EngineArg::Manual => Contender::Ours(Engine::Manual),
                EngineArg::Autograd => Contender::Ours(Engine::Autograd),
                EngineArg::Rtrl => Contender::Ours(Engine::Rtrl),
                EngineArg::BurnNn => Contender::BurnNn,
            },
            kernel: match self.kernel {
                KernelArg::Auto => Kernel::Auto,
                KernelArg::Reference => Kernel::Reference,
            },
            device: self.device.clone().unwrap_or_else(|| device::default_name().into()),
            mode: match self.mode {
                ModeArg::Train => Mode::Train,
                ModeArg::Infer => Mode::Infer,
                ModeArg::Step => Mode::Step,
            },
            batch: self.batch,
            time: self.time,
            input: self.input,
            hidden: self.hidden,
            layers: self.layers,
            bidirectional: self.bidirectional,
            repeats: self.repeats,
            ceiling: !self.no_ceiling,
        }
    }
}

fn text(settings: &Settings, report: &Report, ceiling: Option<Ceiling>) -> String {
    let Report { batch, time, input, hidden, layers, threads, repeats, gflops, .. } = report;
    let kernel = match report.kernel.as_str() {
        "-" => String::new(),
        kernel => format!(", kernel {kernel}"),
    };
    let both = if settings.bidirectional { ", both directions" } else { "" };
    let (whole, unit, scale) = match settings.mode {
        Mode::Step => (" a step", "µs", 1e3),
        _ => ("", "ms", 1.0),
    };
    let [median, min, max] =
        [report.median_ms, report.min_ms, report.max_ms].map(|ms| format!("{:.3}", ms * scale));
    let reached = match ceiling {
        None => String::new(),
        Some(ceiling) => format!(
            ", {:.0} % of what a product of 1024 x 1024 matrices reaches here ({:.1} before, \
             {:.1} after)",
            100.0 * gflops / ceiling.best(),
            ceiling.before,
            ceiling.after,
        ),
    };
    let peak = report.peak_bytes.map_or_else(
        || "–".to_string(),
        |bytes| format!("{:.2} MB above parameters and input", bytes as f64 / 1e6),
    );
    format!(
        "{} B {batch} T {time} I {input} H {hidden}, layers {layers}{both}: {}, engine {}{kernel}, \
         device {}, threads {threads}\n\
         time    {median} {unit}{whole} (median of {repeats}; {min} to {max})\n\
         work    {gflops:.1} GF/s in matrix products{reached}\n\
         memory  {peak}",
        report.cell, report.mode, report.engine, report.device,
    )
}
