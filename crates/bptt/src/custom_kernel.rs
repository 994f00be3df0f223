//! Kernels of your own.

use crate::cell::{CellVisitor, DROPPED, SequenceCell};
use crate::engine::{Sequence, without_added};
use bptt_cells::Cell;
use bptt_kernels::{
    CellLayout, DispatchBackend, Kernel, SequenceKernel, SequenceResult, recurrent_by,
};
use std::fmt::{Debug, Formatter};
use std::marker::PhantomData;
use std::sync::Arc;

/// What a layer's [`with_kernel`](crate::Recurrent::with_kernel) takes: a [`Kernel`] that comes with bptt, or a kernel
/// of your own, which is any [`SequenceKernel`]. `Of` is the backend of the kernel; the compiler finds it.
pub trait LayerKernel<C, Of> {
    #[doc(hidden)]
    fn choice(self) -> KernelChoice<C>;
}

/// A marker in place of a backend, for kernels that come with bptt.
#[derive(Debug)]
pub struct BuiltIn;

/// Which kernel the manual engine runs.
#[derive(Clone, Debug)]
pub enum KernelChoice<C> {
    /// One that comes with bptt.
    BuiltIn(Kernel),
    /// One of your own.
    Custom(CustomKernel<C>),
}

/// A kernel of your own, for a layer of the cell `C`.
pub struct CustomKernel<C> {
    name: &'static str,
    run: Arc<dyn Fn(&C, Sequence, bool) -> SequenceResult + Send + Sync>,
}

impl<C> CustomKernel<C> {
    /// The name of its type.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Runs one layer in one direction, in real time or not.
    pub(crate) fn run(&self, cell: &C, sequence: Sequence, real_time: bool) -> SequenceResult {
        (self.run)(cell, sequence, real_time)
    }
}

impl<C> Clone for CustomKernel<C> {
    fn clone(&self) -> Self {
        Self { name: self.name, run: self.run.clone() }
    }
}

impl<C> Debug for CustomKernel<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl<C> LayerKernel<C, BuiltIn> for Kernel {
    fn choice(self) -> KernelChoice<C> {
        KernelChoice::BuiltIn(self)
    }
}

impl<C: SequenceCell, B: DispatchBackend, K: SequenceKernel<B>> LayerKernel<C, B> for K {
    fn choice(self) -> KernelChoice<C> {
        let run = move |cell: &C, sequence: Sequence, real_time: bool| {
            let (kernel, backend) = (self.clone(), PhantomData::<B>);
            let has_candidate_mask = sequence.has_candidate_mask();
            let run = ByKernel { kernel, sequence, real_time, backend };
            match has_candidate_mask {
                true => cell.accept_dropped(run).expect(DROPPED),
                false => cell.accept(run),
            }
        };
        let name = std::any::type_name::<K>();
        KernelChoice::Custom(CustomKernel { name, run: Arc::new(run) })
    }
}

/// Runs a sequence by a kernel, for any cell.
struct ByKernel<K, B> {
    kernel: K,
    sequence: Sequence,
    real_time: bool,
    backend: PhantomData<B>,
}

impl<B: DispatchBackend, K: SequenceKernel<B>> CellVisitor for ByKernel<K, B> {
    type Output = SequenceResult;

    fn visit<C: Cell>(mut self, cell: C) -> SequenceResult {
        let layout = CellLayout::of::<C>();
        let has_candidate_mask = self.sequence.has_candidate_mask();
        self.sequence.add_memories(&layout);
        let (operands, plan) = self.sequence.into_operands(cell);
        let plan = plan.with_real_time(self.real_time);
        let result = recurrent_by::<B, K, C>(self.kernel, operands, plan);
        without_added(result, &layout, has_candidate_mask)
    }
}
