//! The layer: stacking, direction, lengths and layout, written once for all cells.

use crate::cell::SequenceCell;
use crate::custom_kernel::{CustomKernel, KernelChoice, LayerKernel};
use crate::engine::Engine;
use crate::gradient_probe::GradientProbe;
use crate::layer_noise::LayerNoise;
use crate::sequence_options::{RowOptions, SequenceOptions};
use crate::state::RecurrentState;
use crate::weights::Weights;
use bptt_kernels::{Kernel, MaskedOutput, SequenceMask};
use burn::Tensor;
use burn::nn::Dropout;
use burn::tensor::Bool;

/// A recurrent layer: any number of stacked layers of one cell, in one direction or both.
///
/// [`Rnn`](crate::Rnn), [`Lstm`](crate::Lstm) and [`Gru`](crate::Gru) are this type with their cells. It is an ordinary
/// Burn module: it can be saved, loaded, optimised and printed.
///
/// Shapes: `T` time steps, `B` batch, `I` input size, `H` hidden size, `P` projection size (`H`
/// without one), `L` layers, `D` directions, `G` gates.
#[derive(Clone, Debug)]
pub struct Recurrent<C> {
    /// The parameters, layer by layer, and in each layer the forward direction first: `L·D` of them.
    pub weights: Box<[Weights]>,
    /// Dropout between the layers, while training.
    pub dropout: Dropout,
    pub(crate) cell: C,
    pub(crate) options: Options,
    pub(crate) custom_kernel: Option<CustomKernel<C>>,
    pub(crate) gradient_probe: Option<GradientProbe>,
    pub(crate) noise: Option<LayerNoise>,
}

/// The options of a layer, besides its cell and its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) d_input: usize,
    pub(crate) d_hidden: usize,
    pub(crate) num_layers: usize,
    pub(crate) proj_size: Option<usize>,
    pub(crate) num_heads: usize,
    pub(crate) batch_first: bool,
    pub(crate) bidirectional: bool,
    pub(crate) reverse: bool,
    pub(crate) engine: Engine,
    pub(crate) kernel: Kernel,
    pub(crate) trace_budget: Option<usize>,
}

impl<C: SequenceCell> Recurrent<C> {
    /// Runs a batch of sequences of full length.
    ///
    /// # Arguments
    ///
    /// - `input`: `[B, T, I]`, or `[T, B, I]` without `batch_first`
    /// - `state`: the state to start from; `None` means zeros
    ///
    /// # Returns
    ///
    /// - the hidden states of the last layer, `[B, T, D·P]` (or `[T, B, D·P]`)
    /// - the state of every layer and direction after its last step, hidden `[L·D, B, P]`
    ///
    /// # Panics
    ///
    /// If the input or the state has another shape; the message names both shapes. If there is no time step or no row
    /// (in every method, because an empty batch is a mistake of the caller). If the feature of this crate for the
    /// input's backend is off. Also if outputs and trace do not fit the available memory; nothing has been allocated
    /// then, and the message names a [budget](Self::with_trace_budget) that would fit. (The manual engine checks this
    /// in host memory. On GPUs, and with the autograd engine, only sizes that overflow are refused.)
    pub fn forward(&self, input: Tensor<3>, state: Option<C::State>) -> (Tensor<3>, C::State) {
        self.run(input, RowOptions::default(), state)
    }

    /// Runs a batch of sequences of different lengths, in any order. The results are those of PyTorch for a packed
    /// sequence.
    ///
    /// Outputs past a row's length are zero. The final state of a row is that after its own last step, and the
    /// backward direction starts there. The content of the padding changes no
    /// output and no gradient, and its own gradient is zero.
    ///
    /// # Arguments
    ///
    /// - `input`: `[B, T, I]`, or `[T, B, I]` without `batch_first`
    /// - `lengths`: one for each row, `0 ..= T`; a row of length zero keeps its initial state
    /// - `state`: the state to start from; `None` means zeros
    ///
    /// # Returns
    ///
    /// As [`forward`](Self::forward).
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward), and if the lengths do not fit.
    pub fn forward_lengths(
        &self,
        input: Tensor<3>,
        lengths: &[usize],
        state: Option<C::State>,
    ) -> (Tensor<3>, C::State) {
        self.forward_with(input, &SequenceOptions::new().with_lengths(lengths), state)
    }

    /// Runs a batch of sequences with masked steps anywhere. At a masked step, a row copies its state on.
    ///
    /// The same steps are masked in both directions. The input at masked steps changes no output and no gradient,
    /// and its own gradient is zero. With a mask that is true up to each row's length, this is
    /// [`forward_lengths`](Self::forward_lengths).
    ///
    /// # Arguments
    ///
    /// - `input`: `[B, T, I]`, or `[T, B, I]` without `batch_first`
    /// - `mask`: `[B, T]` with either layout, true where the step is valid; a row may have no valid step
    /// - `masked_output`: what the output is at masked steps, zero or the state that is held
    /// - `state`: the state to start from; `None` means zeros
    ///
    /// # Returns
    ///
    /// As [`forward`](Self::forward).
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward), and if the mask has another shape.
    pub fn forward_masked(
        &self,
        input: Tensor<3>,
        mask: Tensor<2, Bool>,
        masked_output: MaskedOutput,
        state: Option<C::State>,
    ) -> (Tensor<3>, C::State) {
        let options = SequenceOptions::new().with_mask(mask).with_masked_output(masked_output);
        self.forward_with(input, &options, state)
    }

    /// Runs one step of a stream.
    ///
    /// On a device with autodiff the tape grows with each step until a `backward`. For streaming, use the layer that
    /// [`valid`](burn::module::Module::valid) returns.
    ///
    /// # Arguments
    ///
    /// - `input`: `[B, I]`
    /// - `state`: the state after the step before, or `None` for zeros
    ///
    /// # Returns
    ///
    /// - the hidden state of the last layer, `[B, P]`
    /// - the state after the step
    ///
    /// # Panics
    ///
    /// If the layer is bidirectional or reversed (such a layer has no next step), or as [`forward`](Self::forward).
    pub fn step(
        &self,
        input: Tensor<2>,
        state: impl Into<Option<C::State>>,
    ) -> (Tensor<2>, C::State) {
        assert!(
            !self.options.bidirectional && !self.options.reverse,
            "{}: one step at a time needs a layer that runs forward only",
            self.cell.name(),
        );
        let [batch, width] = input.dims();
        assert!(
            batch > 0 && width == self.options.d_input,
            "{}: the input has shape {:?}, expected [B, I] with at least one row and I = {}",
            self.cell.name(),
            [batch, width],
            self.options.d_input,
        );
        let input = input.reshape([1, batch, width]);
        let done = self.run_layers(input, RowOptions::default(), state.into(), false);
        // The output of one step is the hidden state that it leaves.
        (done.last_hidden, done.state)
    }

    /// A state of zeros, the same as `None`.
    ///
    /// # Arguments
    ///
    /// - `batch`: `B`
    /// - `like`: a tensor with the device and the type for the state
    pub fn zero_state<const D: usize>(&self, batch: usize, like: &Tensor<D>) -> C::State {
        let options = (&like.device(), like.dtype());
        let rows = self.parts();
        let memories = rows * self.cell.memories();
        let hidden = Tensor::zeros([rows, batch, self.d_state()], options);
        let memory = (memories > 0)
            .then(|| Tensor::zeros([memories, batch, self.options.d_hidden], options));
        C::State::from_parts(hidden, memory)
    }

    /// The same layer with the same parameters and another engine.
    pub fn with_engine(mut self, engine: Engine) -> Self {
        self.options.engine = engine;
        self
    }

    /// The same layer with another kernel for the manual engine: a [`Kernel`] that comes with bptt, or a kernel of
    /// your own, which is a type that implements [`SequenceKernel`](bptt_kernels::SequenceKernel) for a backend.
    /// The layer's input then has to be on that backend.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use bptt::{LstmConfig, kernels::ReferenceKernel};
    /// use burn::backend::Flex;
    /// use burn::tensor::Device;
    ///
    /// // As somebody else's kernel, for one backend.
    /// let lstm = LstmConfig::new(3, 4).init(&Device::flex()).with_kernel::<Flex>(ReferenceKernel);
    /// assert!(lstm.custom_kernel().is_some());
    /// # }
    /// ```
    pub fn with_kernel<Of>(mut self, kernel: impl LayerKernel<C, Of>) -> Self {
        match kernel.choice() {
            KernelChoice::BuiltIn(kernel) => {
                self.options.kernel = kernel;
                self.custom_kernel = None;
            }
            KernelChoice::Custom(kernel) => self.custom_kernel = Some(kernel),
        }
        self
    }

    /// The same layer with a budget for its trace: how many bytes the manual engine keeps from the forward to the
    /// backward pass, besides inputs and outputs. The backward pass computes again what does not fit, by the
    /// schedule with the fewest steps ([`TraceSchedule`](bptt_kernels::TraceSchedule)), and the gradients are
    /// the same bits. With a twentieth of the whole trace of a long sequence, no step runs more than twice.
    ///
    /// The budget is for the whole stack; each layer and direction gets an equal part. The kernels for host memory
    /// keep to it. The reference kernel (so far also that of GPUs) and the autograd engine ignore it.
    ///
    /// The forward pass panics if no schedule fits the budget, before it allocates. The message says which budget
    /// would do.
    pub fn with_trace_budget(mut self, bytes: Option<usize>) -> Self {
        self.options.trace_budget = bytes;
        self
    }

    /// The same layer with a probe that reads the gradient of the state in each backward pass of the manual engine, or
    /// without one. The gradients themselves do not change. The other engines ignore it.
    pub fn with_gradient_probe(mut self, probe: Option<GradientProbe>) -> Self {
        self.gradient_probe = probe;
        self
    }

    /// The engine that differentiates it.
    pub fn engine(&self) -> Engine {
        self.options.engine
    }

    /// The kernel of its manual engine, unless it has a [custom kernel](Self::custom_kernel).
    pub fn kernel(&self) -> Kernel {
        self.options.kernel
    }

    /// The name of the type of its custom kernel, if it has one.
    pub fn custom_kernel(&self) -> Option<&'static str> {
        self.custom_kernel.as_ref().map(CustomKernel::name)
    }

    /// Its cell.
    pub fn cell(&self) -> &C {
        &self.cell
    }

    /// The size of its input, `I`.
    pub fn d_input(&self) -> usize {
        self.options.d_input
    }

    /// The size of its gates, `H`.
    pub fn d_hidden(&self) -> usize {
        self.options.d_hidden
    }

    /// The size of its output, `D·P`.
    pub fn d_output(&self) -> usize {
        self.directions() * self.d_state()
    }

    /// `L`
    pub fn num_layers(&self) -> usize {
        self.options.num_layers
    }

    /// How many heads its recurrent weights have; 1: a whole matrix.
    pub fn num_heads(&self) -> usize {
        self.options.num_heads
    }

    /// Whether it has a backward direction beside the forward one.
    pub fn is_bidirectional(&self) -> bool {
        self.options.bidirectional
    }

    /// Whether it runs from the last step to the first, and in no other direction.
    pub fn is_reverse(&self) -> bool {
        self.options.reverse
    }

    /// Whether inputs are `[B, T, I]` (else `[T, B, I]`).
    pub fn is_batch_first(&self) -> bool {
        self.options.batch_first
    }

    pub(crate) fn directions(&self) -> usize {
        if self.options.bidirectional { 2 } else { 1 }
    }

    /// The size of the hidden state, `P` or `H`.
    pub(crate) fn d_state(&self) -> usize {
        self.options.proj_size.unwrap_or(self.options.d_hidden)
    }

    /// Runs a batch of sequences of whichever kind.
    pub(crate) fn run(
        &self,
        input: Tensor<3>,
        mut rows: RowOptions,
        state: Option<C::State>,
    ) -> (Tensor<3>, C::State) {
        let [batch, time] = self.check_input(&input);
        let batch_first = self.options.batch_first;
        let input = if batch_first { input.swap_dims(0, 1) } else { input };
        // A mask without a masked step changes nothing, so it is dropped.
        let is_masked = |mask: &SequenceMask, t| (0..batch).any(|b| !mask.is_valid(t, b, batch));
        rows.mask = rows.mask.filter(|mask| (0..time).any(|t| is_masked(mask, t)));
        // The kernels write the outputs in the layer's own layout.
        let done = self.run_layers(input, rows, state, batch_first);
        (done.outputs, done.state)
    }

    /// `L·D`: layers and directions, each with weights of its own.
    pub(crate) fn parts(&self) -> usize {
        self.options.num_layers * self.directions()
    }
}
