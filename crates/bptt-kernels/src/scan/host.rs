//! A scan by the kernels for host memory.

use crate::host::memory::values::Values;
use crate::host::scan::backward::{Gradients, backward};
use crate::host::scan::forward::forward;
use crate::host::scan::layout::Scan;
use crate::host::simd::isa::Isa;
use crate::recurrent::half;
use crate::recurrent::host::{tensor, threads};
use crate::recurrent::host_memory::{Float, HostMemory};
use crate::scan::plan::Checked;
use crate::scan::run::{Done, Four, ScanRun};
use bptt_cells::scanned::ScannedCell;
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;

impl Checked {
    /// The scan of some operands, and of gates, which may be none; `zeros` are a reset state of zeros.
    pub(super) fn in_host_memory<'a, B: HostMemory, T: Float, C: ScannedCell>(
        &'a self,
        gates: &'a [T],
        [constants, initial, reset]: [&'a FloatTensor<B>; 3],
        zeros: &'a [T],
    ) -> Scan<'a, T> {
        let Self { time, batch, hidden, batch_first, reverse, .. } = *self;
        Scan {
            time,
            batch,
            hidden,
            parts: C::PARTS,
            batch_first,
            reverse,
            gates,
            constants: if C::CONSTANTS > 0 { B::numbers(constants) } else { &[] },
            initial: B::numbers(initial),
            reset: if self.has_reset_state { B::numbers(reset) } else { zeros },
            flags: self.flags.as_deref(),
        }
    }

    /// Zeros, if they are the reset state.
    pub(super) fn zeros<T: Float, C: ScannedCell>(&self) -> Vec<T> {
        let len = if self.has_reset_state { 0 } else { self.batch * C::PARTS * self.hidden };
        vec![T::ZERO; len]
    }

    /// The shape of a sequence of rows of this width.
    pub(super) fn shape(&self, width: usize) -> [usize; 3] {
        let Self { time, batch, .. } = *self;
        if self.batch_first { [batch, time, width] } else { [time, batch, width] }
    }
}

/// A scan by the kernels for host memory. For `bf16` and `f16` they compute in `f32`, as those of the recurrent layers.
#[derive(Debug)]
pub(super) struct HostRun<C> {
    pub(super) cell: C,
    pub(super) plan: Checked,
}

impl<B: HostMemory, C: ScannedCell> ScanRun<B, 4> for HostRun<C> {
    fn forward(&self, operands: &Four<FloatTensor<B>>, _is_tracked: bool) -> Done<B> {
        match operands[0].dtype() {
            DType::F64 => self.typed_forward::<B, f64>(operands),
            _ => self.typed_forward::<B, f32>(operands),
        }
    }

    fn backward(
        &self,
        operands: &Four<FloatTensor<B>>,
        mut kept: Vec<FloatTensor<B>>,
        d_states: FloatTensor<B>,
        wanted: Four<bool>,
    ) -> Four<Option<FloatTensor<B>>> {
        let kept = kept.remove(0);
        match operands[0].dtype() {
            DType::F64 => self.typed_backward::<B, f64>(operands, kept, d_states, wanted),
            _ => self.typed_backward::<B, f32>(operands, kept, d_states, wanted),
        }
    }
}

impl<C: ScannedCell> HostRun<C> {
    fn scan<'a, B: HostMemory, T: Float>(
        &'a self,
        [gates, constants, initial, reset]: &'a Four<FloatTensor<B>>,
        zeros: &'a [T],
    ) -> Scan<'a, T> {
        let rest = [constants, initial, reset];
        self.plan.in_host_memory::<B, T, C>(B::numbers(gates), rest, zeros)
    }

    fn typed_forward<B: HostMemory, T: Float>(&self, operands: &Four<FloatTensor<B>>) -> Done<B> {
        let dtype = operands[0].dtype();
        let device = operands[0].device();
        let read = operands.each_ref().map(|tensor| half::widened::<B, T>(tensor.clone()));
        let zeros = self.plan.zeros::<T, C>();
        let scan = self.scan::<B, T>(&read, &zeros);
        let shape = self.plan.shape(C::PARTS * self.plan.hidden);
        let mut states = Values::<T>::new(&shape, true);
        forward(&self.cell, scan, &mut states, Isa::detect(), threads());
        let kept = tensor::<B, T>(states, shape, &device);
        Done { states: half::narrowed::<B>(kept.clone(), dtype), kept: vec![kept] }
    }

    fn typed_backward<B: HostMemory, T: Float>(
        &self,
        operands: &Four<FloatTensor<B>>,
        kept: FloatTensor<B>,
        d_states: FloatTensor<B>,
        wanted: Four<bool>,
    ) -> Four<Option<FloatTensor<B>>> {
        let device = operands[0].device();
        let read = operands.each_ref().map(|tensor| half::widened::<B, T>(tensor.clone()));
        let zeros = self.plan.zeros::<T, C>();
        let scan = self.scan::<B, T>(&read, &zeros);
        let (states, d_states) = (B::contiguous::<T>(kept), half::widened::<B, T>(d_states));
        let values = |of: &[T]| Values::<T>::new(&[of.len()], true);
        let (mut gates, mut constants) = (values(scan.gates), values(scan.constants));
        let (mut initial, mut reset) = (values(scan.initial), values(scan.reset));
        let gradients = Gradients {
            gates: &mut gates,
            constants: &mut constants,
            initial: &mut initial,
            reset: &mut reset,
        };
        let states = (B::numbers(&states), B::numbers(&d_states));
        backward(&self.cell, scan, states, gradients, Isa::detect(), threads());
        let mut each = operands.iter().zip(wanted);
        [gates, constants, initial, reset].map(|d| {
            let (operand, _) = each.next().filter(|&(_, is_wanted)| is_wanted)?;
            let d = tensor::<B, T>(d, operand.shape(), &device);
            Some(half::narrowed::<B>(d, operand.dtype()))
        })
    }
}
