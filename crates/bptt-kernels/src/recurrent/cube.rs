//! The CubeCL backends: their kernels, and the reference body where these do not go.

use crate::cube::sequence::{Sequence, StepGradients, Strategy, Tensor, Trace};
use crate::cube::step_programs::StepPrograms;
use crate::operation::cell_layout::CellLayout;
use crate::operation::operands::{Cotangents, Operand, Operands, Results};
use crate::operation::plan::{Kernel, Plan, Sizes};
use crate::recurrent::dispatch::differentiated;
use crate::recurrent::kernel::{ReferenceKernel, SequenceKernel};
use crate::reference::body::StepTrace;
use crate::reference::primitive::Primitive;
use crate::reference::step_sums::StepSums;
use bptt_cells::Cell;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Cube, TensorMetadata};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use std::any::Any;
use std::fmt::Debug;

differentiated!(Cube);

/// The kernels for CubeCL's devices. Where they do not go, it is the reference body: see `sequence`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CubeKernel;

/// What the forward pass keeps.
#[derive(Clone, Debug)]
pub enum CubeTrace<T> {
    #[doc(hidden)]
    Reference(Vec<StepTrace<T>>),
    #[doc(hidden)]
    Kernels(Box<KernelTrace>),
}

/// What the kernels keep.
#[derive(Clone, Debug)]
pub struct KernelTrace(Trace);

/// The strategy that a plan asks for; `None` for the reference body.
fn strategy(kernel: Kernel) -> Option<Strategy> {
    match kernel {
        Kernel::Reference => None,
        Kernel::Auto | Kernel::Steps => Some(Strategy::Steps),
        Kernel::Rows => Some(Strategy::Rows),
    }
}

/// A tensor of a backend as one of CubeCL's, if it is one. With Burn's fusion it is not: an operation that is still to be
/// run has no memory.
fn as_cube<B: Backend>(tensor: &FloatTensor<B>) -> Option<Tensor> {
    let any: &dyn Any = tensor;
    any.downcast_ref::<CubeTensor>().cloned().map(Primitive)
}

/// The reverse of [`as_cube`].
fn of_cube<B: Backend>(tensor: Tensor) -> FloatTensor<B> {
    let any: Box<dyn Any> = Box::new(tensor.0);
    *any.downcast().expect("operands that were CubeCL's have results that are")
}

/// The sequence and its operands as CubeCL's tensors; `None` if the reference body runs it: by a plan that asks for it, in
/// another type than f32, with a projection, zoneout or a mask of the state, with an observer, for a cell that mixes the
/// units of a row, with Burn's fusion, and beyond the device's limits.
fn sequence<'a, B: Backend, C: Cell>(
    plan: &'a Plan<C>,
    operands: &Operands<FloatTensor<B>>,
) -> Option<(Sequence<'a>, Operands<Tensor>)> {
    let strategy = strategy(plan.options.kernel)?;
    let is_f32 = operands.need(Operand::Input).dtype() == DType::F32;
    let is_plain = plan.options.rows.noise.is_none() && plan.options.observer.is_none();
    if !is_f32 || !is_plain || operands.has(Operand::WeightHr) {
        return None;
    }
    let programs = StepPrograms::of(&plan.cell)?;
    let mut cube = Operands::new();
    for (operand, tensor) in operands.iter() {
        cube.set(operand, Some(as_cube::<B>(tensor)?));
    }
    let shape = |operand| operands.need(operand).shape();
    let sizes = Sizes::of(&CellLayout::of::<C>(), shape);
    let sequence = Sequence { options: &plan.options, programs, sizes, strategy };
    sequence.fits(&cube.need(Operand::Input).0.client).then_some((sequence, cube))
}

impl<B: Backend> SequenceKernel<B> for CubeKernel {
    type Trace = CubeTrace<FloatTensor<B>>;

    fn forward<C: Cell>(
        &self,
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<B>>,
        keep: bool,
    ) -> (Results<FloatTensor<B>>, Option<Self::Trace>) {
        let Some((sequence, operands)) = sequence::<B, C>(plan, operands) else {
            let (results, trace) =
                SequenceKernel::<B>::forward(&ReferenceKernel, plan, operands, keep);
            return (results, trace.map(CubeTrace::Reference));
        };
        let (results, trace) = sequence.forward(&operands, keep);
        let trace = trace.map(|trace| CubeTrace::Kernels(Box::new(KernelTrace(trace))));
        (results.map(of_cube::<B>), trace)
    }

    fn backward<C: Cell>(
        &self,
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<B>>,
        trace: Self::Trace,
        d_results: Cotangents<FloatTensor<B>>,
        wanted: &Operands<()>,
    ) -> Operands<FloatTensor<B>> {
        let trace = match trace {
            CubeTrace::Reference(trace) => {
                let kernel = ReferenceKernel;
                return SequenceKernel::<B>::backward(
                    &kernel, plan, operands, trace, d_results, wanted,
                );
            }
            CubeTrace::Kernels(trace) => trace.0,
        };
        let (sequence, mut operands) = sequence::<B, C>(plan, operands)
            .expect("the kernels ran the sequence forward, so they run it backward");
        let d_results = d_results.map(|d| as_cube::<B>(&d).expect("a gradient is on the device"));
        let StepGradients {
            d_gates,
            d_outer,
            hidden_before,
            gated_hidden,
            d_state,
            d_reset,
            input,
        } = sequence.backward(&operands, trace, d_results);
        operands.set(Operand::Input, Some(input));
        // The gradients and the input are zero at masked steps already.
        let plan = plan.clone().with_mask(None);
        StepSums::of_sequence(d_gates, d_outer, hidden_before, gated_hidden, d_reset)
            .gradients(
                &CellLayout::of::<C>(),
                &plan.options,
                &operands,
                wanted,
                (&sequence.sizes, d_state),
            )
            .map(of_cube::<B>)
    }

    fn carries_noise(&self) -> bool {
        true
    }
}
