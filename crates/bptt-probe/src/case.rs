//! The case table: every shape and option that is checked, in one place.
//!
//! The table has each cell of [`LayerKind::all`]: the cells of [`CellKind::ALL`] and the layers that run as a scan. A
//! new option needs one entry in [`table`]. An option that chooses other equations needs one entry in `cells`. Every
//! engine, kernel, device, dtype and witness then runs the new cases.
//!
//! Not every cell has every option, and where it has none there is no case. Layers that run as a scan
//!
//! - keep their gates and no trace, so they have no trace budget;
//! - are not in a [`StreamPool`](bptt::StreamPool), whose rows are the states of cells;
//! - have no noise and no heads;
//! - have no biases, if they are linear (LRU and S5).

mod heads;
mod noise;
pub(crate) mod numbers;
mod shapes;

pub use crate::case::shapes::Case;

use crate::case::shapes::{
    Add, budget, holes, ragged, reset_at, set_back, set_back_in_holes, set_back_ragged,
};
use crate::problem::{InputMode, LayerOptions};
use bptt::{CellKind, LayerKind, MaskedOutput, Nonlinearity, SequenceCell};

/// The cells by name: each [`LayerKind`] with its defaults, followed by the cells that its options choose.
pub(crate) fn cells() -> Vec<(&'static str, LayerOptions)> {
    let with_options = |kind: LayerKind| {
        let plain = LayerOptions::plain(kind);
        // By their names, because most variants are behind a feature of `bptt`.
        let other = match kind.name() {
            "rnn" | "indrnn" => {
                Some(LayerOptions { nonlinearity: Nonlinearity::Relu, ..plain.clone() })
            }
            "lstm" => Some(LayerOptions { input_forget: true, ..plain.clone() }),
            "gru" => Some(LayerOptions { reset_after: false, ..plain.clone() }),
            "mingru" | "minlstm" => Some(LayerOptions { log_space: true, ..plain.clone() }),
            _ => None,
        };
        std::iter::once(plain).chain(other)
    };
    // Another crate may turn on the feature in `bptt` alone.
    let is_here = |kind: &LayerKind| cfg!(feature = "scanned-cells") || kind.cell().is_some();
    let all = LayerKind::all().into_iter().filter(is_here).flat_map(with_options);
    all.map(|options| (options.cell_name(), options)).collect()
}

/// All cases.
pub fn table() -> Vec<Case> {
    cells().into_iter().flat_map(|(name, options)| of_cell(name, &options)).collect()
}

/// The case with this name.
pub fn find(name: &str) -> Option<Case> {
    table().into_iter().find(|case| case.name == name)
}

fn of_cell(cell_name: &str, base: &LayerOptions) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |variant: &str, change: &dyn Fn(&mut Case)| {
        let name = format!("{cell_name}-{variant}");
        let mut case = Case { name, options: base.clone(), gain: 1.0, tiny: false, brief: false };
        change(&mut case);
        if has_options(&case.options) {
            cases.push(case);
        }
    };
    directions_and_layers(&mut add);
    lengths(&mut add);
    masks(&mut add);
    resets(&mut add);
    resets_by_input_mode(&mut add);
    budgets(&mut add);
    input_modes(&mut add);
    sizes(&mut add);
    match base.cell.cell() {
        Some(_) if base.cell().projectable() => projections(&mut add),
        Some(_) => {}
        None if is_complex(base) => outputs(&mut add),
        None => {}
    }
    if let Some(cell) = base.cell.cell() {
        noise::noise(&mut add, base);
        if base.cell().layout().has_recurrent_weights() {
            heads::heads(&mut add, cell);
        }
    }
    if base.cell == CellKind::Lstm {
        clips(&mut add);
    }
    cases
}

/// Whether a layer has all of these options; the top of this file says which a layer that runs as a scan does not have.
fn has_options(options: &LayerOptions) -> bool {
    let is_scanned = options.cell.cell().is_none();
    let is_without = options.trace_budget.is_some()
        || options.input_mode == InputMode::Pool
        || (!options.bias && is_complex(options));
    !(is_scanned && is_without)
}

/// Whether a state is complex.
fn is_complex(options: &LayerOptions) -> bool {
    options.state_size() != options.output_size() && options.proj_size == 0
}

fn directions_and_layers(add: Add<'_>) {
    add("plain", &|c| (c.tiny, c.brief) = (true, true));
    add("zero-state", &|c| {
        c.options.initial_state = false;
        c.tiny = true;
    });
    add("no-bias", &|c| {
        c.options.bias = false;
        c.tiny = true;
    });
    add("time-first", &|c| {
        c.options.batch_first = false;
        c.tiny = true;
    });
    add("reverse", &|c| {
        c.options.reverse = true;
        c.tiny = true;
    });
    add("bidirectional", &|c| {
        c.options.bidirectional = true;
        c.tiny = true;
    });
    add("deep", &|c| c.options.num_layers = 3);
    add("deep-bidirectional", &|c| {
        (c.options.num_layers, c.options.bidirectional) = (2, true);
        (c.options.batch_first, c.options.time) = (false, 7);
        c.brief = true;
    });
}

fn lengths(add: Add<'_>) {
    add("lengths", &|c| {
        ragged(c);
        (c.tiny, c.brief) = (true, true);
    });
    add("lengths-reverse", &|c| {
        ragged(c);
        c.options.reverse = true;
    });
    add("lengths-with-zero", &|c| {
        ragged(c);
        c.options.lengths = Some(vec![0, 6, 0, 3]);
    });
    add("lengths-held", &|c| {
        ragged(c);
        (c.options.masked_output, c.tiny) = (MaskedOutput::Hold, true);
    });
    add("lengths-deep-bidirectional", &|c| {
        ragged(c);
        (c.options.num_layers, c.options.bidirectional) = (2, true);
    });
}

fn masks(add: Add<'_>) {
    add("mask", &|c| {
        holes(c);
        (c.tiny, c.brief) = (true, true);
    });
    add("mask-held", &|c| {
        holes(c);
        c.options.masked_output = MaskedOutput::Hold;
        (c.tiny, c.brief) = (true, true);
    });
    add("mask-held-reverse", &|c| {
        holes(c);
        (c.options.masked_output, c.options.reverse) = (MaskedOutput::Hold, true);
        c.options.batch_first = false;
    });
    add("mask-deep-bidirectional", &|c| {
        holes(c);
        (c.options.num_layers, c.options.bidirectional) = (2, true);
    });
}

fn resets(add: Add<'_>) {
    add("resets", &|c| {
        set_back(c);
        (c.tiny, c.brief) = (true, true);
    });
    add("resets-reverse", &|c| {
        set_back(c);
        c.options.reverse = true;
        c.tiny = true;
    });
    add("resets-given-state", &|c| {
        set_back(c);
        (c.options.reset_state, c.tiny) = (true, true);
    });
    add("resets-first-step", &|c| {
        c.options.batch = 3;
        reset_at(c, &[[0, 0], [2, 0]]);
    });
    add("resets-everywhere", &|c| {
        c.options.resets = Some(vec![true; c.options.batch * c.options.time]);
        c.options.reset_state = true;
    });
    add("resets-lengths", &|c| {
        set_back_ragged(c);
        c.options.reset_state = true;
    });
    add("resets-lengths-deep-bidirectional", &|c| {
        set_back_ragged(c);
        (c.options.num_layers, c.options.bidirectional) = (2, true);
        (c.options.reset_state, c.options.initial_state) = (true, false);
    });
    add("resets-mask-held", &|c| {
        set_back_in_holes(c);
        (c.options.masked_output, c.options.reset_state) = (MaskedOutput::Hold, true);
        c.tiny = true;
    });
    add("resets-mask-reverse", &|c| {
        set_back_in_holes(c);
        (c.options.reverse, c.options.batch_first) = (true, false);
    });
    add("resets-deep-bidirectional", &|c| {
        set_back(c);
        (c.options.num_layers, c.options.bidirectional) = (2, true);
        (c.options.batch_first, c.brief) = (false, true);
    });
    // As `budget`: an LSTM computes some steps several times, and has to set them back each time.
    add("resets-budget", &|c| {
        (c.options.time, c.options.batch) = (60, 3);
        let places: Vec<_> = (0..60).filter(|t| t % 7 == 3).map(|t| [t % 3, t]).collect();
        reset_at(c, &places);
        budget(c, 2 << 10);
        c.gain = 0.7;
    });
}

fn resets_by_input_mode(add: Add<'_>) {
    // At the first step, at the first step of a chunk, at the last step of one, and inside.
    let in_chunks = |c: &mut Case| {
        c.options.time = 11;
        reset_at(c, &[[0, 0], [0, 4], [1, 7], [1, 8], [0, 9]]);
    };
    add("resets-chunks", &|c| {
        in_chunks(c);
        (c.options.input_mode, c.options.reset_state) = (InputMode::Chunks(4), true);
    });
    add("resets-windows", &|c| {
        in_chunks(c);
        (c.options.input_mode, c.options.initial_state) = (InputMode::Windows(4), false);
    });
    add("resets-packed", &|c| {
        set_back_ragged(c);
        c.options.input_mode = InputMode::Packed;
    });
    add("resets-batches", &|c| {
        set_back_ragged(c);
        (c.options.input_mode, c.options.reset_state) = (InputMode::Batches(2), true);
    });
    add("resets-pool", &|c| {
        set_back_ragged(c);
        c.options.input_mode = InputMode::Pool;
    });
    add("resets-pool-given-state", &|c| {
        set_back_ragged(c);
        (c.options.input_mode, c.options.reset_state) = (InputMode::Pool, true);
    });
}

fn budgets(add: Add<'_>) {
    // The budget is so small that an LSTM computes some steps several times.
    add("budget", &|c| {
        (c.options.time, c.options.batch) = (60, 3);
        budget(c, 2 << 10);
        c.gain = 0.7;
    });
    add("budget-short", &|c| {
        c.options.time = 8;
        budget(c, 1 << 10);
        c.brief = true;
    });
    add("budget-lengths-deep-bidirectional", &|c| {
        ragged(c);
        (c.options.num_layers, c.options.bidirectional) = (2, true);
        (c.options.time, c.options.lengths) = (40, Some(vec![31, 40, 0, 7]));
        budget(c, 8 << 10);
        c.gain = 0.7;
    });
}

fn input_modes(add: Add<'_>) {
    add("packed", &|c| {
        ragged(c);
        c.options.input_mode = InputMode::Packed;
    });
    add("packed-deep-bidirectional", &|c| {
        ragged(c);
        (c.options.num_layers, c.options.bidirectional) = (2, true);
        (c.options.lengths, c.options.input_mode) = (Some(vec![3, 6, 0, 4]), InputMode::Packed);
    });
    add("chunks", &|c| {
        (c.options.time, c.options.input_mode) = (11, InputMode::Chunks(4));
    });
    add("chunks-deep-budget", &|c| {
        (c.options.num_layers, c.options.batch_first) = (2, false);
        (c.options.time, c.options.input_mode) = (40, InputMode::Chunks(17));
        budget(c, 4 << 10);
        c.gain = 0.7;
    });
    add("windows", &|c| {
        (c.options.time, c.options.input_mode) = (11, InputMode::Windows(4));
        c.options.initial_state = false;
    });
    add("windows-deep-time-first", &|c| {
        (c.options.num_layers, c.options.batch_first) = (2, false);
        (c.options.time, c.options.input_mode) = (9, InputMode::Windows(2));
        c.options.initial_state = false;
    });
    add("batches", &|c| {
        ragged(c);
        c.options.input_mode = InputMode::Batches(2);
    });
    add("batches-deep-bidirectional", &|c| {
        ragged(c);
        (c.options.num_layers, c.options.bidirectional) = (2, true);
        (c.options.batch_first, c.options.input_mode) = (false, InputMode::Batches(3));
        c.options.lengths = Some(vec![3, 6, 0, 4]);
    });
    add("pool", &|c| {
        ragged(c);
        // Tiny, so that the exact witnesses check it at every entry.
        (c.tiny, c.options.input_mode) = (true, InputMode::Pool);
    });
    add("pool-deep-time-first", &|c| {
        ragged(c);
        (c.options.num_layers, c.options.batch_first) = (2, false);
        (c.options.lengths, c.options.input_mode) = (Some(vec![2, 6, 5, 6]), InputMode::Pool);
    });
}

fn sizes(add: Add<'_>) {
    add("one-step", &|c| {
        (c.options.time, c.options.batch) = (1, 1);
        c.tiny = true;
    });
    add("one-unit", &|c| {
        (c.options.input_size, c.options.hidden_size, c.options.time) = (1, 1, 9);
        c.tiny = true;
    });
    add("one-row", &|c| {
        c.options.batch = 1;
        c.tiny = true;
    });
    add("wide", &|c| {
        (c.options.input_size, c.options.hidden_size) = (33, 65);
        (c.options.batch, c.options.time) = (17, 6);
    });
    add("long", &|c| {
        (c.options.hidden_size, c.options.time) = (16, 400);
        c.gain = 0.7;
    });
    add("saturated", &|c| {
        c.options.time = 12;
        c.gain = 6.0;
    });
}

fn projections(add: Add<'_>) {
    add("projection", &|c| {
        (c.options.hidden_size, c.options.proj_size) = (5, 3);
        (c.tiny, c.brief) = (true, true);
    });
    add("projection-deep-bidirectional", &|c| {
        (c.options.hidden_size, c.options.proj_size) = (6, 3);
        (c.options.num_layers, c.options.bidirectional) = (2, true);
    });
    add("projection-lengths", &|c| {
        ragged(c);
        (c.options.hidden_size, c.options.proj_size) = (5, 2);
    });
    add("projection-mask-held", &|c| {
        holes(c);
        (c.options.hidden_size, c.options.proj_size) = (5, 2);
        c.options.masked_output = MaskedOutput::Hold;
    });
    add("projection-resets", &|c| {
        set_back(c);
        (c.options.hidden_size, c.options.proj_size) = (5, 2);
        (c.tiny, c.options.reset_state) = (true, true);
    });
}

/// Layers whose output is not as wide as their state.
fn outputs(add: Add<'_>) {
    add("output", &|c| {
        (c.options.proj_size, c.tiny) = (5, true);
    });
    add("output-deep-bidirectional", &|c| {
        c.options.proj_size = 3;
        (c.options.num_layers, c.options.bidirectional) = (2, true);
    });
    add("output-mask-held", &|c| {
        holes(c);
        (c.options.proj_size, c.options.masked_output) = (2, MaskedOutput::Hold);
    });
}

/// Bounds that about half of the memories reach.
fn clips(add: Add<'_>) {
    add("clip", &|c| {
        c.options.clip = Some(0.4);
        (c.tiny, c.brief) = (true, true);
    });
    add("clip-projection-lengths", &|c| {
        ragged(c);
        (c.options.hidden_size, c.options.proj_size) = (5, 2);
        c.options.clip = Some(0.3);
    });
}
