//! `bptt dynamics`

use crate::failure::Failure;
use crate::output;
use crate::time_left::TimeLeft;
use crate::verify::CellArg;
use bptt_probe::device;
use bptt_probe::dynamics::page::page;
use bptt_probe::dynamics::random::{Random, random};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `bptt dynamics`.
#[derive(Args)]
// So that `-3` is a bad number, and not an unknown option.
#[command(allow_negative_numbers = true)]
pub struct DynamicsArgs {
    /// Measure a random network, without input. Its recurrent weights are drawn from N(0, g²/N) in every gate; its
    /// biases are zero
    #[arg(long, required = true)]
    random: bool,
    /// The recurrent cell
    #[arg(long, value_enum)]
    cell: CellArg,
    /// Hidden units
    #[arg(long, value_name = "N")]
    hidden: usize,
    /// The gain g: recurrent weights are drawn from N(0, g²/N), for LSTM and GRU in every gate; biases are zero
    #[arg(long, value_name = "G")]
    gain: f64,
    /// Measured steps; before them come a fifth as many (at least 200) in which the network settles
    #[arg(long, value_name = "T")]
    time: usize,
    /// Lyapunov exponents, the largest first [default: all, but not more than 100]
    #[arg(long, value_name = "K")]
    exponents: Option<usize>,
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

/// Measures the dynamics of a network, and prints a summary.
pub fn run(args: DynamicsArgs) -> Result<(), Failure> {
    let wanted = Random {
        cell: args.cell.into(),
        hidden: args.hidden,
        gain: args.gain,
        time: args.time,
        exponents: args.exponents,
        seed: args.seed,
    };
    // Wrong settings are reported before anything is computed.
    wanted.settings().map_err(Failure::usage)?;
    output::check(&[args.json.as_ref(), args.html.as_ref()])?;
    let name = args.device.as_deref().unwrap_or_else(|| device::default_name());
    let device = device::open(name).map_err(Failure::usage)?;
    if !device::is_host(name) {
        return Err(Failure::usage(format!(
            "device '{name}' is not in host memory: expected flex or ndarray, which compute in f64"
        )));
    }

    let mut time_left = TimeLeft::new();
    let report = random(&wanted, &device, &mut |progress| {
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
