//! The command `bptt`: recurrent layers for Burn, their gradients verified, models trained.
//!
//! The only crate that prints or parses arguments. Exit code 0: done; 1: a check failed; 2: bad
//! usage or bad input, with one line on standard error that says what, where, and what would be
//! right.

mod bench;
mod convert;
mod devices;
mod output;
mod sample;
mod train;
mod verify;

use clap::{Parser, Subcommand};
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
    Train(Box<train::TrainArgs>),
    /// Write text with a trained character model
    Sample(sample::SampleArgs),
    /// Convert weights between PyTorch, SafeTensors and Burn
    Convert(convert::ConvertArgs),
}

/// Why the command ends with another exit code than 0.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// One line for standard error.
    pub message: String,
}

impl Failure {
    /// Bad usage or bad input.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// A check failed.
    pub fn check(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(error),
    };
    let done = match cli.command {
        Command::Devices(args) => devices::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Train(args) => train::run(*args),
        Command::Sample(args) => sample::run(args),
        Command::Convert(args) => convert::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            eprintln!("bptt: {message}");
            ExitCode::from(code)
        }
    }
}

/// Help and version go out as clap writes them, a mistake as one line.
fn usage(error: clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            let help = error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
            return ExitCode::from(if help { 0 } else { 2 });
        }
        _ => {}
    }
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("bad usage").trim_start_matches("error: ").to_string();
    // clap puts missing arguments, possible values and tips on lines of their own.
    let rest: Vec<_> = lines
        .take_while(|line| !line.starts_with("Usage:"))
        .map(|line| line.trim_matches(|c| c == '[' || c == ']'))
        .collect();
    let more = if rest.is_empty() { String::new() } else { format!(" ({})", rest.join("; ")) };
    eprintln!("bptt: {first}{more}; see bptt --help");
    ExitCode::from(2)
}
