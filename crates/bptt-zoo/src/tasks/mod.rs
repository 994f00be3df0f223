//! The tasks: each is one file, with its data, its model and its loss, and one line in [`TASKS`].

pub(crate) mod adding;
pub(crate) mod char_lm;
pub(crate) mod char_lm_options;
pub(crate) mod chorales;
pub(crate) mod classify;
pub(crate) mod control;
pub(crate) mod copy;
mod corpus;
pub(crate) mod digits;
pub(crate) mod flip_flop;
pub(crate) mod forecast;
#[cfg(feature = "scanned-cells")]
pub(crate) mod hybrid_lm;
pub(crate) mod labelled_options;
pub(crate) mod parity;
pub(crate) mod parts;
pub(crate) mod reber;
pub(crate) mod regress;
pub(crate) mod tag;
pub(crate) mod temporal_order;
pub(crate) mod translate;

use crate::any_task::AnyTask;
use crate::dynamics::{DynamicsOptions, DynamicsProgress, RunDynamics};
use crate::error::Error;
use crate::folder::RunFolder;
use crate::landscape::{Landscape, LandscapeOptions};
use crate::session::{RunResult, Session};
use crate::settings::Settings;
use burn::tensor::Device;

/// All tasks, by name. `bptt train`, its help texts and the tests follow this list.
pub static TASKS: &[AnyTask] = &[
    AnyTask::of::<adding::Adding>(),
    CHAR_LM,
    AnyTask::of::<chorales::Chorales>(),
    AnyTask::of::<classify::Classify>(),
    AnyTask::of::<control::Control>(),
    AnyTask::of::<copy::Copying>(),
    AnyTask::of::<digits::Digits>(),
    AnyTask::of::<flip_flop::FlipFlop>(),
    AnyTask::of::<forecast::Forecast>(),
    AnyTask::of::<parity::Parity>(),
    AnyTask::of::<reber::Reber>(),
    AnyTask::of::<regress::Regress>(),
    AnyTask::of::<tag::Tag>(),
    AnyTask::of::<temporal_order::TemporalOrder>(),
    AnyTask::of::<translate::Translate>(),
];

#[cfg(feature = "scanned-cells")]
const CHAR_LM: AnyTask = AnyTask::of::<char_lm::CharLm>().trained_by(hybrid_lm::train_either);
#[cfg(not(feature = "scanned-cells"))]
const CHAR_LM: AnyTask = AnyTask::of::<char_lm::CharLm>();

/// Trains the task that the settings name. See [`AnyTask::train`].
///
/// # Errors
///
/// If there is no task with this name, and as [`AnyTask::train`].
pub fn train(settings: &Settings, session: Session<'_>) -> Result<RunResult, Error> {
    find(&settings.task)?.train(settings, session)
}

/// The loss around a trained run, and its curvature. See [`AnyTask::landscape`].
///
/// # Errors
///
/// If the folder holds no run of a task of this crate, and as [`AnyTask::landscape`].
pub fn landscape(
    folder: &RunFolder,
    options: &LandscapeOptions,
    device: &Device,
    say: &mut dyn FnMut(&str),
) -> Result<Landscape, Error> {
    find(&folder.settings()?.task)?.landscape(folder, options, device, say)
}

/// The dynamics of a trained run on its own validation data. See [`AnyTask::dynamics`].
///
/// # Errors
///
/// If the folder holds no run of a task of this crate, and as [`AnyTask::dynamics`].
pub fn dynamics(
    folder: &RunFolder,
    options: &DynamicsOptions,
    device: &Device,
    progress: &mut dyn FnMut(DynamicsProgress),
) -> Result<RunDynamics, Error> {
    find(&folder.settings()?.task)?.dynamics(folder, options, device, progress)
}

pub(crate) fn find(name: &str) -> Result<&'static AnyTask, Error> {
    TASKS.iter().find(|task| task.name == name).ok_or_else(|| {
        let names: Vec<_> = TASKS.iter().map(|task| task.name).collect();
        let (name, names) = (name.escape_debug(), names.join(", "));
        Error::input(format!("no task is called `{name}`; there are {names}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::option::TaskOption;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn each_option_is_a_field_and_each_field_an_option() {
        for task in TASKS {
            let defaults = task.defaults();
            let fields: BTreeSet<_> = defaults.options.keys().map(String::as_str).collect();
            let options: BTreeSet<_> = task.options.iter().map(|option| option.name).collect();
            assert_eq!(fields, options, "{}", task.name);
            assert_eq!(defaults.task, task.name);
        }
    }

    /// If several tasks have an option with the same name, the command has one argument for all of them.
    #[test]
    fn options_of_one_name_are_of_one_kind() {
        let mut first = BTreeMap::<&str, &TaskOption>::new();
        for option in TASKS.iter().flat_map(|task| task.options) {
            let other = first.entry(option.name).or_insert(option);
            let kind = |option: &TaskOption| std::mem::discriminant(&option.kind);
            assert_eq!((kind(other), other.value), (kind(option), option.value), "{}", option.name);
        }
    }

    #[test]
    fn names_are_different_and_fit_the_command_line() {
        let names: BTreeSet<_> = TASKS.iter().map(|task| task.name).collect();
        assert_eq!(names.len(), TASKS.len());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(names.iter().all(|name| !name.is_empty() && name.chars().all(plain)), "{names:?}");
    }

    #[test]
    fn defaults_pass_but_for_what_has_to_be_given() {
        for task in TASKS {
            let mut settings = task.defaults();
            for option in task.options.iter().filter(|option| option.required) {
                let message = task.check(&settings).unwrap_err().to_string();
                assert!(message.contains(&format!("--{} ", option.flag())), "{message}");
                settings = settings.with_option(option.name, "given");
            }
            task.check(&settings).unwrap();
        }
    }
}
