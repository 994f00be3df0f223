//! Checks how much memory a run takes, before it takes it.
//!
//! For every row, real-time recurrent learning carries the derivative of each number of the state with respect to each
//! parameter. For every row this is `H` times as large as the parameters. So sizes that are small for the other engines
//! can fill the memory of a machine.

use crate::error::Error;
use crate::settings::Settings;
use crate::task::SequenceSize;
use bptt::cells::Cell;
use bptt::{CellVisitor, Engine, SequenceCell, available_memory, rtrl_bytes};
use bptt_probe::DType;

/// If a run needs more memory than this, its sizes are probably a mistake.
const MOST_GIGABYTES: f64 = 64.0;

/// From this amount on, a run by [`Engine::Rtrl`] prints how much memory it will take.
const WORTH_SAYING: f64 = 1.0;

/// How many bytes a number has. Layers with 16 bits keep for the backward pass what layers in f32 keep.
fn number(settings: &Settings) -> usize {
    if settings.dtype == DType::F64 { size_of::<f64>() } else { size_of::<f32>() }
}

/// Checks that the sizes together do not need more memory than any machine has. Each of them alone may make sense.
///
/// # Errors
///
/// If they need more.
pub(crate) fn check(settings: &Settings, size: SequenceSize) -> Result<(), Error> {
    let Settings { hidden, layers, batch, .. } = *settings;
    let width = directions(settings) as f64 * hidden as f64;
    // The weights, their gradients and Adam's two moments; and what a step keeps for the backward pass.
    let weights = 4.0 * 8.0 * width * width * layers as f64;
    let kept = 10.0 * width * layers as f64 * batch as f64 * size.time as f64;
    let gigabytes = (weights + kept) * number(settings) as f64 / 1e9;
    if gigabytes > MOST_GIGABYTES {
        return Err(Error::input(format!(
            "--hidden {hidden}, --layers {layers}, --batch {batch} and sequences of {} steps need about \
             {gigabytes:.0} GB together: take smaller ones",
            size.time
        )));
    }
    Ok(())
}

/// Checks that a run by [`Engine::Rtrl`] fits the available memory.
///
/// # Returns
///
/// A line of warning, if it fits but takes much memory.
///
/// # Errors
///
/// If it does not fit.
pub(crate) fn check_rtrl(settings: &Settings, size: SequenceSize) -> Result<Option<String>, Error> {
    let need = rtrl_gigabytes(settings, size);
    let available = available_memory((need * 1e9) as u128);
    check_rtrl_within(settings, size, available.map(|bytes| bytes as f64 / 1e9))
}

/// The same, if this many gigabytes are available.
fn check_rtrl_within(
    settings: &Settings,
    size: SequenceSize,
    available: Option<f64>,
) -> Result<Option<String>, Error> {
    if settings.engine != Engine::Rtrl {
        return Ok(None);
    }
    let need = rtrl_gigabytes(settings, size);
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

/// How many gigabytes the influence of the largest layer takes.
fn rtrl_gigabytes(settings: &Settings, size: SequenceSize) -> f64 {
    let Settings { hidden, layers, batch, .. } = *settings;
    // A layer that runs as a scan has no such engine, which is checked before.
    let Some(cell) = settings.cell.cell() else { return 0.0 };
    let cell = cell.default_cell();
    // The parameters, and each number of the input if it has gradients.
    let columns = |input: usize, has_gradients: bool| {
        let inputs = if has_gradients { size.time * input } else { 0 };
        cell.gates() * hidden * (input + hidden + 2) + inputs
    };
    let first = columns(size.input, size.input_has_gradients);
    let above = columns(directions(settings) * hidden, true);
    let columns = if layers > 1 { first.max(above) } else { first };
    cell.accept(Bytes { batch, columns, hidden, number: number(settings) }) as f64 / 1e9
}

fn directions(settings: &Settings) -> usize {
    if settings.bidirectional { 2 } else { 1 }
}

/// Computes how many bytes the influence takes, for any cell.
struct Bytes {
    batch: usize,
    columns: usize,
    hidden: usize,
    number: usize,
}

impl CellVisitor for Bytes {
    type Output = u128;

    fn visit<C: Cell>(self, _: C) -> u128 {
        rtrl_bytes::<C>(self.batch, self.columns, [self.hidden; 2], self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Task;
    use crate::tasks::adding::Adding;
    use crate::tasks::char_lm::CharLm;

    fn size<T: Task>() -> SequenceSize {
        T::sequence_size(&T::Options::default())
    }

    #[test]
    fn sizes_that_no_machine_has_room_for_are_refused() {
        let large = Settings { batch: 1 << 20, ..CharLm::defaults() };
        let message = check(&large, SequenceSize { time: 1 << 12, ..size::<CharLm>() });
        let message = message.unwrap_err().to_string();
        assert!(message.contains(" GB ") && message.contains("4096 steps"), "{message}");
        check(&CharLm::defaults(), size::<CharLm>()).unwrap();
    }

    fn the_defaults_fill_a_machine_by_rtrl_alone<T: Task>() {
        let of = |engine| Settings { engine, ..T::defaults() };
        let check = |engine, available| check_rtrl_within(&of(engine), size::<T>(), available);
        assert_eq!(check(Engine::Manual, Some(0.5)).unwrap(), None);
        assert_eq!(check(Engine::Autograd, Some(0.5)).unwrap(), None);
        let error = check(Engine::Rtrl, Some(2.0)).unwrap_err().to_string();
        assert!(error.contains("--engine manual") && error.contains("--hidden"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }

    #[test]
    fn what_real_time_learning_takes_is_said_or_refused_beforehand() {
        the_defaults_fill_a_machine_by_rtrl_alone::<Adding>();
        the_defaults_fill_a_machine_by_rtrl_alone::<CharLm>();
        let adding = Settings { engine: Engine::Rtrl, ..Adding::defaults() };
        let small = Settings { hidden: 8, batch: 4, ..adding.clone() };
        assert_eq!(check_rtrl_within(&small, size::<Adding>(), Some(0.5)).unwrap(), None);
        let warning = check_rtrl_within(&adding, size::<Adding>(), Some(60.0)).unwrap();
        let warning = warning.expect("it is worth saying");
        assert!(warning.contains(" GB at --hidden 64 and --batch 64"), "{warning}");
        assert!(check_rtrl_within(&adding, size::<Adding>(), None).is_ok());
    }

    /// 64 rows; 4 · 64 · (2 + 64 + 2) parameters; 64 units of h and of c, and four times four gates of each.
    #[test]
    fn the_estimate_is_the_one_of_the_kernels() {
        let adding = Settings { engine: Engine::Rtrl, ..Adding::defaults() };
        let bytes = 64.0 * (4.0 * 64.0 * 68.0) * (64.0 * 2.0 + 16.0 * 64.0) * 4.0;
        assert_eq!(rtrl_gigabytes(&adding, size::<Adding>()), bytes / 1e9);
    }
}
