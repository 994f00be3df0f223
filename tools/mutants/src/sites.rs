//! What is changed in the source of the backward passes, one thing at a time: of the kernels, and of the cells whose text
//! no number can mutate.
//!
//! A site is a piece of the source, `«…»` around the expression or statement that is changed, the
//! text around it to find it by. All of them go into one copy of the source, each behind a switch, so
//! that one build serves them all. A site whose text has changed has to be changed here too; a test
//! says which.

use crate::scan_sites;
use crate::site::{Site, site};
use std::collections::BTreeSet;

const REFERENCE: &str = "bptt-kernels/src/reference/body.rs";
const REFERENCE_NOISE: &str = "bptt-kernels/src/reference/noise.rs";
const STEP_SUMS: &str = "bptt-kernels/src/reference/step_sums.rs";
const MATRIX: &str = "bptt-kernels/src/reference/recurrent_matrix.rs";
const HEADS: &str = "bptt-kernels/src/host/sequence/heads.rs";
const NODE: &str = "bptt-kernels/src/recurrent/autodiff.rs";
const BACKWARD: &str = "bptt-kernels/src/host/sequence/backward.rs";
const BACK_MEMORY: &str = "bptt-kernels/src/host/sequence/backward_memory.rs";
const BACK_STEPS: &str = "bptt-kernels/src/host/sequence/backward_steps.rs";
const BACK_SHARED: &str = "bptt-kernels/src/host/sequence/backward_shared.rs";
const NOISE: &str = "bptt-kernels/src/host/sequence/noise.rs";
const WEIGHTS: &str = "bptt-kernels/src/host/sequence/weights.rs";
const SUMS: &str = "bptt-kernels/src/host/sequence/sums.rs";
const GATES: &str = "bptt-kernels/src/host/step/gates.rs";
const OUTER: &str = "bptt-kernels/src/host/gemm/transposed_product.rs";
const RECOMPUTE: &str = "bptt-kernels/src/host/sequence/recompute.rs";

/// The sites of the passes step by step.
#[rustfmt::skip]
const SITES: &[Site] = &[
    // The reference body.
    site(REFERENCE, "d => «or_zeros(d, &[time, batch, output])»,", &[
        ("the outputs' cotangent not read", "or_zeros(None, &[time, batch, output])"),
    ]),
    site(REFERENCE, "let d_hidden = «or_zeros(d_results.hidden, &[batch, output])»;", &[
        ("the final hidden state's cotangent not added", "or_zeros(None, &[batch, output])"),
    ]),
    site(REFERENCE, "or_zeros(«d_results.memory», &[memories", &[
        ("the final memory's cotangent not added", "None"),
    ]),
    site(REFERENCE, "in «plan.order(time).rev()».zip(trace", &[
        ("the direction ignored", "PlanOptions { reverse: false, ..plan.clone() }.order(time).rev()"),
    ]),
    site(REFERENCE, "let d_output_t = «d_outputs.rows(t * batch, (t + 1) * batch)»;", &[
        ("the outputs' cotangent of the step before", "{ let t = t.saturating_sub(1); d_outputs.rows(t * batch, (t + 1) * batch) }"),
        ("the outputs' cotangent of the step after", "{ let t = (t + 1).min(time - 1); d_outputs.rows(t * batch, (t + 1) * batch) }"),
    ]),
    site(REFERENCE, "let mut d_h = «d_hidden.clone() + d_output_t.clone()»;", &[
        ("what comes back through the state not added", "d_output_t.clone()"),
        ("the output's cotangent not added", "d_hidden.clone()"),
    ]),
    site(REFERENCE, "MaskedOutput::Hold => State { hidden: «d_h.clone()», memory", &[
        ("the cotangent of an output that is held not added", "d_hidden"),
    ]),
    site(REFERENCE, "«d_h = d_h.only(valid);»", &[("masked rows not zeroed", "d_h = d_h.clone();")]),
    site(REFERENCE, "«d_memory = d_memory.into_iter().map(|d| d.only(valid)).collect();»", &[
        ("masked memories not zeroed", "d_memory = d_memory.clone();"),
    ]),
    site(REFERENCE, "Some(weight_hr) => «d_h.clone().matmul(weight_hr.clone())»,", &[
        ("the projection's transposed product dropped", "d_h.zeros([batch, hidden])"),
    ]),
    site(REFERENCE, "memory: «step.memory_before.clone()»", &[
        ("the memory after the step for that before it", "step.memory_after.clone()"),
    ]),
    site(REFERENCE, "hidden: «step.hidden_own.clone()»,", &[
        ("the hidden state before the step for that after it", "step.hidden_before.clone()"),
    ]),
    site(REFERENCE, "let d_gated = «noise.masked(weight.back(d_last))»;", &[
        ("the product with the gated hidden state not transposed", "noise.masked(weight.times(d_last, None))"),
        ("the product with the gated hidden state dropped", "d_last.zeros(d_last.shape())"),
        ("the mask of the state forgotten behind the gated hidden state", "weight.back(d_last)"),
    ]),
    site(REFERENCE, "let back = «cell.gated_hidden_backward(saved, &before, d_gated, back)»;", &[
        ("the completion by the gated hidden state forgotten", "back"),
    ]),
    site(REFERENCE, "(back, Some(noise.masked(«cell.gated_hidden_of_saved(saved, &before.hidden)»)))", &[
        ("h for the gated hidden state", "before.hidden.clone()"),
    ]),
    site(REFERENCE, "«d_outer.extend(d_separate);»", &[
        ("the gate's gradient for that of its separate product", "let _ = d_separate; d_outer.extend_from_slice(&d_gates[added..]);"),
    ]),
    site(REFERENCE, "let mut d_hidden = noise.masked(«outer.back(d_outer.clone())»);", &[
        ("the product with U dropped", "{ let d = outer.back(d_outer.clone()); d.zeros(d.shape()) }"),
        ("a square U not transposed", "{ let d = outer.back(d_outer.clone()); if d.shape() == d_outer.shape() { outer.times(d_outer.clone(), None) } else { d } }"),
    ]),
    site(REFERENCE, "d_hidden = «d_hidden + direct»;", &[
        ("the way through h by the step itself dropped", "d_hidden"),
        ("the way through U dropped beside another", "direct"),
    ]),
    site(REFERENCE, "let hidden = «direct.unwrap_or_else(|| d_gates_t.zeros(d_gates_t.shape()))»;", &[
        ("the way through h by the step itself dropped where there is no U", "{ drop(direct); d_gates_t.zeros(d_gates_t.shape()) }"),
    ]),
    site(REFERENCE, "let memory = «d_memory»;", &[
        ("the memory's gradient not carried to the step before", "d_memory.into_iter().map(|d| d.zeros(d.shape())).collect::<Vec<_>>()"),
    ]),
    site(REFERENCE, "hidden: «N::select(valid, d_before.hidden, held.hidden)»,", &[
        ("a masked row hands no gradient on", "d_before.hidden"),
        ("a valid row hands on what it held", "held.hidden"),
    ]),
    site(REFERENCE, "memory: memory.map(|(d, held)| «N::select(valid, d, held)»)", &[
        ("a masked memory hands no gradient on", "d"),
        ("a valid memory hands on what it held", "held"),
    ]),
    site(REFERENCE, "sums.hidden_before[t] = Some(«noise.masked(step.hidden_before)»);", &[
        ("h_t for h_{t-1} in the gradient of U", "step.hidden_own.clone()"),
        ("h_0 for h_{t-1} in the gradient of U", "operands.need(Operand::Hidden).clone()"),
        ("the mask of the state forgotten in the gradient of U", "step.hidden_before"),
    ]),
    site(STEP_SUMS, "let d_x = «d_gates.clone().matmul(weight_ih)»;", &[
        ("the input's gradient with the other sign", "-d_gates.clone().matmul(weight_ih)"),
    ]),
    site(STEP_SUMS, "parts.push(«gradient(weight, d_last(), all(self.gated_hidden))»);", &[
        ("the gated term's weight gradient transposed", "gradient(weight, all(self.gated_hidden), d_last())"),
    ]),
    site(STEP_SUMS, "let mut parts = vec![«d_outer.sum_rows()»];", &[
        ("b_h's gradient that of b", "d_gates.columns(0, d_outer.shape()[1]).sum_rows()"),
    ]),
    site(STEP_SUMS, "parts.push(«d_last().sum_rows()»);", &[
        ("the gated term's bias that of another gate", "d_gates.columns(0, hidden).sum_rows()"),
    ]),
    site(STEP_SUMS, "d.set(Operand::BiasIh, Some(«d_gates.sum_rows()»));", &[
        ("the bias forgotten", "d_gates.zeros([d_gates.shape()[1]])"),
    ]),
    site(STEP_SUMS, "d.set(hidden_is, Some(«state.hidden»));", &[
        ("the initial state's gradient forgotten", "state.hidden.zeros(state.hidden.shape())"),
    ]),
    site(REFERENCE, "«d_state = sums.take_reset(&rows, d_state);»", &[
        ("the gradient crosses a reset", "let _ = &rows;"),
    ]),
    site(STEP_SUMS, "hidden: «sum.hidden + taken.hidden»,", &[
        ("one reset's gradient alone", "{ drop(sum.hidden); taken.hidden }"),
    ]),
    site(MATRIX, "beside(by_head(d_gate, gate).matmul(«gate.clone()»))", &[
        ("a head's block not transposed", "gate.clone().transpose()"),
    ]),
    site(MATRIX, "let d_gate = «d.columns(g * hidden, (g + 1) * hidden)»;", &[
        ("the first gate's gradient through the blocks of all", "d.columns(0, hidden)"),
    ]),
    site(MATRIX, "«d_gate.transposed_matmul(x.clone())»", &[
        ("a block's gradient transposed", "x.clone().transposed_matmul(d_gate)"),
    ]),

    // The node on the tape.
    site(NODE, "«*(if is_hidden { &mut state.hidden } else { &mut state.memory }) = Some(d);»", &[
        ("the state's gradients exchanged", "*(if is_hidden == state.memory.is_none() { &mut state.memory } else { &mut state.hidden }) = Some(d);"),
        ("the state's gradients not brought", "drop((d, state, is_hidden));"),
    ]),
    site(NODE, "d_results.outputs = «is_there.then_some(d_outputs)»;", &[
        ("the outputs' gradient not read", "is_there.then_some(d_outputs).filter(|_| false)"),
    ]),

    // The host kernels: the steps.
    site(BACKWARD, "let mut diagonal = «diagonal_weights(layer, operands)»;", &[
        ("zeros for the diagonal weights", "{ let mut all = diagonal_weights(layer, operands); all.as_mut_slice().fill(T::ZERO); all }"),
    ]),
    site(BACK_MEMORY, "«to.copy_from_slice(&d[b * output..][..output]);»", &[
        ("the final hidden state's cotangent not added", "let _ = (to, d);"),
    ]),
    site(BACK_MEMORY, "«to.copy_from_slice(&d[(m * batch + b) * hidden..][..hidden]);»", &[
        ("the final memory's cotangent not added", "let _ = (to, d);"),
    ]),
    site(BACK_SHARED, "Origin::Initial => «padded_row(self.operands.need(Operand::Hidden), b * output, pp)»,", &[
        ("the first output for h_0", "padded_row(self.outputs, 0, pp)"),
    ]),
    site(BACK_SHARED, "None => «self.zeros»,", &[
        ("the first output for the reset state", "padded_row(self.outputs, 0, pp)"),
    ]),
    site(BACK_STEPS, "«from.fill(T::ZERO);»", &[("the gradient crosses a reset", "{}")]),
    site(BACK_SHARED, "                «padded_row(self.outputs, at, pp)»\n", &[
        ("h_0 for h_{t-1}", "{ let _ = at; padded_row(self.operands.need(Operand::Hidden), b * output, pp) }"),
    ]),
    site(BACK_SHARED, "let at = «self.layer.output_at(self.layer.time_of(k), b)»;", &[
        ("h_t for h_{t-1}", "self.layer.output_at(self.layer.time_of((k + 1).min(self.layer.time - 1)), b)"),
        ("the direction ignored for h_{t-1}", "self.layer.output_at(k, b)"),
    ]),
    site(BACK_STEPS, "saved_row: «traced»,", &[("what the first step saved for all", "rows.places.start")]),
    site(BACK_STEPS, "let memory_before = |b| «self.valid_rows.traced_before(segment.steps.start, k, b)»;", &[
        ("the memory after the step for that before it", "self.valid_rows.traced_before(segment.steps.start, k + 1, b)"),
        ("the first memory for that before each step", "b"),
    ]),
    site(BACK_STEPS, "None => «batch + self.valid_rows.reset_states() + traced»,", &[
        ("the memory before the step for that after it", "self.valid_rows.reset_states() + traced"),
    ]),
    site(BACK_STEPS, "time: «t»,\n                d_memory", &[
        ("the direction ignored for the outputs' cotangent", "k"),
    ]),
    site(BACK_STEPS, "*to = «T::plus(a, b)»;", &[
        ("the output's cotangent not added in front of a projection", "{ let _ = b; a }"),
        ("what comes back through the state not added in front of a projection", "{ let _ = a; b }"),
    ]),
    site(BACK_STEPS, "*to = «T::plus(*to, d)»;", &[
        ("the cotangent of an output that is held not added", "{ let _ = d; *to }"),
        ("that of the output instead of what comes back through a state that is held", "d"),
    ]),
    site(BACK_STEPS, "let units = if self.layer.projected { «0..output» } else { shard.units.clone() };", &[
        ("it not added behind a projection", "0..0"),
    ]),
    site(BACK_STEPS, "«product(a, project, 0..project.value.count, c, false);»", &[
        ("the projection's transposed product dropped", "let _ = (a, c);"),
    ]),
    site(BACK_STEPS, "of_batch(d_gated, hp), «false»);", &[("the gated product added to that of the last step", "true")]),
    site(BACK_STEPS, "«gates(Part::Completion);»", &[("the completion by the gated hidden state forgotten", "{}")]),
    site(BACK_STEPS, "let a = (a.wrapping_add(«self.layer.of_gated()».0), a_rows);", &[
        ("the gated product of another gate", "self.layer.columns(self.layer.plane(0)..self.layer.planes())"),
    ]),
    site(BACK_STEPS, "let add = «self.layer.hands_on_hidden» && !self.layer.masks_state;", &[
        ("the way through h by the step itself not added to", "false"),
        ("the hidden state's cotangent kept where none is handed on", "true"),
    ]),
    site(BACK_STEPS, "let a = planes.cast_const().wrapping_add(«self.layer.of_h()».0);", &[
        ("the gate's gradient for that of its separate product", "self.layer.columns(0..self.layer.outer())"),
    ]),
    site(WEIGHTS, "let of_h = inner_of(Operand::WeightHh, «layer.of_h()».1);", &[
        ("the gate's gradient for that of its separate product, in what is left of the planes", "layer.columns(0..layer.outer())"),
    ]),
    site(WEIGHTS, "let of_gated = inner_of(Operand::WeightHh, «layer.of_gated()».1);", &[
        ("the gated product of another gate, in what is left of its plane", "layer.columns(layer.plane(0)..layer.plane(0) + 1)"),
    ]),
    site(WEIGHTS, "«some(0..whole).chain(some(whole..hidden)).collect()»", &[
        ("the rows of a weight as they are, not as the planes have them", "some(0..hidden).collect()"),
    ]),
    site(BACK_MEMORY, "«gates + gate - added»", &[
        ("b_h's gradient that of b", "layer.plane(gate)"),
    ]),
    site(BACK_MEMORY, "_ => «layer.plane(gate)»,", &[("the biases' gates in the kernel's order", "gate")]),

    // The noise around the steps.
    site(REFERENCE_NOISE, "Some(k) => («d.clone() * k.one_minus()», Some(d * k)),", &[
        ("zoneout not in the gradient of what the cell computed", "d.clone()"),
    ]),
    site(REFERENCE, "let d_before = «with_kept(d_before, kept)»;", &[
        ("what zoneout kept hands no gradient on", "{ drop(kept); d_before }"),
    ]),
    site(NOISE, "«Elementwise::MultiplyRest.run(isa, kept, d, d_own);»", &[
        ("zoneout not in the gradient of what the cell computed", "d_own.copy_from_slice(d);"),
    ]),
    site(NOISE, "«add(self.state.d_hidden, at, kept, at, of_hidden.len());»", &[
        ("the hidden state that zoneout kept hands no gradient on", "let _ = (kept, at);"),
    ]),
    site(NOISE, "«add(self.state.d_memory, at(memories), kept, at(states), of_memory.len());»", &[
        ("the memory that zoneout kept hands no gradient on", "let _ = (kept, at(memories));"),
    ]),
    site(NOISE, "false => «Elementwise::Multiply.run(isa, mask, d, to)»,", &[
        ("the mask of the state forgotten behind U", "{ let _ = mask; to.copy_from_slice(d) }"),
    ]),
    site(NOISE, "«Elementwise::Multiply.run(isa, mask, &self.hidden_before(k, b)[..output], to);»", &[
        ("the mask of the state forgotten in the gradient of U", "{ let _ = (isa, mask); to.copy_from_slice(&self.hidden_before(k, b)[..output]); }"),
    ]),

    // The gates of the host kernels.
    site(GATES, "None => «d_hidden.load::<S, N>(simd, 0, unit) + of_rows(d_output, unit)»,", &[
        ("what comes back through the state not added", "of_rows(d_output, unit)"),
        ("the output's cotangent not added", "{ let _ = d_output; d_hidden.load::<S, N>(simd, 0, unit) }"),
    ]),
    site(GATES, "None => «padded_row(self.outputs, outputs_at[row], pp)»,", &[
        ("the hidden state before the step for that after it", "(self.hidden_before)(b(row))"),
    ]),
    site(GATES, "if !C::PROJECTABLE {\n                    d_hidden.store(simd, 0, unit, «d_h»);", &[
        ("the way through h by the step itself dropped", "zero"),
    ]),

    // The sums over all steps.
    site(SUMS, "&x[self.layer.input_at(«self.layer.time_of(k)», b)..]", &[("the direction ignored for the input", "k")]),
    site(SUMS, "let row = |(k, b)| «self.hidden_before(k, b)»;", &[
        ("h_t for h_{t-1} in the gradient of U", "&self.outputs[self.layer.output_at(self.layer.time_of(k), b)..][..output]"),
        ("h_0 for h_{t-1} in the gradient of U", "&self.operands.need(Operand::Hidden)[b * output..][..output]"),
    ]),
    site(SUMS, "«(self.layer.time_of(steps.start) * batch * input, Rows::groups(batch, group, input))»", &[
        ("the direction ignored for the input's gradient", "{ let _ = group; (steps.start * batch * input, Rows::plain(input)) }"),
    ]),
    site(SUMS, "worked.map(|(k, b)| «self.layer.time_of(k) * batch + b»)", &[
        ("the direction ignored for the input's gradient where not all rows are valid", "k * batch + b"),
    ]),
    site(SUMS, "bias: «self.wants_bias().then_some(self.totals.bias)»,", &[("the bias forgotten", "None")]),
    site(SUMS, "planes(«self.layer.of_h()»));", &[
        ("the gradient of U by the gates, not by the separate products", "self.layer.columns(0..self.layer.outer())"),
    ]),
    site(SUMS, "let summed = if self.wanted.has(Operand::WeightIh) { «gates» } else { 0 };", &[
        ("the bias summed twice", "0"),
        ("the bias of the separate products forgotten", "self.layer.planes()"),
    ]),
    site(SUMS, "let (d, columns) = planes(«self.layer.of_gated()»);", &[
        ("the gated term's weight gradient of another gate", "self.layer.columns(self.layer.plane(0)..self.layer.plane(0) + 1)"),
    ]),
    site(SUMS, "(0..gates).map(|plane| «self.layer.gate(plane)»).collect();", &[
        ("the gradient of W in the kernel's order", "plane"),
    ]),
    site(SUMS, "to, &[«gates - 1»], hidden);", &[
        ("the gated term's weight gradient in another gate's place", "0"),
    ]),
    site(SUMS, "transposed(from, row, left, to, «first + whole», rest, inputs);", &[
        ("what is left of a plane in its first rows", "first"),
    ]),
    site(OUTER, "let all = «T::add(simd, T::load_partial(simd, to), sum)»;", &[
        ("the bias of the last block alone", "sum"),
    ]),
    site(OUTER, "add: «true»,", &[("the weights' gradient of the last block alone", "false")]),
    site(SUMS, "tiles: whole.tiles.wrapping_add(«of.head * rows * width»),", &[
        ("the first head's h in the gradient of all blocks", "0"),
    ]),
    site(SUMS, "transposed(of_part, of_row, 0, to, «*row», columns.count(), width);", &[
        ("the gradients of all blocks in the rows of one", "{ let _ = row; 0 }"),
    ]),

    // The products of layers in heads.
    site(HEADS, "is_first: «firsts.contains(&gate)»,", &[
        ("the last gate's way through its block alone", "true"),
        ("the hidden state's cotangent kept in heads", "false"),
    ]),
    site(HEADS, "let (a, inner) = «layer.columns_of(plane_of(layer, gate), &units)»;", &[
        ("a head's gradient by the gate, not by its separate product", "layer.columns_of(layer.plane(gate), &units)"),
    ]),
    site(HEADS, "let first = «row_at(layer, head, gate, 0)»;", &[
        ("the first head's block for all, backward", "row_at(layer, 0, gate, 0)"),
    ]),

    // The recomputation under a budget.
    site(RECOMPUTE, "return Some(forwarder.pass(steps, «memory», outputs, true));", &[
        ("computed again from the first state", "{ let _ = memory; forwarder.first_memory() }"),
    ]),
    site(RECOMPUTE, "return Some(forwarder.pass(steps, «pass.memory», outputs, true));", &[
        ("the last steps from the first state", "{ drop(pass.memory); forwarder.first_memory() }"),
    ]),
    site(RECOMPUTE, "self.checkpoints.push((middle, «Some(pass.memory)»));", &[
        ("the first state for one that was kept", "Some(pass.memory).filter(|_| false)"),
    ]),
];

/// Which kernels a file is part of: `reference`, `auto`, or both.
pub fn kernels(file: &str) -> &'static [bptt::Kernel] {
    use bptt::Kernel;
    match file {
        REFERENCE | REFERENCE_NOISE | STEP_SUMS | MATRIX => &[Kernel::Reference],
        NODE => &[Kernel::Auto, Kernel::Reference],
        scan if scan_sites::SITES.iter().any(|site| site.file == scan) => scan_sites::kernels(scan),
        _ => &[Kernel::Auto],
    }
}

/// All sites.
fn sites() -> impl Iterator<Item = &'static Site> {
    SITES.iter().chain(scan_sites::SITES)
}

/// The mutants in order: their sites, and which of the site's.
pub fn all() -> Vec<(&'static Site, usize)> {
    sites().flat_map(|site| (0..site.wrong.len()).map(move |k| (site, k))).collect()
}

/// A file's source with all its mutants, the `n`th of [`all`] behind `crate::mutant::is(n)`.
///
/// # Errors
///
/// One line, if a site is not found, or more than once.
pub fn with_mutants(file: &str, source: &str) -> Result<String, String> {
    let mut changes = Vec::new();
    let mut first = 0;
    for site in sites() {
        let number = first;
        first += site.wrong.len();
        if site.file != file || site.wrong.is_empty() {
            continue;
        }
        let broken = |why: &str| format!("{file}: {why}: {}", site.text);
        let (before, rest) = site.text.split_once('«').ok_or_else(|| broken("no «"))?;
        let (right, after) = rest.split_once('»').ok_or_else(|| broken("no »"))?;
        let whole = format!("{before}{right}{after}");
        let mut found = source.match_indices(&whole);
        let at = match (found.next(), found.next()) {
            (Some((at, _)), None) => at + before.len(),
            (None, _) => return Err(broken("this text is not there (any more)")),
            (Some(_), Some(_)) => return Err(broken("this text is there more than once")),
        };
        let branches: String = site
            .wrong
            .iter()
            .enumerate()
            .map(|(k, (_, wrong))| {
                format!("if crate::mutant::is({}) {{ {wrong} }} else ", number + k)
            })
            .collect();
        let switched = format!("{branches}{{ {right} }}");
        // A statement is a statement; an expression may stand in the middle of another.
        let is_statement = right.ends_with(';');
        let switched = if is_statement { switched } else { format!("({switched})") };
        changes.push((at..at + right.len(), switched));
    }
    changes.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut source = source.to_string();
    let mut end = source.len();
    for (range, switched) in changes {
        if range.end > end {
            return Err(format!("{file}: two sites overlap"));
        }
        end = range.start;
        source.replace_range(range, &switched);
    }
    Ok(source)
}

/// The folders of the crates that have mutants, below `crates`.
pub fn crates() -> BTreeSet<&'static str> {
    files().into_iter().filter_map(|file| file.split_once('/')).map(|(of, _)| of).collect()
}

/// The files that have mutants.
pub fn files() -> Vec<&'static str> {
    let mut files: Vec<_> = sites().map(|site| site.file).collect();
    files.dedup();
    files.sort_unstable();
    files.dedup();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_site_is_there_once() {
        // At run time: the binary may have been built where another clone lay.
        let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
        let crates = std::path::Path::new(&package).join("../../crates");
        for file in files() {
            let source = std::fs::read_to_string(crates.join(file)).unwrap();
            let changed = with_mutants(file, &source).unwrap();
            assert!(changed.contains("crate::mutant::is("));
        }
        assert!(all().len() >= 170, "{}", all().len());
    }
}
