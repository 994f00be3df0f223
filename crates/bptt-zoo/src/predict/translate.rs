//! Translates dates with the model of a run.

use crate::error::Error;
use crate::folder::RunFolder;
use crate::task::Task;
use crate::task_settings::stored;
use crate::tasks::translate::score::Translation;
use crate::tasks::translate::{Translate, translated};
use crate::text::Text;
use burn::tensor::Device;
use std::path::Path;

/// How many dates are read at once.
const BATCH: usize = 256;

/// Translates the dates of a file with the best model of a run of [`Translate`]: one in each line. Capital letters are read
/// as small ones, and empty lines are left out.
///
/// # Arguments
///
/// - `data`: the file, or `-` for standard input
/// - `device`: without autodiff
///
/// # Errors
///
/// If the folder holds no such run or no model, if the file cannot be read or has no date, or if a line has a character that
/// no date has.
pub fn translate(
    folder: &RunFolder,
    data: &Path,
    device: &Device,
) -> Result<Vec<Translation>, Error> {
    // Before the file: another folder was meant, if there is none of these runs in it.
    stored::<Translate>(folder)?;
    let text = Text::load(Some(data))?.content();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let dates: Vec<String> = lines.map(str::to_string).collect();
    if dates.is_empty() {
        return Err(Error::input(format!("{}: no date in any line", data.display())));
    }
    translate_texts(folder, &dates, device)
}

/// The same for texts, each of them a date.
///
/// # Errors
///
/// As [`translate`].
pub fn translate_texts(
    folder: &RunFolder,
    texts: &[String],
    device: &Device,
) -> Result<Vec<Translation>, Error> {
    let task = Translate::new(&stored::<Translate>(folder)?)?;
    let model = folder.with_weights(task.model(device)?)?;
    let dates: Vec<String> = texts.iter().map(|text| text.trim().to_lowercase()).collect();
    let mut all = Vec::with_capacity(dates.len());
    for dates in dates.chunks(BATCH) {
        all.extend(translated(&model, dates, device)?);
    }
    Ok(all)
}
