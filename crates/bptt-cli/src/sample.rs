//! `bptt sample`

use crate::failure::Failure;
use crate::output;
use bptt_probe::device;
use bptt_zoo::RunFolder;
use bptt_zoo::sample::{SampleOptions, sample};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// The largest number of characters that one call writes.
const LONGEST: usize = 100_000_000;

/// Arguments of `bptt sample`.
#[derive(Args)]
// So that `-3` is a bad number, and not an unknown option.
#[command(allow_negative_numbers = true)]
pub struct SampleArgs {
    /// The run folder of a `bptt train char-lm`
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// What the text begins with
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prompt: String,
    /// Characters to write after the prompt
    #[arg(long, value_name = "N", default_value_t = 500)]
    length: usize,
    /// Below 1, likely characters get likelier, and above 1 less likely; 0 always takes the likeliest
    #[arg(long, value_name = "X", default_value_t = 0.8)]
    temperature: f64,
    /// Fixes the random choices
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where to run, see `bptt devices` [default: the first of this build]
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// Write prompt and text as JSON to FILE (`-`: standard output, and nothing else there)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The JSON.
#[derive(Serialize)]
struct Sampled<'a> {
    run: String,
    prompt: &'a str,
    text: &'a str,
    length: usize,
    temperature: f64,
    seed: u64,
}

/// Writes prompt and text to standard output.
pub fn run(args: SampleArgs) -> Result<(), Failure> {
    if args.length > LONGEST {
        return Err(Failure::usage(format!("--length {}: at most {LONGEST}", args.length)));
    }
    output::check(&[args.json.as_ref()])?;
    let name = args.device.as_deref().unwrap_or_else(|| device::default_name());
    let device = device::open(name).map_err(Failure::usage)?;
    let options = SampleOptions {
        prompt: args.prompt,
        length: args.length,
        temperature: args.temperature,
        seed: args.seed,
    };
    let text = sample(&RunFolder::new(&args.run), &options, &device)?;
    if !output::takes_stdout(args.json.as_ref()) {
        output::say(None, &format!("{}{text}", options.prompt));
    }
    let sampled = Sampled {
        run: args.run.display().to_string(),
        prompt: &options.prompt,
        text: &text,
        length: options.length,
        temperature: options.temperature,
        seed: options.seed,
    };
    args.json.as_ref().map_or(Ok(()), |path| output::write_json(path, &sampled))
}
