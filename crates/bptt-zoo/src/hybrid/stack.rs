//! The whole model: its blocks, one after the other.

use super::block::HybridBlock;
use bptt::{AnyState, Engine};
use burn::Tensor;
use burn::module::Module;
use burn::nn::{Linear, RmsNorm};
use burn::tensor::DType;

/// Blocks of linear recurrences and of local attention. Made by [`HybridConfig`](super::HybridConfig).
///
/// Shapes: `T` time steps, `B` batch, `I` input size, `W` width, `N` steps of the window.
#[derive(Module, Debug)]
pub struct Hybrid {
    /// From `I` to `W`, if they differ.
    pub input: Option<Linear>,
    /// The blocks.
    pub blocks: Vec<HybridBlock>,
    /// Behind the last block.
    pub norm: RmsNorm,
    d_input: usize,
    window: usize,
    /// How many numbers the state of each block has, for each row.
    #[module(skip)]
    state_sizes: Vec<usize>,
}

impl Hybrid {
    pub(super) fn new(
        input: Option<Linear>,
        blocks: Vec<HybridBlock>,
        norm: RmsNorm,
        [d_input, window]: [usize; 2],
        state_sizes: Vec<usize>,
    ) -> Self {
        Self { input, blocks, norm, d_input, window, state_sizes }
    }

    /// Runs a chunk of sequences. Chunks and steps of any size give the results of the whole sequence, to rounding.
    ///
    /// The attention takes memory for `T · (N - 1 + T)` scores of each row and head, so a long sequence is best given in
    /// chunks of about `N` steps.
    ///
    /// # Arguments
    ///
    /// - `input`: `[B, T, I]`
    /// - `state`: the state after the chunk before; `None` at the beginning
    ///
    /// # Returns
    ///
    /// - the outputs, `[B, T, W]`
    /// - the state after the chunk. `hidden` `[1, B, S]` has the numbers of all blocks. Of an RG-LRU, these are its state
    ///   and the last three inputs of its convolution; of an attention, keys and values of the last `N - 1` steps.
    ///   `memory` `[1, B, 1]` is how many of these steps there have been.
    ///
    /// # Panics
    ///
    /// If the input or the state has another shape; the message names both shapes.
    pub fn forward(&self, input: Tensor<3>, state: Option<AnyState>) -> (Tensor<3>, AnyState) {
        let [batch, time, size] = input.dims();
        assert!(
            batch > 0 && time > 0 && size == self.d_input,
            "hybrid: the input is [{batch}, {time}, {size}], expected [B, T, {}] with a row and a step",
            self.d_input
        );
        let (hidden, seen) = self.state(batch, &input, state);
        let mut x = match &self.input {
            Some(linear) => linear.forward(input),
            None => input,
        };
        let (mut from, mut last) = (0, Vec::with_capacity(self.blocks.len()));
        for (block, &size) in self.blocks.iter().zip(&self.state_sizes) {
            let (y, state) = block.forward(x, hidden.clone().narrow(1, from, size), &seen);
            x = y;
            last.push(state);
            from += size;
        }
        let seen = seen.add_scalar(time as f64).clamp_max((self.window - 1) as f64);
        let hidden = Tensor::cat(last, 1).reshape([1, batch, from]);
        let state = AnyState { hidden, memory: Some(seen.reshape([1, batch, 1])) };
        (self.norm.forward(x), state)
    }

    /// Runs one step of streams: `[B, I]` -> `[B, W]`, and the state. See [`forward`](Self::forward).
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    pub fn step(&self, input: Tensor<2>, state: Option<AnyState>) -> (Tensor<2>, AnyState) {
        let (output, state) = self.forward(input.unsqueeze_dim(1), state);
        (output.squeeze_dim(1), state)
    }

    /// The same model with the same parameters, whose RG-LRUs are differentiated by another engine.
    ///
    /// # Panics
    ///
    /// With [`Engine::Rtrl`], which they do not have.
    pub fn with_engine(mut self, engine: Engine) -> Self {
        self.blocks = self.blocks.into_iter().map(|block| block.with_engine(engine)).collect();
        self
    }

    /// The size of its input, `I`.
    pub fn d_input(&self) -> usize {
        self.d_input
    }

    /// The width, `W`.
    pub fn d_output(&self) -> usize {
        self.norm.gamma.dims()[0]
    }

    /// How many steps the attention reaches, `N`.
    pub fn window(&self) -> usize {
        self.window
    }

    /// The type of the parameters.
    pub fn dtype(&self) -> DType {
        self.norm.gamma.dtype()
    }

    /// The state as `[B, S]` and `[B, 1]`: the given one, or that of the beginning.
    fn state(
        &self,
        batch: usize,
        like: &Tensor<3>,
        state: Option<AnyState>,
    ) -> (Tensor<2>, Tensor<2>) {
        let size: usize = self.state_sizes.iter().sum();
        let Some(AnyState { hidden, memory }) = state else {
            let zeros = |size| Tensor::zeros([batch, size], (&like.device(), like.dtype()));
            return (zeros(size), zeros(1));
        };
        let found = (hidden.dims(), memory.as_ref().map(|memory| memory.dims()));
        let expected = ([1, batch, size], Some([1, batch, 1]));
        assert!(found == expected, "hybrid: the state is {found:?}, expected {expected:?}");
        let memory = memory.expect("just compared");
        (hidden.reshape([batch, size]), memory.reshape([batch, 1]))
    }
}
