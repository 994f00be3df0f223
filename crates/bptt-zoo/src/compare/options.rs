//! What is compared.

use crate::error::Error;
use crate::settings::Settings;
use bptt::LayerKind;

/// What is the same for all cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equal {
    /// The number of parameters: the hidden size of each cell is the one that comes closest to the parameters of the first.
    Parameters,
    /// The hidden size, and the seconds of training: those that the first cell takes for its steps.
    Time,
    /// The hidden size.
    Width,
}

impl Equal {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parameters => "parameters",
            Self::Time => "time",
            Self::Width => "width",
        }
    }
}

/// What is compared.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// The settings of every run, but for its cell, its seed, and what makes the cells equal. The hidden size is that of the
    /// first cell.
    pub settings: Settings,
    /// The cells.
    pub cells: Vec<LayerKind>,
    /// What is the same for all.
    pub equal: Equal,
    /// How many seeds each cell has: from that of the settings on.
    pub seeds: u64,
}

impl CompareOptions {
    /// Checks what no run checks by itself.
    ///
    /// # Errors
    ///
    /// The first option that is wrong.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Self { settings, cells, equal, seeds } = self;
        let twice = |(k, cell): (usize, &LayerKind)| cells[..k].contains(cell).then_some(*cell);
        if cells.is_empty() {
            return Err(Error::input("--cells: give one at least"));
        }
        if let Some(cell) = cells.iter().enumerate().find_map(twice) {
            return Err(Error::input(format!("--cells: {} is there twice", cell.name())));
        }
        if !(1..=100).contains(seeds) {
            return Err(Error::input(format!("--seeds {seeds}: has to be 1 to 100")));
        }
        let recipe = &settings.recipe;
        if *equal == Equal::Time && recipe.schedule.has_end() && recipe.schedule_steps.is_none() {
            return Err(Error::input(format!(
                "--schedule {}: with --equal time the cells take different steps; give --schedule-steps too",
                recipe.schedule
            )));
        }
        match (*equal, settings.seconds) {
            (Equal::Parameters | Equal::Width, Some(seconds)) => Err(Error::input(format!(
                "--seconds {seconds}: cells with equal {} take the same steps; give --steps, or --equal time",
                equal.name()
            ))),
            _ => Ok(()),
        }
    }
}
