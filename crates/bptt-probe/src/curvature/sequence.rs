//! One layer in one direction, forward and backward in dual numbers.
//!
//! The outline is that of the reference body (`bptt-kernels`, `reference/body.rs`), line by
//! line: read the two next to each other. Every matrix is a value and its tangent, and the cell's own
//! `step` and `step_backward` run on those, so nothing is derived twice by hand.

use bptt::cells::{Backward, Cell, Components, Dual, HiddenTerm, Layout, State};
use bptt::{MaskedOutput, Recorded, SequenceMask};
use burn::Tensor;
use burn::tensor::TensorData;

/// A matrix and its tangent.
pub(super) type Matrix = Dual<Recorded>;

type Step<C> = State<Matrix, <C as Layout>::Memory<Matrix>>;

/// `a b`
fn times(a: &Matrix, b: &Matrix) -> Matrix {
    let product = |a: &Recorded, b: &Recorded| Recorded(a.0.clone().matmul(b.0.clone()));
    a.bilinear(b, product, |a, b| a + b)
}

fn transposed(a: &Matrix) -> Matrix {
    a.linear(|a| Recorded(a.0.clone().transpose()))
}

/// `aᵀ b`, the sum over rows of outer products.
fn transposed_times(a: &Matrix, b: &Matrix) -> Matrix {
    times(&transposed(a), b)
}

fn plus(a: &Matrix, b: &Matrix) -> Matrix {
    a + b
}

/// `x weightᵀ + bias`, with the weight transposed already and the bias a row.
fn linear(x: &Matrix, weight: &Matrix, bias: Option<&Matrix>) -> Matrix {
    let product = times(x, weight);
    match bias {
        Some(bias) => {
            // A bias that changes changes every row, also where nothing else does.
            let rows = product.value.0.dims()[0];
            let bias = bias.linear(|b| Recorded(b.0.clone().repeat_dim(0, rows)));
            plus(&product, &bias)
        }
        None => product,
    }
}

fn rows(x: &Matrix, from: usize, to: usize) -> Matrix {
    x.linear(|x| Recorded(x.0.clone().slice([from..to])))
}

fn columns(x: &Matrix, from: usize, to: usize) -> Matrix {
    x.linear(|x| {
        let [m, _] = x.0.dims();
        Recorded(x.0.clone().slice([0..m, from..to]))
    })
}

fn sum_rows(x: &Matrix) -> Matrix {
    x.linear(|x| Recorded(x.0.clone().sum_dim(0)))
}

/// Zeros where a part has no tangent and another has.
fn concatenate(parts: &[Matrix], dim: usize) -> Matrix {
    let value = Tensor::cat(parts.iter().map(|part| part.value.0.clone()).collect(), dim);
    let tangent = parts.iter().any(|part| part.tangent.is_some()).then(|| {
        let tangent = |part: &Matrix| match &part.tangent {
            Some(tangent) => tangent.0.clone(),
            None => part.value.0.zeros_like(),
        };
        Recorded(Tensor::cat(parts.iter().map(tangent).collect(), dim))
    });
    Dual::new(Recorded(value), tangent)
}

/// One in the valid rows, zero in the masked ones: columns `[B, 1]`.
struct Active {
    yes: Tensor<2>,
    no: Tensor<2>,
}

impl Active {
    fn only(&self, x: &Matrix) -> Matrix {
        x.linear(|x| Recorded(x.0.clone() * self.yes.clone()))
    }

    /// `yes` in the valid rows, `no` in the masked ones.
    fn select(&self, yes: &Matrix, no: &Matrix) -> Matrix {
        plus(&self.only(yes), &no.linear(|x| Recorded(x.0.clone() * self.no.clone())))
    }
}

/// The operands, or their gradients, with tangents. Shapes as in `bptt-kernels`, biases as rows.
#[derive(Clone, Debug)]
pub(super) struct Operands {
    /// `[T·B, I]`
    pub(super) input: Matrix,
    pub(super) weight_ih: Matrix,
    pub(super) weight_hh: Matrix,
    pub(super) bias_ih: Option<Matrix>,
    pub(super) bias_hh: Option<Matrix>,
    pub(super) weight_hr: Option<Matrix>,
    /// `[B, P]`
    pub(super) hidden: Matrix,
    /// `[B, H]` each.
    pub(super) memory: Vec<Matrix>,
}

/// What comes out, or dLoss/d of it.
#[derive(Clone, Debug)]
pub(super) struct Results {
    /// `[T·B, P]`
    pub(super) outputs: Matrix,
    /// `[B, P]`
    pub(super) hidden: Matrix,
    /// `[B, H]` each.
    pub(super) memory: Vec<Matrix>,
}

/// A sequence without its numbers: sizes, direction, mask.
#[derive(Clone, Debug)]
pub(super) struct SequenceSpec {
    pub(super) time: usize,
    pub(super) batch: usize,
    /// Whether the rows of a sequence are those of one row of the batch after the other: `[B·T, n]` for
    /// `[T·B, n]`. Only the kernels know of it.
    pub(super) batch_first: bool,
    pub(super) reverse: bool,
    pub(super) mask: Option<SequenceMask>,
    pub(super) masked_output: MaskedOutput,
}

impl SequenceSpec {
    fn order(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let (time, reverse) = (self.time, self.reverse);
        (0..time).map(move |k| if reverse { time - 1 - k } else { k })
    }

    fn active(&self, t: usize, like: &Tensor<2>) -> Option<Active> {
        let masked = self.mask.as_ref()?.masked_rows(t, self.batch)?;
        let column = |on: bool| {
            let data: Vec<f64> = masked.iter().map(|&a| f64::from(u8::from(a == on))).collect();
            let data = TensorData::new(data, [self.batch, 1]).convert_dtype(like.dtype());
            Tensor::from_data(data, (&like.device(), like.dtype()))
        };
        Some(Active { yes: column(false), no: column(true) })
    }
}

/// The recurrent weights, taken apart by what they are multiplied with.
struct Weights {
    /// For `h`: the gates that are added or separate.
    outer: Matrix,
    outer_bias: Option<Matrix>,
    /// For the gated hidden state: the last gate.
    gated: Option<(Matrix, Option<Matrix>)>,
}

struct Counts {
    added: usize,
    outer: usize,
}

fn counts<C: Layout>() -> Counts {
    let count = |kind| C::HIDDEN_TERMS.iter().filter(|&&r| r == kind).count();
    let added = count(HiddenTerm::Added);
    Counts { added, outer: added + count(HiddenTerm::Separate) }
}

impl Weights {
    fn of<C: Layout>(operands: &Operands, hidden: usize) -> Self {
        let (split, end) = (counts::<C>().outer * hidden, C::GATES * hidden);
        let part = |from, to| operands.bias_hh.as_ref().map(|bias| columns(bias, from, to));
        let gated = || (rows(&operands.weight_hh, split, end), part(split, end));
        Self {
            outer: rows(&operands.weight_hh, 0, split),
            outer_bias: part(0, split),
            gated: (split < end).then(gated),
        }
    }
}

/// What is saved of one step.
struct SavedStep<C: Layout> {
    saved: C::Saved<Matrix>,
    before: Step<C>,
    own: Step<C>,
}

/// The forward pass, with what the backward pass needs.
pub(super) struct ForwardPass<C: Layout> {
    cell: C,
    spec: SequenceSpec,
    operands: Operands,
    hidden: usize,
    /// In the order in which they were worked.
    steps: Vec<SavedStep<C>>,
}

/// The sequence forward.
pub(super) fn forward<C: Cell>(
    cell: C,
    spec: SequenceSpec,
    operands: Operands,
) -> (Results, ForwardPass<C>) {
    let batch = spec.batch;
    let hidden = operands.weight_ih.value.0.dims()[0] / C::GATES;
    let wx = linear(&operands.input, &transposed(&operands.weight_ih), operands.bias_ih.as_ref());
    let mut weights = Weights::of::<C>(&operands, hidden);
    weights.outer = transposed(&weights.outer);
    weights.gated = weights.gated.map(|(weight, bias)| (transposed(&weight), bias));
    let project = operands.weight_hr.as_ref().map(transposed);
    let mut before = Step::<C> {
        hidden: operands.hidden.clone(),
        memory: C::Memory::from_vec(operands.memory.clone()),
    };
    let mut outputs = vec![None; spec.time];
    let mut steps = Vec::with_capacity(spec.time);

    for t in spec.order() {
        let wx_t = rows(&wx, t * batch, (t + 1) * batch);
        let (gates, separate) = pre_activations(&cell, &wx_t, &weights, &before, hidden);
        let (own, saved) = cell.step(gates, separate, &before);

        let mut after = own.clone();
        if let Some(project) = &project {
            after.hidden = times(&after.hidden, project);
        }
        let out = match spec.active(t, &after.hidden.value.0) {
            None => after.hidden.clone(),
            Some(active) => {
                let zeroed = active.only(&after.hidden);
                let memory = after.memory.into_vec().into_iter();
                let held = memory
                    .zip(before.memory.clone().into_vec())
                    .map(|(yes, no)| active.select(&yes, &no))
                    .collect();
                after = State {
                    hidden: active.select(&after.hidden, &before.hidden),
                    memory: C::Memory::from_vec(held),
                };
                match spec.masked_output {
                    MaskedOutput::Zero => zeroed,
                    MaskedOutput::Hold => after.hidden.clone(),
                }
            }
        };
        outputs[t] = Some(out);
        steps.push(SavedStep { saved, before, own });
        before = after;
    }

    let results = Results {
        outputs: concatenate(&outputs.into_iter().flatten().collect::<Vec<_>>(), 0),
        hidden: before.hidden,
        memory: before.memory.into_vec(),
    };
    (results, ForwardPass { cell, spec, operands, hidden, steps })
}

/// `W x + b + U h + b_h`, or the two separately, as the cell wants them.
fn pre_activations<C: Cell>(
    cell: &C,
    wx_t: &Matrix,
    weights: &Weights,
    before: &Step<C>,
    hidden: usize,
) -> (C::Gates<Matrix>, C::Separate<Matrix>) {
    let Counts { added, outer } = counts::<C>();
    let uh = linear(&before.hidden, &weights.outer, weights.outer_bias.as_ref());
    let gate = |all: &Matrix, g: usize| columns(all, g * hidden, (g + 1) * hidden);
    let mut gates: Vec<_> = if added == C::GATES {
        let sum = plus(wx_t, &uh);
        (0..added).map(|g| gate(&sum, g)).collect()
    } else {
        (0..added).map(|g| plus(&gate(wx_t, g), &gate(&uh, g))).collect()
    };
    gates.extend((added..C::GATES).map(|g| gate(wx_t, g)));
    let separate: Vec<_> = (added..outer).map(|g| gate(&uh, g)).collect();
    if let Some((weight, bias)) = &weights.gated {
        let planes = C::Gates::from_vec(gates);
        let gated = cell.gated_hidden(&planes, before);
        gates = planes.into_vec();
        let last = gates.pop().expect("the gate with the gated term is there");
        gates.push(last + linear(&gated, weight, bias.as_ref()));
    }
    (C::Gates::from_vec(gates), C::Separate::from_vec(separate))
}

impl<C: Cell> ForwardPass<C> {
    /// The sequence backward: dLoss/d(operand), and how that changes along the direction.
    pub(super) fn backward(self, d_results: Results) -> Operands {
        let Self { cell, spec, operands, hidden, steps } = self;
        let weights = Weights::of::<C>(&operands, hidden);
        let weight_hr = operands.weight_hr.as_ref();
        let Counts { added, .. } = counts::<C>();
        let Results { outputs: d_outputs, hidden: mut d_hidden, memory: mut d_memory } = d_results;

        let mut d_gates_all = vec![None; spec.time];
        let mut d_outer_all = vec![None; spec.time];
        let mut hidden_before = vec![None; spec.time];
        let mut gated_hidden = vec![None; spec.time];
        let mut projection = vec![];

        for (t, step) in spec.order().rev().zip(steps.into_iter().rev()) {
            let SavedStep { saved, before, own } = step;
            let active = spec.active(t, &before.hidden.value.0);
            // dLoss/dh_t: by this step's output, and by the steps that came after.
            let d_output = rows(&d_outputs, t * spec.batch, (t + 1) * spec.batch);
            let mut d_h = plus(&d_hidden, &d_output);
            let held = match spec.masked_output {
                MaskedOutput::Zero => (d_hidden, d_memory.clone()),
                MaskedOutput::Hold => (d_h.clone(), d_memory.clone()),
            };
            if let Some(active) = &active {
                d_h = active.only(&d_h);
                d_memory = d_memory.iter().map(|d| active.only(d)).collect();
            }
            let d_own = weight_hr.map_or_else(|| d_h.clone(), |weight| times(&d_h, weight));

            // Through the cell.
            let cotangent = State { hidden: d_own, memory: C::Memory::from_vec(d_memory) };
            let mut back = cell.step_backward(saved.clone(), &before, &own, cotangent);
            if let Some((weight, _)) = &weights.gated {
                let gates = back.d_gates.into_vec();
                let d_gated = times(&gates[gates.len() - 1], weight);
                back.d_gates = C::Gates::from_vec(gates);
                back = cell.gated_hidden_backward(&saved, &before, d_gated, back);
                gated_hidden[t] = Some(cell.gated_hidden_of_saved(&saved, &before.hidden));
            }
            let Backward { d_gates, d_separate, d_hidden: direct, d_memory: d_memory_before } =
                back;
            let d_gates = d_gates.into_vec();

            // Through U: what multiplies h is the added gates and the separate ones.
            let d_gates_t = concatenate(&d_gates, 1);
            let d_outer = if added < C::GATES {
                let mut outer = d_gates[..added].to_vec();
                outer.extend(d_separate.into_vec());
                concatenate(&outer, 1)
            } else {
                d_gates_t.clone()
            };
            d_hidden = times(&d_outer, &weights.outer);
            if let Some(direct) = direct {
                d_hidden = d_hidden + direct;
            }
            d_memory = d_memory_before.into_vec();

            // A row that stood still hands its gradient on.
            if let Some(active) = &active {
                d_hidden = active.select(&d_hidden, &held.0);
                let both = d_memory.iter().zip(&held.1);
                d_memory = both.map(|(d, held)| active.select(d, held)).collect();
            }

            d_gates_all[t] = Some(d_gates_t);
            d_outer_all[t] = Some(d_outer);
            hidden_before[t] = Some(before.hidden);
            if weight_hr.is_some() {
                projection.push((d_h, own.hidden));
            }
        }

        // The gradients that are sums over all steps: one product each.
        let all = |steps: Vec<Option<Matrix>>| {
            concatenate(&steps.into_iter().flatten().collect::<Vec<_>>(), 0)
        };
        let (d_gates, d_outer) = (all(d_gates_all), all(d_outer_all));
        let mut d_weight_hh = vec![transposed_times(&d_outer, &all(hidden_before))];
        let mut d_bias_hh = vec![sum_rows(&d_outer)];
        if weights.gated.is_some() {
            let d_last = columns(&d_gates, (C::GATES - 1) * hidden, C::GATES * hidden);
            d_weight_hh.push(transposed_times(&d_last, &all(gated_hidden)));
            d_bias_hh.push(sum_rows(&d_last));
        }
        let d_weight_hr = weight_hr.map(|_| {
            let (d_h, own): (Vec<_>, Vec<_>) = projection.into_iter().unzip();
            transposed_times(&concatenate(&d_h, 0), &concatenate(&own, 0))
        });
        Operands {
            input: times(&d_gates, &operands.weight_ih),
            weight_ih: transposed_times(&d_gates, &operands.input),
            weight_hh: concatenate(&d_weight_hh, 0),
            bias_ih: operands.bias_ih.map(|_| sum_rows(&d_gates)),
            bias_hh: operands.bias_hh.map(|_| concatenate(&d_bias_hh, 1)),
            weight_hr: d_weight_hr,
            hidden: d_hidden,
            memory: d_memory,
        }
    }
}
