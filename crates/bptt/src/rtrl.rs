//! Real-time recurrent learning: the gradient is carried forwards and known after every step.

use crate::cell::{CellVisitor, SequenceCell};
use crate::error::ConfigError;
use crate::recurrent::Recurrent;
use crate::recurrent_weight::{RecurrentWeight, flat};
use crate::state::RecurrentState;
use crate::weights::Weights;
use bptt_cells::Cell;
use bptt_kernels::{
    AnyTensor, Operand, Operands, RtrlState, available_memory, in_host_memory, rtrl_bytes,
};
use burn::Tensor;
use burn::backend::{Dispatch, DispatchTensor};
use burn::module::Param;

/// A layer that learns while it runs. After every step it knows the exact gradient of any loss of its output. It never
/// goes back in time.
///
/// Besides the state `s` of each layer it carries the *influence* `∂s/∂θ` of the parameters of that layer and of those
/// below: `∂s'/∂θ = (∂s'/∂s) ∂s/∂θ + ∂s'/∂θ|s`. So memory does not grow with time, and nothing of the past is kept. The
/// price is `B · N · S` numbers for `N` parameters and `S` numbers of state, and about `N` times the work of a step. It
/// is for small networks on endless streams. It is also a witness, because it uses no hand-written derivative, not even
/// in the cell.
///
/// The sum of the gradients of all steps is the gradient of the sum of their losses, the same as by
/// back-propagation through time. If the parameters change in between ([`update`](Self::update)), the influence
/// is still that of the old parameters; for small changes that is the usual approximation.
///
/// It takes stacks of any depth and cell, forward in time, without dropout. For whole sequences, in any
/// direction and with the gradient of the input, see [`Engine::Rtrl`](crate::Engine::Rtrl).
///
/// R. J. Williams and D. Zipser, "A learning algorithm for continually running fully recurrent neural
/// networks", Neural Computation 1 (1989), 270–280.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::{GruConfig, Rtrl};
/// use burn::tensor::{Device, Distribution, Tensor};
///
/// let device = Device::flex();
/// let gru = GruConfig::new(3, 4).with_num_layers(2).init(&device);
/// let mut online = Rtrl::new(&gru, gru.zero_state(1, &gru.weights[0].weight_hh.val())).unwrap();
/// for _ in 0..10 {
///     let x = Tensor::<2>::random([1, 3], Distribution::Default, &device);
///     let output = online.step(x); // [B, P]
///     // loss = Σ output² / 2, so d_output = output
///     let gradients = online.gradients(output);
///     assert_eq!(gradients[0].weight_hh.dims(), [12, 4]);
///     // … a step of the optimiser, and online.update(&gru) …
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Rtrl<C: SequenceCell> {
    cell: C,
    layers: Vec<RtrlState<Dispatch>>,
}

/// The gradients of one layer's parameters and of its initial state.
#[derive(Clone, Debug)]
pub struct RtrlGradients {
    /// `[G·H, I]`
    pub weight_ih: Tensor<2>,
    /// As [`Weights::weight_hh`], `[G·H, P]`; in heads `[G·H, H/heads]`, the blocks of all heads under each other
    pub weight_hh: Tensor<2>,
    /// `[G·H]`
    pub bias_ih: Option<Tensor<1>>,
    /// `[G·H]`
    pub bias_hh: Option<Tensor<1>>,
    /// `[P, H]`
    pub weight_hr: Option<Tensor<2>>,
    /// `[V, H]`
    pub weight_diag: Option<Tensor<2>>,
    /// Of the initial hidden state, `[B, P]`
    pub hidden: Tensor<2>,
    /// Of the initial memory, `[M, B, H]`
    pub memory: Option<Tensor<3>>,
}

/// dLoss/d(state), of all layers.
#[derive(Clone, Debug)]
pub struct StateCotangent {
    /// `[L, B, P]`
    pub hidden: Tensor<3>,
    /// `[L·M, B, H]`
    pub memory: Option<Tensor<3>>,
}

impl<C: SequenceCell> Rtrl<C> {
    /// Begins from a state that depends on itself alone.
    ///
    /// # Arguments
    ///
    /// - `layer`: its parameters are copied as they are now, untracked
    /// - `state`: hidden `[L, B, P]`
    ///
    /// # Errors
    ///
    /// If the layer has two directions, runs in reverse, or has dropout or noise. On a backend in host memory, also if the
    /// influence does not fit the available memory; the message names the size.
    ///
    /// # Panics
    ///
    /// If the state has another shape.
    pub fn new(layer: &Recurrent<C>, state: C::State) -> Result<Self, ConfigError> {
        let options = &layer.options;
        if options.bidirectional || options.reverse || layer.dropout.prob > 0.0 {
            return Err(ConfigError::new(format!(
                "{}: learning in real time needs a layer that runs forward only, without dropout",
                layer.cell.name()
            )));
        }
        if layer.noise.is_some() {
            return Err(ConfigError::new(format!(
                "{}: learning in real time step by step needs a layer without noise; `Engine::Rtrl` takes it",
                layer.cell.name()
            )));
        }
        let cell = layer.cell.clone();
        let (hidden, memory) = state.into_parts();
        let (hidden, memory) = (plain(hidden), memory.map(plain));
        let [_, batch, output] = hidden.dims();
        layer.check_state("state", &hidden, memory.as_ref(), batch);
        check_memory(layer, batch, &hidden)?;
        let memories = cell.memories();
        let mut below = Vec::new();
        let mut layers = Vec::new();
        for (k, weights) in layer.weights.iter().enumerate() {
            let hidden = hidden.clone().slice([k..k + 1]).reshape([batch, output]);
            let memory =
                memory.as_ref().map(|all| all.clone().slice([k * memories..(k + 1) * memories]));
            let operands = with_state(&cell, weights, hidden, memory);
            let all = Operand::ALL.into_iter().fold(Operands::new(), |all, o| all.with(o, ()));
            let layer = RtrlState::begin(operands.map(AnyTensor::into_dispatch), &all, &below);
            below.push(layer.columns());
            layers.push(layer);
        }
        Ok(Self { cell, layers })
    }

    /// One step. Returns the output of the last layer, `[B, P]`, for an input `[B, I]`.
    pub fn step(&mut self, input: Tensor<2>) -> Tensor<2> {
        self.step_of_rows(input, None)
    }

    /// One step in which only some rows are valid. Masked rows keep their state, and their output is this state.
    pub fn step_masked(&mut self, input: Tensor<2>, present: &[bool]) -> Tensor<2> {
        self.step_of_rows(input, present.contains(&false).then_some(present))
    }

    fn step_of_rows(&mut self, input: Tensor<2>, active: Option<&[bool]>) -> Tensor<2> {
        let mut input = plain(input).into_dispatch();
        let mut d_input = Vec::new();
        for layer in &mut self.layers {
            self.cell.accept(Step { layer, input: &input, d_input: &d_input, active });
            (input, d_input) = (layer.hidden().clone(), layer.influence().to_vec());
        }
        Tensor::from_dispatch(input)
    }

    /// Sets the state of some rows back to zeros before the next step, as at the beginning of another sequence. What
    /// came before influences them no more: neither the parameters through earlier steps, nor the initial state.
    ///
    /// # Panics
    ///
    /// If there is not one flag for each row.
    pub fn reset(&mut self, rows: &[bool]) {
        for layer in &mut self.layers {
            let [batch, _] = Tensor::<2>::from_dispatch(layer.hidden().clone()).dims();
            assert!(
                rows.len() == batch,
                "{}: {} flags to reset {batch} rows: expected one for each",
                self.cell.name(),
                rows.len(),
            );
            layer.reset(rows);
        }
    }

    /// The gradients of this step's loss, layer by layer and through all steps so far. `d_output`, `[B, P]`, is the
    /// gradient of the loss with respect to the last output.
    pub fn gradients(&self, d_output: Tensor<2>) -> Vec<RtrlGradients> {
        let last = self.layers.last().expect("there is a layer");
        self.split(last.through_hidden(&plain(d_output).into_dispatch()))
    }

    /// The gradients of a loss that depends on the current states of all layers.
    pub fn gradients_of_state(&self, cotangent: StateCotangent) -> Vec<RtrlGradients> {
        let row = |all: &Tensor<3>, k: usize| {
            let [_, batch, width] = all.dims();
            plain(all.clone()).slice([k..k + 1]).reshape([batch, width]).into_dispatch()
        };
        let memories = self.cell.memories();
        let mut sums: Vec<Option<Tensor<2>>> = vec![None; self.layers.len()];
        let mut add = |blocks: Vec<DispatchTensor>| {
            for (sum, block) in sums.iter_mut().zip(blocks) {
                let block = Tensor::from_dispatch(block);
                *sum = Some(match sum.take() {
                    Some(sum) => sum + block,
                    None => block,
                });
            }
        };
        for (k, layer) in self.layers.iter().enumerate() {
            add(layer.through_hidden(&row(&cotangent.hidden, k)));
            for m in 0..memories {
                let d_memory = cotangent.memory.as_ref().expect("a cell with memory");
                add(layer.through_memory(m, &row(d_memory, k * memories + m)));
            }
        }
        let sums = sums.into_iter().map(|sum| sum.expect("each layer influences itself"));
        self.split(sums.map(Tensor::into_dispatch).collect())
    }

    /// Replaces the parameters by the layer's current ones.
    pub fn update(&mut self, layer: &Recurrent<C>) {
        let memories = self.cell.memories();
        for (layer, weights) in self.layers.iter_mut().zip(&layer.weights) {
            layer.set_weights(weights_of(&self.cell, weights).map(AnyTensor::into_dispatch));
            let Some(weight) = diagonal_of(&self.cell, weights) else { continue };
            let [batch, _] = Tensor::<2>::from_dispatch(layer.hidden().clone()).dims();
            for (v, row) in plain(weight.val()).split(1, 0).into_iter().enumerate() {
                layer.set_memory(memories + v, row.repeat_dim(0, batch).into_dispatch());
            }
        }
    }

    /// The state of all layers.
    pub fn state(&self) -> C::State {
        let tensor = |x: &DispatchTensor| Tensor::<2>::from_dispatch(x.clone());
        let hidden = self.layers.iter().map(|layer| tensor(layer.hidden())).collect();
        let memories = self.cell.memories();
        let of_layer = |layer: &RtrlState<Dispatch>| -> Vec<_> {
            layer.memory().take(memories).map(tensor).collect()
        };
        let memory: Vec<_> = self.layers.iter().flat_map(of_layer).collect();
        let memory = (!memory.is_empty()).then(|| Tensor::stack(memory, 0));
        C::State::from_parts(Tensor::stack(hidden, 0), memory)
    }

    /// The gradients of each block's columns, by operand.
    fn split(&self, blocks: Vec<DispatchTensor>) -> Vec<RtrlGradients> {
        let memories = self.cell.memories();
        let of = |(layer, block): (&RtrlState<Dispatch>, DispatchTensor)| {
            let mut d = layer.gradients(&block);
            fn tensor<const D: usize>(x: Option<DispatchTensor>) -> Option<Tensor<D>> {
                x.map(Tensor::from_dispatch)
            }
            let needed = "a layer has it";
            let memory: Option<Tensor<3>> = tensor(d.take(Operand::Memory));
            let reset_memory: Option<Tensor<3>> = tensor(d.take(Operand::ResetMemory));
            let (memory, diagonal) = split_memory(memory, reset_memory, memories);
            let weight_hh = d.take(Operand::WeightHh).map(|d| match AnyTensor::from_dispatch(d) {
                AnyTensor::Matrix(d) => d,
                AnyTensor::Cube(d) => flat(d),
                AnyTensor::Vector(_) => unreachable!("a matrix, or blocks"),
            });
            // Without recurrent products, `weight_hh` is the diagonal weights.
            let (weight_hh, weight_diag) = match weight_hh {
                Some(weight_hh) => (weight_hh, diagonal),
                None => (diagonal.expect(needed), None),
            };
            RtrlGradients {
                weight_ih: tensor(d.take(Operand::WeightIh)).expect(needed),
                weight_hh,
                bias_ih: tensor(d.take(Operand::BiasIh)),
                bias_hh: tensor(d.take(Operand::BiasHh)),
                weight_hr: tensor(d.take(Operand::WeightHr)),
                weight_diag,
                hidden: tensor(d.take(Operand::Hidden)).expect(needed),
                memory,
            }
        };
        self.layers.iter().zip(blocks).map(of).collect()
    }
}

/// A step of one layer, for its cell to run.
struct Step<'a> {
    layer: &'a mut RtrlState<Dispatch>,
    input: &'a DispatchTensor,
    d_input: &'a [DispatchTensor],
    active: Option<&'a [bool]>,
}

impl CellVisitor for Step<'_> {
    type Output = ();

    fn visit<C: Cell>(self, cell: C) {
        self.layer.step(&cell, 0, self.input, self.d_input, self.active);
    }
}

/// Checks that the influence of all layers fits the available memory.
fn check_memory<C: SequenceCell>(
    layer: &Recurrent<C>,
    batch: usize,
    like: &Tensor<3>,
) -> Result<(), ConfigError> {
    let hidden = layer.options.d_hidden;
    let output = layer.options.proj_size.unwrap_or(hidden);
    let of_layer = |weights: &Weights| {
        let operands = weights_of(&layer.cell, weights);
        // Diagonal weights are columns of each row twice: of the initial state and of that after a reset.
        let (memories, diagonal) = (layer.cell.memories(), layer.cell.diagonal_weights());
        let resets = if diagonal > 0 { 2 } else { 1 };
        let planes = memories.saturating_add(diagonal).saturating_mul(hidden);
        let state = output.saturating_add(planes).saturating_mul(resets);
        // In heads, the influence of the whole matrix is carried.
        let heads =
            |operand| if operand == Operand::WeightHh { weights.weight_hh.heads() } else { 1 };
        let size = |(operand, x): (Operand, &AnyTensor)| x.len().saturating_mul(heads(operand));
        operands.iter().map(size).fold(state, usize::saturating_add)
    };
    // A layer also carries the influence of all layers below it.
    let mut columns = 0_usize;
    let mut need = 0_u128;
    for weights in &layer.weights {
        columns = columns.saturating_add(of_layer(weights));
        let sizes = Bytes { batch, columns, hidden, output, number: like.dtype().size() };
        need = need.saturating_add(layer.cell.accept(sizes));
    }
    // A GPU reports an allocation that fails.
    let available = |need| if in_host_memory(like) { available_memory(need) } else { None };
    bptt_kernels::check_memory(need, available).map_err(|too_much| {
        ConfigError::new(format!(
            "{}: learning in real time, {columns} numbers by {batch} rows of {hidden} units, {too_much}: \
             expected fewer units, layers or rows",
            layer.cell.name(),
        ))
    })
}

/// Computes how many bytes the influence takes, for any cell.
struct Bytes {
    batch: usize,
    columns: usize,
    hidden: usize,
    output: usize,
    number: usize,
}

impl CellVisitor for Bytes {
    type Output = u128;

    fn visit<C: Cell>(self, _: C) -> u128 {
        rtrl_bytes::<C>(self.batch, self.columns, [self.hidden, self.output], self.number)
    }
}

/// The diagonal weights, if the cell has any.
fn diagonal_of<'a>(cell: &impl SequenceCell, weights: &'a Weights) -> Option<&'a Param<Tensor<2>>> {
    match cell.layout().has_recurrent_weights() {
        true => weights.weight_diag.as_ref(),
        false => weights.weight_hh.as_whole(),
    }
}

/// A layer's parameters without its diagonal weights, untracked.
fn weights_of(cell: &impl SequenceCell, weights: &Weights) -> Operands<AnyTensor> {
    let vector = |bias: &Param<Tensor<1>>| plain(bias.val());
    let weight_hh = || -> AnyTensor {
        match &weights.weight_hh {
            RecurrentWeight::Whole(weight) => plain(weight.val()).into(),
            RecurrentWeight::Heads(weight) => plain(weight.val()).into(),
        }
    };
    let weight_hh = cell.layout().has_recurrent_weights().then(weight_hh);
    Operands::new()
        .with(Operand::WeightIh, plain(weights.weight_ih.val()))
        .with_optional(Operand::WeightHh, weight_hh)
        .with_optional(Operand::BiasIh, weights.bias_ih.as_ref().map(vector))
        .with_optional(Operand::BiasHh, weights.bias_hh.as_ref().map(vector))
        .with_optional(Operand::WeightHr, weights.weight_hr.as_ref().map(|w| plain(w.val())))
}

/// A layer's parameters and its initial state. Its diagonal weights are memories that do not change, also those that
/// a reset sets.
fn with_state(
    cell: &impl SequenceCell,
    weights: &Weights,
    hidden: Tensor<2>,
    memory: Option<Tensor<3>>,
) -> Operands<AnyTensor> {
    let operands = weights_of(cell, weights);
    let Some(weight) = diagonal_of(cell, weights) else {
        return operands.with(Operand::Hidden, hidden).with_optional(Operand::Memory, memory);
    };
    let weight = plain(weight.val());
    let ([count, units], [batch, _]) = (weight.dims(), hidden.dims());
    let planes = weight.reshape([count, 1, units]).repeat_dim(1, batch);
    let behind = |memory: Option<Tensor<3>>| match memory {
        Some(memory) => Tensor::cat(vec![memory, planes.clone()], 0),
        None => planes.clone(),
    };
    operands
        .with(Operand::ResetHidden, hidden.zeros_like())
        .with(Operand::ResetMemory, behind(memory.as_ref().map(Tensor::zeros_like)))
        .with(Operand::Hidden, hidden)
        .with(Operand::Memory, behind(memory))
}

/// Splits the gradient of the memories into that of the memories that change, and that of the diagonal weights, which
/// are the last memories of each row, from the beginning and after a reset.
fn split_memory(
    memory: Option<Tensor<3>>,
    reset_memory: Option<Tensor<3>>,
    memories: usize,
) -> (Option<Tensor<3>>, Option<Tensor<2>>) {
    let Some(memory) = memory else { return (None, None) };
    let [all, _, hidden] = memory.dims();
    if all == memories {
        return (Some(memory), None);
    }
    let own = (memories > 0).then(|| memory.clone().slice([0..memories]));
    let sum = match reset_memory {
        Some(reset) => memory + reset,
        None => memory,
    };
    let diagonal = sum.slice([memories..all]).sum_dim(1).reshape([all - memories, hidden]);
    (own, Some(diagonal))
}

/// The tensor without the tape.
fn plain<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if tensor.device().is_autodiff() { tensor.inner() } else { tensor }
}
