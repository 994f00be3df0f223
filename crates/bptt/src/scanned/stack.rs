//! The layer: stacking, direction, masks, resets and layout, written once for all scanned cells.

use super::layer::{LayerOperands, ScannedLayer};
use super::options::{StackOptions, check_engine};
use crate::checks::LayerShape;
use crate::engine::Engine;
use crate::layer::RecurrentLayer;
use crate::sequence_options::{RowOptions, SequenceOptions};
use crate::state::ScannedState;
use bptt_kernels::{
    Kernel, MaskedOutput, ScanPlan, SequenceMask, available_memory, check_memory, in_host_memory,
};
use burn::Tensor;
use burn::module::Module;
use burn::nn::Dropout;
use burn::tensor::{Bool, DType, TensorData};

/// Stacked layers that run as a scan, in one direction or both: [`MinGru`](super::MinGru), [`MinLstm`](super::MinLstm),
/// [`RgLru`](super::RgLru), [`Lru`](super::Lru) and [`S5`](super::S5) are this type with their layers.
///
/// Its methods take and return what those of [`Recurrent`](crate::Recurrent) do. Chunks and steps of any size give the
/// results of the whole sequence, to rounding.
///
/// Shapes: `T` time steps, `B` batch, `I` input size, `H` hidden size, `S` 2 if the state is complex and else 1, `O`
/// output size (`H`, if the layer has none of its own), `L` layers, `D` directions.
#[derive(Module, Debug)]
pub struct Scanned<L: ScannedLayer> {
    /// The layers, and in each the forward direction first: `L·D` of them.
    pub layers: Vec<L>,
    /// Dropout between the layers, while training.
    pub dropout: Dropout,
    #[module(skip)]
    pub(super) options: StackOptions,
}

impl<L: ScannedLayer> Scanned<L> {
    /// Runs a batch of sequences of full length.
    ///
    /// # Arguments
    ///
    /// - `input`: `[B, T, I]`, or `[T, B, I]` without `batch_first`
    /// - `state`: the state to start from; `None` means zeros
    ///
    /// # Returns
    ///
    /// - the outputs of the last layer, `[B, T, D·O]` (or `[T, B, D·O]`)
    /// - the state of every layer and direction after its last step, `[L·D, B, S·H]`
    ///
    /// # Panics
    ///
    /// If the input or the state has another shape; the message names both shapes. If there is no time step or no row.
    /// If gates and states do not fit the available memory.
    pub fn forward(
        &self,
        input: Tensor<3>,
        state: Option<ScannedState>,
    ) -> (Tensor<3>, ScannedState) {
        self.run(input, RowOptions::default(), state)
    }

    /// Runs a batch of sequences of different lengths, in any order. See
    /// [`Recurrent::forward_lengths`](crate::Recurrent::forward_lengths).
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward), and if the lengths do not fit.
    pub fn forward_lengths(
        &self,
        input: Tensor<3>,
        lengths: &[usize],
        state: Option<ScannedState>,
    ) -> (Tensor<3>, ScannedState) {
        self.forward_with(input, &SequenceOptions::new().with_lengths(lengths), state)
    }

    /// Runs a batch of sequences with masked steps anywhere. See
    /// [`Recurrent::forward_masked`](crate::Recurrent::forward_masked). If the outputs are held, that of a masked step of
    /// LRU and S5 is `Re(C h)` of the state that is held, because there is no input.
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward), and if the mask has another shape.
    pub fn forward_masked(
        &self,
        input: Tensor<3>,
        mask: Tensor<2, Bool>,
        masked_output: MaskedOutput,
        state: Option<ScannedState>,
    ) -> (Tensor<3>, ScannedState) {
        let options = SequenceOptions::new().with_mask(mask).with_masked_output(masked_output);
        self.forward_with(input, &options, state)
    }

    /// Runs a batch of sequences with lengths or a mask, with resets, and with what masked outputs are, in any
    /// combination. See [`Recurrent::forward_with`](crate::Recurrent::forward_with).
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward). Also if lengths, mask, resets or reset state have another shape, if there are both
    /// lengths and a mask, or if there is a reset state without resets.
    pub fn forward_with(
        &self,
        input: Tensor<3>,
        options: &SequenceOptions<ScannedState>,
        state: Option<ScannedState>,
    ) -> (Tensor<3>, ScannedState) {
        let rows = options.rows(&self.shape(), &input);
        self.run(input, rows, state)
    }

    /// Runs one step of a stream. Its results are those of the whole sequence, to rounding.
    ///
    /// # Arguments
    ///
    /// - `input`: `[B, I]`
    /// - `state`: the state after the step before, or `None` for zeros
    ///
    /// # Returns
    ///
    /// - the output of the last layer, `[B, O]`
    /// - the state after the step
    ///
    /// # Panics
    ///
    /// If the layer is bidirectional or reversed, or as [`forward`](Self::forward).
    pub fn step(
        &self,
        input: Tensor<2>,
        state: impl Into<Option<ScannedState>>,
    ) -> (Tensor<2>, ScannedState) {
        assert!(
            !self.options.bidirectional && !self.options.reverse,
            "{}: one step at a time needs a layer that runs forward only",
            self.name(),
        );
        let axis = if self.options.batch_first { 1 } else { 0 };
        let [batch, _] = input.dims();
        let (outputs, state) = self.forward(input.unsqueeze_dim(axis), state.into());
        (outputs.reshape([batch, self.d_output()]), state)
    }

    /// A state of zeros, the same as `None`.
    ///
    /// # Arguments
    ///
    /// - `batch`: `B`
    /// - `like`: a tensor with the device and the type for the state
    pub fn zero_state<const D: usize>(&self, batch: usize, like: &Tensor<D>) -> ScannedState {
        let shape = [self.layers.len(), batch, self.layers[0].d_state()];
        ScannedState::new(Tensor::zeros(shape, (&like.device(), like.dtype())))
    }

    /// The same layer with the same parameters and another engine.
    ///
    /// # Panics
    ///
    /// With [`Engine::Rtrl`], which these layers do not have.
    pub fn with_engine(mut self, engine: Engine) -> Self {
        check_engine(self.name(), engine).unwrap_or_else(|error| panic!("{error}"));
        self.options.engine = engine;
        self
    }

    /// The same layer with another kernel for the manual engine. In host memory, [`Kernel::Reference`] is the tensor
    /// operations of the other backends.
    pub fn with_kernel(mut self, kernel: Kernel) -> Self {
        self.options.kernel = kernel;
        self
    }

    /// The engine that differentiates it.
    pub fn engine(&self) -> Engine {
        self.options.engine
    }

    /// The kernel of its manual engine.
    pub fn kernel(&self) -> Kernel {
        self.options.kernel
    }

    /// The name of its cell.
    pub fn name(&self) -> &'static str {
        self.layers[0].name()
    }

    /// The type of the parameters.
    pub fn dtype(&self) -> DType {
        self.layers[0].dtype()
    }

    /// The size of its input, `I`.
    pub fn d_input(&self) -> usize {
        self.layers[0].d_input()
    }

    /// The size of its output, `D·O`.
    pub fn d_output(&self) -> usize {
        self.options.directions() * self.layers[0].d_output()
    }

    /// `L`
    pub fn num_layers(&self) -> usize {
        self.options.num_layers
    }

    /// Whether it has a backward direction beside the forward one.
    pub fn is_bidirectional(&self) -> bool {
        self.options.bidirectional
    }

    /// Whether its one direction runs from the last step to the first.
    pub fn is_reverse(&self) -> bool {
        self.options.reverse
    }

    /// Whether inputs are `[B, T, I]`.
    pub fn is_batch_first(&self) -> bool {
        self.options.batch_first
    }

    /// The same stack with each layer made into another.
    pub(super) fn map_layers<M: ScannedLayer>(self, to: impl Fn(L) -> M) -> Scanned<M> {
        let Self { layers, dropout, options } = self;
        Scanned { layers: layers.into_iter().map(to).collect(), dropout, options }
    }

    fn shape(&self) -> LayerShape {
        let parts = self.options.num_layers * self.options.directions();
        assert!(
            self.layers.len() == parts,
            "{} `layers`: expected L·D = {parts}",
            self.layers.len()
        );
        let d_state = self.layers[0].d_state();
        LayerShape {
            name: self.name(),
            batch_first: self.options.batch_first,
            d_input: self.d_input(),
            parts,
            d_state,
            memories: 0,
            d_hidden: d_state,
        }
    }

    /// Checks that gates and states fit the memory, before anything is allocated.
    fn check_fits(&self, input: &Tensor<3>, [batch, time]: [usize; 2]) {
        let width = |layer: &L| (layer.d_gates() + layer.d_state() + layer.d_output()) as u128;
        let numbers: u128 = self.layers.iter().map(width).sum();
        let rows = (batch as u128).saturating_mul(time as u128);
        let bytes = rows.saturating_mul(numbers).saturating_mul(input.dtype().size() as u128);
        // A step of a stream does not ask the system.
        if bytes < 1 << 20 {
            return;
        }
        let is_here = in_host_memory(input);
        let available = |need| if is_here { available_memory(need) } else { None };
        if let Err(too_much) = check_memory(bytes, available) {
            panic!(
                "{}: gates and states of T = {time} steps of B = {batch} rows {too_much}: expected fewer steps \
                 at a time (`Truncated`), or fewer rows",
                self.name(),
            );
        }
    }

    fn run(
        &self,
        input: Tensor<3>,
        mut rows: RowOptions,
        state: Option<ScannedState>,
    ) -> (Tensor<3>, ScannedState) {
        let shape = self.shape();
        let [batch, time] = shape.check_input(&input);
        self.check_fits(&input, [batch, time]);
        let state = state.unwrap_or_else(|| self.zero_state(batch, &input)).hidden;
        shape.check_state("state", &state, None, batch);
        let valid = |mask: &SequenceMask, t: usize, b: usize| mask.is_valid(t, b, batch);
        // A mask without a masked step changes nothing, so it is dropped.
        let is_masked = |mask: &SequenceMask, t| (0..batch).any(|b| !valid(mask, t, b));
        rows.mask = rows.mask.filter(|mask| (0..time).any(|t| is_masked(mask, t)));
        let masked = rows.mask.as_ref().map(|mask| self.masked_steps(mask, &input, [batch, time]));

        let directions = self.options.directions();
        let (mut x, mut last) = (input, Vec::with_capacity(self.layers.len()));
        for (layer, both) in self.layers.chunks(directions).enumerate() {
            // What is at masked steps reaches no product, not even as a number times zero.
            x = without(x, &masked);
            let mut outputs = Vec::with_capacity(directions);
            for (direction, cell) in both.iter().enumerate() {
                let k = layer * directions + direction;
                let reverse = (direction == 1) != self.options.reverse;
                let states = self.states(cell, x.clone(), &rows, (&state, k), reverse);
                last.push(self.last_state(&states, reverse));
                let output = cell.outputs(states, x.clone());
                let is_zero = rows.masked_output == MaskedOutput::Zero;
                outputs.push(if is_zero { without(output, &masked) } else { output });
            }
            x = joined(outputs, 2);
            if layer + 1 < self.options.num_layers {
                x = self.dropout.forward(x);
            }
        }
        (x, ScannedState::new(joined(last, 0)))
    }

    /// The states of one layer in one direction.
    fn states(
        &self,
        layer: &L,
        input: Tensor<3>,
        rows: &RowOptions,
        (state, k): (&Tensor<3>, usize),
        reverse: bool,
    ) -> Tensor<3> {
        let of_part = |all: &Tensor<3>| {
            let [parts, batch, width] = all.dims();
            let part = if parts == 1 { all.clone() } else { all.clone().slice([k..k + 1]) };
            part.reshape([batch, width])
        };
        let (gates, constants) = layer.gates(input);
        let initial = of_part(state);
        let reset = rows.reset_hidden.as_ref().map(of_part);
        let operands = LayerOperands { gates, constants, initial, reset };
        let plan = ScanPlan::new()
            .with_reverse(reverse)
            .with_batch_first(self.options.batch_first)
            .with_mask(rows.mask.clone())
            .with_resets(rows.resets.clone())
            .with_kernel(self.options.kernel);
        layer.scan(self.options.engine, operands, &plan)
    }

    /// The state after the last step, `[1, B, S·H]`.
    fn last_state(&self, states: &Tensor<3>, reverse: bool) -> Tensor<3> {
        let dims = states.dims();
        let (axis, batch) = if self.options.batch_first { (1, dims[0]) } else { (0, dims[1]) };
        let last = if reverse { 0 } else { dims[axis] - 1 };
        let states = states.clone();
        let state = if dims[axis] == 1 { states } else { states.narrow(axis, last, 1) };
        state.reshape([1, batch, dims[2]])
    }

    /// Where steps are masked, in the layout of the sequence, `[B, T, 1]`.
    fn masked_steps(
        &self,
        mask: &SequenceMask,
        input: &Tensor<3>,
        [batch, time]: [usize; 2],
    ) -> Tensor<3, Bool> {
        let at = |i: usize, j: usize| if self.options.batch_first { (j, i) } else { (i, j) };
        let [outer, inner] = if self.options.batch_first { [batch, time] } else { [time, batch] };
        let places = (0..outer).flat_map(|i| (0..inner).map(move |j| (i, j)));
        let masked: Vec<bool> = places
            .map(|(i, j)| {
                let (t, b) = at(i, j);
                !mask.is_valid(t, b, batch)
            })
            .collect();
        Tensor::from_data(TensorData::new(masked, [outer, inner, 1]), &input.device())
    }
}

/// Zeros at masked steps.
fn without(x: Tensor<3>, masked: &Option<Tensor<3, Bool>>) -> Tensor<3> {
    match masked {
        Some(masked) => {
            let dims = x.dims();
            x.mask_fill(masked.clone().expand(dims), 0.0)
        }
        None => x,
    }
}

/// The tensors concatenated along a dimension; a single one as it is.
fn joined(mut all: Vec<Tensor<3>>, dim: usize) -> Tensor<3> {
    if all.len() == 1 { all.remove(0) } else { Tensor::cat(all, dim) }
}

impl<L: ScannedLayer> RecurrentLayer for Scanned<L> {
    type State = ScannedState;

    fn forward(&self, input: Tensor<3>, state: Option<ScannedState>) -> (Tensor<3>, ScannedState) {
        self.forward(input, state)
    }

    fn forward_lengths(
        &self,
        input: Tensor<3>,
        lengths: &[usize],
        state: Option<ScannedState>,
    ) -> (Tensor<3>, ScannedState) {
        self.forward_lengths(input, lengths, state)
    }

    fn forward_masked(
        &self,
        input: Tensor<3>,
        mask: Tensor<2, Bool>,
        masked_output: MaskedOutput,
        state: Option<ScannedState>,
    ) -> (Tensor<3>, ScannedState) {
        self.forward_masked(input, mask, masked_output, state)
    }

    fn forward_with(
        &self,
        input: Tensor<3>,
        options: &SequenceOptions<ScannedState>,
        state: Option<ScannedState>,
    ) -> (Tensor<3>, ScannedState) {
        self.forward_with(input, options, state)
    }

    fn step(&self, input: Tensor<2>, state: Option<ScannedState>) -> (Tensor<2>, ScannedState) {
        self.step(input, state)
    }

    fn with_engine(self, engine: Engine) -> Self {
        self.with_engine(engine)
    }

    fn dtype(&self) -> DType {
        self.dtype()
    }

    fn d_input(&self) -> usize {
        self.d_input()
    }

    fn d_output(&self) -> usize {
        self.d_output()
    }

    fn is_batch_first(&self) -> bool {
        self.is_batch_first()
    }

    fn is_bidirectional(&self) -> bool {
        self.is_bidirectional()
    }

    fn output_is_hidden(&self) -> bool {
        self.layers[0].output_is_state()
    }
}
