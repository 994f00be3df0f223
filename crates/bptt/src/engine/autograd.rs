//! The autograd engine: the layer as ordinary tensor operations, one step after the other.
//!
//! Nothing here calls a hand-written backward step: the cell's `step` runs on recorded tensors, and Burn differentiates
//! it. No step slices a tracked tensor of full length, because that would make the backward pass quadratic in the
//! number of steps (see [`input_products`]). The backward pass is still slower than linear, because Burn searches the
//! list of its checkpoints.

use crate::engine::sequence::Sequence;
use bptt_cells::{Cell, Components, HiddenTerm, Layout, State};
use bptt_kernels::{
    AnyTensor, CellLayout, Kept, MaskedOutput, Plan, Recorded, SequenceMask, SequenceResult,
};
use burn::Tensor;
use burn::tensor::{Bool, TensorData};
use std::ops::Range;

/// Runs the sequence step by step.
pub(crate) fn run<C: Cell>(cell: C, sequence: Sequence) -> SequenceResult {
    let [time, batch, _] = sequence.input.dims();
    let hidden_size = sequence.weight_ih.dims()[0] / C::GATES;
    let weights = Products::of::<C>(&sequence, hidden_size);
    let project = sequence.weight_hr.map(Tensor::transpose);

    let planes = |memory: Tensor<3>| -> Vec<Recorded> {
        let plane = |c: Tensor<3>| Recorded(c.reshape([batch, hidden_size]));
        memory.split(1, 0).into_iter().map(plane).collect()
    };
    let memory = sequence.memory.map_or_else(Vec::new, planes);
    let mut before =
        State { hidden: Recorded(sequence.hidden), memory: C::Memory::from_vec(memory) };
    let reset = sequence.resets.as_ref().map(|_| {
        let zeros = |x: &Recorded| Recorded(x.0.clone().detach().zeros_like());
        let hidden = sequence.reset_hidden.map(Recorded);
        let memory = sequence.reset_memory.map(planes);
        let of_memory = || before.memory.clone().into_vec().iter().map(zeros).collect();
        State {
            hidden: hidden.unwrap_or_else(|| zeros(&before.hidden)),
            memory: C::Memory::from_vec(memory.unwrap_or_else(of_memory)),
        }
    });
    let plan = Plan::new(cell)
        .with_reverse(sequence.reverse)
        .with_mask(sequence.mask.clone())
        .with_resets(sequence.resets);
    let noise = sequence.noise.unwrap_or_default();
    let state_mask = noise.state_mask().map(|mask| tensor(mask, &before.hidden.0));
    let states = CellLayout::of::<C>().states();
    let mut outputs = vec![None; time];
    let input = match &sequence.mask {
        Some(mask) => without_padding(sequence.input, mask),
        None => sequence.input,
    };
    let products = input_products(input, &weights.weight_ih, &weights.bias_ih);
    let mut products: Vec<_> = products.into_iter().map(Some).collect();

    for t in plan.order(time) {
        if let (Some(rows), Some(reset)) = (plan.reset_rows(t, batch), &reset) {
            before = replace::<C>(&rows, before, reset);
        }
        if let Some(mask) = noise.candidate_mask() {
            let mut memory = before.memory.into_vec();
            let count = batch * hidden_size;
            let first = if mask.len() == count { 0 } else { t * count };
            memory[states - 1] = Recorded(tensor(&mask[first..][..count], &memory[states - 1].0));
            before.memory = C::Memory::from_vec(memory);
        }
        let wx = products[t].take().expect("each step is worked once");
        let (gates, separate) = weights.pre_activations(&cell, wx, &before, &state_mask);
        let (mut after, _saved) = cell.step(gates, separate, &before);

        if let Some(project) = &project {
            after.hidden = Recorded(after.hidden.0.matmul(project.clone()));
        }
        if let Some(kept) = noise.kept_hidden() {
            after.hidden = zoned_out(kept, t, &after.hidden, &before.hidden);
        }
        if let Some(kept) = noise.kept_memory() {
            let memory = after.memory.into_vec().into_iter().zip(before.memory.clone().into_vec());
            let memory = memory.enumerate().map(|(m, (now, then))| match m < states {
                true => zoned_out(kept, t, &now, &then),
                false => now,
            });
            after.memory = C::Memory::from_vec(memory.collect());
        }
        // A masked row keeps its state, and its output is zero or that state.
        let mut out = after.hidden.0.clone();
        let masked = sequence.mask.as_ref().and_then(|mask| mask.masked_rows(t, batch));
        if let Some(masked) = masked {
            after = replace::<C>(&masked, after, &before);
            out = match sequence.masked_output {
                MaskedOutput::Zero => out.clone().mask_fill(mask(&masked, &out), 0.0),
                MaskedOutput::Hold => after.hidden.0.clone(),
            };
        }
        outputs[t] = Some(out);
        before = after;
    }

    let outputs = outputs.into_iter().map(|out| out.expect("each step was worked")).collect();
    let memory: Vec<_> = before.memory.into_vec().into_iter().map(|c| c.0).collect();
    SequenceResult {
        outputs: Tensor::stack(outputs, if sequence.batch_first { 1 } else { 0 }),
        hidden: before.hidden.0,
        memory: (!memory.is_empty()).then(|| Tensor::stack(memory, 0)),
    }
}

/// The input `[T, B, I]` with zeros at masked steps, so that nothing in the padding, not even a NaN, reaches a product.
fn without_padding(input: Tensor<3>, mask: &SequenceMask) -> Tensor<3> {
    let [time, batch, width] = input.dims();
    let steps = (0..time).flat_map(|t| (0..batch).map(move |b| (t, b)));
    let masked: Vec<bool> = steps.map(|(t, b)| !mask.is_valid(t, b, batch)).collect();
    let data = TensorData::new(masked, [time, batch, 1]);
    let mask: Tensor<3, Bool> = Tensor::from_data(data, &input.device());
    input.mask_fill(mask.expand([time, batch, width]), 0.0)
}

/// `W x + b` of each step, `[B, G·H]`, from a sequence `[T, B, I]`.
///
/// The gradient of a slice is a tensor of zeros as large as the sliced tensor. So a slice for each step of a tracked
/// sequence costs `O(T²)` in the backward pass, and slices by halves cost `O(T log T)`. There is one product for each
/// block of [`BLOCK`] steps, for two reasons. Above the block, the narrower input is halved, and not the product. And
/// fewer products make fewer checkpoints: Burn's backward pass searches their list once for each of them.
fn input_products(
    input: Tensor<3>,
    weight: &Tensor<2>,
    bias: &Option<Tensor<2>>,
) -> Vec<Tensor<2>> {
    let [time, batch, width] = input.dims();
    if time > BLOCK {
        let (first, rest) = halves(input);
        let mut all = input_products(first, weight, bias);
        all.extend(input_products(rest, weight, bias));
        return all;
    }
    let block = with_bias(input.reshape([time * batch, width]).matmul(weight.clone()), bias);
    let [_, gates] = block.dims();
    steps(block.reshape([time, batch, gates]))
}

/// How many steps share one input product.
const BLOCK: usize = 32;

/// The steps `[B, n]` of a sequence `[T, B, n]`, by halves.
pub(crate) fn steps(sequence: Tensor<3>) -> Vec<Tensor<2>> {
    let [time, batch, width] = sequence.dims();
    if time == 1 {
        return vec![sequence.reshape([batch, width])];
    }
    let (first, rest) = halves(sequence);
    let mut all = steps(first);
    all.extend(steps(rest));
    all
}

fn halves(sequence: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
    let [time, _, _] = sequence.dims();
    (sequence.clone().slice([0..time / 2]), sequence.slice([time / 2..time]))
}

/// The matrices of a layer, transposed, and split by the operand that they are multiplied with.
struct Products {
    hidden: usize,
    weight_ih: Tensor<2>,
    bias_ih: Option<Tensor<2>>,
    /// For `h`: all gates but the gated one; `None` if the cell has no recurrent products.
    outer: Option<Factor>,
    outer_bias: Option<Tensor<2>>,
    /// For the gated hidden state: the last gate.
    gated: Option<(Factor, Option<Tensor<2>>)>,
}

/// A recurrent matrix, transposed.
enum Factor {
    /// `[P, A·H]`
    Whole(Tensor<2>),
    /// In heads, `[heads, H/heads, A·H/heads]`.
    Heads(Tensor<3>),
}

impl Factor {
    /// Gates `from` to `to` of `weight_hh`.
    fn of(weight_hh: &AnyTensor, gates: Range<usize>, hidden: usize) -> Self {
        match weight_hh {
            AnyTensor::Cube(blocks) => {
                let [heads, _, size] = blocks.dims();
                let rows = gates.start * size..gates.end * size;
                Self::Heads(blocks.clone().slice([0..heads, rows, 0..size]).swap_dims(1, 2))
            }
            AnyTensor::Matrix(matrix) => {
                let rows = gates.start * hidden..gates.end * hidden;
                Self::Whole(matrix.clone().slice([rows]).transpose())
            }
            AnyTensor::Vector(_) => unreachable!("the operands were checked"),
        }
    }

    /// `[B, P]` times this, `[B, A·H]`.
    fn times(&self, x: Tensor<2>) -> Tensor<2> {
        let weight = match self {
            Self::Whole(weight) => return x.matmul(weight.clone()),
            Self::Heads(weight) => weight.clone(),
        };
        let ([batch, hidden], [heads, size, columns]) = (x.dims(), weight.dims());
        let x = x.reshape([batch, heads, size]).swap_dims(0, 1);
        let gates = columns / size;
        // [heads, B, A, H/heads], of which each gate's heads come side by side.
        let product = x.matmul(weight).reshape([heads, batch, gates, size]);
        product.permute([1, 2, 0, 3]).reshape([batch, gates * hidden])
    }
}

impl Products {
    fn of<C: Cell>(sequence: &Sequence, hidden: usize) -> Self {
        let weight_ih = sequence.weight_ih.clone().transpose();
        let bias_ih = sequence.bias_ih.clone().map(|bias| bias.unsqueeze());
        let Some(weight_hh) = &sequence.weight_hh else {
            return Self { hidden, weight_ih, bias_ih, outer: None, outer_bias: None, gated: None };
        };
        let bias_hh = &sequence.bias_hh;
        let all = C::GATES;
        let outer = if has_gated::<C>() { all - 1 } else { all };
        let weight = |from: usize, to: usize| Factor::of(weight_hh, from..to, hidden);
        let bias = |from: usize, to: usize| {
            let rows = from * hidden..to * hidden;
            bias_hh.as_ref().map(|bias| bias.clone().slice([rows.clone()]).unsqueeze::<2>())
        };
        Self {
            hidden,
            weight_ih,
            bias_ih,
            outer: Some(weight(0, outer)),
            outer_bias: bias(0, outer),
            gated: has_gated::<C>().then(|| (weight(outer, all), bias(outer, all))),
        }
    }

    /// `W x + b + U h + b_h`, or the two products separately, as the cell needs them.
    fn pre_activations<C: Cell>(
        &self,
        cell: &C,
        wx: Tensor<2>,
        before: &State<Recorded, C::Memory<Recorded>>,
        state_mask: &Option<Tensor<2>>,
    ) -> (C::Gates<Recorded>, C::Separate<Recorded>) {
        let gate = |all: &Tensor<2>, g: usize| {
            let [rows, _] = all.dims();
            Recorded(all.clone().slice([0..rows, g * self.hidden..(g + 1) * self.hidden]))
        };
        let Some(outer) = &self.outer else {
            return (C::Gates::from_fn(|g| gate(&wx, g)), C::Separate::from_vec(Vec::new()));
        };
        let masked = |h: Tensor<2>| match state_mask {
            Some(mask) => h * mask.clone(),
            None => h,
        };
        let uh = with_bias(outer.times(masked(before.hidden.0.clone())), &self.outer_bias);
        if C::HIDDEN_TERMS.iter().all(|term| *term == HiddenTerm::Added) {
            // Slicing the sum needs half as many slices as slicing both products.
            let sum = wx + uh;
            return (C::Gates::from_fn(|g| gate(&sum, g)), C::Separate::from_vec(Vec::new()));
        }
        let mut gates = Vec::with_capacity(C::GATES);
        let mut separate = Vec::new();
        for (g, term) in C::HIDDEN_TERMS.iter().enumerate() {
            match term {
                HiddenTerm::Added => gates.push(gate(&wx, g) + gate(&uh, g)),
                HiddenTerm::Separate => {
                    gates.push(gate(&wx, g));
                    separate.push(gate(&uh, g));
                }
                HiddenTerm::Gated | HiddenTerm::None => gates.push(gate(&wx, g)),
            }
        }
        if let Some((weight, bias)) = &self.gated {
            let planes = C::Gates::from_vec(gates);
            let gated = masked(cell.gated_hidden(&planes, before).0);
            gates = planes.into_vec();
            let last = gates.pop().expect("the gate with the gated term is there");
            gates.push(last + Recorded(with_bias(weight.times(gated), bias)));
        }
        (C::Gates::from_vec(gates), C::Separate::from_vec(separate))
    }
}

fn has_gated<C: Cell>() -> bool {
    C::HIDDEN_TERMS.contains(&HiddenTerm::Gated)
}

/// A product plus the bias.
fn with_bias(product: Tensor<2>, bias: &Option<Tensor<2>>) -> Tensor<2> {
    match bias {
        Some(bias) => product + bias.clone(),
        None => product,
    }
}

/// Zoneout after step `t`: `k ⊙ before + (1 - k) ⊙ now`.
fn zoned_out(kept: &Kept, t: usize, now: &Recorded, before: &Recorded) -> Recorded {
    let [batch, width] = now.0.dims();
    let count = batch * width;
    let kept = match kept {
        Kept::Steps(all) => tensor(&all[t * count..][..count], &now.0),
        Kept::Constant(kept) => now.0.clone().detach().full_like(*kept),
    };
    let rest = kept.clone().neg() + 1.0;
    Recorded(before.0.clone() * kept + now.0.clone() * rest)
}

/// Constants, of the shape and the type and on the device of `like`.
fn tensor(numbers: &[f32], like: &Tensor<2>) -> Tensor<2> {
    let data = TensorData::new(numbers.to_vec(), like.dims()).convert_dtype(like.dtype());
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

/// A mask with the shape of `like`, true in the given rows.
fn mask(rows: &[bool], like: &Tensor<2>) -> Tensor<2, Bool> {
    let [count, width] = like.dims();
    let data: Vec<bool> = rows.iter().flat_map(|&on| std::iter::repeat_n(on, width)).collect();
    Tensor::from_data(TensorData::new(data, [count, width]), &like.device())
}

type Step<C> = State<Recorded, <C as Layout>::Memory<Recorded>>;

/// `then` in the given rows, `now` in the others.
fn replace<C: Cell>(rows: &[bool], now: Step<C>, then: &Step<C>) -> Step<C> {
    let replace = |now: Recorded, then: Recorded| {
        let mask = mask(rows, &now.0);
        Recorded(now.0.mask_where(mask, then.0))
    };
    let memory = now.memory.into_vec().into_iter().zip(then.memory.clone().into_vec());
    State {
        hidden: replace(now.hidden, then.hidden.clone()),
        memory: C::Memory::from_vec(memory.map(|(now, then)| replace(now, then)).collect()),
    }
}
