//! A sequence with any cell and any kernel, as a trait object. So the code that uses it is compiled once.

use crate::operation::cell_layout::CellLayout;
use crate::operation::operands::{Cotangents, Operands, Results};
use crate::operation::plan::{Plan, PlanOptions};
use crate::recurrent::kernel::SequenceKernel;
use crate::recurrent::rtrl;
use bptt_cells::Cell;
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use std::fmt::Debug;

/// A sequence that runs forward and then backward, or in real time.
pub trait SequenceRun<B: Backend>: Debug + Send {
    /// The plan without its cell.
    fn options(&self) -> &PlanOptions;

    /// The cell's layout.
    fn layout(&self) -> CellLayout;

    /// Runs forward; with `keep`, keeps the trace.
    fn forward(
        &mut self,
        operands: &Operands<FloatTensor<B>>,
        keep: bool,
    ) -> Results<FloatTensor<B>>;

    /// dLoss/d(operand) for each wanted operand, from the trace that was kept. The trace is consumed.
    fn backward(
        &mut self,
        operands: &Operands<FloatTensor<B>>,
        d_results: Cotangents<FloatTensor<B>>,
        wanted: &Operands<()>,
    ) -> Operands<FloatTensor<B>>;

    /// The same, by real-time recurrent learning, which needs no trace.
    fn in_real_time(
        &self,
        operands: Operands<FloatTensor<B>>,
        d_results: Cotangents<FloatTensor<B>>,
        wanted: &Operands<()>,
    ) -> Operands<FloatTensor<B>>;

    /// See [`SequenceKernel::available_memory`].
    fn available_memory(&self, need: u128) -> Option<usize>;

    /// Clones the sequence, because Burn's tape requires that its contents can be cloned.
    fn boxed_clone(&self) -> Box<dyn SequenceRun<B>>;
}

impl<B: Backend> Clone for Box<dyn SequenceRun<B>> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}

/// One cell with one kernel.
#[derive(Debug)]
pub(super) struct Run<B: Backend, K: SequenceKernel<B>, C> {
    kernel: K,
    plan: Plan<C>,
    trace: Option<K::Trace>,
}

impl<B: Backend, K: SequenceKernel<B>, C: Cell> Run<B, K, C> {
    pub(super) fn new(kernel: K, plan: Plan<C>) -> Self {
        Self { kernel, plan, trace: None }
    }
}

impl<B: Backend, K: SequenceKernel<B>, C: Cell> SequenceRun<B> for Run<B, K, C> {
    fn options(&self) -> &PlanOptions {
        &self.plan.options
    }

    fn layout(&self) -> CellLayout {
        CellLayout::of::<C>()
    }

    fn forward(
        &mut self,
        operands: &Operands<FloatTensor<B>>,
        keep: bool,
    ) -> Results<FloatTensor<B>> {
        let (results, trace) = self.kernel.forward(&self.plan, operands, keep);
        self.trace = trace;
        results
    }

    fn backward(
        &mut self,
        operands: &Operands<FloatTensor<B>>,
        d_results: Cotangents<FloatTensor<B>>,
        wanted: &Operands<()>,
    ) -> Operands<FloatTensor<B>> {
        let trace = self.trace.take().expect("the kernel kept a trace when it was asked to");
        self.kernel.backward(&self.plan, operands, trace, d_results, wanted)
    }

    fn in_real_time(
        &self,
        operands: Operands<FloatTensor<B>>,
        d_results: Cotangents<FloatTensor<B>>,
        wanted: &Operands<()>,
    ) -> Operands<FloatTensor<B>> {
        rtrl::gradients::<B, C>(&self.plan, operands, d_results, wanted)
    }

    fn available_memory(&self, need: u128) -> Option<usize> {
        self.kernel.available_memory(need)
    }

    fn boxed_clone(&self) -> Box<dyn SequenceRun<B>> {
        let (kernel, plan, trace) = (self.kernel.clone(), self.plan.clone(), self.trace.clone());
        Box::new(Self { kernel, plan, trace })
    }
}
