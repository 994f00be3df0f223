//! The layer: loops over layers, directions, steps, rows and units.

use crate::problem::LayerOptions;
use crate::scalar::cell::ScalarCell;
use crate::scalar::number::Scalar;
use bptt::MaskedOutput;
use bptt::cells::{HiddenTerm, State};
use std::collections::BTreeMap;

/// Tensors by name. Each is a list of its numbers, in row-major order.
pub type Values<N> = BTreeMap<String, Vec<N>>;

// ANCHOR: forward
/// Runs a layer. Returns `output`, `h_n` and, for cells with memory, `c_n`.
///
/// `options` are the options of the layer. `given` has its parameters, input, initial state and reset state, with the
/// names of the reference format.
///
/// # Panics
///
/// If a tensor that the options need is not given.
pub fn forward<N: Scalar>(
    cell: &dyn ScalarCell<N>,
    options: &LayerOptions,
    given: &Values<N>,
) -> Values<N> {
    let LayerOptions { batch, time, hidden_size, .. } = *options;
    let (directions, size) = (options.directions(), options.state_size());
    let memories = cell.memories();
    let (mut hidden_n, mut memory_n) = (vec![], vec![]);

    // x[t][b] is what the current layer reads: first the input, then the outputs of the layer below.
    let mut x: Vec<Vec<Vec<N>>> = (0..time)
        .map(|t| (0..batch).map(|b| step_of(options, &given["input"], t, b)).collect())
        .collect();
    for layer in 0..options.num_layers {
        let mut out = vec![vec![vec![]; batch]; time];
        for direction in 0..directions {
            let weights = Weights::of(cell, options, given, layer, direction);
            let reverse = options.reverse || direction == 1;
            let k = layer * directions + direction;
            // c_n is [L·D·M, B, H]: the index of the memory comes before that of the row.
            let mut memories_n = vec![vec![]; memories];
            for b in 0..batch {
                let start = |h: &str, c: &str| State {
                    hidden: row_or_zeros(given.get(h), k * batch + b, size),
                    memory: (0..memories)
                        .map(|m| {
                            let row = (k * memories + m) * batch + b;
                            row_or_zeros(given.get(c), row, hidden_size)
                        })
                        .collect(),
                };
                let mut state = start("h_0", "c_0");
                for n in 0..time {
                    let t = if reverse { time - 1 - n } else { n };
                    if is_reset(options, t, b, reverse) {
                        state = start("h_reset", "c_reset");
                    }
                    let here = is_valid(options, t, b);
                    if here {
                        state = weights.step(cell, &x[t][b], &state);
                    }
                    out[t][b].extend(match options.masked_output {
                        MaskedOutput::Zero if !here => vec![N::constant(0.0); size],
                        _ => state.hidden.clone(),
                    });
                }
                hidden_n.extend(state.hidden);
                for (all, one) in memories_n.iter_mut().zip(state.memory) {
                    all.extend(one);
                }
            }
            memory_n.extend(memories_n.into_iter().flatten());
        }
        x = out;
    }

    let order = |i: usize| match options.batch_first {
        true => (i % time, i / time),
        false => (i / batch, i % batch),
    };
    let output = (0..time * batch).map(order).flat_map(|(t, b)| x[t][b].clone()).collect();
    let mut results = Values::from([("output".into(), output), ("h_n".into(), hidden_n)]);
    if memories > 0 {
        results.insert("c_n".into(), memory_n);
    }
    results
}

/// One layer's parameters in one direction.
struct Weights<'a, N> {
    hidden: usize,
    weight_ih: &'a [N],
    /// Empty for a cell without recurrent products, as `b_h`.
    weight_hh: &'a [N],
    biases: Option<[&'a [N]; 2]>,
    weight_hr: Option<&'a [N]>,
    /// `[V, H]`; empty for a cell without diagonal weights.
    weight_diag: &'a [N],
}

impl<N: Scalar> Weights<'_, N> {
    /// The step of one row: the products of each unit, then the cell, then the projection.
    fn step(
        &self,
        cell: &dyn ScalarCell<N>,
        x: &[N],
        before: &State<Vec<N>, Vec<Vec<N>>>,
    ) -> State<Vec<N>, Vec<Vec<N>>> {
        let units = 0..self.hidden;
        let of_unit = |j: usize| State {
            // With a projection there may be no h_j; a cell that can be projected does not read it.
            hidden: before.hidden.get(j).cloned().unwrap_or(N::constant(f64::NAN)),
            memory: memories_and_weights(&before.memory, self.weight_diag, self.hidden, j),
        };
        // For each unit: the gates, as `W x` alone or as `W x + U h`, and the separate products.
        let first = |j: usize| {
            let (mut gates, mut separate) = (vec![], vec![]);
            for (g, term) in cell.hidden_terms().iter().enumerate() {
                let row = g * self.hidden + j;
                let wx = self.product(0, self.weight_ih, row, x);
                match term {
                    HiddenTerm::Added => {
                        gates.push(wx + self.product(1, self.weight_hh, row, &before.hidden));
                    }
                    HiddenTerm::Separate => {
                        gates.push(wx);
                        separate.push(self.product(1, self.weight_hh, row, &before.hidden));
                    }
                    HiddenTerm::Gated | HiddenTerm::None => gates.push(wx),
                }
            }
            (gates, separate)
        };
        let (mut gates, separate): (Vec<_>, Vec<_>) = units.clone().map(first).unzip();
        if cell.hidden_terms().last() == Some(&HiddenTerm::Gated) {
            let gated: Vec<N> = units.map(|j| cell.gated_hidden(&gates[j], &of_unit(j))).collect();
            for (j, gates) in gates.iter_mut().enumerate() {
                let g = gates.len() - 1;
                let row = g * self.hidden + j;
                gates[g] = &gates[g] + self.product(1, self.weight_hh, row, &gated);
            }
        }
        let after = gates.into_iter().zip(separate).enumerate();
        let after: Vec<_> =
            after.map(|(j, (gates, separate))| cell.step(gates, separate, &of_unit(j))).collect();

        let own: Vec<N> = after.iter().map(|unit| unit.hidden.clone()).collect();
        let hidden = match self.weight_hr {
            Some(weight) => (0..weight.len() / self.hidden).map(|p| dot(weight, p, &own)).collect(),
            None => own,
        };
        let memory = (0..cell.memories())
            .map(|m| after.iter().map(|unit| unit.memory[m].clone()).collect())
            .collect();
        State { hidden, memory }
    }

    /// A row of a matrix times a vector, plus that row's bias.
    fn product(&self, which: usize, matrix: &[N], row: usize, x: &[N]) -> N {
        let product = dot(matrix, row, x);
        match self.biases {
            Some(biases) => product + &biases[which][row],
            None => product,
        }
    }
}

fn dot<N: Scalar>(matrix: &[N], row: usize, x: &[N]) -> N {
    let weights = &matrix[row * x.len()..(row + 1) * x.len()];
    weights.iter().zip(x).fold(N::constant(0.0), |sum, (w, x)| sum + w * x)
}

/// The memories of unit `j`, and behind them its diagonal weights.
fn memories_and_weights<N: Scalar>(
    memory: &[Vec<N>],
    weight_diag: &[N],
    hidden: usize,
    j: usize,
) -> Vec<N> {
    let rows = memory.iter().map(Vec::as_slice).chain(weight_diag.chunks_exact(hidden));
    rows.map(|row| row[j].clone()).collect()
}
// ANCHOR_END: forward

impl<'a, N: Scalar> Weights<'a, N> {
    fn of(
        cell: &dyn ScalarCell<N>,
        options: &LayerOptions,
        given: &'a Values<N>,
        layer: usize,
        direction: usize,
    ) -> Self {
        let suffix = format!("_l{layer}{}", if direction == 1 { "_reverse" } else { "" });
        let tensor = |name: &str| given[&format!("{name}{suffix}")].as_slice();
        let is_recurrent = !cell.hidden_terms().contains(&HiddenTerm::None);
        Self {
            hidden: options.hidden_size,
            weight_ih: tensor("weight_ih"),
            weight_hh: if is_recurrent { tensor("weight_hh") } else { &[] },
            biases: options
                .bias
                .then(|| [tensor("bias_ih"), if is_recurrent { tensor("bias_hh") } else { &[] }]),
            weight_hr: (options.proj_size > 0).then(|| tensor("weight_hr")),
            weight_diag: match (cell.diagonal_weights(), is_recurrent) {
                (0, _) => &[],
                (_, true) => tensor("weight_diag"),
                // Without recurrent products they have the name of `U`.
                (_, false) => tensor("weight_hh"),
            },
        }
    }
}

/// A row of a state; zeros if it is not given.
fn row_or_zeros<N: Scalar>(given: Option<&Vec<N>>, row: usize, width: usize) -> Vec<N> {
    match given {
        Some(all) => all[row * width..(row + 1) * width].to_vec(),
        None => vec![N::constant(0.0); width],
    }
}

/// Row `b` of step `t` of a sequence in the options' layout.
fn step_of<N: Clone>(options: &LayerOptions, sequence: &[N], t: usize, b: usize) -> Vec<N> {
    let LayerOptions { batch, time, .. } = *options;
    let row = if options.batch_first { b * time + t } else { t * batch + b };
    let width = sequence.len() / (batch * time);
    sequence[row * width..(row + 1) * width].to_vec()
}

/// Whether step `t` of row `b` is valid.
pub(crate) fn is_valid(options: &LayerOptions, t: usize, b: usize) -> bool {
    match (&options.lengths, &options.mask) {
        (Some(lengths), _) => t < lengths[b],
        (None, Some(mask)) => mask[b * options.time + t],
        (None, None) => true,
    }
}

/// Whether the state of row `b` is set back before step `t` is computed.
///
/// A flag stands in front of its step, so the backward direction comes to it behind that step, before the step in front
/// of the flag. Both directions see the same segments. Behind a row's length a flag does nothing.
pub(crate) fn is_reset(options: &LayerOptions, t: usize, b: usize, reverse: bool) -> bool {
    let flag = if reverse { t + 1 } else { t };
    let length = options.lengths.as_ref().map_or(options.time, |lengths| lengths[b]);
    let is_set = |resets: &Vec<bool>| flag < length && resets[b * options.time + flag];
    options.resets.as_ref().is_some_and(is_set)
}

/// `Σ cotangent ⊙ result` over all results.
pub fn loss<N: Scalar>(results: &Values<N>, given: &Values<N>) -> N {
    let mut sum = N::constant(0.0);
    for (name, values) in results {
        for (value, weight) in values.iter().zip(&given[&format!("cotangent.{name}")]) {
            sum = sum + value * weight;
        }
    }
    sum
}
