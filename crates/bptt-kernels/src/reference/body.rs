//! The reference body: back-propagation through time in plain tensor operations.
//!
//! It runs on every backend and follows the derivation (the book's chapter "Back-propagation through time") line by
//! line. Fast kernels are compared with it. It is generic over its number ([`TensorNumber`]): a backend's tensors, or
//! dual numbers of them.

use crate::operation::cell_layout::CellLayout;
use crate::operation::observer::{PATHS, StateGradientNorms};
use crate::operation::operands::{Cotangents, Operand, Operands, Results};
use crate::operation::plan::{MaskedOutput, PlanOptions, Sizes};
use crate::reference::noise::{NoiseOfStep, NoiseTensors};
use crate::reference::recurrent_matrix::RecurrentMatrix;
use crate::reference::step_sums::{StepSums, input_rows};
use crate::reference::tensor_cell::{ListedBackward, ListedState, TensorCell};
use crate::reference::tensor_number::TensorNumber;
use bptt_cells::{HiddenTerm, State};

/// What is saved for one step.
#[derive(Clone, Debug)]
pub struct StepTrace<T> {
    /// The cell's saved values, `[B, H]` each.
    pub saved: Vec<T>,
    /// The hidden state before the step, `[B, P]`.
    pub hidden_before: T,
    /// The memories before the step, `[B, H]` each.
    pub memory_before: Vec<T>,
    /// The step's own hidden state, before any projection, `[B, H]`.
    pub hidden_own: T,
    /// The memories after the step, `[B, H]` each.
    pub memory_after: Vec<T>,
}

impl<T> StepTrace<T> {
    /// Converts each tensor.
    pub(crate) fn map<U>(self, change: impl Fn(T) -> U) -> StepTrace<U> {
        let all = |tensors: Vec<T>| tensors.into_iter().map(&change).collect();
        StepTrace {
            saved: all(self.saved),
            hidden_before: change(self.hidden_before),
            memory_before: all(self.memory_before),
            hidden_own: change(self.hidden_own),
            memory_after: all(self.memory_after),
        }
    }
}

/// The recurrent weights, split by the operand that they are multiplied with.
struct RecurrentWeights<N> {
    /// The gates that are multiplied with `h`: those that are added or separate, `[A·H, P]`; `None` if there are none.
    outer: Option<RecurrentMatrix<N>>,
    outer_bias: Option<N>,
    /// The gate that is multiplied with the gated hidden state: the last one, `[H, H]`.
    gated: Option<(RecurrentMatrix<N>, Option<N>)>,
}

/// How many gates are added, and how many have a product with `h`. In a cell, the added gates come first, then the
/// separate gates, then the gated one.
struct Counts {
    added: usize,
    outer: usize,
    gates: usize,
}

impl Counts {
    fn of(layout: &CellLayout) -> Self {
        let added = layout.count(HiddenTerm::Added);
        let outer = added + layout.count(HiddenTerm::Separate);
        Self { added, outer, gates: layout.gates() }
    }
}

impl<N: TensorNumber> RecurrentWeights<N> {
    fn of(layout: &CellLayout, operands: &Operands<N>, hidden: usize) -> Self {
        let Some(weight) = operands.get(Operand::WeightHh) else {
            return Self { outer: None, outer_bias: None, gated: None };
        };
        let bias = operands.get(Operand::BiasHh);
        let Counts { outer: split, gates, .. } = Counts::of(layout);
        let outer = Some(RecurrentMatrix::of(weight, 0..split, hidden));
        if split == gates {
            return Self { outer, outer_bias: bias.cloned(), gated: None };
        }
        let part = |from, to| bias.map(|bias| bias.entries(from * hidden, to * hidden));
        let gated = RecurrentMatrix::of(weight, split..gates, hidden);
        Self { outer, outer_bias: part(0, split), gated: Some((gated, part(split, gates))) }
    }
}

/// `count` gates side by side, `[B, count·H]`, as a list of planes `[B, H]`.
fn split_gates<N: TensorNumber>(all: &N, count: usize, hidden: usize) -> impl Iterator<Item = N> {
    (0..count).map(move |g| all.columns(g * hidden, (g + 1) * hidden))
}

/// The memories `[M, B, H]` as a list of planes `[B, H]`.
fn split_memory<N: TensorNumber>(memory: Option<&N>, sizes: &Sizes) -> Vec<N> {
    let Sizes { batch, hidden, memories, .. } = *sizes;
    let Some(memory) = memory else { return vec![] };
    let flat = memory.clone().reshape([memories * batch, hidden]);
    (0..memories).map(|m| flat.rows(m * batch, (m + 1) * batch)).collect()
}

/// Runs the sequence forward. Returns the results and, with `keep`, the trace: one entry for each step, in the order in
/// which the steps were computed.
pub(crate) fn forward<N: TensorNumber>(
    cell: &dyn TensorCell<N>,
    plan: &PlanOptions,
    operands: &Operands<N>,
    keep: bool,
) -> (Results<N>, Option<Vec<StepTrace<N>>>) {
    let layout = cell.layout();
    let sizes = Sizes::of(&layout, |operand| operands.need(operand).shape());
    let Sizes { time, batch, hidden, output, memories, .. } = sizes;

    // W x + b for all steps at once: [T·B, G·H]
    let x = input_rows(plan, operands, &sizes);
    let weight_ih = operands.need(Operand::WeightIh).clone();
    let wx = x.affine(weight_ih, operands.get(Operand::BiasIh).cloned());

    let weights = RecurrentWeights::of(&layout, operands, hidden);
    let weight_hr = operands.get(Operand::WeightHr);
    let mut before = State {
        hidden: operands.need(Operand::Hidden).clone(),
        memory: split_memory(operands.get(Operand::Memory), &sizes),
    };
    let reset = plan.rows.resets.as_ref().map(|_| reset_state(operands, &sizes));
    let step_noise = plan.rows.noise.as_ref();
    let noise = NoiseTensors::new(step_noise, [time, batch], [hidden, output], &before.hidden);
    let states = layout.states();
    let mut outputs = vec![None; time];
    let mut steps = Vec::with_capacity(if keep { time } else { 0 });

    for t in plan.order(time) {
        if let (Some(rows), Some(reset)) = (plan.reset_rows(t, batch), &reset) {
            before = select_state(&rows, reset.clone(), &before);
        }
        let wx_t = wx.rows(t * batch, (t + 1) * batch);
        let noise = noise.at(t, batch);
        if let Some(mask) = &noise.candidate {
            before.memory[states - 1] = mask.clone();
        }
        let (gates, separate) = pre_activations(cell, &wx_t, &weights, (&before, &noise), hidden);
        let (own, saved) = cell.step(gates, separate, &before);

        let mut after = own.clone();
        if let Some(weight_hr) = weight_hr {
            after.hidden = after.hidden.affine(weight_hr.clone(), None);
        }
        if step_noise.is_some() {
            after = noise.zoned_out(after, &before, states);
        }
        // A masked row keeps its state, and its output is zero or that state.
        let out = match plan.valid_rows(t, batch) {
            None => after.hidden.clone(),
            Some(valid) => {
                let zeroed = after.hidden.clone().only(&valid);
                after = select_state(&valid, after, &before);
                match plan.masked_output {
                    MaskedOutput::Zero => zeroed,
                    MaskedOutput::Hold => after.hidden.clone(),
                }
            }
        };
        outputs[t] = Some(out);
        if keep {
            steps.push(StepTrace {
                saved,
                hidden_before: before.hidden,
                memory_before: before.memory,
                hidden_own: own.hidden,
                memory_after: own.memory,
            });
        }
        before = after;
    }

    let outputs: Vec<_> =
        outputs.into_iter().map(|out| out.expect("every step was computed")).collect();
    let outputs = match plan.batch_first {
        // Side by side: `[B, T·P]`.
        true => N::concatenate(outputs, 1).reshape([batch, time, output]),
        false => N::concatenate(outputs, 0).reshape([time, batch, output]),
    };
    let memory = before.memory;
    let results = Results {
        outputs,
        hidden: before.hidden,
        memory: (memories > 0)
            .then(|| N::concatenate(memory, 0).reshape([memories, batch, hidden])),
    };
    (results, keep.then_some(steps))
}

/// `W x + b + U h + b_h`, or the two products separately, as the cell needs them.
fn pre_activations<N: TensorNumber>(
    cell: &dyn TensorCell<N>,
    wx_t: &N,
    weights: &RecurrentWeights<N>,
    (before, noise): (&ListedState<N>, &NoiseOfStep<'_, N>),
    hidden: usize,
) -> (Vec<N>, Vec<N>) {
    let Counts { added, outer, gates: all } = Counts::of(&cell.layout());
    let Some(weight) = &weights.outer else {
        return (split_gates(wx_t, all, hidden).collect(), vec![]);
    };
    let uh = weight.times(noise.masked(before.hidden.clone()), weights.outer_bias.clone());
    let sum = wx_t.columns(0, added * hidden) + uh.columns(0, added * hidden);
    let mut gates: Vec<_> = split_gates(&sum, added, hidden).collect();
    if added < all {
        let rest = wx_t.columns(added * hidden, all * hidden);
        gates.extend(split_gates(&rest, all - added, hidden));
    }
    let separate = (added..outer).map(|g| uh.columns(g * hidden, (g + 1) * hidden)).collect();

    if let Some((weight, bias)) = &weights.gated {
        let gated = noise.masked(cell.gated_hidden(&gates, before));
        let last = gates.pop().expect("the gate with the gated term is there");
        gates.push(last + weight.times(gated, bias.clone()));
    }
    (gates, separate)
}

/// `yes` in the rows with a true flag, `no` in the others.
fn select_state<N: TensorNumber>(
    flags: &[bool],
    yes: ListedState<N>,
    no: &ListedState<N>,
) -> ListedState<N> {
    let memory = yes.memory.into_iter().zip(&no.memory);
    State {
        hidden: N::select(flags, yes.hidden, no.hidden.clone()),
        memory: memory.map(|(yes, no)| N::select(flags, yes, no.clone())).collect(),
    }
}

/// The state that a reset sets: the one that is given, or zeros.
fn reset_state<N: TensorNumber>(operands: &Operands<N>, sizes: &Sizes) -> ListedState<N> {
    let hidden = operands.need(Operand::Hidden);
    match operands.get(Operand::ResetHidden) {
        Some(hidden) => State {
            hidden: hidden.clone(),
            memory: split_memory(operands.get(Operand::ResetMemory), sizes),
        },
        None => {
            let memory = split_memory(operands.get(Operand::Memory), sizes);
            State {
                hidden: hidden.zeros(hidden.shape()),
                memory: memory.iter().map(|c| c.zeros(c.shape())).collect(),
            }
        }
    }
}

/// Runs the sequence backward: dLoss/d(operand) for each wanted operand.
pub(crate) fn backward<N: TensorNumber>(
    cell: &dyn TensorCell<N>,
    plan: &PlanOptions,
    operands: &Operands<N>,
    trace: Vec<StepTrace<N>>,
    d_results: Cotangents<N>,
    wanted: &Operands<()>,
) -> Operands<N> {
    let layout = cell.layout();
    let sizes = Sizes::of(&layout, |operand| operands.need(operand).shape());
    let Sizes { time, batch, hidden, output, .. } = sizes;
    let weights = RecurrentWeights::of(&layout, operands, hidden);
    let weight_hr = operands.get(Operand::WeightHr);
    let (d_outputs, mut d_state) = cotangents(plan, operands, d_results, &sizes);
    let mut sums = StepSums::new(time);
    let like = operands.need(Operand::Hidden);
    let step_noise = plan.rows.noise.as_ref();
    let noise = NoiseTensors::new(step_noise, [time, batch], [hidden, output], like);
    let mut squares = vec![0.0; if plan.observer.is_some() { time * PATHS } else { 0 }];

    for (t, step) in plan.order(time).rev().zip(trace.into_iter().rev()) {
        let valid = plan.valid_rows(t, batch);
        // dLoss/dh_t has two parts: from this step's output, and from the later steps.
        let d_output_t = d_outputs.rows(t * batch, (t + 1) * batch);
        let State { hidden: d_hidden, memory: mut d_memory } = d_state;
        let mut d_h = d_hidden.clone() + d_output_t.clone();
        if let Some(to) = squares.chunks_exact_mut(PATHS).nth(t) {
            let valid = valid.clone().unwrap_or_else(|| vec![true; batch]);
            let square = |x: &N| x.clone().only(&valid).sum_of_squares();
            let memory = d_memory.iter().take(layout.states()).map(square).sum();
            to.copy_from_slice(&[square(&d_output_t), square(&d_hidden), square(&d_h), memory]);
        }
        let held = valid.as_ref().map(|_| match plan.masked_output {
            MaskedOutput::Zero => State { hidden: d_hidden, memory: d_memory.clone() },
            MaskedOutput::Hold => State { hidden: d_h.clone(), memory: d_memory.clone() },
        });
        if let Some(valid) = &valid {
            d_h = d_h.only(valid);
            d_memory = d_memory.into_iter().map(|d| d.only(valid)).collect();
        }
        let noise = noise.at(t, batch);
        let d_after = State { hidden: d_h, memory: d_memory };
        let (State { hidden: d_h, memory: d_memory }, kept) =
            noise.zoned_out_backward(d_after, layout.states());
        let d_own = match weight_hr {
            Some(weight_hr) => d_h.clone().matmul(weight_hr.clone()),
            None => d_h.clone(),
        };

        let cotangent = State { hidden: d_own, memory: d_memory };
        let (back, gated_hidden) = through_cell(cell, &step, cotangent, (&weights, &noise));
        let d_before = through_hidden_terms(&layout, back, (&weights, &noise), t, &mut sums);
        let d_before = with_kept(d_before, kept);

        // A masked row passes its gradient on without a change.
        d_state = match (&valid, held) {
            (Some(valid), Some(held)) => hand_on(valid, d_before, held),
            _ => d_before,
        };
        // The gradient goes to the reset state, and not to the steps before.
        if let Some(rows) = plan.reset_rows(t, batch) {
            d_state = sums.take_reset(&rows, d_state);
        }
        sums.hidden_before[t] = Some(noise.masked(step.hidden_before));
        sums.gated_hidden[t] = gated_hidden;
        if weight_hr.is_some() && wanted.has(Operand::WeightHr) {
            sums.projection[t] = Some((d_h, step.hidden_own));
        }
    }
    if let Some(observer) = &plan.observer {
        observer.observe(StateGradientNorms::of_squares(&squares, layout.states() > 0));
    }
    sums.gradients(&layout, plan, operands, wanted, (&sizes, d_state))
}

/// The gradients from outside: of the outputs, `[T·B, P]`, and of the final state.
fn cotangents<N: TensorNumber>(
    plan: &PlanOptions,
    operands: &Operands<N>,
    d_results: Cotangents<N>,
    sizes: &Sizes,
) -> (N, ListedState<N>) {
    let Sizes { time, batch, hidden, output, memories, .. } = *sizes;
    let like = operands.need(Operand::Hidden);
    let or_zeros = |d: Option<N>, shape: &[usize]| d.unwrap_or_else(|| like.zeros(shape.to_vec()));
    let d_outputs = match d_results.outputs {
        Some(d) if plan.batch_first => d.swap_first_dims(),
        d => or_zeros(d, &[time, batch, output]),
    };
    let d_hidden = or_zeros(d_results.hidden, &[batch, output]);
    let d_memory = (memories > 0).then(|| or_zeros(d_results.memory, &[memories, batch, hidden]));
    let d_memory = split_memory(d_memory.as_ref(), sizes);
    (d_outputs.reshape([time * batch, output]), State { hidden: d_hidden, memory: d_memory })
}

/// One step backward through the cell. Also returns the gated hidden state, for cells that have one, because the
/// gradient of the weights needs it.
fn through_cell<N: TensorNumber>(
    cell: &dyn TensorCell<N>,
    step: &StepTrace<N>,
    cotangent: ListedState<N>,
    (weights, noise): (&RecurrentWeights<N>, &NoiseOfStep<'_, N>),
) -> (ListedBackward<N>, Option<N>) {
    let saved = &step.saved;
    let before = State { hidden: step.hidden_before.clone(), memory: step.memory_before.clone() };
    let after = State { hidden: step.hidden_own.clone(), memory: step.memory_after.clone() };
    let back = cell.step_backward(saved.clone(), &before, &after, cotangent);
    let Some((weight, _)) = &weights.gated else { return (back, None) };
    let d_last = back.d_gates.last().expect("the gate with the gated term is there").clone();
    let d_gated = noise.masked(weight.back(d_last));
    let back = cell.gated_hidden_backward(saved, &before, d_gated, back);
    (back, Some(noise.masked(cell.gated_hidden_of_saved(saved, &before.hidden))))
}

/// The step backward through `U`: the added gates and the separate gates have products with `h`. Returns dLoss/d(state
/// before the step), and stores the gates' gradients for the sums over all steps.
fn through_hidden_terms<N: TensorNumber>(
    layout: &CellLayout,
    back: ListedBackward<N>,
    (weights, noise): (&RecurrentWeights<N>, &NoiseOfStep<'_, N>),
    t: usize,
    sums: &mut StepSums<N>,
) -> ListedState<N> {
    let Counts { added, gates, .. } = Counts::of(layout);
    let ListedBackward { d_gates, d_separate, d_hidden: direct, d_memory } = back;
    let memory = d_memory;
    let Some(outer) = &weights.outer else {
        let d_gates_t = N::concatenate(d_gates, 1);
        let hidden = direct.unwrap_or_else(|| d_gates_t.zeros(d_gates_t.shape()));
        sums.d_gates[t] = Some(d_gates_t);
        return State { hidden, memory };
    };
    let mut d_outer = d_gates[..added].to_vec();
    let differs = added < gates;
    d_outer.extend(d_separate);
    let d_gates_t = N::concatenate(d_gates, 1);
    let d_outer = if differs { N::concatenate(d_outer, 1) } else { d_gates_t.clone() };
    let mut d_hidden = noise.masked(outer.back(d_outer.clone()));
    if let Some(direct) = direct {
        d_hidden = d_hidden + direct;
    }
    sums.d_gates[t] = Some(d_gates_t);
    sums.d_outer[t] = differs.then_some(d_outer);
    State { hidden: d_hidden, memory }
}

/// The gradient of the state before the step, with what zoneout kept.
fn with_kept<N: TensorNumber>(
    d: ListedState<N>,
    kept: State<Option<N>, Vec<Option<N>>>,
) -> ListedState<N> {
    let sum = |(d, kept): (N, Option<N>)| match kept {
        Some(kept) => d + kept,
        None => d,
    };
    State {
        hidden: sum((d.hidden, kept.hidden)),
        memory: d.memory.into_iter().zip(kept.memory).map(sum).collect(),
    }
}

/// The gradient for the step before. In valid rows, it is the gradient that came through the step. In masked rows, it
/// is the gradient of the held state.
fn hand_on<N: TensorNumber>(
    valid: &[bool],
    d_before: ListedState<N>,
    held: ListedState<N>,
) -> ListedState<N> {
    let memory = d_before.memory.into_iter().zip(held.memory);
    State {
        hidden: N::select(valid, d_before.hidden, held.hidden),
        memory: memory.map(|(d, held)| N::select(valid, d, held)).collect(),
    }
}
