//! Layers with noise: every witness sees the masks that the layer draws for its first call.
//!
//! Chunks, windows, batches and pools are left out: each of their calls has masks of its own, so the results depend on
//! how the layer is given the sequence.

use crate::case::shapes::{Add, Case, budget, holes, ragged, set_back};
use crate::problem::LayerOptions;
use bptt::cells::Cell;
use bptt::{CellVisitor, MaskedOutput, RecurrentNoise, SequenceCell};

/// Powers of two, so that no type rounds a mask.
const HALF: f64 = 0.5;
const QUARTER: f64 = 0.25;

fn seeded() -> RecurrentNoise {
    RecurrentNoise::new().with_seed(7)
}

/// Zoneout, with this probability for the memories that the cell has and that may have it.
fn zoneout(case: &mut Case, hidden: f64, memory: f64) {
    let cell = case.options.cell();
    let has_memory = cell.memories() > 0 && case.options.cell.name() != "slstm";
    let noise = case.options.noise.unwrap_or_else(seeded);
    case.options.noise = Some(noise.with_zoneout(hidden, if has_memory { memory } else { 0.0 }));
}

fn variational(case: &mut Case) {
    let is_recurrent = case.options.cell().layout().has_recurrent_weights();
    let noise = case.options.noise.unwrap_or_else(seeded);
    let state = if is_recurrent { HALF } else { 0.0 };
    case.options.noise = Some(noise.with_variational_dropout(HALF, state));
}

fn recurrent_dropout(case: &mut Case) {
    let noise = case.options.noise.unwrap_or_else(seeded);
    case.options.noise = Some(noise.with_recurrent_dropout(HALF));
}

/// Whether there is a cell.
struct IsThere;

impl CellVisitor for IsThere {
    type Output = ();

    fn visit<C: Cell>(self, _: C) {}
}

fn weight_drop(case: &mut Case) {
    let noise = case.options.noise.unwrap_or_else(seeded);
    case.options.noise = Some(noise.with_weight_drop(HALF));
}

/// The cases with noise that the cell can have.
pub(super) fn noise(add: Add<'_>, base: &LayerOptions) {
    let (is_lstm, layout) = (base.cell_name() == "lstm", base.cell().layout());
    zoneouts(add, is_lstm);
    dropouts(add, is_lstm, layout.has_recurrent_weights());
    if base.cell().accept_dropped(IsThere).is_some() {
        recurrent_dropouts(add, layout.projectable);
    }
    if layout.projectable {
        add("zoneout-projection", &|c| {
            (c.options.hidden_size, c.options.proj_size) = (5, 3);
            zoneout(c, HALF, QUARTER);
            variational(c);
            c.tiny = true;
        });
    }
}

fn zoneouts(add: Add<'_>, brief: bool) {
    add("zoneout", &|c| {
        zoneout(c, HALF, HALF);
        (c.tiny, c.brief) = (true, brief);
    });
    add("zoneout-evaluation", &|c| {
        zoneout(c, QUARTER, HALF);
        (c.options.evaluates, c.tiny) = (true, true);
    });
    add("zoneout-lengths-reverse", &|c| {
        ragged(c);
        zoneout(c, QUARTER, HALF);
        c.options.reverse = true;
    });
    add("zoneout-mask-held", &|c| {
        holes(c);
        zoneout(c, HALF, 0.0);
        c.options.masked_output = MaskedOutput::Hold;
    });
    add("zoneout-resets", &|c| {
        set_back(c);
        zoneout(c, 0.0, HALF);
        if c.options.noise.is_some_and(|noise| noise.is_none()) {
            zoneout(c, HALF, 0.0);
        }
        (c.options.reset_state, c.tiny) = (true, true);
    });
    add("zoneout-deep-bidirectional", &|c| {
        (c.options.num_layers, c.options.bidirectional) = (2, true);
        (c.options.batch_first, c.options.time) = (false, 7);
        zoneout(c, QUARTER, HALF);
    });
    // As `budget`: some steps are computed several times, with the same masks.
    add("zoneout-budget", &|c| {
        (c.options.time, c.options.batch) = (60, 3);
        zoneout(c, QUARTER, QUARTER);
        budget(c, 4 << 10);
        c.gain = 0.7;
    });
}

fn dropouts(add: Add<'_>, brief: bool, is_recurrent: bool) {
    add("variational", &|c| {
        variational(c);
        (c.tiny, c.brief) = (true, brief);
    });
    add("variational-lengths-deep-bidirectional", &|c| {
        ragged(c);
        (c.options.num_layers, c.options.bidirectional) = (2, true);
        variational(c);
    });
    add("variational-resets-budget", &|c| {
        set_back(c);
        variational(c);
        budget(c, 2 << 10);
    });
    add("noise-wide", &|c| {
        (c.options.input_size, c.options.hidden_size) = (33, 65);
        (c.options.batch, c.options.time) = (17, 6);
        zoneout(c, QUARTER, HALF);
        variational(c);
    });
    if !is_recurrent {
        return;
    }
    add("weight-drop", &|c| {
        weight_drop(c);
        c.tiny = true;
    });
    add("weight-drop-deep-bidirectional", &|c| {
        (c.options.num_layers, c.options.bidirectional) = (2, true);
        (c.options.batch_first, c.options.time) = (false, 7);
        weight_drop(c);
    });
    // The mask of the state and the dropped weights, by heads.
    add("heads-noise", &|c| {
        set_back(c);
        (c.options.hidden_size, c.options.num_heads, c.tiny) = (6, 2, true);
        zoneout(c, QUARTER, HALF);
        variational(c);
        weight_drop(c);
    });
    add("heads-noise-wide-deep-bidirectional", &|c| {
        (c.options.input_size, c.options.hidden_size, c.options.num_heads) = (5, 34, 2);
        (c.options.num_layers, c.options.bidirectional) = (2, true);
        (c.options.batch, c.options.time) = (17, 6);
        variational(c);
        weight_drop(c);
    });
    add("noise-lengths-held", &|c| {
        ragged(c);
        zoneout(c, QUARTER, HALF);
        variational(c);
        weight_drop(c);
        (c.options.masked_output, c.tiny) = (MaskedOutput::Hold, true);
    });
}

/// For cells that have a form with a mask on their candidate.
fn recurrent_dropouts(add: Add<'_>, projectable: bool) {
    add("recurrent-dropout", &|c| {
        recurrent_dropout(c);
        c.tiny = true;
    });
    add("recurrent-dropout-sequence", &|c| {
        recurrent_dropout(c);
        c.options.noise = c.options.noise.map(|noise| noise.with_dropout_per_sequence(true));
        c.options.initial_state = false;
    });
    add("recurrent-dropout-resets", &|c| {
        set_back(c);
        recurrent_dropout(c);
        zoneout(c, QUARTER, HALF);
        (c.options.reset_state, c.tiny) = (true, true);
    });
    add("recurrent-dropout-lengths-deep-bidirectional", &|c| {
        ragged(c);
        (c.options.num_layers, c.options.bidirectional) = (2, true);
        recurrent_dropout(c);
    });
    // The mask of a step is set again when the step is computed again.
    add("recurrent-dropout-resets-budget", &|c| {
        set_back(c);
        recurrent_dropout(c);
        budget(c, 2 << 10);
    });
    add("recurrent-dropout-wide", &|c| {
        (c.options.input_size, c.options.hidden_size) = (33, 65);
        (c.options.batch, c.options.time) = (17, 6);
        recurrent_dropout(c);
        variational(c);
    });
    if projectable {
        add("recurrent-dropout-projection", &|c| {
            (c.options.hidden_size, c.options.proj_size) = (5, 3);
            recurrent_dropout(c);
        });
    }
}
