//! Runs the layers of a stack, one after the other.

use crate::cell::SequenceCell;
use crate::engine::{BothDirections, Engine, Sequence};
use crate::recurrent::{Options, Recurrent};
use crate::sequence_options::RowOptions;
use crate::state::RecurrentState;
use bptt_kernels::{Kernel, SequenceResult, runs_as_pair, runs_as_stack};
use burn::Tensor;

impl<C: SequenceCell> Recurrent<C> {
    /// Runs layer after layer on an input `[T, B, I]`. The outputs are `[T, B, D·P]`; with `batch_first`, they are
    /// `[B, T, D·P]`.
    pub(crate) fn run_layers(
        &self,
        input: Tensor<3>,
        rows: RowOptions,
        state: Option<C::State>,
        batch_first: bool,
    ) -> LayerResult<C::State> {
        let [time, batch, _] = input.dims();
        self.check_sizes(batch, time);
        self.check_weights();
        let state = state.unwrap_or_else(|| self.zero_state(batch, &input));
        let (hidden, memory) = state.into_parts();
        self.check_state("state", &hidden, memory.as_ref(), batch);

        let memories = self.cell.memories();
        let size = self.d_state();
        let budget = self.options.trace_budget.map(|bytes| bytes / self.parts());
        let last = self.options.num_layers - 1;
        let hidden_of = |all: &Tensor<3>, k| self.part(all, k, 1).reshape([batch, size]);
        let memory_of =
            |all: &Option<Tensor<3>>, k| all.as_ref().map(|all| self.part(all, k, memories));
        let mut states = States::default();
        let is_training = || self.dropout.training.is_enabled() && input.device().is_autodiff();
        let noise = self.noise.as_ref().map(|noise| noise.next(is_training()));
        let sizes = [self.options.d_hidden, size];
        let sequence = |x: &Tensor<3>, layer: usize, direction: usize| {
            let k = layer * self.directions() + direction;
            let weights = &self.weights[k];
            Sequence {
                input: x.clone(),
                weight_ih: weights.weight_ih.val(),
                weight_hh: Some(match &noise {
                    Some(noise) => noise.weight(&weights.weight_hh, k),
                    None => weights.weight_hh.any(),
                }),
                bias_ih: weights.bias_ih.as_ref().map(|bias| bias.val()),
                bias_hh: weights.bias_hh.as_ref().map(|bias| bias.val()),
                weight_hr: weights.weight_hr.as_ref().map(|weight| weight.val()),
                weight_diag: weights.weight_diag.as_ref().map(|weight| weight.val()),
                hidden: hidden_of(&hidden, k),
                memory: memory_of(&memory, k),
                reverse: (direction == 1) != self.options.reverse,
                mask: rows.mask.clone(),
                masked_output: rows.masked_output,
                resets: rows.resets.clone(),
                reset_hidden: rows.reset_hidden.as_ref().map(|hidden| hidden_of(hidden, k)),
                reset_memory: memory_of(&rows.reset_memory, k),
                noise: noise.as_ref().and_then(|noise| noise.steps(k, [time, batch], sizes)),
                kernel: self.options.kernel,
                trace_budget: budget,
                batch_first: batch_first && layer == last,
                observer: self.gradient_probe.as_ref().map(|probe| probe.of(layer, direction)),
                weight_cache: Some(weights.cache.clone()),
            }
        };
        if noise.is_none() && self.is_stack(&input, &rows) {
            let done = self.cell.run_stack((0..=last).map(|k| sequence(&input, k, 0)).collect());
            done.states.into_iter().for_each(|state| states.push(state));
            return LayerResult::of(done.outputs, states);
        }
        let mut x = input.clone();
        let mut layer = 0;
        while layer <= last {
            if noise.is_none() && self.is_pair(&x, &rows, layer) {
                let done = self.cell.run_pair([sequence(&x, layer, 0), sequence(&x, layer + 1, 0)]);
                done.hidden.into_iter().zip(done.memory).for_each(|state| states.push(state));
                layer += 2;
                x = if layer <= last { self.dropout.forward(done.outputs) } else { done.outputs };
                continue;
            }
            if let Some(noise) = &noise {
                x = noise.input(x, layer * self.directions());
            }
            let (outputs, of_layer) = match self.directions() {
                1 => {
                    let done = self.run_sequence(sequence(&x, layer, 0));
                    (done.outputs, [Some((done.hidden, done.memory)), None])
                }
                _ => {
                    let done = self.run_both([sequence(&x, layer, 0), sequence(&x, layer, 1)]);
                    let ([first, second], [of_first, of_second]) = (done.hidden, done.memory);
                    (done.outputs, [Some((first, of_first)), Some((second, of_second))])
                }
            };
            of_layer.into_iter().flatten().for_each(|state| states.push(state));
            layer += 1;
            x = if layer <= last { self.dropout.forward(outputs) } else { outputs };
        }
        LayerResult::of(x, states)
    }

    /// Whether this layer and the next one run as one operation on the tape.
    fn is_pair(&self, input: &Tensor<3>, rows: &RowOptions, layer: usize) -> bool {
        let drops = self.dropout.training.is_enabled() && self.dropout.prob > 0.0;
        layer + 1 < self.options.num_layers
            && !drops
            && self.options.trace_budget.is_none()
            && self.gradient_probe.is_none()
            && self.runs_forward_only(rows)
            && runs_as_pair(
                &self.cell.layout(),
                input,
                [self.options.d_hidden, self.d_state()],
                self.options.num_heads,
            )
    }

    /// Whether the manual engine runs layers of a stack in one direction, with all steps valid, by the fastest kernel.
    fn runs_forward_only(&self, rows: &RowOptions) -> bool {
        let Options { num_layers, bidirectional, reverse, engine, kernel, .. } = self.options;
        let is_plain = rows.mask.is_none() && rows.resets.is_none();
        let is_one_way = !bidirectional && !reverse;
        num_layers > 1
            && is_plain
            && is_one_way
            && (engine, kernel) == (Engine::Manual, Kernel::Auto)
            && self.custom_kernel.is_none()
    }

    /// Whether all layers run as one operation, without a tape.
    fn is_stack(&self, input: &Tensor<3>, rows: &RowOptions) -> bool {
        self.runs_forward_only(rows)
            && runs_as_stack(input)
            && !self.weights.iter().any(|weights| weights.weight_ih.val().device().is_autodiff())
    }

    /// Runs one layer in one direction.
    fn run_sequence(&self, sequence: Sequence) -> SequenceResult {
        match (&self.custom_kernel, self.options.engine) {
            (None, engine) | (_, engine @ Engine::Autograd) => {
                match sequence.has_candidate_mask() {
                    true => self.cell.run_dropped(engine, sequence),
                    false => self.cell.run(engine, sequence),
                }
            }
            (Some(kernel), engine) => kernel.run(&self.cell, sequence, engine == Engine::Rtrl),
        }
    }

    /// Runs one layer in both directions.
    fn run_both(&self, sequences: [Sequence; 2]) -> BothDirections {
        let engine = self.options.engine;
        if self.custom_kernel.is_some() && engine != Engine::Autograd {
            return BothDirections::of(sequences.map(|sequence| self.run_sequence(sequence)));
        }
        match sequences[0].has_candidate_mask() {
            true => self.cell.run_both_dropped(engine, sequences),
            false => self.cell.run_both(engine, sequences),
        }
    }

    /// The part of a state that belongs to layer and direction `k`: `count` planes.
    fn part(&self, state: &Tensor<3>, k: usize, count: usize) -> Tensor<3> {
        let state = state.clone();
        // A slice of the whole tensor would take time, and a step of a stream is short.
        if self.parts() == 1 { state } else { state.slice([k * count..(k + 1) * count]) }
    }
}

/// The result of all layers.
pub(crate) struct LayerResult<S> {
    /// The outputs of the last layer.
    pub(crate) outputs: Tensor<3>,
    /// Its hidden state after the last step, `[B, P]`.
    pub(crate) last_hidden: Tensor<2>,
    pub(crate) state: S,
}

impl<S: RecurrentState> LayerResult<S> {
    fn of(outputs: Tensor<3>, States { hidden, memory, last }: States) -> Self {
        let hidden = hidden.joined(0).expect("there is a layer");
        let last_hidden = last.expect("there is a layer");
        Self { outputs, last_hidden, state: S::from_parts(hidden, memory.joined(0)) }
    }
}

/// The final states of all layers and directions, in their order.
#[derive(Default)]
struct States {
    hidden: Parts,
    memory: Parts,
    /// The hidden state of the last one.
    last: Option<Tensor<2>>,
}

impl States {
    fn push(&mut self, (hidden, memory): (Tensor<2>, Option<Tensor<3>>)) {
        self.hidden.push(hidden.clone().unsqueeze_dim(0));
        self.last = Some(hidden);
        if let Some(memory) = memory {
            self.memory.push(memory);
        }
    }
}

/// Tensors to be concatenated. A single tensor is stored without a list and returned without a copy, because both would
/// take time, and a step of a stream is short.
#[derive(Default)]
struct Parts {
    first: Option<Tensor<3>>,
    others: Vec<Tensor<3>>,
}

impl Parts {
    fn push(&mut self, part: Tensor<3>) {
        if self.first.is_none() {
            self.first = Some(part);
        } else {
            self.others.push(part);
        }
    }

    /// The tensors concatenated along a dimension; `None` if there are none.
    fn joined(self, dim: usize) -> Option<Tensor<3>> {
        let first = self.first?;
        if self.others.is_empty() {
            return Some(first);
        }
        Some(Tensor::cat(std::iter::once(first).chain(self.others).collect(), dim))
    }
}
