//! The loops over the sequence: layers, directions, rows and steps.

use crate::problem::LayerOptions;
use crate::scalar::noise::{Noise, StepNoise};
use crate::scalar::number::Scalar;
use bptt::MaskedOutput;
use bptt::cells::State;
use std::collections::BTreeMap;

/// Tensors by name. Each is a list of its numbers, in row-major order.
pub type Values<N> = BTreeMap<String, Vec<N>>;

/// The state of a row: the hidden state, and the memories.
pub type RowState<N> = State<Vec<N>, Vec<Vec<N>>>;

/// A layer for one type of number. It has no backward step, so that no witness can use a hand-written one.
pub trait ScalarLayer<N>: Sync {
    /// How many memories a unit has.
    fn memories(&self) -> usize;

    /// One layer of the stack in one direction, with its parameters, and with their noise.
    ///
    /// # Panics
    ///
    /// If a tensor that the options need is not given.
    fn part<'a>(
        &'a self,
        options: &LayerOptions,
        given: &'a Values<N>,
        suffix: &str,
        noise: &Noise,
    ) -> Box<dyn ScalarPart<N> + 'a>;
}

/// One layer of a stack in one direction.
pub trait ScalarPart<N> {
    /// The state of a row after a step.
    fn step(&self, x: &[N], before: &RowState<N>, noise: &StepNoise<'_>) -> RowState<N>;

    /// The output of a row: at a step with the input `x`, or, without one, where the state is held.
    fn output(&self, x: Option<&[N]>, state: &RowState<N>) -> Vec<N>;
}

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
    layer: &dyn ScalarLayer<N>,
    options: &LayerOptions,
    given: &Values<N>,
) -> Values<N> {
    let LayerOptions { batch, time, hidden_size, .. } = *options;
    let (directions, size) = (options.directions(), options.state_size());
    // The mask of the candidate is a memory of the cell, and none of the layer.
    let memories = layer.memories() - usize::from(options.has_candidate_mask());
    let (mut hidden_n, mut memory_n) = (vec![], vec![]);

    // x[t][b] is what the current layer reads: first the input, then the outputs of the layer below.
    let mut x: Vec<Vec<Vec<N>>> = (0..time)
        .map(|t| (0..batch).map(|b| step_of(options, &given["input"], t, b)).collect())
        .collect();
    for nth in 0..options.num_layers {
        let mut out = vec![vec![vec![]; batch]; time];
        let noise = Noise::of(options, nth * directions);
        x.iter_mut().for_each(|rows| noise.drop_inputs(rows));
        for direction in 0..directions {
            let suffix = format!("_l{nth}{}", if direction == 1 { "_reverse" } else { "" });
            let reverse = options.reverse || direction == 1;
            let k = nth * directions + direction;
            let noise = Noise::of(options, k);
            let part = layer.part(options, given, &suffix, &noise);
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
                        state = part.step(&x[t][b], &state, &noise.at(t, b));
                    }
                    out[t][b].extend(match options.masked_output {
                        MaskedOutput::Zero if !here => {
                            vec![N::constant(0.0); options.output_size()]
                        }
                        _ => part.output(here.then_some(&x[t][b]), &state),
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
// ANCHOR_END: forward

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
