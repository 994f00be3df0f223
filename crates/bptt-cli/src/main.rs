//! The command `bptt`: recurrent layers for Burn, their gradients verified, models trained.
//!
//! This is the only crate that prints or parses arguments. The exit code is 0 if all is done, and 1 if a check failed.
//! It is 2 for bad usage, bad input, or output that could not be written; then one line on standard error says what is
//! wrong, where, and what would be right. It is 129, 130 or 143 if a signal ended a run, which was saved.

mod bench;
mod bench_text;
mod compare;
mod compare_args;
mod confusion_page;
mod control_page;
mod convert;
mod devices;
mod dynamics;
mod dynamics_sweep;
mod failure;
mod forecast_page;
mod interrupt;
mod kernel_arg;
mod landscape;
mod noise_args;
mod output;
mod predict;
mod recipe_args;
mod sample;
mod shell;
mod status_line;
mod time_left;
mod train;
mod train_args;
mod translate_page;
#[cfg_attr(not(feature = "tui"), path = "no_tui.rs")]
mod tui;
mod verify;

use crate::failure::Failure;
use clap::{CommandFactory as _, Parser, Subcommand};
use std::process::ExitCode;

/// Recurrent networks for Burn whose gradients you can trust, read and afford.
#[derive(Parser)]
#[command(name = "bptt", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say which devices are compiled in, which work here, and in which float types
    Devices(devices::DevicesArgs),
    /// Prove that the engines' gradients are the same, and right
    Verify(verify::VerifyArgs),
    /// Measure what a layer costs: time, operations a second, memory
    Bench(bench::BenchArgs),
    /// Train a model
    Train(Box<train_args::TrainArgs>),
    /// Train several cells on one task, and compare what they learn, cost and forget
    Compare(Box<compare_args::CompareArgs>),
    /// Write text with a trained character model
    Sample(sample::SampleArgs),
    /// Say the labels or numbers of new sequences with a trained model
    Predict(predict::PredictArgs),
    /// Measure the dynamics of a network: Lyapunov spectrum, eigenvalues, how gradients grow or vanish
    Dynamics(dynamics::DynamicsArgs),
    /// Say how the loss of a trained run lies and bends: on a plane or a line, and by its Hessian
    Landscape(landscape::LandscapeArgs),
    /// Convert weights between PyTorch, SafeTensors and Burn
    Convert(convert::ConvertArgs),
    /// Print what completes options and names in a shell
    Completions(shell::CompletionsArgs),
    /// Print the manual's page, or write the pages of all subcommands
    Man(shell::ManArgs),
}

fn main() -> ExitCode {
    let done = Cli::try_parse().map_or_else(usage, run).and_then(|()| output::finish());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            if !message.is_empty() {
                output::note(&format!("bptt: {message}"));
            }
            ExitCode::from(code)
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Devices(args) => devices::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Train(args) => train::run(*args),
        Command::Compare(args) => compare::run(*args),
        Command::Sample(args) => sample::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Dynamics(args) => dynamics::run(args),
        Command::Landscape(args) => landscape::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Completions(args) => shell::completions(args, Cli::command()),
        Command::Man(args) => shell::man(args, Cli::command()),
    }
}

/// Help and version are printed as clap formats them. An error is printed as one line.
fn usage(error: clap::Error) -> Result<(), Failure> {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            output::remember(error.print());
            return Ok(());
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // This prints to standard error.
            let _ = error.print();
            return Err(Failure::usage(""));
        }
        _ => {}
    }
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("bad usage").trim_start_matches("error: ").to_string();
    // clap puts missing arguments, possible values and tips on separate lines.
    let rest: Vec<_> = lines
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .map(|line| line.trim_matches(|c| c == '[' || c == ']'))
        .collect();
    let more = if rest.is_empty() { String::new() } else { format!(" ({})", rest.join("; ")) };
    Err(Failure::usage(format!("{first}{more}; see bptt --help")))
}
