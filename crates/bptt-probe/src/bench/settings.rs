//! What is measured, and how.

use crate::device;
use crate::report::kernel_name;
use crate::setting::DType;
use bptt::{Engine, Kernel, LayerKind, RecurrentNoise, SequenceCell};

/// Which project's layer is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// A layer of this project, by one of its engines.
    Ours(Engine),
    /// The layer with the same name in `burn::nn`: one layer, one direction.
    BurnNn,
}

impl Contender {
    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours(engine) => engine.name(),
            Self::BurnNn => "burn-nn",
        }
    }
}

/// What one run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Forward and backward: the gradients of the input and of all parameters, the loss being the
    /// sum of the outputs.
    Train,
    /// Forward on a device without autodiff.
    Infer,
    /// `T` steps of a stream with the state carried on, on a device without autodiff. Times are for one step.
    Step,
    /// A pool of streams whose inputs arrive by themselves. Times are from an input's arrival to its answer.
    Pool(Load),
}

/// The load on a pool of streams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// How many streams there are.
    pub streams: usize,
    /// How many inputs arrive in a second, over all streams.
    pub rate: f64,
    /// For how many seconds inputs arrive.
    pub seconds: f64,
    /// The longest time that an input waits for others, in milliseconds.
    pub max_wait_ms: f64,
    /// An answer that takes longer comes too late, in milliseconds.
    pub deadline_ms: f64,
}

impl Load {
    fn check(&self) -> Result<(), String> {
        if self.streams == 0 {
            return Err("streams is 0: expected at least 1".into());
        }
        let above_zero =
            [("rate", self.rate), ("seconds", self.seconds), ("deadline", self.deadline_ms)];
        if let Some((name, found)) =
            above_zero.into_iter().find(|(_, found)| !(*found > 0.0 && *found < LONGEST))
        {
            return Err(format!("{name} is {found}: expected a number above 0, up to {LONGEST:e}"));
        }
        if !(0.0..LONGEST).contains(&self.max_wait_ms) {
            return Err(format!(
                "max-wait is {}: expected a number of milliseconds from 0 to {LONGEST:e}",
                self.max_wait_ms,
            ));
        }
        let inputs = self.rate * self.seconds;
        if inputs > MOST_INPUTS {
            return Err(format!(
                "{inputs:.0} inputs are too many to draw beforehand: expected a rate times seconds \
                 of at most {MOST_INPUTS:.0}",
            ));
        }
        Ok(())
    }
}

/// More seconds or milliseconds than anybody measures, and few enough for the clock.
const LONGEST: f64 = 1e9;

/// Their arrivals and latencies take 3 GB.
const MOST_INPUTS: f64 = 1e8;

impl Mode {
    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Infer => "infer",
            Self::Step => "step",
            Self::Pool(_) => "pool",
        }
    }
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which cell.
    pub cell: LayerKind,
    /// Which project's layer, and by which engine.
    pub engine: Contender,
    /// Which kernel the manual engine runs.
    pub kernel: Kernel,
    /// The device's name.
    pub device: String,
    /// The float type of weights and inputs.
    pub dtype: DType,
    /// What one run is.
    pub mode: Mode,
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
    /// Noise inside of the layer; only its zoneout has an effect without autodiff.
    pub noise: Option<RecurrentNoise>,
    /// The number of measured runs.
    pub repeats: usize,
    /// Whether a large matrix product is measured too.
    pub ceiling: bool,
}

/// Settings with more numbers than this (64 GiB) are probably a typing error.
const MOST_NUMBERS: usize = 1 << 34;

impl Settings {
    /// Checks that the settings can be measured.
    ///
    /// # Errors
    ///
    /// One line that says which setting is wrong, and what would be right.
    pub fn check(&self) -> Result<(), String> {
        let load = match self.mode {
            Mode::Pool(load) => Some(load),
            _ => None,
        };
        let sizes = [
            (if load.is_some() { "max-batch" } else { "batch" }, self.batch),
            ("time", self.time),
            ("input", self.input),
            ("hidden", self.hidden),
            ("heads", self.heads),
            ("layers", self.layers),
            ("repeats", self.repeats),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(format!("{name} is 0: expected at least 1"));
        }
        if let Some(load) = load {
            load.check()?;
            if self.engine == Contender::BurnNn {
                return Err(
                    "burn-nn has no pool of streams: take the engine manual or autograd".into()
                );
            }
        }
        if self.engine == Contender::BurnNn && (self.layers > 1 || self.bidirectional) {
            return Err("burn-nn has one layer in one direction: leave out --layers and \
                        --bidirectional, or take the engine manual or autograd"
                .into());
        }
        if self.engine == Contender::BurnNn && self.heads > 1 {
            return Err(
                "burn-nn has no heads: leave out --heads, or take the engine manual or autograd"
                    .into(),
            );
        }
        if self.heads > 1 && self.cell.cell().is_none() {
            return Err(format!(
                "{} runs as a scan and has no recurrent matrix: leave out --heads",
                self.cell.name()
            ));
        }
        if !self.hidden.is_multiple_of(self.heads) {
            return Err(format!(
                "heads is {}, and has to divide hidden, which is {}",
                self.heads, self.hidden
            ));
        }
        if let Some(noise) = self.noise {
            if self.engine == Contender::BurnNn {
                return Err(
                    "burn-nn has no noise: leave out its options, or take the engine manual \
                            or autograd"
                        .into(),
                );
            }
            let Some(cell) = self.cell.cell() else {
                return Err(format!(
                    "{} runs as a scan and has no noise: leave out its options, or take another cell",
                    self.cell.name()
                ));
            };
            noise.check(&cell.default_cell()).map_err(|why| why.to_string())?;
        }
        device::check_kernel(&self.device, self.kernel)?;
        if self.kernel != Kernel::Auto && self.engine != Contender::Ours(Engine::Manual) {
            return Err(format!(
                "the engine {} has no kernels to choose from: leave out --kernel, or take the \
                 engine manual",
                self.engine.name(),
            ));
        }
        if self.cell.cell().is_none() {
            self.check_scanned()?;
        }
        if matches!(self.mode, Mode::Step | Mode::Pool(_)) && self.bidirectional {
            return Err("a bidirectional layer has no next step: leave out --bidirectional, or \
                        take the mode infer"
                .into());
        }
        match self.numbers() {
            Some(numbers) if numbers <= MOST_NUMBERS => Ok(()),
            _ => Err(format!(
                "a layer of batch {}, time {}, input {}, hidden {}, layers {} is too large to \
                 measure: take smaller sizes",
                self.batch, self.time, self.input, self.hidden, self.layers,
            )),
        }
    }

    /// What a layer that runs as a scan does not have.
    fn check_scanned(&self) -> Result<(), String> {
        let name = self.cell.name();
        if self.kernel.is_for_gpus() {
            return Err(format!(
                "{name} runs as a scan, and has no kernel {}: leave out --kernel, or take another cell",
                self.kernel.name(),
            ));
        }
        match (self.mode, self.engine) {
            (Mode::Pool(_), _) => Err(format!(
                "{name} runs as a scan, and is not in a pool of streams: take the mode step, or another cell"
            )),
            (_, Contender::Ours(Engine::Rtrl)) => Err(format!(
                "{name} runs as a scan, and has no engine rtrl: take the engine manual or autograd"
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn directions(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }

    /// How many numbers the weights of a layer have in one direction, with an input of this size, without what is one
    /// number a unit; `None` if the count overflows.
    fn weights(&self, input: usize) -> Option<usize> {
        #[cfg(feature = "scanned-cells")]
        if let LayerKind::Scanned(kind) = self.cell {
            return crate::scanned::weights(kind, [input, self.hidden]);
        }
        let cell = self.cell.cell()?.default_cell().layout();
        let state = if cell.has_recurrent_weights() { self.hidden / self.heads } else { 0 };
        cell.gates().checked_mul(self.hidden)?.checked_mul(input.checked_add(state)?)
    }

    /// How many numbers the gates of a step of a row have in one direction.
    fn planes(&self) -> Option<usize> {
        // A layer that runs as a scan has at most three gates, and an output beside its state.
        let planes = self.cell.cell().map_or(4, |cell| cell.default_cell().gates());
        planes.checked_mul(self.hidden)
    }

    /// How many numbers the input, the weights and the gates of all steps have; `None` if the count overflows.
    fn numbers(&self) -> Option<usize> {
        let directions = self.directions();
        let streams = match self.mode {
            Mode::Pool(load) => load.streams,
            _ => 0,
        };
        let rows = self.batch.checked_mul(self.time)?.max(streams);
        let first = self.weights(self.input)?;
        let upper = self.weights(directions.checked_mul(self.hidden)?)?;
        let weights = first.checked_add(upper.checked_mul(self.layers - 1)?)?;
        let weights = weights.checked_mul(directions)?;
        let planes = self.planes()?.checked_mul(directions)?.checked_mul(self.layers)?;
        let planes = self.input.checked_add(planes)?;
        weights.checked_add(rows.checked_mul(planes)?)
    }

    /// The number of multiplications and additions in the matrix products of one run, of one step for
    /// [`Mode::Step`], or of one answer for [`Mode::Pool`]. The backward pass has two products for each product of the forward pass.
    pub fn flops(&self) -> f64 {
        let directions = self.directions();
        let layer = |input: usize| {
            let weights = self.weights(input).expect("settings that were checked");
            2.0 * self.batch as f64 * weights as f64 * directions as f64
        };
        let above = layer(directions * self.hidden);
        let step = layer(self.input) + (self.layers - 1) as f64 * above;
        match self.mode {
            Mode::Train => 3.0 * self.time as f64 * step,
            Mode::Infer => self.time as f64 * step,
            Mode::Step => step,
            Mode::Pool(_) => step / self.batch as f64,
        }
    }

    pub(super) fn kernel_name(&self) -> &'static str {
        match self.engine {
            Contender::Ours(engine) => kernel_name(engine, self.kernel),
            Contender::BurnNn => "-",
        }
    }
}
