//! `bptt predict`

use crate::confusion_page::confusion_page;
use crate::failure::Failure;
use crate::output;
use bptt_probe::device;
use bptt_zoo::predict::{PredictionScores, Predictions, predict};
use bptt_zoo::{RunFolder, figure, write_whole};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Arguments of `bptt predict`.
#[derive(Args)]
pub struct PredictArgs {
    /// The run folder of a `bptt train` of classify, tag or regress
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// New sequences in the form of the training data (`-`: standard input); their labels may be missing
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Write the predictions to FILE: as a table if it is called .csv, else as JSON lines; without it they go to standard
    /// output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write a page with the confusion matrix to FILE, where labels are known
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Where to run, see `bptt devices` [default: the first of this build]
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// Write how good the predictions are as JSON to FILE (`-`: standard output, and nothing else there)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The JSON.
#[derive(Serialize)]
struct Judged<'a> {
    run: String,
    data: String,
    sequences: usize,
    labels: &'a [String],
    /// `None`: no right answer is known.
    scores: Option<&'a PredictionScores>,
    notes: &'a [String],
}

/// Writes the predictions, and says how good they are where the right answers are known.
pub fn run(args: PredictArgs) -> Result<(), Failure> {
    let json = args.json.as_ref();
    output::check(&[json, args.html.as_ref(), args.out.as_ref()])?;
    let stdout = PathBuf::from("-");
    let out = args.out.as_ref().unwrap_or(&stdout);
    if *out == stdout && output::takes_stdout(json) {
        let why = "--json -: the predictions go to standard output too; give --out FILE";
        return Err(Failure::usage(why));
    }
    let name = args.device.as_deref().unwrap_or_else(|| device::default_name());
    let device = device::open(name).map_err(Failure::usage)?;
    let predictions = predict(&RunFolder::new(&args.run), &args.data, &device)?;
    let confusion = predictions.scores.as_ref().and_then(|scores| scores.confusion.as_ref());
    if let Some(path) = &args.html {
        let Some(confusion) = confusion else {
            let why = format!(
                "--html {}: no label is known in the data, so there is no confusion matrix; leave it out",
                path.display()
            );
            return Err(Failure::usage(why));
        };
        let title = format!("predict: {}", args.run.display());
        let what = format!("on {}", args.data.display());
        write_whole(path, confusion_page(&title, &what, confusion).as_bytes())?;
    }
    write(out, &predictions)?;
    predictions.notes.iter().for_each(|note| output::note(note));
    output::note(&summary(&predictions));
    let judged = Judged {
        run: args.run.display().to_string(),
        data: args.data.display().to_string(),
        sequences: predictions.sequences.len(),
        labels: &predictions.labels,
        scores: predictions.scores.as_ref(),
        notes: &predictions.notes,
    };
    json.map_or(Ok(()), |path| output::write_json(path, &judged))
}

/// Writes the predictions to a file, or to standard output for `-`.
fn write(out: &Path, predictions: &Predictions) -> Result<(), Failure> {
    let ending = out.extension().and_then(|ending| ending.to_str());
    let bytes = match ending.is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
        true => predictions.csv()?,
        false => predictions.json_lines().into_bytes(),
    };
    if out == Path::new("-") {
        output::write(&bytes);
        return Ok(());
    }
    Ok(write_whole(out, &bytes)?)
}

fn summary(predictions: &Predictions) -> String {
    let count = predictions.sequences.len();
    let Some(scores) = &predictions.scores else {
        return format!("{count} sequences, none with a right answer");
    };
    let parts =
        [("accuracy", scores.accuracy), ("macro F1", scores.macro_f1), ("rmse", scores.rmse)];
    let parts = parts.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let parts: Vec<_> = parts.map(|(name, value)| format!("{name} {}", figure(value))).collect();
    format!("{count} sequences, {} with a right answer: {}", scores.sequences, parts.join(", "))
}
