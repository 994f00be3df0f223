//! Other models, to which a line or through which a plane goes.

use crate::error::Error;
use crate::folder::RunFolder;
use crate::settings::Settings;
use crate::store::load_model;
use crate::task::Task;
use crate::task_settings::{check_data, stored};
use crate::vector::parameters;
use burn::tensor::Device;
use std::path::Path;

/// The parameters of the best model of another run, or of the model of a checkpoint, by the folder of either.
pub(super) fn other_model<T: Task>(
    path: &Path,
    settings: &Settings,
    task: &T,
    device: &Device,
) -> Result<Vec<f64>, Error> {
    let checkpoint = checkpoint_of(path);
    let folder = RunFolder::new(checkpoint.as_ref().map_or(path, |(run, _)| run));
    let theirs = stored::<T>(&folder)?;
    let sizes = |s: &Settings| {
        format!(
            "{}, {} layers of {}{}",
            s.cell.name(),
            s.layers,
            s.hidden,
            if s.bidirectional { ", in both directions" } else { "" }
        )
    };
    if sizes(&theirs) != sizes(settings) {
        return Err(Error::input(format!(
            "{}: {}, and --run has {}: a line or a plane needs models of the same sizes",
            path.display(),
            sizes(&theirs),
            sizes(settings),
        )));
    }
    check_data(&folder, task)?;
    let model = task.model(device)?;
    Ok(parameters(&match checkpoint {
        Some((_, weights)) => load_model(model, &weights)?,
        None => folder.with_weights(model)?,
    }))
}

/// The run of a folder `checkpoint-N`, and the weights in it; `None` for any other folder.
fn checkpoint_of(path: &Path) -> Option<(&Path, std::path::PathBuf)> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("checkpoint-")?.parse::<u64>().ok()?;
    let run = match path.parent()? {
        none if none.as_os_str().is_empty() => Path::new("."),
        run => run,
    };
    RunFolder::new(run).holds_run().then(|| (run, path.join("model.bpk")))
}
