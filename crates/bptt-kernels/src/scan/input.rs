//! A scan whose gates are a product of its input, by the kernels for host memory.

use crate::host::memory::values::Values;
use crate::host::scan::input::InputScan;
use crate::host::scan::input::backward::{InputGradients, backward};
use crate::host::scan::input::forward::forward;
use crate::host::simd::isa::Isa;
use crate::recurrent::host::{tensor, threads};
use crate::recurrent::host_memory::{Float, HostMemory};
use crate::scan::plan::Checked;
use crate::scan::run::{Done, ScanRun};
use bptt_cells::scanned::ScannedCell;
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;

/// Input, weight, constants, initial and reset state. What is not given is a tensor of one number, which nothing reads.
type Five<X> = [X; 5];

/// Product and scan by the kernels for host memory, in f32 or f64. The backward pass reads the states and the gates.
#[derive(Debug)]
pub(super) struct InputRun<C> {
    pub(super) cell: C,
    pub(super) plan: Checked,
}

impl<B: HostMemory, C: ScannedCell> ScanRun<B, 5> for InputRun<C> {
    fn forward(&self, operands: &Five<FloatTensor<B>>, is_tracked: bool) -> Done<B> {
        match operands[0].dtype() {
            DType::F64 => self.typed_forward::<B, f64>(operands, is_tracked),
            _ => self.typed_forward::<B, f32>(operands, is_tracked),
        }
    }

    fn backward(
        &self,
        operands: &Five<FloatTensor<B>>,
        kept: Vec<FloatTensor<B>>,
        d_states: FloatTensor<B>,
        wanted: Five<bool>,
    ) -> Five<Option<FloatTensor<B>>> {
        match operands[0].dtype() {
            DType::F64 => self.typed_backward::<B, f64>(operands, &kept, d_states, wanted),
            _ => self.typed_backward::<B, f32>(operands, &kept, d_states, wanted),
        }
    }
}

impl<C: ScannedCell> InputRun<C> {
    /// The scan of operands without gaps; `zeros` are a reset state of zeros.
    fn scan<'a, B: HostMemory, T: Float>(
        &'a self,
        [input, weight, constants, initial, reset]: &'a Five<FloatTensor<B>>,
        zeros: &'a [T],
    ) -> InputScan<'a, T> {
        let rest = [constants, initial, reset];
        InputScan {
            scan: self.plan.in_host_memory::<B, T, C>(&[], rest, zeros),
            size: weight.shape()[1],
            input: B::numbers(input),
            weight: B::numbers(weight),
        }
    }

    fn typed_forward<B: HostMemory, T: Float>(
        &self,
        operands: &Five<FloatTensor<B>>,
        is_tracked: bool,
    ) -> Done<B> {
        let device = operands[0].device();
        let read = operands.each_ref().map(|tensor| B::contiguous::<T>(tensor.clone()));
        let zeros = self.plan.zeros::<T, C>();
        let of = self.scan::<B, T>(&read, &zeros);
        let Checked { time, batch, hidden, .. } = self.plan;
        let shape = self.plan.shape(C::PARTS * hidden);
        let mut states = Values::<T>::new(&shape, true);
        let all = [time, batch, C::GATES, hidden];
        let mut gates = is_tracked.then(|| Values::<T>::new(&all, true));
        let kept = gates.as_deref_mut();
        forward(&self.cell, of, &mut states, kept, Isa::detect(), threads());
        let states = tensor::<B, T>(states, shape, &device);
        let gates = gates.map(|gates| tensor::<B, T>(gates, all, &device));
        let kept = gates.map_or_else(Vec::new, |gates| vec![states.clone(), gates]);
        Done { states, kept }
    }

    fn typed_backward<B: HostMemory, T: Float>(
        &self,
        operands: &Five<FloatTensor<B>>,
        kept: &[FloatTensor<B>],
        d_states: FloatTensor<B>,
        wanted: Five<bool>,
    ) -> Five<Option<FloatTensor<B>>> {
        let device = operands[0].device();
        let read = operands.each_ref().map(|tensor| B::contiguous::<T>(tensor.clone()));
        let zeros = self.plan.zeros::<T, C>();
        let of = self.scan::<B, T>(&read, &zeros);
        let [states, gates] = [0, 1].map(|which| B::numbers::<T>(&kept[which]));
        let d_states = B::contiguous::<T>(d_states);
        let values = |of: &[T]| Values::<T>::new(&[of.len()], true);
        let [wants_input, wants_weight, ..] = wanted;
        let mut input = wants_input.then(|| values(of.input));
        let mut weight = wants_weight.then(|| values(of.weight));
        let (mut constants, mut initial, mut reset) =
            (values(of.scan.constants), values(of.scan.initial), values(of.scan.reset));
        let gradients = InputGradients {
            input: input.as_deref_mut(),
            weight: weight.as_deref_mut(),
            constants: &mut constants,
            initial: &mut initial,
            reset: &mut reset,
        };
        let states = (states, B::numbers(&d_states));
        backward(&self.cell, of, gates, states, gradients, Isa::detect(), threads());
        let mut each = operands.iter().zip(wanted);
        [input, weight, Some(constants), Some(initial), Some(reset)].map(|d| {
            let (operand, is_wanted) = each.next()?;
            let d = d.filter(|_| is_wanted)?;
            Some(tensor::<B, T>(d, operand.shape(), &device))
        })
    }
}
