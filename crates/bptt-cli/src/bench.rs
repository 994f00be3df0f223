//! `bptt bench`

use crate::bench_text::{comparison_text, text};
use crate::failure::Failure;
use crate::kernel_arg::KernelArg;
use crate::noise_args::NoiseArgs;
use crate::output;
use crate::verify::CellArg;
use bptt::{CellKind, Engine, Kernel, LayerKind, RecurrentNoise};
use bptt_probe::bench::{Contender, Load, Memory, Mode, Settings, bench};
use bptt_probe::{DType, device};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use peakmem_alloc::{INSTRUMENTED_SYSTEM, PeakMemAlloc, PeakMemAllocTrait};
use serde::Serialize;
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
    /// The recurrent cell. Without a cell, sizes and an engine, the engines and burn::nn are compared on one usual size
    #[arg(long, value_enum)]
    cell: Option<CellArg>,
    /// Sequences side by side; not for a pool
    #[arg(long, value_name = "B")]
    batch: Option<usize>,
    /// Steps of a sequence; not for a pool
    #[arg(long, value_name = "T")]
    time: Option<usize>,
    /// Size of the input
    #[arg(long, value_name = "I")]
    input: Option<usize>,
    /// Size of the hidden state
    #[arg(long, value_name = "H")]
    hidden: Option<usize>,
    /// Heads of the recurrent weights: blocks on the diagonals of their matrices [default: 1]
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
    /// Recurrent layers, one on top of the other [default: 1]
    #[arg(long, value_name = "L")]
    layers: Option<usize>,
    /// With a backward direction beside the forward one
    #[arg(long)]
    bidirectional: bool,
    /// Whose layer, and how it is differentiated [default: manual]
    #[arg(long, value_enum)]
    engine: Option<EngineArg>,
    /// Which kernel the manual engine runs [default: auto]
    #[arg(long, value_enum)]
    kernel: Option<KernelArg>,
    /// The float type of weights and inputs
    #[arg(long, value_parser = dtype_parser(), value_name = "TYPE", default_value = "f32")]
    dtype: DType,
    /// Where to run, see `bptt devices` [default: the first of this build]
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// What one run is [default: train; both train and infer in a comparison]
    #[arg(long, value_enum)]
    mode: Option<ModeArg>,
    /// Threads of the pool that host devices compute with [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Measured runs; before them come two that are not measured, or as many as take a tenth of a second; not for a pool
    /// [default: 10]
    #[arg(long, value_name = "N")]
    repeats: Option<usize>,
    #[command(flatten)]
    noise: NoiseArgs,
    #[command(flatten)]
    pool: PoolArgs,
    /// Leave out the machine's own matrix product
    #[arg(long)]
    no_ceiling: bool,
    /// Write the result as JSON to FILE (`-`: standard output, and nothing else there)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The load of `--mode pool`.
#[derive(Args)]
#[command(next_help_heading = "Options of --mode pool")]
struct PoolArgs {
    /// Streams that are open all the time [default: 256]
    #[arg(long, value_name = "N")]
    streams: Option<usize>,
    /// Inputs a second over all streams; they arrive at random (Poisson), the same ones each time [default: 10000]
    #[arg(long, value_name = "R")]
    rate: Option<f64>,
    /// An answer later than this is a miss, in milliseconds from the arrival of its input [default: 10]
    #[arg(long, value_name = "MS")]
    deadline: Option<f64>,
    /// The longest time that an input waits for others to make a batch, in milliseconds [default: 2]
    #[arg(long, value_name = "MS")]
    max_wait: Option<f64>,
    /// The most inputs of a batch [default: 128]
    #[arg(long, value_name = "N")]
    max_batch: Option<usize>,
    /// For how long inputs arrive [default: 10]
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
}

impl PoolArgs {
    /// The name of an option that was given.
    fn given(&self) -> Option<&'static str> {
        let all = [
            ("--streams", self.streams.is_some()),
            ("--rate", self.rate.is_some()),
            ("--deadline", self.deadline.is_some()),
            ("--max-wait", self.max_wait.is_some()),
            ("--max-batch", self.max_batch.is_some()),
            ("--seconds", self.seconds.is_some()),
        ];
        all.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    fn load(&self) -> Load {
        Load {
            streams: self.streams.unwrap_or(256),
            rate: self.rate.unwrap_or(10_000.0),
            seconds: self.seconds.unwrap_or(10.0),
            max_wait_ms: self.max_wait.unwrap_or(2.0),
            deadline_ms: self.deadline.unwrap_or(10.0),
        }
    }
}

/// The types of [`DType`], by name.
fn dtype_parser() -> impl TypedValueParser<Value = DType> {
    let find = |name: &str| DType::ALL.into_iter().find(|dtype| dtype.name() == name);
    PossibleValuesParser::new(DType::ALL.map(DType::name))
        .map(move |name| find(&name).expect("one of the names"))
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

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum ModeArg {
    /// Forward and backward: gradients of the input and all parameters
    Train,
    /// Forward, nothing recorded
    Infer,
    /// One step of a stream, out of T in a row; times are those of one step, with percentiles over single steps
    Step,
    /// A pool of streams whose inputs arrive by themselves; times are from an input's arrival to its answer
    Pool,
}

/// What has to be said of a layer.
#[derive(Clone, Copy)]
struct Layer {
    cell: LayerKind,
    input: usize,
    hidden: usize,
}

impl ModeArg {
    fn of(self, pool: &PoolArgs) -> Mode {
        match self {
            Self::Train => Mode::Train,
            Self::Infer => Mode::Infer,
            Self::Step => Mode::Step,
            Self::Pool => Mode::Pool(pool.load()),
        }
    }

    /// Whether the times are of single steps.
    fn is_of_a_stream(self) -> bool {
        matches!(self, Self::Step | Self::Pool)
    }
}

/// Measures a layer and prints a few lines; or compares the engines, and prints a table.
pub fn run(args: BenchArgs) -> Result<(), Failure> {
    let layer = args.layer()?;
    let all = match layer {
        Some(layer) => vec![args.settings(layer)?],
        None => args.comparison(),
    };
    // Wrong settings are reported before anything is computed.
    all.iter().try_for_each(Settings::check).map_err(Failure::usage)?;
    output::check(&[args.json.as_ref()])?;
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads.into())
            .build_global()
            .map_err(|error| Failure::usage(format!("cannot have {threads} threads: {error}")))?;
    }
    let threads = rayon::current_num_threads();
    let measure = |settings| bench(settings, threads, Some(MEMORY)).map_err(Failure::usage);
    if layer.is_some() {
        let (report, ceiling) = measure(&all[0])?;
        return args.write(&text(&report, ceiling), &report);
    }
    let reports: Vec<_> =
        all.iter().map(|settings| Ok(measure(settings)?.0)).collect::<Result<_, Failure>>()?;
    args.write(&comparison_text(&reports), &reports)
}

impl BenchArgs {
    /// Prints a result, and writes it as JSON if that is asked for.
    fn write(&self, text: &str, result: &impl Serialize) -> Result<(), Failure> {
        output::say(self.json.as_ref(), text);
        self.json.as_ref().map_or(Ok(()), |path| output::write_json(path, result))
    }

    /// The layer that is measured; `None` if no option says what is measured, and the engines are compared. The error
    /// names the option that is missing.
    fn layer(&self) -> Result<Option<Layer>, Failure> {
        if let (Some(cell), Some(input), Some(hidden)) = (self.cell, self.input, self.hidden) {
            return Ok(Some(Layer { cell: cell.into(), input, hidden }));
        }
        let needed = [
            ("--cell", self.cell.is_some()),
            ("--input", self.input.is_some()),
            ("--hidden", self.hidden.is_some()),
        ];
        let others = [
            ("--batch", self.batch.is_some()),
            ("--time", self.time.is_some()),
            ("--heads", self.heads.is_some()),
            ("--layers", self.layers.is_some()),
            ("--bidirectional", self.bidirectional),
            ("--engine", self.engine.is_some()),
            ("--kernel", self.kernel.is_some()),
            ("--zoneout", self.noise.zoneout.is_some()),
            ("--variational-dropout", self.noise.variational_dropout.is_some()),
            ("--recurrent-dropout", self.noise.recurrent_dropout.is_some()),
            ("--weight-drop", self.noise.weight_drop.is_some()),
            ("--mode step or pool", self.mode.is_some_and(|mode| mode.is_of_a_stream())),
        ];
        let given = needed.iter().chain(&others).find(|(_, given)| *given);
        let Some(given) = given.map(|(name, _)| *name).or(self.pool.given()) else {
            return Ok(None);
        };
        let (missing, _) =
            needed.iter().find(|(_, given)| !given).expect("not all three are given");
        Err(Failure::usage(format!(
            "{missing} is missing: {given} needs --cell, --input and --hidden (for a comparison of the engines on \
             one usual size, leave out all of them)"
        )))
    }

    /// An LSTM of a usual size by each engine and by burn::nn, in training and inference, or in the mode that was
    /// given.
    fn comparison(&self) -> Vec<Settings> {
        let modes = match self.mode {
            None => vec![Mode::Train, Mode::Infer],
            Some(mode) => vec![mode.of(&self.pool)],
        };
        let engines =
            [Contender::Ours(Engine::Manual), Contender::Ours(Engine::Autograd), Contender::BurnNn];
        let usual = Settings {
            cell: CellKind::Lstm.into(),
            engine: engines[0],
            kernel: Kernel::Auto,
            device: self.device_name(),
            dtype: self.dtype,
            mode: modes[0],
            batch: 32,
            time: 100,
            input: 128,
            hidden: 128,
            heads: 1,
            layers: 1,
            bidirectional: false,
            noise: None,
            repeats: self.repeats.unwrap_or(10),
            ceiling: false,
        };
        let of = |engine| modes.iter().map(move |&mode| (engine, mode));
        let all = engines.into_iter().flat_map(of);
        all.map(|(engine, mode)| Settings { engine, mode, ..usual.clone() }).collect()
    }

    fn noise(&self, cell: LayerKind) -> Option<RecurrentNoise> {
        let NoiseArgs { zoneout, variational_dropout, recurrent_dropout, weight_drop } = self.noise;
        // The settings refuse noise for a layer that has none.
        let noise = RecurrentNoise::of_rates(
            &cell.cell().unwrap_or(CellKind::Lstm).default_cell(),
            zoneout.unwrap_or_default(),
            variational_dropout.unwrap_or_default(),
            [recurrent_dropout, weight_drop].map(Option::unwrap_or_default),
        );
        (!noise.is_none()).then_some(noise)
    }

    fn device_name(&self) -> String {
        self.device.clone().unwrap_or_else(|| device::default_name().into())
    }

    fn settings(&self, Layer { cell, input, hidden }: Layer) -> Result<Settings, Failure> {
        let [batch, time, repeats] = self.sizes()?;
        Ok(Settings {
            cell,
            engine: match self.engine.unwrap_or(EngineArg::Manual) {
                EngineArg::Manual => Contender::Ours(Engine::Manual),
                EngineArg::Autograd => Contender::Ours(Engine::Autograd),
                EngineArg::Rtrl => Contender::Ours(Engine::Rtrl),
                EngineArg::BurnNn => Contender::BurnNn,
            },
            kernel: self.kernel.map_or(Kernel::Auto, Kernel::from),
            device: self.device_name(),
            dtype: self.dtype,
            mode: self.mode.unwrap_or(ModeArg::Train).of(&self.pool),
            batch,
            time,
            input,
            hidden,
            heads: self.heads.unwrap_or(1),
            layers: self.layers.unwrap_or(1),
            bidirectional: self.bidirectional,
            noise: self.noise(cell),
            repeats,
            ceiling: !self.no_ceiling,
        })
    }

    /// Batch, time and repeats. An option that the mode does not read is refused, because whoever gives it expects that
    /// it has an effect.
    fn sizes(&self) -> Result<[usize; 3], Failure> {
        if self.mode == Some(ModeArg::Pool) {
            let others =
                [("--batch", self.batch), ("--time", self.time), ("--repeats", self.repeats)];
            return match others.into_iter().find(|(_, found)| found.is_some()) {
                Some((name, _)) => Err(Failure::usage(format!(
                    "{name} is not for --mode pool, which has --streams, --max-batch and --seconds"
                ))),
                None => Ok([self.pool.max_batch.unwrap_or(128), 1, 1]),
            };
        }
        if let Some(name) = self.pool.given() {
            return Err(Failure::usage(format!("{name} is only for --mode pool")));
        }
        let needed = |name: &str, found: Option<usize>| {
            found.ok_or_else(|| {
                Failure::usage(format!("{name} is missing; only --mode pool goes without it"))
            })
        };
        let batch = needed("--batch", self.batch)?;
        Ok([batch, needed("--time", self.time)?, self.repeats.unwrap_or(10)])
    }
}
