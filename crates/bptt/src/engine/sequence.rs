//! The input of an engine.

use bptt_cells::Cell;
use bptt_kernels::{
    AnyTensor, CellLayout, GradientObserver, Kernel, MaskedOutput, Operand, Operands, Plan,
    SequenceMask, SequenceResult, StepNoise, WeightCache,
};
use burn::Tensor;
use burn::tensor::DType;
use std::sync::Arc;

/// Everything that one layer in one direction needs to run a sequence.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// `[T, B, I]`
    pub input: Tensor<3>,
    /// `W`, `[G·H, I]`
    pub weight_ih: Tensor<2>,
    /// `U`, `[G·H, P]`; in heads `[heads, G·H/heads, H/heads]`; for a cell without recurrent products its diagonal
    /// weights, `[V, H]`
    pub weight_hh: Option<AnyTensor>,
    /// `b`, `[G·H]`
    pub bias_ih: Option<Tensor<1>>,
    /// `b_h`, `[G·H]`
    pub bias_hh: Option<Tensor<1>>,
    /// The projection, `[P, H]`
    pub weight_hr: Option<Tensor<2>>,
    /// The diagonal weights, `[V, H]`
    pub weight_diag: Option<Tensor<2>>,
    /// The initial hidden state, `[B, P]`
    pub hidden: Tensor<2>,
    /// The initial memory, `[M, B, H]`
    pub memory: Option<Tensor<3>>,
    /// Whether the steps run from the last to the first.
    pub reverse: bool,
    /// Which steps of which rows are valid; `None`: all.
    pub mask: Option<SequenceMask>,
    /// What the output is at masked steps.
    pub masked_output: MaskedOutput,
    /// Where the state of a row is reset, `[T, B]`; `None`: nowhere. See [`Plan::with_resets`].
    pub resets: Option<Arc<[bool]>>,
    /// The hidden state that a reset sets, `[B, P]`; `None`: zeros.
    pub reset_hidden: Option<Tensor<2>>,
    /// The memory that a reset sets, `[M, B, H]`.
    pub reset_memory: Option<Tensor<3>>,
    /// What is done to the state around each step, besides the cell.
    pub noise: Option<StepNoise>,
    /// Which kernel the manual engine runs.
    pub kernel: Kernel,
    /// How much memory the manual engine's trace may take, in bytes.
    pub trace_budget: Option<usize>,
    /// Whether the outputs are to be `[B, T, P]`.
    pub batch_first: bool,
    /// What reads the gradient of the state in the manual engine's backward pass.
    pub observer: Option<Arc<dyn GradientObserver>>,
    /// Where the manual engine may keep packed weights from one short call to the next.
    pub weight_cache: Option<WeightCache>,
}

impl Sequence {
    /// Hands the diagonal weights (`weight_hh`, if the cell has no recurrent products) to the cell as memories that do
    /// not change, behind the others, for every row; also behind those that a reset sets. Kernels, engines and real-time
    /// learning then treat them as memories, and Burn sums their gradient over the rows. [`without_added`] takes them
    /// from the result. A mask of the candidate is such a memory, too.
    ///
    /// # Panics
    ///
    /// If the weights do not have the shape `[V, H]`.
    pub(crate) fn add_memories(&mut self, layout: &CellLayout) {
        if self.has_candidate_mask() {
            self.candidate_as_memory(layout);
        }
        if !layout.has_recurrent_weights() {
            self.weight_diag = self.weight_hh.take().map(|weight| match weight {
                AnyTensor::Matrix(weight) => weight,
                other => panic!(
                    "{}: `weight_hh` has shape {:?}, expected [V, H]",
                    layout.name,
                    &other.shape()[..]
                ),
            });
        }
        let [rows, _] = self.weight_ih.dims();
        let expected = [layout.diagonal_weights, rows / layout.gates()];
        let found = self.weight_diag.as_ref().map(|weight| weight.dims());
        assert!(
            found == (layout.diagonal_weights > 0).then_some(expected),
            "{}: `{}` has shape {found:?}, expected [V, H] = {expected:?}",
            layout.name,
            if layout.has_recurrent_weights() { "weight_diag" } else { "weight_hh" },
        );
        let Some(weight) = self.weight_diag.take() else { return };
        let [count, hidden] = weight.dims();
        let [batch, _] = self.hidden.dims();
        // The gradients of the rows are summed in f32 at least.
        let dtype = weight.dtype();
        let is_half = matches!(dtype, DType::BF16 | DType::F16);
        let weight = if is_half { weight.cast(DType::F32) } else { weight };
        let planes = weight.reshape([count, 1, hidden]).repeat_dim(1, batch);
        let planes = if is_half { planes.cast(dtype) } else { planes };
        let behind = |memory: Option<Tensor<3>>| match memory {
            Some(memory) => Tensor::cat(vec![memory, planes.clone()], 0),
            None => planes.clone(),
        };
        self.memory = Some(behind(self.memory.take()));
        if self.resets.is_none() && self.reset_hidden.is_none() {
            return;
        }
        let options = (&self.hidden.device(), self.hidden.dtype());
        let states = layout.states();
        if self.reset_hidden.is_none() {
            self.reset_hidden = Some(Tensor::zeros(self.hidden.dims(), options));
            self.reset_memory =
                (states > 0).then(|| Tensor::zeros([states, batch, hidden], options));
        }
        self.reset_memory = Some(behind(self.reset_memory.take()));
    }

    /// The operands and the plan for the kernels.
    pub(crate) fn into_operands<C: Cell>(self, cell: C) -> (Operands<AnyTensor>, Plan<C>) {
        let mut operands = Operands::<AnyTensor>::new();
        operands.set(Operand::Input, Some(self.input.into()));
        operands.set(Operand::WeightIh, Some(self.weight_ih.into()));
        operands.set(Operand::WeightHh, self.weight_hh);
        operands.set(Operand::BiasIh, self.bias_ih.map(Into::into));
        operands.set(Operand::BiasHh, self.bias_hh.map(Into::into));
        operands.set(Operand::WeightHr, self.weight_hr.map(Into::into));
        operands.set(Operand::Hidden, Some(self.hidden.into()));
        operands.set(Operand::Memory, self.memory.map(Into::into));
        operands.set(Operand::ResetHidden, self.reset_hidden.map(Into::into));
        operands.set(Operand::ResetMemory, self.reset_memory.map(Into::into));
        let plan = Plan::new(cell)
            .with_reverse(self.reverse)
            .with_mask(self.mask)
            .with_masked_output(self.masked_output)
            .with_resets(self.resets)
            .with_noise(self.noise)
            .with_kernel(self.kernel)
            .with_batch_first(self.batch_first)
            .with_trace_budget(self.trace_budget)
            .with_weight_cache(self.weight_cache)
            .with_observer(self.observer);
        (operands, plan)
    }
}

/// How the mask of the candidate goes into a cell that has one, and out of its result.
impl Sequence {
    /// Whether the noise has a mask of the candidate, which the cell takes as its last memory.
    pub(crate) fn has_candidate_mask(&self) -> bool {
        self.noise.as_ref().is_some_and(|noise| noise.candidate_mask().is_some())
    }

    /// Adds a memory behind the others, whose numbers the noise sets before each step; also to the state that a reset
    /// sets.
    fn candidate_as_memory(&mut self, layout: &CellLayout) {
        let [batch, _] = self.hidden.dims();
        let [rows, _] = self.weight_ih.dims();
        let plane = [1, batch, rows / layout.gates()];
        let options = (&self.hidden.device(), self.hidden.dtype());
        let behind = |memory: Option<Tensor<3>>| {
            let none = Tensor::zeros(plane, options);
            Some(match memory {
                Some(memory) => Tensor::cat(vec![memory, none], 0),
                None => none,
            })
        };
        self.memory = behind(self.memory.take());
        if self.reset_hidden.is_some() {
            self.reset_memory = behind(self.reset_memory.take());
        }
    }
}

/// The result without the memories that were added to those of the layer.
pub(crate) fn without_added(
    mut result: SequenceResult,
    layout: &CellLayout,
    has_candidate_mask: bool,
) -> SequenceResult {
    result.memory = memory_without_added(result.memory, layout, has_candidate_mask);
    result
}

/// The final memory without those that were added.
pub(super) fn memory_without_added(
    memory: Option<Tensor<3>>,
    layout: &CellLayout,
    has_candidate_mask: bool,
) -> Option<Tensor<3>> {
    let states = layout.states() - usize::from(has_candidate_mask);
    if states == layout.memories {
        return memory;
    }
    memory.filter(|_| states > 0).map(|memory| memory.slice([0..states]))
}
