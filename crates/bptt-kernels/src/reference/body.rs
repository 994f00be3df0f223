//! The reference body: back-propagation through time in plain tensor operations.
//!
//! It runs on every backend and reads like the derivation (the book's chapter "Back-propagation
//! through time"). Fast kernels are held against it.

use crate::operation::operands::{Cotangents, Operand, Operands, Results};
use crate::operation::plan::{MaskedOutput, Plan, Sizes};
use crate::reference::ops::{
    add, columns, concatenate, entries, linear, only, reshape, rows, select, sum_rows,
    transposed_times, zeros_like,
};
use crate::reference::primitive::Primitive;
use bptt_cells::{Backward, Cell, Components, HiddenTerm, Layout, State};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

/// What is saved of one step.
#[derive(Clone, Debug)]
pub struct StepTrace<T> {
    /// The cell's saved values, `[B, H]` each.
    pub saved: Vec<T>,
    /// The hidden state before the step, `[B, P]`.
    pub hidden_before: T,
    /// The memories before the step, `[B, H]` each.
    pub memory_before: Vec<T>,
    /// The step's own hidden state, in front of any projection, `[B, H]`.
    pub hidden_own: T,
    /// The memories after the step, `[B, H]` each.
    pub memory_after: Vec<T>,
}

type Step<B, C> = State<Primitive<B>, <C as Layout>::Memory<Primitive<B>>>;

/// The recurrent weights, taken apart by what they are multiplied with.
struct RecurrentWeights<B: Backend> {
    /// For `h`: the gates that are added or separate, `[A·H, P]`.
    outer: FloatTensor<B>,
    outer_bias: Option<FloatTensor<B>>,
    /// For the gated hidden state: the last gate, `[H, H]`.
    gated: Option<(FloatTensor<B>, Option<FloatTensor<B>>)>,
}

/// How many gates are added, and how many have a product of `h` at all. Cells name the added
/// gates first, then the separate ones, then the gated one.
struct Counts {
    added: usize,
    outer: usize,
}

fn counts<C: Layout>() -> Counts {
    let count = |kind| C::HIDDEN_TERMS.iter().filter(|&&r| r == kind).count();
    let added = count(HiddenTerm::Added);
    Counts { added, outer: added + count(HiddenTerm::Separate) }
}

impl<B: Backend> RecurrentWeights<B> {
    fn of<C: Layout>(operands: &Operands<FloatTensor<B>>, hidden: usize) -> Self {
        let weight = operands.need(Operand::WeightHh);
        let bias = operands.get(Operand::BiasHh);
        let (split, end) = (counts::<C>().outer * hidden, C::GATES * hidden);
        if split == end {
            return Self { outer: weight.clone(), outer_bias: bias.cloned(), gated: None };
        }
        let part = |from, to| bias.map(|bias| entries::<B>(bias, from, to));
        Self {
            outer: rows::<B>(weight, 0, split),
            outer_bias: part(0, split),
            gated: Some((rows::<B>(weight, split, end), part(split, end))),
        }
    }
}

/// `count` gates side by side, `[B, count·H]`, as a list of planes `[B, H]`.
fn split_gates<B: Backend>(
    all: &FloatTensor<B>,
    count: usize,
    hidden: usize,
) -> impl Iterator<Item = Primitive<B>> {
    let all = all.clone();
    (0..count).map(move |g| Primitive(columns::<B>(&all, g * hidden, (g + 1) * hidden)))
}

/// The memories `[M, B, H]` as a list of planes `[B, H]`.
fn split_memory<B: Backend>(memory: Option<&FloatTensor<B>>, sizes: &Sizes) -> Vec<FloatTensor<B>> {
    let Sizes { batch, hidden, memories, .. } = *sizes;
    let Some(memory) = memory else { return vec![] };
    let flat = reshape::<B>(memory.clone(), [memories * batch, hidden]);
    (0..memories).map(|m| rows::<B>(&flat, m * batch, (m + 1) * batch)).collect()
}

fn primitives<B: Backend, P: Components<Primitive<B>>>(all: Vec<FloatTensor<B>>) -> P {
    P::from_vec(all.into_iter().map(Primitive).collect())
}

fn tensors<B: Backend>(all: impl Components<Primitive<B>>) -> Vec<FloatTensor<B>> {
    all.into_vec().into_iter().map(|plane| plane.0).collect()
}

/// The input as a matrix, `[T·B, I]`, with zeros at masked steps: nothing in the padding, not
/// even a NaN, reaches a product.
fn input_rows<B: Backend, C: Cell>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
    sizes: &Sizes,
) -> FloatTensor<B> {
    let Sizes { time, batch, input, .. } = *sizes;
    let x = reshape::<B>(operands.need(Operand::Input).clone(), [time * batch, input]);
    let Some(mask) = &plan.options.mask else { return x };
    let steps = (0..time).flat_map(|t| (0..batch).map(move |b| (t, b)));
    let active: Vec<bool> = steps.map(|(t, b)| mask.is_valid(t, b, batch)).collect();
    only::<B>(&active, x)
}

/// The sequence forward. Returns the results and, with `keep`, the trace: one entry a step, in the order in
/// which they were worked.
pub(crate) fn forward<B: Backend, C: Cell>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
    keep: bool,
) -> (Results<FloatTensor<B>>, Option<Vec<StepTrace<FloatTensor<B>>>>) {
    let sizes = plan.sizes(|operand| operands.need(operand).shape());
    let Sizes { time, batch, hidden, output, memories, .. } = sizes;
    let cell = &plan.cell;

    // W x + b for all steps at once: [T·B, G·H]
    let x = input_rows::<B, C>(plan, operands, &sizes);
    let weight_ih = operands.need(Operand::WeightIh).clone();
    let wx = linear::<B>(x, weight_ih, operands.get(Operand::BiasIh).cloned());

    let weights = RecurrentWeights::<B>::of::<C>(operands, hidden);
    let weight_hr = operands.get(Operand::WeightHr);
    let mut before: Step<B, C> = State {
        hidden: Primitive(operands.need(Operand::Hidden).clone()),
        memory: primitives::<B, _>(split_memory::<B>(operands.get(Operand::Memory), &sizes)),
    };
    let mut outputs = vec![None; time];
    let mut steps = Vec::with_capacity(if keep { time } else { 0 });

    for t in plan.order(time) {
        let wx_t = rows::<B>(&wx, t * batch, (t + 1) * batch);
        let (gates, separate) = pre_activations::<B, C>(cell, &wx_t, &weights, &before, hidden);
        let (own, saved) = cell.step(gates, separate, &before);

        let mut after = own.clone();
        if let Some(weight_hr) = weight_hr {
            after.hidden = Primitive(linear::<B>(after.hidden.0, weight_hr.clone(), None));
        }
        // A masked row keeps its state, and its output is zero or that state.
        let out = match plan.valid_rows(t, batch) {
            None => after.hidden.0.clone(),
            Some(active) => {
                let zeroed = only::<B>(&active, after.hidden.0.clone());
                after = hold::<B, C>(&active, after, &before);
                match plan.options.masked_output {
                    MaskedOutput::Zero => zeroed,
                    MaskedOutput::Hold => after.hidden.0.clone(),
                }
            }
        };
        outputs[t] = Some(out);
        if keep {
            steps.push(StepTrace {
                saved: tensors::<B>(saved),
                hidden_before: before.hidden.0,
                memory_before: tensors::<B>(before.memory),
                hidden_own: own.hidden.0,
                memory_after: tensors::<B>(own.memory),
            });
        }
        before = after;
    }

    let outputs: Vec<_> =
        outputs.into_iter().map(|out| out.expect("every step was worked")).collect();
    let outputs = match plan.options.batch_first {
        // Side by side: `[B, T·P]`.
        true => reshape::<B>(concatenate::<B>(outputs, 1), [batch, time, output]),
        false => reshape::<B>(concatenate::<B>(outputs, 0), [time, batch, output]),
    };
    let memory = tensors::<B>(before.memory);
    let results = Results {
        outputs,
        hidden: before.hidden.0,
        memory: (memories > 0)
            .then(|| reshape::<B>(concatenate::<B>(memory, 0), [memories, batch, hidden])),
    };
    (results, keep.then_some(steps))
}

/// `W x + b + U h + b_h`, or the two separately, as the cell wants them.
fn pre_activations<B: Backend, C: Cell>(
    cell: &C,
    wx_t: &FloatTensor<B>,
    weights: &RecurrentWeights<B>,
    before: &Step<B, C>,
    hidden: usize,
) -> (C::Gates<Primitive<B>>, C::Separate<Primitive<B>>) {
    let Counts { added, outer } = counts::<C>();
    let uh =
        linear::<B>(before.hidden.0.clone(), weights.outer.clone(), weights.outer_bias.clone());
    let sum = add::<B>(columns::<B>(wx_t, 0, added * hidden), columns::<B>(&uh, 0, added * hidden));
    let rest = columns::<B>(wx_t, added * hidden, C::GATES * hidden);
    let mut gates: Vec<_> = split_gates::<B>(&sum, added, hidden).collect();
    if added < C::GATES {
        gates.extend(split_gates::<B>(&rest, C::GATES - added, hidden));
    }
    let separate: Vec<_> = (added..outer)
        .map(|g| Primitive(columns::<B>(&uh, g * hidden, (g + 1) * hidden)))
        .collect();

    if let Some((weight, bias)) = &weights.gated {
        let planes = C::Gates::from_vec(gates);
        let gated = cell.gated_hidden(&planes, before);
        gates = planes.into_vec();
        let last = gates.pop().expect("the gate with the gated term is there");
        gates.push(last + Primitive(linear::<B>(gated.0, weight.clone(), bias.clone())));
    }
    (C::Gates::from_vec(gates), C::Separate::from_vec(separate))
}

/// `after` in the rows that are active, `before` in the others.
fn hold<B: Backend, C: Cell>(
    active: &[bool],
    after: Step<B, C>,
    before: &Step<B, C>,
) -> Step<B, C> {
    let pick = |yes: FloatTensor<B>, no: FloatTensor<B>| select::<B>(active, yes, no);
    let memory = tensors::<B>(after.memory)
        .into_iter()
        .zip(tensors::<B>(before.memory.clone()))
        .map(|(yes, no)| pick(yes, no))
        .collect();
    State {
        hidden: Primitive(pick(after.hidden.0, before.hidden.0.clone())),
        memory: primitives::<B, _>(memory),
    }
}

/// The sequence backward: dLoss/d(operand) for each wanted operand.
pub(crate) fn backward<B: Backend, C: Cell>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
    trace: Vec<StepTrace<FloatTensor<B>>>,
    d_results: Cotangents<FloatTensor<B>>,
    wanted: &Operands<()>,
) -> Operands<FloatTensor<B>> {
    let sizes = plan.sizes(|operand| operands.need(operand).shape());
    let Sizes { time, batch, hidden, output, memories, .. } = sizes;
    let cell = &plan.cell;
    let weights = RecurrentWeights::<B>::of::<C>(operands, hidden);
    let weight_hr = operands.get(Operand::WeightHr);
    let Counts { added, .. } = counts::<C>();

    // What comes from outside: [T·B, P] for the outputs, then the final state.
    let like = operands.need(Operand::Hidden);
    let or_zeros =
        |d: Option<_>, shape: &[usize]| d.unwrap_or_else(|| zeros_like::<B>(like, shape));
    let mut d_outputs = match d_results.outputs {
        Some(d) if plan.options.batch_first => B::float_swap_dims(d, 0, 1),
        d => or_zeros(d, &[time, batch, output]),
    };
    d_outputs = reshape::<B>(d_outputs, [time * batch, output]);
    let mut d_hidden = or_zeros(d_results.hidden, &[batch, output]);
    let d_memory_n = (memories > 0).then(|| or_zeros(d_results.memory, &[memories, batch, hidden]));
    let mut d_memory = split_memory::<B>(d_memory_n.as_ref(), &sizes);

    let mut d_gates_all = vec![None; time];
    let mut d_recurrent_all = vec![None; time];
    let mut sums = StepSums::<B>::new(time);

    for (t, step) in plan.order(time).rev().zip(trace.into_iter().rev()) {
        let StepTrace { saved, hidden_before, memory_before, hidden_own, memory_after } = step;
        let active = plan.valid_rows(t, batch);
        // dLoss/dh_t: by this step's output, and by the steps that came after.
        let d_output_t = rows::<B>(&d_outputs, t * batch, (t + 1) * batch);
        let mut d_h = add::<B>(d_hidden.clone(), d_output_t);
        let held = active.as_ref().map(|_| match plan.options.masked_output {
            MaskedOutput::Zero => (d_hidden, d_memory.clone()),
            MaskedOutput::Hold => (d_h.clone(), d_memory.clone()),
        });
        if let Some(active) = &active {
            d_h = only::<B>(active, d_h);
            d_memory = d_memory.into_iter().map(|d| only::<B>(active, d)).collect();
        }
        let d_own = match weight_hr {
            Some(weight_hr) => B::float_matmul(d_h.clone(), weight_hr.clone()),
            None => d_h.clone(),
        };

        // Through the cell.
        let saved: C::Saved<Primitive<B>> = primitives::<B, _>(saved);
        let before: Step<B, C> = State {
            hidden: Primitive(hidden_before.clone()),
            memory: primitives::<B, _>(memory_before),
        };
        let after: Step<B, C> = State {
            hidden: Primitive(hidden_own.clone()),
            memory: primitives::<B, _>(memory_after),
        };
        let cotangent = State { hidden: Primitive(d_own), memory: primitives::<B, _>(d_memory) };
        let mut back = cell.step_backward(saved.clone(), &before, &after, cotangent);
        let mut gated_hidden = None;
        if let Some((weight, _)) = &weights.gated {
            let (d_last, whole) = last_gate::<B, C>(back);
            let d_gated = Primitive(B::float_matmul(d_last, weight.clone()));
            back = cell.gated_hidden_backward(&saved, &before, d_gated, whole);
            gated_hidden = Some(cell.gated_hidden_of_saved(&saved, &before.hidden).0);
        }
        let Backward { d_gates, d_separate, d_hidden: direct, d_memory: d_memory_before } = back;
        let (d_gates, d_separate) = (tensors::<B>(d_gates), tensors::<B>(d_separate));

        // Through U: what multiplies h is the added gates and the separate ones.
        let mut d_outer = d_gates[..added].to_vec();
        let differs = added < C::GATES;
        d_outer.extend(d_separate);
        let d_gates_t = concatenate::<B>(d_gates, 1);
        let d_outer = if differs { concatenate::<B>(d_outer, 1) } else { d_gates_t.clone() };
        d_hidden = B::float_matmul(d_outer.clone(), weights.outer.clone());
        if let Some(Primitive(direct)) = direct {
            d_hidden = add::<B>(d_hidden, direct);
        }
        d_memory = tensors::<B>(d_memory_before);

        // A row that stood still hands its gradient on.
        if let (Some(active), Some((held_hidden, held_memory))) = (&active, held) {
            d_hidden = select::<B>(active, d_hidden, held_hidden);
            d_memory = d_memory
                .into_iter()
                .zip(held_memory)
                .map(|(d, held)| select::<B>(active, d, held))
                .collect();
        }

        d_gates_all[t] = Some(d_gates_t);
        d_recurrent_all[t] = differs.then_some(d_outer);
        sums.hidden_before[t] = Some(hidden_before);
        sums.gated_hidden[t] = gated_hidden;
        if weight_hr.is_some() && wanted.has(Operand::WeightHr) {
            sums.projection[t] = Some((d_h, hidden_own));
        }
    }

    let d_gates = concatenate::<B>(d_gates_all.into_iter().flatten().collect(), 0);
    let d_outer: Vec<_> = d_recurrent_all.into_iter().flatten().collect();
    let d_outer = if d_outer.is_empty() { d_gates.clone() } else { concatenate::<B>(d_outer, 0) };
    let d_state = (d_hidden, d_memory);
    sums.gradients(plan, operands, wanted, &sizes, (d_gates, d_outer), d_state)
}

/// The last gate's gradient, and everything put together again.
fn last_gate<B: Backend, C: Cell>(
    back: Backward<C, Primitive<B>>,
) -> (FloatTensor<B>, Backward<C, Primitive<B>>) {
    let Backward { d_gates, d_separate, d_hidden, d_memory } = back;
    let gates = d_gates.into_vec();
    let last = gates[gates.len() - 1].0.clone();
    (last, Backward { d_gates: C::Gates::from_vec(gates), d_separate, d_hidden, d_memory })
}

/// What the sums over all steps are made of, gathered step by step, in order of time.
struct StepSums<B: Backend> {
    hidden_before: Vec<Option<FloatTensor<B>>>,
    gated_hidden: Vec<Option<FloatTensor<B>>>,
    projection: Vec<Option<(FloatTensor<B>, FloatTensor<B>)>>,
}

impl<B: Backend> StepSums<B> {
    fn new(time: usize) -> Self {
        Self {
            hidden_before: vec![None; time],
            gated_hidden: vec![None; time],
            projection: vec![None; time],
        }
    }

    /// The gradients that are sums over all steps: one product each.
    fn gradients<C: Cell>(
        self,
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<B>>,
        wanted: &Operands<()>,
        sizes: &Sizes,
        (d_gates, d_outer): (FloatTensor<B>, FloatTensor<B>),
        (d_hidden, d_memory): (FloatTensor<B>, Vec<FloatTensor<B>>),
    ) -> Operands<FloatTensor<B>> {
        let Sizes { time, batch, input, hidden, memories, .. } = *sizes;
        let all = |steps: Vec<Option<FloatTensor<B>>>| {
            concatenate::<B>(steps.into_iter().flatten().collect(), 0)
        };
        let has_gated = C::HIDDEN_TERMS.contains(&HiddenTerm::Gated);
        let d_last = || columns::<B>(&d_gates, (C::GATES - 1) * hidden, C::GATES * hidden);
        let mut d = Operands::new();
        if wanted.has(Operand::Input) {
            let weight_ih = operands.need(Operand::WeightIh).clone();
            let d_x = B::float_matmul(d_gates.clone(), weight_ih);
            d = d.with(Operand::Input, reshape::<B>(d_x, [time, batch, input]));
        }
        if wanted.has(Operand::WeightIh) {
            let x = input_rows::<B, C>(plan, operands, sizes);
            d = d.with(Operand::WeightIh, transposed_times::<B>(d_gates.clone(), x));
        }
        if wanted.has(Operand::WeightHh) {
            let mut parts = vec![transposed_times::<B>(d_outer.clone(), all(self.hidden_before))];
            if has_gated {
                parts.push(transposed_times::<B>(d_last(), all(self.gated_hidden)));
            }
            d = d.with(Operand::WeightHh, concatenate::<B>(parts, 0));
        }
        if wanted.has(Operand::BiasHh) {
            let mut parts = vec![sum_rows::<B>(d_outer)];
            if has_gated {
                parts.push(sum_rows::<B>(d_last()));
            }
            d = d.with(Operand::BiasHh, concatenate::<B>(parts, 0));
        }
        if wanted.has(Operand::WeightHr) {
            let (d_h, own): (Vec<_>, Vec<_>) = self.projection.into_iter().flatten().unzip();
            let d_h = concatenate::<B>(d_h, 0);
            d = d.with(Operand::WeightHr, transposed_times::<B>(d_h, concatenate::<B>(own, 0)));
        }
        if wanted.has(Operand::BiasIh) {
            d = d.with(Operand::BiasIh, sum_rows::<B>(d_gates));
        }
        if wanted.has(Operand::Hidden) {
            d = d.with(Operand::Hidden, d_hidden);
        }
        if wanted.has(Operand::Memory) {
            let d_memory = concatenate::<B>(d_memory, 0);
            d = d.with(Operand::Memory, reshape::<B>(d_memory, [memories, batch, hidden]));
        }
        d
    }
}
