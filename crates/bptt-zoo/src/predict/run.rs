//! Reads a file with the model of a run.

use crate::error::Error;
use crate::folder::RunFolder;
use crate::folder_files::LabelledInfo;
use crate::labelled::sequence::{Kind, Sequences};
use crate::labelled::source::LabelledSource;
use crate::predict::known::known;
use crate::predict::model::Model;
use crate::predict::predictions::{Answers, PredictedSequence, Predictions};
use crate::settings::Settings;
use crate::task::Task;
use crate::task_settings::stored;
use crate::tasks::classify::Classify;
use crate::tasks::labelled_options::LabelledOptions;
use crate::tasks::regress::Regress;
use crate::tasks::tag::Tag;
use burn::tensor::Device;
use std::path::Path;

/// Says the labels or the numbers of the sequences in a file, with the best model of a run of `classify`, `tag` or
/// `regress`.
///
/// The file has the form of the training data: JSON lines, or a table with the same columns. Right answers (`y`, the column
/// of labels) may be missing. Where they are there, the answers are judged. A table's run also reads files that are called
/// `.jsonl`, `.ndjson` or `.json`.
///
/// # Arguments
///
/// - `data`: the file, or `-` for standard input
/// - `device`: without autodiff
///
/// # Errors
///
/// If the folder holds no such run or no model, if the file cannot be read, if its steps have not as many numbers as those
/// that the model learned from, or if it has a label that the model does not know.
pub fn predict(folder: &RunFolder, data: &Path, device: &Device) -> Result<Predictions, Error> {
    let (settings, kind, source) = settings(folder)?;
    let Some(info) = folder.config()?.info.labelled else {
        return Err(folder.in_config("no `labelled`"));
    };
    let model = Model::load(folder, kind, device)?;
    if !model.fits(&info) {
        return Err(folder.in_config("`labelled` does not fit the model"));
    }
    let sequences = source.read_new(data, kind, info.features.as_deref())?;
    check_width(&sequences, &info)?;
    let answers = match kind {
        Kind::Class => Answers::Label,
        Kind::Tags => Answers::LabelPerStep,
        Kind::Number => Answers::Number,
    };
    let Sequences { file, width, all, notes, .. } = sequences;
    let known = all.iter().map(|sequence| known(sequence, &info.labels, &file));
    let known = known.collect::<Result<Vec<_>, _>>()?;
    let rows: Vec<Vec<f32>> = all.iter().map(|one| info.scaling.apply(&one.values)).collect();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&index| all[index].steps(width));
    let mut said = vec![Vec::new(); rows.len()];
    for batch in order.chunks(settings.batch) {
        let inputs: Vec<&[f32]> = batch.iter().map(|&index| rows[index].as_slice()).collect();
        for (&index, answer) in batch.iter().zip(model.answers(&inputs, &info, device)) {
            said[index] = answer;
        }
    }
    let sequences = all.into_iter().zip(said).zip(known);
    let sequences = sequences
        .map(|((sequence, said), known)| PredictedSequence { id: sequence.name, said, known })
        .collect();
    let mut predictions =
        Predictions { answers, labels: info.labels, sequences, scores: None, notes };
    predictions.judge();
    Ok(predictions)
}

/// The settings of a run, what it learned, and how its data was read.
fn settings(folder: &RunFolder) -> Result<(Settings, Kind, LabelledSource), Error> {
    let task = folder.settings()?.task;
    if task == Regress::NAME {
        let settings = stored::<Regress>(folder)?;
        let source = settings.options()?;
        return Ok((settings, Kind::Number, source));
    }
    let (settings, kind) = if task == Classify::NAME {
        (stored::<Classify>(folder)?, Kind::Class)
    } else if task == Tag::NAME {
        (stored::<Tag>(folder)?, Kind::Tags)
    } else {
        return Err(Error::input(format!(
            "{}: a run of `{}`; predictions are made by runs of classify, tag, regress and forecast",
            folder.path().display(),
            task.escape_debug(),
        )));
    };
    let LabelledOptions { source, .. } = settings.options()?;
    Ok((settings, kind, source))
}

fn check_width(sequences: &Sequences, info: &LabelledInfo) -> Result<(), Error> {
    let expected = info.scaling.mean.len();
    let Sequences { file, width, features, .. } = sequences;
    if *width != expected {
        return Err(Error::input(format!(
            "{file}: steps of {width} numbers, and the model learned from steps of {expected}"
        )));
    }
    // A table is read by the names of its columns; other files have to have the order of the training data.
    debug_assert!(features.is_none() || *features == info.features);
    Ok(())
}
