//! What the pictures of several sections have in common.

use bptt_probe::picture::{SERIES, escaped};
use std::fmt::Write;

/// The runs with the class of each.
pub(super) fn row_of<'a, S>(
    runs: &'a [(&'a str, &'a S)],
) -> impl Iterator<Item = (&'static str, &'a (&'a str, &'a S))> {
    SERIES.into_iter().cycle().zip(runs)
}

/// The logarithm of a norm; no number for 0, so that a line has a gap there.
pub(super) fn log10(norm: f64) -> f64 {
    if norm > 0.0 { norm.log10() } else { f64::NAN }
}

/// A plot for each run, side by side if there are several. `plot` takes the number of the run, the run, and the width of
/// the space between the axes.
pub(super) fn panels<S>(runs: &[(&str, &S)], plot: impl Fn(usize, &S, f64) -> String) -> String {
    let width = if runs.len() > 1 { 266.0 } else { 420.0 };
    let mut svg = String::from("<div style=\"display:flex;flex-wrap:wrap;gap:0 4px\">\n");
    for (k, (name, run)) in runs.iter().enumerate() {
        let name = if runs.len() > 1 { escaped(name) } else { String::new() };
        let _ = writeln!(
            svg,
            "<div style=\"flex:0 1 {}px\">{name}\n{}</div>",
            width + 96.0,
            plot(k, run, width)
        );
    }
    svg.push_str("</div>\n");
    svg
}
