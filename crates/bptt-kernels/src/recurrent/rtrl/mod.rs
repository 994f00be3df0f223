//! Real-time recurrent learning: gradients are carried forwards and known after every step.
//!
//! R. J. Williams and D. Zipser, "A learning algorithm for continually running fully recurrent neural networks", Neural
//! Computation 1 (1989), 270–280. The influence after a step is the step's Jacobian times the influence before it, plus
//! the direct effect of the parameters in this step. The cell's part of the Jacobian is elementwise: the cell's `step`
//! runs on [tangents](tangent::Tangent), once for each of its inputs; or, if it mixes the units of a row, for each
//! column. No hand-written derivative of a cell is used.

mod cell;
mod columns;
mod heads;
mod influence;
mod plane;
mod tangent;

use crate::operation::cell_layout::CellLayout;
use crate::operation::memory::check_memory;
use crate::operation::operands::{Cotangents, Operand, Operands};
use crate::operation::plan::{MaskedOutput, Plan, PlanOptions, Sizes};
use crate::recurrent::rtrl::cell::TangentCell;
use crate::recurrent::rtrl::columns::Columns;
use crate::recurrent::rtrl::heads::{of_blocks, whole_shapes, with_whole_matrix};
use crate::recurrent::rtrl::influence::{through, times};
use crate::recurrent::rtrl::plane::{Plane, through_cell, through_rows};
use crate::reference::noise::{NoiseOfStep, NoiseTensors};
use crate::reference::ops::{add, linear, only, reshape, rows, zeros_like};
use crate::reference::primitive::Primitive;
use bptt_cells::{Cell, HiddenTerm};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

/// A layer's state, and its influence matrices: the derivative of each number of the state with respect to each number
/// of the operands.
///
/// There is a *block* for each layer below, and a last block for this layer. The `N` *columns* of a block are the
/// numbers of its layer's operands.
#[derive(Clone, Debug)]
pub struct RtrlState<B: Backend> {
    /// `W`, `U`, the biases, the projection
    weights: Operands<FloatTensor<B>>,
    /// How many heads `U` has. It is carried as a whole matrix, with the influence of zeros that nothing reads.
    heads: usize,
    columns: Columns,
    state: StateAndInfluence<B>,
    /// The state that a reset sets, if it is not zero.
    reset: Option<StateAndInfluence<B>>,
}

/// The state and its influence matrices, carried from step to step.
#[derive(Clone, Debug)]
struct StateAndInfluence<B: Backend> {
    /// `[B, P]`, and ∂`hidden`/∂columns, `[B, N, P]`
    hidden: Plane<B>,
    /// `M` times `[B, H]`, and ∂`memory`/∂columns, `[B, N, H]`
    memory: Vec<Plane<B>>,
}

impl<B: Backend> StateAndInfluence<B> {
    /// A state that depends on itself only.
    fn itself(
        columns: &Columns,
        below: &[usize],
        (hidden, hidden_is): (FloatTensor<B>, Operand),
        (memory, memory_is): (Option<FloatTensor<B>>, Operand),
    ) -> Self {
        let itself = |value: FloatTensor<B>, of: Operand, first: usize| {
            let [batch, width] = value.shape().dims();
            let none = |n: &usize| zeros_like::<B>(&value, &[batch, *n, width]);
            let mut d: Vec<_> = below.iter().map(none).collect();
            d.push(columns.identity::<B>(of, first, &value));
            Plane { value, d }
        };
        let memory = memory.map_or_else(Vec::new, |memory| {
            let [memories, batch, size] = memory.shape().dims();
            let flat = reshape::<B>(memory, [memories * batch, size]);
            let one = |m| rows::<B>(&flat, m * batch, (m + 1) * batch);
            (0..memories).map(|m| itself(one(m), memory_is, m * size)).collect()
        });
        Self { hidden: itself(hidden, hidden_is, 0), memory }
    }

    /// Zeros, which depend on nothing.
    fn zeros(&self) -> Self {
        let zeros = |x: &FloatTensor<B>| zeros_like::<B>(x, &x.shape()[..]);
        let plane =
            |of: &Plane<B>| Plane { value: zeros(&of.value), d: of.d.iter().map(zeros).collect() };
        Self { hidden: plane(&self.hidden), memory: self.memory.iter().map(plane).collect() }
    }
}

impl<B: Backend> RtrlState<B> {
    /// Begins from a state that depends on itself alone.
    ///
    /// # Arguments
    ///
    /// - `operands`: the layer's weights, initial state, and the state that a [`reset`](Self::reset) sets, if it is not
    ///   zero. If the gradient of the input is `wanted`, also the input, which has columns for each of its steps
    /// - `wanted`: the operands whose influence is carried
    /// - `below`: how many columns each layer below has
    pub fn begin(
        mut operands: Operands<FloatTensor<B>>,
        wanted: &Operands<()>,
        below: &[usize],
    ) -> Self {
        let heads = with_whole_matrix::<B>(&mut operands);
        let columns = Columns::of(&operands.map_ref(|x| x.shape().to_vec()), wanted);
        let _ = operands.take(Operand::Input);
        let hidden = operands.take(Operand::Hidden).expect("a layer has a hidden state");
        let memory = operands.take(Operand::Memory);
        let reset = (operands.take(Operand::ResetHidden), operands.take(Operand::ResetMemory));
        let state = |(hidden, hidden_is), (memory, memory_is)| {
            StateAndInfluence::itself(&columns, below, (hidden, hidden_is), (memory, memory_is))
        };
        let reset = reset
            .0
            .map(|hidden| state((hidden, Operand::ResetHidden), (reset.1, Operand::ResetMemory)));
        let state = state((hidden, Operand::Hidden), (memory, Operand::Memory));
        Self { weights: operands, heads, columns, state, reset }
    }

    /// The number of columns of its own block.
    pub fn columns(&self) -> usize {
        self.columns.count()
    }

    /// The hidden state, `[B, P]`.
    pub fn hidden(&self) -> &FloatTensor<B> {
        &self.state.hidden.value
    }

    /// The influence on the hidden state, by block, `[B, N, P]`.
    pub fn influence(&self) -> &[FloatTensor<B>] {
        &self.state.hidden.d
    }

    /// The memories, `[B, H]` each.
    pub fn memory(&self) -> impl Iterator<Item = &FloatTensor<B>> {
        self.state.memory.iter().map(|plane| &plane.value)
    }

    /// Replaces the weights.
    pub fn set_weights(&mut self, mut weights: Operands<FloatTensor<B>>) {
        self.heads = with_whole_matrix::<B>(&mut weights);
        self.weights = weights;
    }

    /// Replaces the values of the memory `m`, `[B, H]`, now and after a reset. Its influence stays. It is for a memory
    /// that is a parameter, and so does not change from step to step.
    pub fn set_memory(&mut self, m: usize, value: FloatTensor<B>) {
        if let Some(reset) = &mut self.reset {
            reset.memory[m].value = value.clone();
        }
        self.state.memory[m].value = value;
    }

    /// dLoss/d(columns) for each block, `[B, N]`, from the gradient of the hidden state, `[B, P]`.
    pub fn through_hidden(&self, d: &FloatTensor<B>) -> Vec<FloatTensor<B>> {
        self.state.hidden.d.iter().map(|influence| through::<B>(d, influence)).collect()
    }

    /// The same, from the gradient of the memory `m`, `[B, H]`.
    pub fn through_memory(&self, m: usize, d: &FloatTensor<B>) -> Vec<FloatTensor<B>> {
        self.state.memory[m].d.iter().map(|influence| through::<B>(d, influence)).collect()
    }

    /// The gradient of each of this layer's operands, from the gradient of its columns, `[B, N]`.
    pub fn gradients(&self, d_columns: &FloatTensor<B>) -> Operands<FloatTensor<B>> {
        let mut d = self.columns.split::<B>(d_columns);
        of_blocks::<B>(&mut d, self.heads);
        d
    }

    /// Sets the state of some rows back to the reset state. What came before has no influence any more.
    ///
    /// # Arguments
    ///
    /// - `rows`: one flag for each row of the batch
    pub fn reset(&mut self, rows: &[bool]) {
        let reset = self.reset.get_or_insert_with(|| self.state.zeros());
        let set = |reset: &Plane<B>, plane: &Plane<B>| reset.clone().held(rows, plane);
        self.state = StateAndInfluence {
            hidden: set(&reset.hidden, &self.state.hidden),
            memory: reset.memory.iter().zip(&self.state.memory).map(|(r, m)| set(r, m)).collect(),
        };
    }

    /// Runs one step.
    ///
    /// # Arguments
    ///
    /// - `t`: which step of the input, if the gradient of the input is wanted
    /// - `input`: `[B, I]`
    /// - `d_input`: for each block below, ∂`input`/∂columns, `[B, N, I]`
    /// - `active`: which rows are valid; `None`: all. The masked ones keep their state.
    pub fn step<C: Cell>(
        &mut self,
        cell: &C,
        t: usize,
        input: &FloatTensor<B>,
        d_input: &[FloatTensor<B>],
        active: Option<&[bool]>,
    ) {
        let noise = NoiseOfStep { mask: None, hidden: None, memory: None, candidate: None };
        self.step_of(cell, t, (input, d_input), active, &noise);
    }

    /// As [`step`](Self::step), for any cell.
    fn step_of(
        &mut self,
        cell: &dyn TangentCell<B>,
        t: usize,
        (input, d_input): (&FloatTensor<B>, &[FloatTensor<B>]),
        active: Option<&[bool]>,
        noise: &NoiseOfStep<'_, Primitive<B>>,
    ) {
        let layout = cell.layout();
        if let Some(mask) = &noise.candidate {
            let plane = &mut self.state.memory[layout.states() - 1];
            let none = |d: &FloatTensor<B>| zeros_like::<B>(d, &d.shape()[..]);
            let d = plane.d.iter().map(none).collect();
            *plane = Plane { value: mask.0.clone(), d };
        }
        let StateAndInfluence { hidden, memory } = &self.state;
        let mut operands = self.pre_activations(&layout, t, (input, d_input), noise);
        // The step of a cell that may have a projection does not read `h`.
        if !layout.projectable {
            operands.push(hidden.clone());
        }
        operands.extend(memory.iter().cloned());
        if layout.count(HiddenTerm::Gated) > 0 {
            self.add_gated(cell, &mut operands, noise);
        }

        let step = |inputs| cell.step(inputs, &hidden.value);
        let after = match layout.couples_units {
            true => through_rows::<B>(&operands, step),
            false => through_cell::<B>(&operands, step),
        };
        let mut after = after.into_iter();
        let mut out = after.next().expect("a step has a hidden state");
        if self.weights.has(Operand::WeightHr) {
            out = self.product(&out, Operand::WeightHr, None, 0);
        }
        out = out.zoned_out(&noise.hidden, hidden);
        let hold = |now: Plane<B>, then: &Plane<B>| match active {
            Some(active) => now.held(active, then),
            None => now,
        };
        let memory = after.zip(memory).enumerate().map(|(m, (now, then))| match m {
            m if m < layout.states() => hold(now.zoned_out(&noise.memory, then), then),
            _ => hold(now, then),
        });
        let memory = memory.collect();
        self.state = StateAndInfluence { hidden: hold(out, hidden), memory };
    }

    /// `W x + b + U h + b_h`, or the two products separately, as the cell needs them.
    fn pre_activations(
        &self,
        layout: &CellLayout,
        t: usize,
        (input, d_input): (&FloatTensor<B>, &[FloatTensor<B>]),
        noise: &NoiseOfStep<'_, Primitive<B>>,
    ) -> Vec<Plane<B>> {
        let size = self.weights.need(Operand::WeightIh).shape()[0] / layout.gates();
        let input = Plane { value: input.clone(), d: d_input.to_vec() };
        let wx = self.product(&input, Operand::WeightIh, Some(Operand::BiasIh), t);
        if !layout.has_recurrent_weights() {
            return (0..layout.gates()).map(|g| wx.gate(g, size)).collect();
        }
        let h = self.state.hidden.clone().masked(noise.mask);
        let uh = self.product(&h, Operand::WeightHh, Some(Operand::BiasHh), 0);
        let (mut gates, mut separate) = (Vec::new(), Vec::new());
        for (g, term) in layout.hidden_terms.iter().enumerate() {
            let (wx, uh) = (wx.gate(g, size), uh.gate(g, size));
            gates.push(match term {
                HiddenTerm::Added => wx.plus(uh),
                HiddenTerm::Separate => {
                    separate.push(uh);
                    wx
                }
                HiddenTerm::Gated | HiddenTerm::None => wx,
            });
        }
        gates.extend(separate);
        gates
    }

    /// Adds the product with the gated hidden state to the last gate.
    fn add_gated(
        &self,
        cell: &dyn TangentCell<B>,
        operands: &mut [Plane<B>],
        noise: &NoiseOfStep<'_, Primitive<B>>,
    ) {
        let hidden = &self.state.hidden.value;
        let gated = |inputs| vec![cell.gated_hidden(inputs, hidden)];
        let q = through_cell::<B>(operands, gated).remove(0).masked(noise.mask);
        let uq = self.product(&q, Operand::WeightHh, Some(Operand::BiasHh), 0);
        let g = cell.layout().gates() - 1;
        let size = q.value.shape()[1];
        operands[g] = operands[g].clone().plus(uq.gate(g, size));
    }

    /// `weight · x + bias`, `[B, O]`, with all its derivatives, for the step `t`.
    fn product(&self, x: &Plane<B>, weight: Operand, bias: Option<Operand>, t: usize) -> Plane<B> {
        let matrix = self.weights.need(weight);
        let bias = bias.filter(|&bias| self.weights.has(bias));
        let vector = bias.map(|bias| self.weights.need(bias).clone());
        let value = linear::<B>(x.value.clone(), matrix.clone(), vector);
        let mut d: Vec<_> = x.d.iter().map(|d| times::<B>(d, matrix)).collect();
        let direct = self.columns.direct::<B>((weight, bias), matrix, &x.value, t);
        match d.len() == self.state.hidden.d.len() {
            true => {
                let own = d.pop().expect("the last block is the layer's own");
                d.push(add::<B>(own, direct));
            }
            // The input depends only on the layers below.
            false => d.push(direct),
        }
        Plane { value, d }
    }
}

/// How many bytes real-time recurrent learning takes at most, for one layer in one direction. These are
/// `B · N · (S + 4 · G · H)` numbers: each of the `S` numbers of the state has a derivative for each of `N` columns,
/// and a step holds the influence on the gates' pre-activations four times (3.4 to 4 times were measured).
///
/// # Arguments
///
/// - `batch`: `B`
/// - `columns`: `N`, the numbers of all operands whose gradient is wanted, including the initial state and the input
///   (`T · I`)
/// - `hidden`, `output`: `H`, `P`
/// - `number`: how many bytes a number has
pub fn rtrl_bytes<C: Cell>(
    batch: usize,
    columns: usize,
    [hidden, output]: [usize; 2],
    number: usize,
) -> u128 {
    influence_bytes(&CellLayout::of::<C>(), batch, columns, [hidden, output], number)
}

fn influence_bytes(
    layout: &CellLayout,
    batch: usize,
    columns: usize,
    [hidden, output]: [usize; 2],
    number: usize,
) -> u128 {
    let [hidden, output] = [hidden, output].map(|size| size as u128);
    let gates = (layout.gates() as u128).saturating_mul(hidden);
    let state = output.saturating_add((layout.memories as u128).saturating_mul(hidden));
    [batch, columns, number]
        .into_iter()
        .fold(state.saturating_add(gates.saturating_mul(4)), |bytes, size| {
            bytes.saturating_mul(size as u128)
        })
}

/// Checks that the influence fits, before any of it is allocated.
///
/// # Panics
///
/// If it does not fit the available memory, if this is known.
pub(super) fn refuse_what_cannot_fit<B: Backend>(
    layout: &CellLayout,
    operands: &Operands<FloatTensor<B>>,
    wanted: &Operands<()>,
    available: impl FnOnce(u128) -> Option<usize>,
) {
    let Sizes { time, batch, hidden, output, .. } =
        Sizes::of(layout, |operand| operands.need(operand).shape());
    let columns = Columns::of(&whole_shapes::<B>(operands), wanted).count();
    let number = operands.need(Operand::Input).dtype().size();
    let need = influence_bytes(layout, batch, columns, [hidden, output], number);
    if let Err(too_much) = check_memory(need, available) {
        panic!(
            "{}: real-time recurrent learning of {columns} numbers by {batch} rows of {hidden} units \
             {too_much} ({time} steps): expected fewer units or rows, or `Engine::Manual`",
            layout.name,
        );
    }
}

/// The gradients of a whole sequence: runs it forward once more, carries the influence along, and adds the part
/// of each step to the sum.
pub(super) fn gradients<B: Backend, C: Cell>(
    plan: &Plan<C>,
    operands: Operands<FloatTensor<B>>,
    d_results: Cotangents<FloatTensor<B>>,
    wanted: &Operands<()>,
) -> Operands<FloatTensor<B>> {
    gradients_of::<B>(&plan.options, &plan.cell, operands, d_results, wanted)
}

/// As [`gradients`], for any cell.
fn gradients_of<B: Backend>(
    options: &PlanOptions,
    cell: &dyn TangentCell<B>,
    operands: Operands<FloatTensor<B>>,
    d_results: Cotangents<FloatTensor<B>>,
    wanted: &Operands<()>,
) -> Operands<FloatTensor<B>> {
    let sizes = Sizes::of(&cell.layout(), |operand| operands.need(operand).shape());
    let Sizes { time, batch, input, hidden, output, memories } = sizes;
    let flat = |x: FloatTensor<B>, rows, width| reshape::<B>(x, [rows, width]);
    let inputs = flat(operands.need(Operand::Input).clone(), time * batch, input);
    let d_outputs = d_results.outputs.map(|d| {
        let d = if options.batch_first { B::float_swap_dims(d, 0, 1) } else { d };
        flat(d, time * batch, output)
    });
    let d_memory = d_results.memory.map(|d| flat(d, memories * batch, hidden));

    let like = Primitive(operands.need(Operand::Hidden).clone());
    let noise = options.rows.noise.as_ref();
    let noise = NoiseTensors::new(noise, [time, batch], [hidden, output], &like);
    let mut layer = RtrlState::<B>::begin(operands, wanted, &[]);
    let mut sum: Option<FloatTensor<B>> = None;
    let mut take = |mut blocks: Vec<FloatTensor<B>>| {
        let own = blocks.pop().expect("the layer's own block");
        sum = Some(match sum.take() {
            Some(sum) => add::<B>(sum, own),
            None => own,
        });
    };
    for t in options.order(time) {
        let step = |all: &FloatTensor<B>| rows::<B>(all, t * batch, (t + 1) * batch);
        if let Some(reset) = options.reset_rows(t, batch) {
            layer.reset(&reset);
        }
        let active = options.valid_rows(t, batch);
        let noise = noise.at(t, batch);
        layer.step_of(cell, t, (&step(&inputs), &[]), active.as_deref(), &noise);
        if let Some(d_outputs) = &d_outputs {
            let d = match (active, options.masked_output) {
                (Some(active), MaskedOutput::Zero) => only::<B>(&active, step(d_outputs)),
                _ => step(d_outputs),
            };
            take(layer.through_hidden(&d));
        }
    }
    if let Some(d) = d_results.hidden {
        take(layer.through_hidden(&d));
    }
    if let Some(d) = d_memory {
        for m in 0..memories {
            let d = rows::<B>(&d, m * batch, (m + 1) * batch);
            take(layer.through_memory(m, &d));
        }
    }
    layer.gradients(&sum.expect("a node has a gradient of one of its results"))
}
