//! The settings of one task: checked, completed, and read from a run folder.

use crate::error::Error;
use crate::folder::RunFolder;
use crate::memory;
use crate::option::OptionKind;
use crate::session::{Probes, Session};
use crate::settings::{Settings, fields};
use crate::task::Task;
use bptt::Engine;
use serde_json::Value;

/// The settings with all options of the task, after a check that they make sense together.
///
/// # Errors
///
/// The first setting that is wrong, by the name of its option.
pub(crate) fn complete<T: Task>(settings: &Settings) -> Result<Settings, Error> {
    settings.check()?;
    if let (true, Some(why)) = (settings.bidirectional, T::ONE_DIRECTION) {
        return Err(Error::input(format!("--bidirectional: not for {}, {why}", T::NAME)));
    }
    let smoothing = settings.recipe.label_smoothing;
    if smoothing > 0.0 && !T::LEARNS_LABELS {
        let why = "does not learn labels by their cross entropy, leave it out";
        return Err(Error::input(format!("--label-smoothing {smoothing}: {} {why}", T::NAME)));
    }
    // A word that is none of an option's has a better message here than where the options are read.
    check_given::<T>(settings, |kind| matches!(kind, OptionKind::Choice(_)))?;
    let options: T::Options = settings.options()?;
    let recipe = settings.recipe.clone().complete(settings.steps);
    let settings = Settings { options: fields(&options), recipe, ..settings.clone() };
    check_given::<T>(&settings, |_| true)?;
    T::check(&settings, &options)?;
    memory::check(&settings, T::sequence_size(&options))?;
    Ok(settings)
}

/// Checks the values of the options of some kinds.
fn check_given<T: Task>(settings: &Settings, of: fn(&OptionKind) -> bool) -> Result<(), Error> {
    let mut options = T::OPTIONS.iter().filter(|option| of(&option.kind));
    options.try_for_each(|option| {
        option.check(settings.options.get(option.name).unwrap_or(&Value::Null))
    })
}

/// The name of the model if it has one of its own ([`Task::model_name`]).
pub(crate) fn model_name<T: Task>(settings: &Settings) -> Option<&'static str> {
    settings.options().ok().and_then(|options| T::model_name(&options))
}

/// What the loss is ([`Task::loss_name`]).
pub(crate) fn loss_name<T: Task>(settings: &Settings) -> &'static str {
    settings.options().map_or(T::LOSS, |options| T::loss_name(&options))
}

/// The name of the cell, or of a model that is not made of one.
pub(crate) fn cell_or_model<T: Task>(settings: &Settings) -> &'static str {
    model_name::<T>(settings).unwrap_or_else(|| settings.cell.name())
}

/// The same, and every option that has to be given is given.
pub(crate) fn complete_and_given<T: Task>(settings: &Settings) -> Result<Settings, Error> {
    let settings = complete::<T>(settings)?;
    let required = T::OPTIONS.iter().filter(|option| option.required);
    if required.clone().any(|option| settings.options.get(option.name).is_none_or(Value::is_null)) {
        let flags = required.map(|option| format!("--{} {}", option.flag(), option.value));
        let flags = flags.collect::<Vec<_>>().join(" and ");
        return Err(Error::input(format!("{}: give {flags}", T::NAME)));
    }
    Ok(settings)
}

/// The settings of the run in a folder, for loading its model. They may come from a stranger, so they are checked
/// before anything is made from them.
pub(crate) fn stored<T: Task>(folder: &RunFolder) -> Result<Settings, Error> {
    let settings = folder.settings()?;
    if settings.task != T::NAME {
        return Err(Error::input(format!(
            "{}: a run of `{}`, expected one of `{}`",
            folder.path().display(),
            settings.task.escape_debug(),
            T::NAME,
        )));
    }
    complete::<T>(&settings).map_err(|why| folder.in_config(why))
}

/// The same for a run that is to be resumed.
pub(crate) fn resumed<T: Task>(folder: &RunFolder) -> Result<Settings, Error> {
    let task = folder.settings()?.task;
    if task != T::NAME {
        return Err(Error::input(format!(
            "{}: the run to resume is one of {}; name that task, or start a new run with another --out",
            T::NAME,
            task.escape_debug(),
        )));
    }
    stored::<T>(folder)
}

/// Checks that the run in a folder can continue with these settings.
///
/// # Errors
///
/// The first option that differs although it must not.
pub(crate) fn check_resume<T: Task>(settings: &Settings, folder: &RunFolder) -> Result<(), Error> {
    // The path of a data file may differ, because the run compares fingerprints of the data.
    let files = T::OPTIONS.iter().filter(|option| option.kind.is_path());
    let files: Vec<_> = files.map(|option| option.name).collect();
    settings.check_resume(&resumed::<T>(folder)?, &files)
}

/// Checks that a run that is resumed does not begin from another model too.
pub(crate) fn check_start(resume: bool, is_warm: bool) -> Result<(), Error> {
    match resume && is_warm {
        true => {
            Err(Error::input("--warm-start: a resumed run has weights of its own; leave one out"))
        }
        false => Ok(()),
    }
}

/// The task of a session with its data: as that of the run that it resumes, or from whose model it begins.
pub(crate) fn of_session<T: Task>(settings: &Settings, session: &Session<'_>) -> Result<T, Error> {
    let mut task = T::new(settings)?;
    match &session.warm_start {
        Some(from) => adopt_from(&mut task, &RunFolder::new(from))?,
        None if session.resume => adopt_own(&mut task, &RunFolder::new(&session.out))?,
        None => {}
    }
    Ok(task)
}

/// Makes a new run's task one that goes on from the model of another run.
///
/// # Errors
///
/// If the other folder holds no run of this task, or its data does not fit.
fn adopt_from<T: Task>(task: &mut T, from: &RunFolder) -> Result<(), Error> {
    let at = from.path().display();
    let settings = from.settings()?;
    if settings.task != T::NAME {
        let other = settings.task.escape_debug();
        return Err(Error::input(format!(
            "--warm-start {at}: a run of `{other}`, and this is {}",
            T::NAME
        )));
    }
    let info = from.config()?.info;
    task.adopt(&info, &settings).map_err(|why| Error::input(format!("--warm-start {at}: {why}")))
}

/// Makes a resumed run's task the one that it was: it may have begun from another model.
fn adopt_own<T: Task>(task: &mut T, folder: &RunFolder) -> Result<(), Error> {
    let (info, settings) = (folder.config()?.info, folder.settings()?);
    match info.other_data(&task.info()) {
        // What is wrong is said when the run is restored.
        Some(_) => Ok(()),
        None => task.adopt(&info, &settings).map_err(|why| folder.in_config(why)),
    }
}

/// The task of a run with its data.
///
/// # Errors
///
/// If the data cannot be read or is not the one that the run was trained with.
pub(crate) fn of_run<T: Task>(folder: &RunFolder, settings: &Settings) -> Result<T, Error> {
    let mut task = T::new(settings)?;
    check_data(folder, &task)?;
    adopt_own(&mut task, folder)?;
    Ok(task)
}

/// Checks that the data is the one with which the run was trained.
pub(crate) fn check_data<T: Task>(folder: &RunFolder, task: &T) -> Result<(), Error> {
    match folder.config()?.info.other_data(&task.info()) {
        None => Ok(()),
        Some(what) => Err(Error::input(format!(
            "{}: the {what} of the run is not the same any more; put the one back that it was trained with",
            folder.path().display(),
        ))),
    }
}

/// Checks that what the probes of a run ask for can be read.
///
/// # Errors
///
/// The first that cannot, by the name of its option.
pub(crate) fn check_probes<T: Task>(probes: Probes, settings: &Settings) -> Result<(), Error> {
    let model = model_name::<T>(settings).filter(|_| probes != Probes::default());
    if let Some(model) = model {
        return Err(Error::input(format!(
            "--probe: the probes read recurrent layers, and --model {model} is made of more; leave it out"
        )));
    }
    if probes.sharpness.is_some() && settings.recipe.label_smoothing > 0.0 {
        return Err(Error::input(
            "--probe sharpness: measures the loss without --label-smoothing; leave one of them out",
        ));
    }
    if [probes.gradients, probes.jacobians, probes.sharpness].contains(&Some(0)) {
        return Err(Error::input("--every 0: has to be at least 1"));
    }
    if probes.gradients.is_some() && settings.engine != Engine::Manual {
        return Err(Error::input(format!(
            "--probe gradients: the engine {} has no backward pass that it could read; take --engine \
             manual",
            settings.engine.name(),
        )));
    }
    Ok(())
}
