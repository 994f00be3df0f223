//! `bptt dynamics`

use crate::dynamics_sweep::{self, SweepArgs};
use crate::failure::Failure;
use crate::output;
use crate::time_left::TimeLeft;
use crate::verify::StepCellArg;
use bptt_probe::device;
use bptt_probe::dynamics::page::page;
use bptt_probe::dynamics::random::{Random, random};
use bptt_probe::dynamics::sweep::Sweep;
use bptt_zoo::{ConstantInput, DynamicsOptions, RunFolder, dynamics, dynamics_page};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Arguments of `bptt dynamics`.
#[derive(Args)]
// So that `-3` is a bad number, and not an unknown option.
#[command(allow_negative_numbers = true)]
pub struct DynamicsArgs {
    /// Measure the trained network of a `bptt train` on its own validation data; several times: all of them, on one
    /// page
    #[arg(long, value_name = "DIR", conflicts_with_all = ["random", "cell", "hidden", "gain"])]
    run: Vec<PathBuf>,
    /// Measure a random network, without input. Its recurrent weights are drawn from N(0, g²/N) in every gate; its
    /// biases are zero
    #[arg(long, required_unless_present_any = ["run", "sweep"])]
    random: bool,
    /// The recurrent cell of a random network
    #[arg(long, value_enum, required_unless_present_any = ["run", "sweep"])]
    cell: Option<StepCellArg>,
    /// Hidden units of a random network
    #[arg(long, value_name = "N", required_unless_present = "run")]
    hidden: Option<usize>,
    /// The gain g: recurrent weights are drawn from N(0, g²/N), for LSTM and GRU in every gate; biases are zero
    #[arg(long, value_name = "G", required_unless_present_any = ["run", "sweep"])]
    gain: Option<f64>,
    #[command(flatten)]
    sweep: SweepArgs,
    /// Measured steps; before them come a fifth as many (at least 200) in which the network settles
    /// [default of --run: 2000]
    #[arg(long, value_name = "T", required_unless_present = "run")]
    time: Option<usize>,
    /// Lyapunov exponents, the largest first [default: all, but not more than 100]
    #[arg(long, value_name = "K")]
    exponents: Option<usize>,
    /// Find the fixed points and slow points of a trained network, from N states [default N: 512]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "512", requires = "run")]
    fixed_points: Option<usize>,
    /// The input, the same at each step, for which --fixed-points searches [default: zero if the validation data has
    /// steps without input, else mean]
    #[arg(long, value_enum, requires = "fixed_points")]
    input: Option<InputArg>,
    /// Truncated gradients of the run against its whole gradient: bias and variance for windows of 1, 2, 4, … steps
    #[arg(long, requires = "run")]
    truncation: bool,
    /// Seed of the weights, the first state and the directions: the same seed gives the same bytes
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Where to compute, in f64: a device in host memory [default: the first of this build]
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// Write the result as JSON to FILE (`-`: standard output, and nothing else there); exponents are in nats per step
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with pictures to FILE: self-contained, readable on paper
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum InputArg {
    /// All inputs are zero
    Zero,
    /// The mean of the validation data
    Mean,
}

/// Measures the dynamics of a network, and prints a summary.
pub fn run(args: DynamicsArgs) -> Result<(), Failure> {
    if let Some(sweep) = args.sweep.wanted(args.gain)? {
        // clap has made sure of the sizes.
        let (hidden, time) = (args.hidden.unwrap_or_default(), args.time.unwrap_or_default());
        let wanted = Sweep { hidden, time, exponents: args.exponents, seed: args.seed, ..sweep };
        wanted.check().map_err(Failure::usage)?;
        return dynamics_sweep::run(&wanted, &open(&args)?, args.json.as_ref(), args.html.as_ref());
    }
    match (args.cell, args.hidden, args.gain, args.time) {
        (Some(cell), Some(hidden), Some(gain), Some(time)) => {
            let (exponents, seed) = (args.exponents, args.seed);
            let wanted = Random { cell: cell.into(), hidden, gain, time, exponents, seed };
            of_random(&args, &wanted)
        }
        // clap has made sure that there is a run.
        _ => of_runs(&args),
    }
}

fn of_random(args: &DynamicsArgs, wanted: &Random) -> Result<(), Failure> {
    // Wrong settings are reported before anything is computed.
    wanted.settings().map_err(Failure::usage)?;
    let device = open(args)?;
    let mut time_left = TimeLeft::new();
    let report = random(wanted, &device, &mut |progress| {
        time_left.tell(progress.done, progress.total);
    });
    time_left.end();
    let report = report.map_err(Failure::usage)?;
    output::say(args.json.as_ref(), &report.summary());
    if let Some(path) = &args.html {
        bptt_zoo::write_whole(path, page(&report).as_bytes())?;
    }
    args.json.as_ref().map_or(Ok(()), |path| output::write_json(path, &report))
}

fn of_runs(args: &DynamicsArgs) -> Result<(), Failure> {
    let usual = DynamicsOptions::default();
    let time = args.time.unwrap_or(usual.time);
    let input = args.input.map(|input| match input {
        InputArg::Zero => ConstantInput::Zero,
        InputArg::Mean => ConstantInput::Mean,
    });
    let options = DynamicsOptions {
        time,
        exponents: args.exponents,
        fixed_points: args.fixed_points,
        input,
        seed: args.seed,
        truncation: args.truncation,
    };
    options.check()?;
    let device = open(args)?;
    let mut all = Vec::new();
    for run in &args.run {
        let mut time_left = TimeLeft::new();
        let mut stage = "";
        let found = dynamics(&RunFolder::new(run), &options, &device, &mut |progress| {
            if progress.stage != stage {
                stage = progress.stage;
                time_left.end();
                time_left = TimeLeft::of(stage);
            }
            time_left.tell(progress.done, progress.total);
        });
        time_left.end();
        let found = found?;
        output::say(args.json.as_ref(), &found.summary());
        all.push(found);
    }
    if let Some(path) = &args.html {
        bptt_zoo::write_whole(path, dynamics_page(&all).as_bytes())?;
    }
    match (&args.json, &all[..]) {
        (None, _) => Ok(()),
        (Some(path), [one]) => output::write_json(path, one),
        (Some(path), several) => output::write_json(path, &several),
    }
}

/// The device, after a check that the files for the results can be written.
fn open(args: &DynamicsArgs) -> Result<Device, Failure> {
    output::check(&[args.json.as_ref(), args.html.as_ref()])?;
    let name = args.device.as_deref().unwrap_or_else(|| device::default_name());
    let device = device::open(name).map_err(Failure::usage)?;
    match device::is_host(name) {
        true => Ok(device),
        false => Err(Failure::usage(format!(
            "device '{name}' is not in host memory: expected flex or ndarray, which compute in f64"
        ))),
    }
}
