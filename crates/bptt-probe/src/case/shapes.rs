//! A row of the table, and what many rows have in common: lengths, masks, resets, budgets.

use crate::problem::LayerOptions;
use bptt::SequenceCell;

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Case {
    /// `CELL-VARIANT`
    pub name: String,
    /// What the layer is.
    pub options: LayerOptions,
    /// The parameters are normally distributed with standard deviation `gain / √H`.
    pub gain: f64,
    /// Whether it is small enough for differences at every entry.
    pub tiny: bool,
    /// Whether it is one of the few cases that also run on devices that compile a shader for each new shape.
    pub brief: bool,
}

/// Adds a variant of the plain case. The arguments are its name and the change.
pub(super) type Add<'a> = &'a mut dyn FnMut(&str, &dyn Fn(&mut Case));

/// Rows of different lengths.
pub(super) fn ragged(case: &mut Case) {
    case.options.batch = 4;
    case.options.time = 6;
    case.options.lengths = Some(vec![6, 2, 5, 1]);
}

/// Masked steps anywhere, a row that is always masked, and a step at which all rows are masked.
pub(super) fn holes(case: &mut Case) {
    let (batch, time) = (4, 6);
    (case.options.batch, case.options.time) = (batch, time);
    let places = (0..batch).flat_map(|b| (0..time).map(move |t| (b, t)));
    let valid = |(b, t): (usize, usize)| b != 2 && t != 3 && (3 * t + b) % 4 != 1;
    case.options.mask = Some(places.map(valid).collect());
}

/// Resets at these places, each a row and a step.
pub(super) fn reset_at(case: &mut Case, places: &[[usize; 2]]) {
    let LayerOptions { batch, time, .. } = case.options;
    let mut flags = vec![false; batch * time];
    places.iter().for_each(|[b, t]| flags[b * time + t] = true);
    case.options.resets = Some(flags);
}

/// Neighbouring resets, the last step of a row, the first step of another, and a row without a reset.
pub(super) fn set_back(case: &mut Case) {
    (case.options.batch, case.options.time) = (3, 6);
    reset_at(case, &[[0, 2], [0, 3], [0, 5], [2, 0], [2, 4]]);
}

/// The same in rows of different lengths: also at a row's last step, at its length, and behind it.
pub(super) fn set_back_ragged(case: &mut Case) {
    ragged(case);
    reset_at(case, &[[0, 2], [0, 3], [1, 1], [1, 2], [2, 4], [2, 5], [3, 0], [3, 4]]);
}

/// Resets at masked steps, in a row that is always masked, and at a step at which all rows are masked.
pub(super) fn set_back_in_holes(case: &mut Case) {
    holes(case);
    reset_at(case, &[[0, 2], [0, 3], [1, 0], [1, 4], [2, 2], [3, 1], [3, 5]]);
}

/// A budget in bytes that is small for an LSTM; in proportion larger for a cell that has more in its trace.
pub(super) fn budget(c: &mut Case, bytes: usize) {
    let planes = c.options.cell.cell().map_or(0, |_| {
        let layout = c.options.cell().layout();
        layout.saved + layout.states()
    });
    c.options.trace_budget = Some(bytes * planes.div_ceil(6).max(1));
}
