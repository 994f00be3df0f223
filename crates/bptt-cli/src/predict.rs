//! `bptt predict`

use crate::confusion_page::confusion_page;
use crate::failure::Failure;
use crate::forecast_page::forecast_page;
use crate::output;
use crate::translate_page::translations_page;
use bptt_probe::device;
use bptt_zoo::predict::{KnownScores, PredictionScores, Predictions, forecast, predict, translate};
use bptt_zoo::{Forecast, RunFolder, Task, Translate, Translation, figure, write_whole};
use burn::tensor::Device;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Arguments of `bptt predict`.
#[derive(Args)]
pub struct PredictArgs {
    /// The run folder of a `bptt train` of classify, tag, regress, forecast or translate
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// New sequences in the form of the training data (`-`: standard input); their labels may be missing. For translate:
    /// lines, a date in each
    #[arg(long, value_name = "FILE", conflicts_with = "csv")]
    data: Option<PathBuf>,
    /// For forecast: a table with the columns of the training data (`-`: standard input); the steps after its last
    /// value are forecast
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the predictions to FILE: as a table if it is called .csv, else as JSON lines; without it they go to standard
    /// output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write a page to FILE: with the confusion matrix, where labels are known; with the forecasts and their intervals; with
    /// the attention of translations
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

/// The JSON about forecasts.
#[derive(Serialize)]
struct Forecasted<'a> {
    run: String,
    data: String,
    /// How many forecasts there are.
    forecasts: usize,
    horizon: usize,
    scores: Option<&'a KnownScores>,
    /// Those on the values after what the run learned from, if there are any and dates say so.
    new_scores: Option<&'a KnownScores>,
    notes: &'a [String],
}

/// The JSON about translations.
#[derive(Serialize)]
struct Translated<'a> {
    run: String,
    data: String,
    translations: &'a [Translation],
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
    let folder = RunFolder::new(&args.run);
    let task = folder.settings()?.task;
    let is_forecast = task == Forecast::NAME;
    let data = match (&args.data, &args.csv) {
        (Some(data), _) if !is_forecast => data,
        (_, Some(csv)) if is_forecast => return run_forecast(&args, &folder, csv, out, &device),
        _ => {
            let right = if is_forecast { "csv" } else { "data" };
            let wrong =
                args.data.as_ref().map(|_| "--data: ").or(args.csv.as_ref().map(|_| "--csv: "));
            let why = format!(
                "{}the run is one of {}; give --{right} FILE",
                wrong.unwrap_or_default(),
                task.escape_debug()
            );
            return Err(Failure::usage(why));
        }
    };
    if task == Translate::NAME {
        return run_translate(&args, &folder, data, out, &device);
    }
    let predictions = predict(&folder, data, &device)?;
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
        let what = format!("on {}", data.display());
        write_whole(path, confusion_page(&title, &what, confusion).as_bytes())?;
    }
    let bytes = match is_csv(out) {
        true => predictions.csv()?,
        false => predictions.json_lines().into_bytes(),
    };
    write(out, &bytes)?;
    predictions.notes.iter().for_each(|note| output::note(note));
    output::note(&summary(&predictions));
    let judged = Judged {
        run: args.run.display().to_string(),
        data: data.display().to_string(),
        sequences: predictions.sequences.len(),
        labels: &predictions.labels,
        scores: predictions.scores.as_ref(),
        notes: &predictions.notes,
    };
    json.map_or(Ok(()), |path| output::write_json(path, &judged))
}

/// The same for a run of `forecast`.
fn run_forecast(
    args: &PredictArgs,
    folder: &RunFolder,
    csv: &Path,
    out: &Path,
    device: &Device,
) -> Result<(), Failure> {
    let forecasts = forecast(folder, csv, device)?;
    if let Some(path) = &args.html {
        let title = format!("forecast: {}", args.run.display());
        let page = forecast_page(&title, &format!("of {}", csv.display()), &forecasts);
        write_whole(path, page.as_bytes())?;
    }
    let bytes = match is_csv(out) {
        true => forecasts.csv()?,
        false => forecasts.json_lines().into_bytes(),
    };
    write(out, &bytes)?;
    forecasts.notes.iter().for_each(|note| output::note(note));
    let count = forecasts.lines.iter().map(|line| line.forecasts.len()).sum();
    output::note(&match &forecasts.scores {
        None => format!("{count} forecasts, no value is known"),
        Some(scores) => {
            format!(
                "{count} forecasts, {} of them of known values: {}",
                scores.values,
                errors(scores)
            )
        }
    });
    if let Some(scores) = &forecasts.new_scores {
        let values = scores.values;
        output::note(&format!(
            "{values} of the known values are after those that the run learned from: {}",
            errors(scores)
        ));
    }
    let judged = Forecasted {
        run: args.run.display().to_string(),
        data: csv.display().to_string(),
        forecasts: count,
        horizon: forecasts.horizon,
        scores: forecasts.scores.as_ref(),
        new_scores: forecasts.new_scores.as_ref(),
        notes: &forecasts.notes,
    };
    args.json.as_ref().map_or(Ok(()), |path| output::write_json(path, &judged))
}

/// The same for a run of `translate`.
fn run_translate(
    args: &PredictArgs,
    folder: &RunFolder,
    data: &Path,
    out: &Path,
    device: &Device,
) -> Result<(), Failure> {
    if is_csv(out) {
        let why =
            format!("--out {}: translations are JSON lines; give another name", out.display());
        return Err(Failure::usage(why));
    }
    let translations = translate(folder, data, device)?;
    if let Some(path) = &args.html {
        let title = format!("translate: {}", args.run.display());
        write_whole(path, translations_page(&title, &translations).as_bytes())?;
    }
    let lines = translations.iter().map(|one| serde_json::to_string(one).map(|line| line + "\n"));
    let lines = lines.collect::<Result<String, _>>().expect("translations are plain data");
    write(out, lines.as_bytes())?;
    let translated = Translated {
        run: args.run.display().to_string(),
        data: data.display().to_string(),
        translations: &translations,
    };
    args.json.as_ref().map_or(Ok(()), |path| output::write_json(path, &translated))
}

/// The errors of forecasts in a few words.
fn errors(scores: &KnownScores) -> String {
    let coverage = scores.coverage.map_or_else(String::new, |coverage| {
        format!(", {:.1} % in the interval of 90 %", 100.0 * coverage)
    });
    format!("rmse {}, mean absolute error {}{coverage}", figure(scores.rmse), figure(scores.mae))
}

/// Whether a file is to be a table.
fn is_csv(out: &Path) -> bool {
    let ending = out.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case("csv"))
}

/// Writes bytes to a file, or to standard output for `-`.
fn write(out: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if out == Path::new("-") {
        output::write(bytes);
        return Ok(());
    }
    Ok(write_whole(out, bytes)?)
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
