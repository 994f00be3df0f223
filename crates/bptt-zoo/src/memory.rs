//! What real-time recurrent learning takes, said before it is taken.
//!
//! It carries along how each number of the state depends on each parameter, for every row. That is `H` times
//! as much as the parameters for every row, so that sizes which are small for the other engines fill
//! a machine.

use crate::error::Error;
use crate::settings::{MOST_GIGABYTES, REMEMBERED, Settings, TaskKind};
use crate::tasks::copy::GO;
use bptt::{Engine, SequenceCell, available_memory};

/// From here on a run says what it is about to take.
const WORTH_SAYING: f64 = 1.0;

/// Whether a run by [`Engine::Rtrl`] fits the memory that there is.
///
/// # Returns
///
/// A line of warning, if it fits and takes much.
///
/// # Errors
///
/// If it does not fit.
pub(crate) fn check(settings: &Settings) -> Result<Option<String>, Error> {
    let need = gigabytes(settings);
    let available = available_memory((need * 1e9) as u128);
    check_within(settings, available.map(|bytes| bytes as f64 / 1e9))
}

/// The same for so many gigabytes.
fn check_within(settings: &Settings, available: Option<f64>) -> Result<Option<String>, Error> {
    if settings.engine != Engine::Rtrl {
        return Ok(None);
    }
    let need = gigabytes(settings);
    if need < WORTH_SAYING {
        return Ok(None);
    }
    let Settings { hidden, batch, .. } = settings;
    let needs = format!(
        "--engine rtrl: takes about {need:.0} GB at --hidden {hidden} and --batch {batch}, for how every \
         state depends on every parameter"
    );
    let there = available.unwrap_or(MOST_GIGABYTES).min(MOST_GIGABYTES);
    match need > there {
        true => Err(Error::input(format!(
            "{needs}, and {there:.0} GB are there: take smaller ones, or --engine manual"
        ))),
        false => Ok(Some(format!("{needs}; smaller ones, or --engine manual, are quicker"))),
    }
}

/// What the influence of the largest layer takes at its peak, which is in the middle of a step.
fn gigabytes(settings: &Settings) -> f64 {
    let cell = settings.cell.default_cell();
    let (gates, memories) = (cell.gates(), cell.memories());
    let (input, steps) = match settings.task {
        TaskKind::Adding | TaskKind::Forecast => (2, settings.length),
        TaskKind::CharLm => (settings.embedding, settings.time),
        TaskKind::Copy => (GO + 1, settings.length + 2 * REMEMBERED),
        TaskKind::Parity => (1, settings.length),
    };
    let hidden = settings.hidden as f64;
    // Where the input is learned as well, each of its steps has columns of its own.
    let columns = |input: f64, learned: bool| {
        let steps = if learned { steps as f64 } else { 0.0 };
        gates as f64 * hidden * (input + hidden + 2.0) + steps * input
    };
    let first = columns(input as f64, settings.task == TaskKind::CharLm);
    let above = hidden * if settings.bidirectional { 2.0 } else { 1.0 };
    let columns = if settings.layers > 1 { first.max(columns(above, true)) } else { first };
    let planes = (PLANES_OF_GATE * gates + memories + 1) as f64;
    settings.batch as f64 * columns * hidden * planes * 4.0 / 1e9
}

/// How many copies of a gate's influence there are at once: measured (the peak of `bptt train adding --engine
/// rtrl --steps 1` at several sizes of all cells), 3.4 to 4.
const PLANES_OF_GATE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_real_time_learning_takes_is_said_or_refused_beforehand() {
        let of = |engine, task| Settings { engine, ..Settings::new(task) };
        for task in TaskKind::ALL {
            // The defaults fill a machine by the one engine, and are nothing by the others.
            assert_eq!(check_within(&of(Engine::Manual, task), Some(0.5)).unwrap(), None);
            assert_eq!(check_within(&of(Engine::Autograd, task), Some(0.5)).unwrap(), None);
            let error = check_within(&of(Engine::Rtrl, task), Some(2.0)).unwrap_err().to_string();
            assert!(error.contains("--engine manual") && error.contains("--hidden"), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
        let small = Settings { hidden: 8, batch: 4, ..of(Engine::Rtrl, TaskKind::Adding) };
        assert_eq!(check_within(&small, Some(0.5)).unwrap(), None);
        let large = of(Engine::Rtrl, TaskKind::Adding);
        let warning = check_within(&large, Some(60.0)).unwrap().expect("it is worth saying");
        assert!(warning.contains(" GB at --hidden 64 and --batch 64"), "{warning}");
        assert!(check_within(&large, None).is_ok());
    }
}
