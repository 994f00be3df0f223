//! `bptt sample`

use crate::failure::Failure;
use crate::output;
use bptt_probe::device;
use bptt_zoo::sample::{Choice, SampleOptions, Sampled, SampledText, TextScore, sample, score};
use bptt_zoo::{RunFolder, Text, figure};
use burn::tensor::Device;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The largest number of tokens that one call writes.
const LONGEST: usize = 100_000_000;

/// The options that have no meaning with `--score`.
const WRITING: [&str; 8] =
    ["prompt", "length", "temperature", "top_k", "top_p", "samples", "stop", "seed"];

/// Arguments of `bptt sample`.
#[derive(Args)]
// So that `-3` is a bad number, and not an unknown option.
#[command(allow_negative_numbers = true)]
pub struct SampleArgs {
    /// The run folder of a `bptt train char-lm`
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// What the text begins with (`-`: standard input, without the line end at its end); characters that
    /// the model never saw are left out, with a note
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prompt: String,
    /// Characters to write after the prompt; tokens, if the model was trained with another --tokenizer
    #[arg(long, value_name = "N", default_value_t = 500)]
    length: usize,
    /// Below 1, what is likely gets likelier, and above 1 less likely; 0 always takes the likeliest
    #[arg(long, value_name = "X", default_value_t = 0.8)]
    temperature: f64,
    /// Consider only the K likeliest characters or tokens
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Consider only the likeliest characters or tokens that have the probability P together
    #[arg(long, value_name = "P")]
    top_p: Option<f64>,
    /// Texts to write, each with random choices of its own
    #[arg(long, value_name = "N", default_value_t = 1)]
    samples: usize,
    /// End a text before it says TEXT; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Write nothing, but tell how well the model predicts the text in FILE (`-`: standard input):
    /// nats per token, bits per character and byte, perplexity
    #[arg(long, value_name = "FILE", conflicts_with_all = WRITING)]
    score: Option<PathBuf>,
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
struct Written<'a> {
    run: String,
    prompt: &'a str,
    /// That of the first sample.
    text: &'a str,
    samples: &'a [SampledText],
    length: usize,
    temperature: f64,
    top_k: Option<usize>,
    top_p: Option<f64>,
    stop: &'a [String],
    seed: u64,
    notes: &'a [String],
}

/// The JSON of `--score`.
#[derive(Serialize)]
struct Scored<'a> {
    run: String,
    text: String,
    #[serde(flatten)]
    score: &'a TextScore,
}

/// Writes prompt and text to standard output.
pub fn run(args: SampleArgs) -> Result<(), Failure> {
    if args.length.saturating_mul(args.samples) > LONGEST {
        let SampleArgs { length, samples, .. } = args;
        let why = format!("--length {length}, --samples {samples}: at most {LONGEST} together");
        return Err(Failure::usage(why));
    }
    if args.samples == 0 {
        return Err(Failure::usage("--samples 0: has to be 1 or above".to_string()));
    }
    output::check(&[args.json.as_ref()])?;
    let name = args.device.as_deref().unwrap_or_else(|| device::default_name());
    let device = device::open(name).map_err(Failure::usage)?;
    let folder = RunFolder::new(&args.run);
    let run = args.run.display().to_string();
    let json = args.json.as_ref();
    if let Some(file) = &args.score {
        return judge(&folder, file, json, &device, run);
    }
    let (prompt, prompt_notes) = prompt(args.prompt)?;
    let options = SampleOptions {
        prompt,
        length: args.length,
        choice: Choice { temperature: args.temperature, top_k: args.top_k, top_p: args.top_p },
        samples: args.samples,
        stop: args.stop,
        seed: args.seed,
    };
    let Sampled { texts, notes } = sample(&folder, &options, &device)?;
    let notes = [prompt_notes, notes].concat();
    notes.iter().for_each(|note| output::note(note));
    if !output::takes_stdout(json) {
        for (index, SampledText { text, .. }) in texts.iter().enumerate() {
            if texts.len() > 1 {
                output::say(None, &format!("--- {} of {}", index + 1, texts.len()));
            }
            output::say(None, &format!("{}{text}", options.prompt));
        }
    }
    let Choice { temperature, top_k, top_p } = options.choice;
    let written = Written {
        run,
        prompt: &options.prompt,
        text: &texts[0].text,
        samples: &texts,
        length: options.length,
        temperature,
        top_k,
        top_p,
        stop: &options.stop,
        seed: options.seed,
        notes: &notes,
    };
    json.map_or(Ok(()), |path| output::write_json(path, &written))
}

/// The prompt, from standard input for `-`, and what was changed in it.
fn prompt(given: String) -> Result<(String, Vec<String>), Failure> {
    if given != "-" {
        return Ok((given, Vec::new()));
    }
    let text = Text::load(Some(Path::new("-")))?;
    let (mut prompt, mut notes) = (text.content(), text.notes);
    // `echo` and editors write it, and the person goes on in the same line.
    if prompt.ends_with('\n') {
        prompt.pop();
        notes.push("the line end at its end is left out".to_string());
    }
    Ok((prompt, notes.into_iter().map(|note| format!("--prompt -: {note}")).collect()))
}

/// Tells how well the model predicts a text.
fn judge(
    folder: &RunFolder,
    file: &Path,
    json: Option<&PathBuf>,
    device: &Device,
    run: String,
) -> Result<(), Failure> {
    let score = score(folder, &Text::load(Some(file))?, device)?;
    score.notes.iter().for_each(|note| output::note(note));
    if !output::takes_stdout(json) {
        output::say(None, &judged(&score));
    }
    let scored = Scored { run, text: file.display().to_string(), score: &score };
    json.map_or(Ok(()), |path| output::write_json(path, &scored))
}

/// The score in a line.
fn judged(score: &TextScore) -> String {
    let TextScore { tokens, characters, bytes, bits_per_character, bits_per_byte, .. } = score;
    // If each token is a character, this is said once.
    let (unit, with_tokens) = match tokens == characters {
        true => ("character", String::new()),
        false => ("token", format!(" in {tokens} tokens")),
    };
    // So it is if each character is a byte.
    let by_byte = match characters == bytes {
        true => String::new(),
        false => format!(", {} per byte", figure(*bits_per_byte)),
    };
    format!(
        "{characters} characters{with_tokens}: {} nats per {unit}, perplexity {}; {} bits per character{by_byte}",
        figure(score.nats_per_token),
        figure(score.perplexity),
        figure(*bits_per_character),
    )
}
