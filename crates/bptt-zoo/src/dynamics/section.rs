//! What a part of the report is.

use bptt_probe::picture::Figure;
use serde::Serialize;

/// A part of the report. Its fields are fields of the JSON.
pub(super) trait Section: Serialize {
    /// Its lines in the terminal: what was measured, to column 18, then the numbers.
    fn lines(&self) -> Vec<String>;

    /// Its pictures on the page. There may be several runs, each with its name: they are drawn with the same axes, so
    /// that they can be compared.
    fn figures(runs: &[(&str, &Self)]) -> Vec<Figure>;
}
