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
use crate::scan::run::{Four, ScanRun};
use bptt_cells::scanned::ScannedCell;
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;

/// A scan by the kernels for host memory. For `bf16` and `f16` they compute in `f32`, as those of the recurrent layers.
#[derive(Debug)]
pub(super) struct HostRun<C> {
    pub(super) cell: C,
    pub(super) plan: Checked,
}

impl<B: HostMemory, C: ScannedCell> ScanRun<B> for HostRun<C> {
    fn forward(&self, operands: &Four<FloatTensor<B>>) -> (FloatTensor<B>, FloatTensor<B>) {
        match operands[0].dtype() {
            DType::F64 => self.typed_forward::<B, f64>(operands),
            _ => self.typed_forward::<B, f32>(operands),
        }
    }

    fn backward(
        &self,
        operands: &Four<FloatTensor<B>>,
        kept: FloatTensor<B>,
        d_states: FloatTensor<B>,
        wanted: Four<bool>,
    ) -> Four<Option<FloatTensor<B>>> {
        match operands[0].dtype() {
            DType::F64 => self.typed_backward::<B, f64>(operands, kept, d_states, wanted),
            _ => self.typed_backward::<B, f32>(operands, kept, d_states, wanted),
        }
    }
}

impl<C: ScannedCell> HostRun<C> {
    /// The scan of these operands; `zeros` are a reset state of zeros.
    fn scan<'a, B: HostMemory, T: Float>(
        &'a self,
        operands: &'a Four<FloatTensor<B>>,
        zeros: &'a [T],
    ) -> Scan<'a, T> {
        let Checked { time, batch, hidden, batch_first, reverse, .. } = self.plan;
        let [gates, constants, initial, reset] = operands;
        Scan {
            time,
            batch,
            hidden,
            parts: C::PARTS,
            batch_first,
            reverse,
            gates: B::numbers(gates),
            constants: if C::CONSTANTS > 0 { B::numbers(constants) } else { &[] },
            initial: B::numbers(initial),
            reset: if self.plan.has_reset_state { B::numbers(reset) } else { zeros },
            flags: self.plan.flags.as_deref(),
        }
    }

    /// Zeros, if they are the reset state.
    fn zeros<T: Float>(&self) -> Vec<T> {
        let Checked { batch, hidden, has_reset_state, .. } = self.plan;
        let len = if has_reset_state { 0 } else { batch * C::PARTS * hidden };
        vec![T::ZERO; len]
    }

    fn typed_forward<B: HostMemory, T: Float>(
        &self,
        operands: &Four<FloatTensor<B>>,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let dtype = operands[0].dtype();
        let device = operands[0].device();
        let read = operands.each_ref().map(|tensor| half::widened::<B, T>(tensor.clone()));
        let zeros = self.zeros::<T>();
        let scan = self.scan::<B, T>(&read, &zeros);
        let Checked { time, batch, hidden, batch_first, .. } = self.plan;
        let [outer, inner] = if batch_first { [batch, time] } else { [time, batch] };
        let shape = [outer, inner, C::PARTS * hidden];
        let mut states = Values::<T>::new(&shape, true);
        forward(&self.cell, scan, &mut states, Isa::detect(), threads());
        let kept = tensor::<B, T>(states, shape, &device);
        (half::narrowed::<B>(kept.clone(), dtype), kept)
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
        let zeros = self.zeros::<T>();
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
