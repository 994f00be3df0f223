//! Layers in heads.

use crate::case::shapes::{Add, budget, holes, ragged, set_back};
use crate::problem::InputMode;
use bptt::{CellKind, MaskedOutput};

/// Block-diagonal recurrent weights. Those of other cells are checked on devices that compile shaders by the same code.
pub(super) fn heads(add: Add<'_>, cell: CellKind) {
    add("heads", &|c| {
        c.options.num_heads = 2;
        (c.tiny, c.brief) = (true, matches!(cell, CellKind::Lstm | CellKind::Gru));
    });
    // As many heads as units.
    add("heads-of-one-unit", &|c| {
        (c.options.num_heads, c.tiny) = (4, true);
    });
    add("heads-no-bias-reverse", &|c| {
        (c.options.num_heads, c.options.bias, c.options.reverse) = (2, false, true);
    });
    add("heads-lengths-deep-bidirectional", &|c| {
        ragged(c);
        (c.options.hidden_size, c.options.num_heads) = (6, 3);
        (c.options.num_layers, c.options.bidirectional) = (2, true);
        c.options.batch_first = false;
    });
    add("heads-mask-held", &|c| {
        holes(c);
        (c.options.num_heads, c.options.masked_output) = (2, MaskedOutput::Hold);
        c.tiny = true;
    });
    add("heads-resets", &|c| {
        set_back(c);
        (c.options.num_heads, c.options.reset_state) = (2, true);
    });
    add("heads-budget", &|c| {
        (c.options.time, c.options.batch, c.options.num_heads) = (60, 3, 2);
        budget(c, 2 << 10);
        c.gain = 0.7;
    });
    add("heads-chunks", &|c| {
        (c.options.time, c.options.input_mode) = (11, InputMode::Chunks(4));
        c.options.num_heads = 4;
    });
    add("heads-pool", &|c| {
        ragged(c);
        (c.options.num_heads, c.options.input_mode) = (2, InputMode::Pool);
    });
    // Heads that begin and end inside of panels, and heads of whole panels.
    add("heads-wide", &|c| {
        (c.options.input_size, c.options.hidden_size, c.options.num_heads) = (33, 66, 3);
        (c.options.batch, c.options.time) = (17, 6);
    });
    add("heads-of-whole-panels", &|c| {
        (c.options.hidden_size, c.options.num_heads) = (64, 2);
        c.options.batch = 3;
    });
}
