//! Truncated back-propagation through time against the whole gradient: how wrong a gradient is whose way back is cut.
//!
//! Truncation cuts a sequence into windows of `k` steps. Each window begins with the state in which the one before
//! ended, as a constant, so no gradient crosses the border. The gradient is then cheaper, and it is another one: it lacks
//! every path that is longer than its window. This module measures what it lacks, on a model and its own data:
//!
//! - the *bias* `‖E[g_k] − E[g]‖ / ‖E[g]‖` and the cosine of the two means, over batches;
//! - the *variance* `tr Cov[g_k]` over batches, and the signal-to-noise ratio `‖E[g_k]‖ / √(tr Cov[g_k])`;
//! - both for the whole gradient and for each group of parameters;
//! - the window that is enough: the smallest one from which on the bias is at most 1 %.
//!
//! The states at the borders are exact, and so are the gradients: the windows are batches of their own for
//! [`Readout::derivatives`](crate::readout::Readout::derivatives). All windows of one length run side by side, as rows of
//! one batch, so a gradient with windows of 1 step costs about as much as the whole one.
//!
//! R. J. Williams, J. Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
//! trajectories", Neural Computation 2 (1990), 490–501. C. Tallec, Y. Ollivier, "Unbiasing truncated backpropagation
//! through time", arXiv:1705.08209, 2017.

mod compare;
mod report;
mod states;
mod windows;

pub use compare::{Comparison, compare};
pub use report::{ENOUGH, GroupComparison, Truncation, WindowComparison};
pub use windows::{Cut, joined};

use crate::readout::{Batch, Block, Readout};
use crate::truncation::report::RECURRENT;
use bptt::{AnyCell, SequenceCell};
use std::ops::Range;

/// The windows 1, 2, 4, … below a number of steps, and this number.
pub fn doubling(steps: usize) -> Vec<usize> {
    let mut windows: Vec<usize> = std::iter::successors(Some(1), |k: &usize| k.checked_mul(2))
        .take_while(|k| *k < steps)
        .collect();
    windows.push(steps);
    windows
}

/// [`truncation`] of a model of any cell, compiled in this crate. Each crate that calls the generic one compiles the kernels of
/// all cells in dual numbers once more.
///
/// # Errors
///
/// As there.
pub fn any_truncation(
    readout: &Readout<AnyCell>,
    batches: &[Batch],
    windows: &[usize],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Truncation, String> {
    truncation(readout, batches, windows, progress)
}

/// Measures the truncated gradients of a model against its whole one.
///
/// All batches should have the same number of rows, and of steps but for padding: each is one sample of the gradient. Their
/// shares do not matter.
///
/// # Arguments
///
/// - `windows`: the lengths, ascending; a window of all steps or more is the whole gradient
/// - `progress`: is called with the number of gradients that are done, and of all
///
/// # Errors
///
/// If there is no batch or no window, if a window has no step, or if the layers read backward: a window of such a layer
/// would need a state from its future.
pub fn truncation<C: SequenceCell>(
    readout: &Readout<C>,
    batches: &[Batch],
    windows: &[usize],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Truncation, String> {
    if batches.is_empty() || windows.is_empty() {
        return Err("truncation needs at least one batch and one window".to_string());
    }
    if windows[0] == 0 || !windows.is_sorted_by(|a, b| a < b) {
        return Err(
            "the windows of a truncation have to be 1 or more, in ascending order".to_string()
        );
    }
    let layer = &readout.recurrent;
    if layer.is_bidirectional() || layer.is_reverse() {
        return Err("truncation needs layers that read forward only".to_string());
    }
    let total = batches.len() * (1 + windows.len());
    let mut done = 0;
    let mut tell = || {
        done += 1;
        progress(done, total);
    };
    let mut whole = Vec::new();
    let mut cuts: Vec<Vec<Vec<f64>>> = vec![Vec::new(); windows.len()];
    let mut loss = 0.0;
    for batch in batches {
        let batch = Batch { share: 1.0, ..batch.clone() };
        let here = readout.derivatives(std::slice::from_ref(&batch), None);
        loss += here.loss / batches.len() as f64;
        whole.push(here.gradient);
        tell();
        let cut = Cut::new(readout, &batch);
        for (to, window) in cuts.iter_mut().zip(windows) {
            to.push(cut.derivatives(*window).gradient);
            tell();
        }
    }
    let groups = groups(&readout.blocks());
    let of = |(window, cut): (&usize, &Vec<Vec<f64>>)| WindowComparison {
        window: *window,
        figures: compare(&whole, cut, &[0..whole[0].len()]),
        groups: groups
            .iter()
            .map(|(group, ranges)| GroupComparison {
                group: group.clone(),
                parameters: ranges.iter().map(Range::len).sum(),
                figures: compare(&whole, cut, ranges),
            })
            .collect(),
    };
    Ok(Truncation::new(batches, loss, windows.iter().zip(&cuts).map(of).collect()))
}

/// The parameters that belong together: those of all recurrent layers, which are what truncation is about; those of an
/// embedding, the matrices and the biases of each layer, and those of the linear layer.
fn groups(blocks: &[Block]) -> Vec<(String, Vec<Range<usize>>)> {
    let of_layers = blocks.iter().filter(|block| block.name.starts_with("recurrent."));
    let of_layers: Vec<_> = of_layers.map(|block| block.range.clone()).collect();
    let mut groups = vec![(RECURRENT.to_string(), of_layers)];
    for block in blocks {
        let name = match block.name.strip_prefix("recurrent.") {
            // Both biases of a gate are added before anything else, in most cells.
            Some(name) => name.replace("bias_ih", "bias").replace("bias_hh", "bias"),
            None if block.name.starts_with("embedding") => "embedding".to_string(),
            None => "readout".to_string(),
        };
        match groups.iter_mut().find(|(other, _)| *other == name) {
            Some((_, ranges)) => ranges.push(block.range.clone()),
            None => groups.push((name, vec![block.range.clone()])),
        }
    }
    groups
}
