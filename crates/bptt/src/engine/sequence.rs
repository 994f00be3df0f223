//! The input of an engine.

use bptt_cells::Cell;
use bptt_kernels::{
    AnyTensor, GradientObserver, Kernel, MaskedOutput, Operand, Operands, Plan, SequenceMask,
    WeightCache,
};
use burn::Tensor;
use std::sync::Arc;

/// Everything that one layer in one direction needs to run a sequence.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// `[T, B, I]`
    pub input: Tensor<3>,
    /// `W`, `[G·H, I]`
    pub weight_ih: Tensor<2>,
    /// `U`, `[G·H, P]`
    pub weight_hh: Tensor<2>,
    /// `b`, `[G·H]`
    pub bias_ih: Option<Tensor<1>>,
    /// `b_h`, `[G·H]`
    pub bias_hh: Option<Tensor<1>>,
    /// The projection, `[P, H]`
    pub weight_hr: Option<Tensor<2>>,
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
    /// The operands and the plan for the kernels.
    pub(crate) fn into_operands<C: Cell>(self, cell: C) -> (Operands<AnyTensor>, Plan<C>) {
        let mut operands = Operands::<AnyTensor>::new();
        operands.set(Operand::Input, Some(self.input.into()));
        operands.set(Operand::WeightIh, Some(self.weight_ih.into()));
        operands.set(Operand::WeightHh, Some(self.weight_hh.into()));
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
            .with_kernel(self.kernel)
            .with_batch_first(self.batch_first)
            .with_trace_budget(self.trace_budget)
            .with_weight_cache(self.weight_cache)
            .with_observer(self.observer);
        (operands, plan)
    }
}
