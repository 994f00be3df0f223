//! A task that is chosen at run time.

use crate::compare::facts::{ModelFacts, facts_of, parameters_of};
use crate::dynamics::{DynamicsOptions, DynamicsProgress, RunDynamics, dynamics_of};
use crate::error::Error;
use crate::folder::RunFolder;
use crate::landscape::{Landscape, LandscapeOptions, landscape_of};
use crate::option::TaskOption;
use crate::session::{RunResult, Session};
use crate::settings::Settings;
use crate::task::Task;
use crate::{task_settings, trainer};
use burn::tensor::Device;

/// A task that is chosen at run time: its constants, which need no data, and the functions that check, resume and train
/// it.
#[derive(Clone, Copy, Debug)]
pub struct AnyTask {
    /// [`Task::NAME`]
    pub name: &'static str,
    /// [`Task::ABOUT`]
    pub about: &'static str,
    /// [`Task::METRIC`]
    pub metric: &'static str,
    /// [`Task::OPTIONS`]
    pub options: &'static [TaskOption],
    /// [`Task::ONE_DIRECTION`]
    pub one_direction: Option<&'static str>,
    defaults: fn() -> Settings,
    adapted: fn(Settings) -> Settings,
    loss_name: fn(&Settings) -> &'static str,
    model_name: fn(&Settings) -> Option<&'static str>,
    check: fn(&Settings) -> Result<Settings, Error>,
    resumed: fn(&RunFolder) -> Result<Settings, Error>,
    train: fn(&Settings, Session<'_>) -> Result<RunResult, Error>,
    landscape: fn(
        &RunFolder,
        &LandscapeOptions,
        &Device,
        &mut dyn FnMut(&str),
    ) -> Result<Landscape, Error>,
    parameters: fn(&Settings, &Device) -> Result<usize, Error>,
    facts: fn(&RunFolder, &Device) -> Result<ModelFacts, Error>,
    dynamics: fn(
        &RunFolder,
        &DynamicsOptions,
        &Device,
        &mut dyn FnMut(DynamicsProgress),
    ) -> Result<RunDynamics, Error>,
}

impl AnyTask {
    /// A task by its type.
    pub const fn of<T: Task>() -> Self {
        Self {
            name: T::NAME,
            about: T::ABOUT,
            metric: T::METRIC,
            options: T::OPTIONS,
            one_direction: T::ONE_DIRECTION,
            defaults: T::defaults,
            adapted: T::adapted,
            loss_name: task_settings::loss_name::<T>,
            model_name: task_settings::model_name::<T>,
            check: task_settings::complete_and_given::<T>,
            resumed: task_settings::resumed::<T>,
            train: trainer::train::<T>,
            landscape: landscape_of::<T>,
            parameters: parameters_of::<T>,
            facts: facts_of::<T>,
            dynamics: dynamics_of::<T>,
        }
    }

    /// The same task, which is trained by another function.
    #[cfg(feature = "scanned-cells")]
    pub(crate) const fn trained_by(
        mut self,
        train: fn(&Settings, Session<'_>) -> Result<RunResult, Error>,
    ) -> Self {
        self.train = train;
        self
    }

    /// The defaults for the task's own options in these settings: [`Task::adapted`].
    pub fn adapted(&self, settings: Settings) -> Settings {
        (self.adapted)(settings)
    }

    /// What the loss is, with its unit: [`Task::loss_name`].
    pub fn loss_name(&self, settings: &Settings) -> &'static str {
        (self.loss_name)(settings)
    }

    /// The name of the model, if it is not made of layers of [`Settings::cell`]: [`Task::model_name`].
    pub fn model_name(&self, settings: &Settings) -> Option<&'static str> {
        (self.model_name)(settings)
    }

    /// The default settings of the task.
    pub fn defaults(&self) -> Settings {
        (self.defaults)()
    }

    /// Checks that the settings make sense for this task.
    ///
    /// # Errors
    ///
    /// The first option that is wrong, by its name on the command line.
    pub fn check(&self, settings: &Settings) -> Result<(), Error> {
        (self.check)(settings).map(drop)
    }

    /// The settings of a run that is to be resumed.
    ///
    /// # Errors
    ///
    /// If the folder holds no run of this task, or its settings make no sense.
    pub fn resumed(&self, folder: &RunFolder) -> Result<Settings, Error> {
        (self.resumed)(folder)
    }

    /// Trains a model. It compares the engines' gradients, then trains until the limit of steps or seconds is reached
    /// or [`Session::stop`](crate::Session::stop) is set. It validates and saves every [`Settings::validate_every`]
    /// steps and at the end.
    ///
    /// # Errors
    ///
    /// If the settings make no sense or the data cannot be used, and as [`train_task`](crate::train_task).
    pub fn train(&self, settings: &Settings, session: Session<'_>) -> Result<RunResult, Error> {
        (self.train)(settings, session)
    }

    /// The loss around a trained run of this task, and its curvature.
    ///
    /// # Arguments
    ///
    /// - `say`: is called with each line on how far the work is
    ///
    /// # Errors
    ///
    /// If the options make no sense, if the folder holds no run of this task, if its data has changed or cannot be
    /// read, or if the task has no second derivatives ([`Task::readout`]).
    pub fn landscape(
        &self,
        folder: &RunFolder,
        options: &LandscapeOptions,
        device: &Device,
        say: &mut dyn FnMut(&str),
    ) -> Result<Landscape, Error> {
        (self.landscape)(folder, options, device, say)
    }

    /// The number of parameters of the model that these settings make.
    ///
    /// # Errors
    ///
    /// If the settings make no sense or the data cannot be used.
    pub fn parameters(&self, settings: &Settings, device: &Device) -> Result<usize, Error> {
        (self.parameters)(settings, device)
    }

    /// What the best model of a run costs and remembers.
    pub(crate) fn facts(&self, folder: &RunFolder, device: &Device) -> Result<ModelFacts, Error> {
        (self.facts)(folder, device)
    }

    /// The dynamics of a trained run of this task, on its own validation data.
    ///
    /// # Arguments
    ///
    /// - `device`: has to have f64
    /// - `progress`: is told how far the work is, often
    ///
    /// # Errors
    ///
    /// If the options make no sense, if the folder holds no run of this task, if its data has changed or cannot be
    /// read, or if its model is no dynamical system: if its layers have a backward direction, or if there is more than
    /// recurrent layers and one linear layer ([`Task::readout`]).
    pub fn dynamics(
        &self,
        folder: &RunFolder,
        options: &DynamicsOptions,
        device: &Device,
        progress: &mut dyn FnMut(DynamicsProgress),
    ) -> Result<RunDynamics, Error> {
        (self.dynamics)(folder, options, device, progress)
    }
}
