//! The data that the threads of the backward pass share: weights, gradients, and the trace of some steps.

use crate::host::gemm::dispatch::Gemm;
use crate::host::gemm::panels::Packed;
use crate::host::layout::noise_rows::NoiseRows;
use crate::host::layout::plain_rows::{DOutputs, Slices, padded_row};
use crate::host::layout::sizes::Layer;
use crate::host::layout::thread_plan::TimeBlock;
use crate::host::layout::valid_rows::{Origin, ValidRows};
use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::sequence::backward_memory::{BlockBuffers, Gradients, StateGradient, Totals};
use crate::host::sequence::heads::{HeadSum, PackedHeads};
use crate::host::sequence::trace_segment::TraceSegment;
use crate::host::step::cell_steps::CellRunner;
use crate::operation::operands::{Operand, Operands};
use std::ops::Range;
use std::sync::atomic::AtomicUsize;

/// What all threads of the backward pass share. Buffers of two belong to blocks in turn.
pub(super) struct Sequence<'a, T> {
    pub(super) runner: CellRunner<'a, T>,
    pub(super) layer: &'a Layer,
    pub(super) operands: &'a Slices<'a, T>,
    pub(super) valid_rows: &'a ValidRows,
    pub(super) noise: &'a NoiseRows<'a, T>,
    pub(super) wanted: &'a Operands<()>,
    /// The outputs of the forward pass, `[T, B, P]`, and dLoss/d(outputs).
    pub(super) outputs: &'a [T],
    pub(super) d_outputs: DOutputs<'a, T>,
    /// A padded row of zeros.
    pub(super) zeros: &'a [T],
    /// The packed weights: `U` for `h`, `W` for `x`, the rows of `U` for the gated hidden state, and the projection.
    pub(super) weight_hh: Packed<'a, T>,
    pub(super) weight_ih: Option<Packed<'a, T>>,
    pub(super) gated: Option<Packed<'a, T>>,
    pub(super) project: Option<Packed<'a, T>>,
    /// In heads, the blocks of `U`, and the parts of their gradient: for `h`, and for the gated hidden state.
    pub(super) heads: Option<PackedHeads<'a, T>>,
    pub(super) head_sums: &'a [Vec<HeadSum>; 2],
    pub(super) blocks: &'a [TimeBlock],
    /// How many blocks have buffers at the same time: two, if threads may be in two blocks.
    pub(super) slots: usize,
    /// How many pieces of the large products of each block a thread has begun.
    pub(super) taken: Vec<AtomicUsize>,
    pub(super) buffers: BlockBuffers<Shared<'a, T>>,
    pub(super) state: StateGradient<Shared<'a, T>>,
    /// The diagonal weights, `[parts, V, Hp]`.
    pub(super) diagonal: Shared<'a, T>,
    pub(super) totals: Totals<Shared<'a, T>>,
    pub(super) gradients: Gradients<Shared<'a, T>>,
    /// Whether the input's gradient is computed right after the steps of a segment, for a layer below that runs beside this
    /// one; else block by block, with the other large products. The bits are the same.
    pub(super) input_by_steps: bool,
    /// For an observer: sums of squares of the state's gradient, `[threads, T, PATHS]`.
    pub(super) squares: Option<Shared<'a, f64>>,
}

/// The trace of some steps, shared.
#[derive(Clone)]
pub(super) struct SharedSegment<'a, T> {
    pub(super) steps: Range<usize>,
    pub(super) saved: Shared<'a, T>,
    pub(super) memory: Shared<'a, T>,
    pub(super) own: Option<Shared<'a, T>>,
    pub(super) own_memory: Option<Shared<'a, T>>,
}

impl<T: Gemm> TraceSegment<T> {
    pub(super) fn shared(&mut self) -> SharedSegment<'_, T> {
        SharedSegment {
            steps: self.steps.clone(),
            saved: self.saved.shared(),
            memory: self.memory.shared(),
            own: self.own.as_mut().map(Buffer::shared),
            own_memory: self.own_memory.as_mut().map(|own| own.shared()),
        }
    }
}

impl<T: Gemm> Sequence<'_, T> {
    /// The `index`th block, counted from the last to the first, and which buffers are its.
    pub(super) fn block(&self, index: usize) -> (&TimeBlock, usize) {
        (&self.blocks[self.blocks.len() - 1 - index], index % self.slots)
    }

    /// `h` before step `k`, as [`padded_row`] gives it.
    #[inline(always)]
    pub(super) fn hidden_before(&self, k: usize, b: usize) -> &[T] {
        let Layer { output, pp, .. } = *self.layer;
        match self.valid_rows.before(k, b) {
            Origin::Initial => padded_row(self.operands.need(Operand::Hidden), b * output, pp),
            Origin::Reset => match self.operands.get(Operand::ResetHidden) {
                Some(hidden) => padded_row(hidden, b * output, pp),
                None => self.zeros,
            },
            Origin::Step(k) => {
                let at = self.layer.output_at(self.layer.time_of(k), b);
                padded_row(self.outputs, at, pp)
            }
        }
    }
}
