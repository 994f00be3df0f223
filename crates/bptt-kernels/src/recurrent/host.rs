//! The host kernels as the operation of a backend in host memory.

use crate::host::layout::sizes::Layer;
use crate::host::memory::buffer::Shared;
use crate::host::memory::reclaim::available_for;
use crate::host::memory::values::Values;
use crate::host::sequence::backward::BackwardInputs;
use crate::host::sequence::forward::FinalState;
use crate::host::sequence::limits::Keeper;
use crate::host::sequence::packed_weights::PackedWeights;
use crate::host::sequence::trace_segment::Keep;
use crate::host::sequence::{backward, forward, limits, trace as host_trace};
use crate::host::simd::isa::Isa;
use crate::host::simd::real::Real;
use crate::host::step::cell_steps::{CellRunner, CellSteps, InValues};
use crate::operation::cell_layout::CellLayout;
use crate::operation::operands::{Cotangents, Operand, Operands, Results};
use crate::operation::plan::{Kernel, Plan, PlanOptions, Sizes, heads_of};
use crate::recurrent::half;
use crate::recurrent::host_memory::{Float, HostMemory};
use crate::recurrent::kept_weights::{BESIDE_WEIGHTS, pack, packed_before};
use crate::recurrent::kernel::{ReferenceKernel, SequenceKernel};
use crate::recurrent::trace::{AnyTrace, HostTrace, Numbers};
use bptt_cells::Cell;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, Element, Shape, TensorData};
use std::sync::Arc;

/// The kernels for host memory. For `bf16` and `f16` they compute in `f32` (`half.rs`). If the plan asks for it, the
/// reference body runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostKernel;

/// A backend in host memory, with the kernels compiled for it. Its methods are not generic over the cell, so they are
/// compiled once and not for each cell.
pub trait HostBackend: Backend {
    /// Runs forward.
    #[doc(hidden)]
    fn host_forward(
        options: &PlanOptions,
        cell: &dyn HostCell,
        operands: &Operands<FloatTensor<Self>>,
        keep: bool,
    ) -> (Results<FloatTensor<Self>>, Option<HostTrace<FloatTensor<Self>>>);

    /// Runs backward.
    #[doc(hidden)]
    fn host_backward(
        options: &PlanOptions,
        cell: &dyn HostCell,
        operands: &Operands<FloatTensor<Self>>,
        trace: HostTrace<FloatTensor<Self>>,
        d_results: Cotangents<FloatTensor<Self>>,
        wanted: &Operands<()>,
    ) -> Operands<FloatTensor<Self>>;

    /// Checks that the trace of the reference body fits, before it begins.
    #[doc(hidden)]
    fn check_reference_fits(
        options: &PlanOptions,
        cell: &CellLayout,
        operands: &Operands<FloatTensor<Self>>,
        keep: bool,
    );
}

/// A cell's steps in the types that have kernels.
pub trait HostCell: Sync {
    #[doc(hidden)]
    fn layout(&self) -> CellLayout;
    #[doc(hidden)]
    fn f32(&self) -> &dyn CellSteps<f32>;
    #[doc(hidden)]
    fn f64(&self) -> &dyn CellSteps<f64>;
}

impl<C: Cell> HostCell for InValues<'_, C> {
    fn layout(&self) -> CellLayout {
        CellLayout::of::<C>()
    }

    fn f32(&self) -> &dyn CellSteps<f32> {
        self
    }

    fn f64(&self) -> &dyn CellSteps<f64> {
        self
    }
}

impl<B: HostBackend> SequenceKernel<B> for HostKernel {
    type Trace = AnyTrace<FloatTensor<B>>;

    fn forward<C: Cell>(
        &self,
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<B>>,
        keep: bool,
    ) -> (Results<FloatTensor<B>>, Option<Self::Trace>) {
        let has_kernel = half::has_kernel(operands.need(Operand::Input).dtype());
        if plan.options.kernel == Kernel::Auto && has_kernel {
            let cell = InValues(&plan.cell);
            let (results, trace) = B::host_forward(&plan.options, &cell, operands, keep);
            return (results, trace.map(AnyTrace::Host));
        }
        if has_kernel {
            B::check_reference_fits(&plan.options, &CellLayout::of::<C>(), operands, keep);
        }
        let (results, trace) = SequenceKernel::<B>::forward(&ReferenceKernel, plan, operands, keep);
        (results, trace.map(AnyTrace::Reference))
    }

    fn backward<C: Cell>(
        &self,
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<B>>,
        trace: Self::Trace,
        d_results: Cotangents<FloatTensor<B>>,
        wanted: &Operands<()>,
    ) -> Operands<FloatTensor<B>> {
        match trace {
            AnyTrace::Reference(trace) => {
                let kernel = ReferenceKernel;
                SequenceKernel::<B>::backward(&kernel, plan, operands, trace, d_results, wanted)
            }
            AnyTrace::Host(trace) => {
                let cell = InValues(&plan.cell);
                B::host_backward(&plan.options, &cell, operands, trace, d_results, wanted)
            }
        }
    }

    fn carries_noise(&self) -> bool {
        true
    }

    fn available_memory(&self, need: u128) -> Option<usize> {
        available_for(need)
    }
}

/// The sequence forward.
pub(super) fn forward<B: HostMemory>(
    options: &PlanOptions,
    cell: &dyn HostCell,
    operands: &Operands<FloatTensor<B>>,
    keep: bool,
) -> (Results<FloatTensor<B>>, Option<HostTrace<FloatTensor<B>>>) {
    let layout = cell.layout();
    match operands.need(Operand::Input).dtype() {
        DType::F32 | DType::BF16 | DType::F16 => {
            typed_forward::<B, f32>(options, (&layout, cell.f32()), operands, keep)
        }
        DType::F64 => typed_forward::<B, f64>(options, (&layout, cell.f64()), operands, keep),
        dtype => unreachable!("no kernel for {dtype:?}"),
    }
}

/// The sequence backward, in the type of the trace, by so many threads; with a copy of the input that the kernels can read,
/// if there is one already.
pub(super) fn backward<B: HostMemory>(
    options: &PlanOptions,
    cell: &dyn HostCell,
    operands: &Operands<FloatTensor<B>>,
    trace: HostTrace<FloatTensor<B>>,
    d_results: Cotangents<FloatTensor<B>>,
    wanted: &Operands<()>,
    (threads, input): (usize, Option<&FloatTensor<B>>),
) -> Operands<FloatTensor<B>> {
    let layout = cell.layout();
    let HostTrace { outputs, numbers } = trace;
    let (plan, d) = ((options, threads, input), (d_results, wanted));
    match numbers {
        Numbers::F32(trace) => {
            typed_backward::<B, f32>(plan, (&layout, cell.f32()), operands, (outputs, trace), d)
        }
        Numbers::F64(trace) => {
            typed_backward::<B, f64>(plan, (&layout, cell.f64()), operands, (outputs, trace), d)
        }
    }
}

/// Checks that the trace of the reference body fits, before it begins.
///
/// # Panics
///
/// If it does not fit the memory that is available.
pub(super) fn check_reference_fits<B: HostMemory>(
    options: &PlanOptions,
    cell: &CellLayout,
    operands: &Operands<FloatTensor<B>>,
    keep: bool,
) {
    match operands.need(Operand::Input).dtype() {
        DType::F32 | DType::BF16 | DType::F16 => {
            refuse_what_cannot_fit::<B, f32>(options, cell, operands, keep);
        }
        DType::F64 => refuse_what_cannot_fit::<B, f64>(options, cell, operands, keep),
        _ => {}
    }
}

fn refuse_what_cannot_fit<B: HostMemory, T: Float>(
    options: &PlanOptions,
    cell: &CellLayout,
    operands: &Operands<FloatTensor<B>>,
    keep: bool,
) {
    let keep = if keep { Keep::All } else { Keep::Nothing };
    let own = operands.need(Operand::Input).dtype().size();
    let layer = Layer { bytes: [own; 2], ..layer::<B, T>(options, cell, operands) };
    let worked = layer.time.saturating_mul(layer.batch);
    let fits = limits::check(&layer, worked, keep, Keeper::Reference, available_for);
    fits.unwrap_or_else(|error| panic!("{error}"));
}

/// A forward pass of one direction, ready to run.
pub(super) struct Prepared<'a, B: HostMemory, T> {
    pub(super) layer: Layer,
    pub(super) keep: Keep,
    options: &'a PlanOptions,
    operands: &'a Operands<FloatTensor<B>>,
    steps: &'a dyn CellSteps<T>,
    copies: Option<Box<Operands<FloatTensor<B>>>>,
    /// If the weights are packed, only the other operands are read.
    read: &'static [Operand],
    packed: Option<Arc<PackedWeights<T>>>,
}

impl<'a, B: HostMemory, T: Float> Prepared<'a, B, T> {
    /// With a copy of the input that the kernels can read, if there is one already.
    pub(super) fn new(
        options: &'a PlanOptions,
        (layout, steps): (&CellLayout, &'a dyn CellSteps<T>),
        operands: &'a Operands<FloatTensor<B>>,
        keep: bool,
        input: Option<&FloatTensor<B>>,
    ) -> Self {
        let layer = layer::<B, T>(options, layout, operands);
        let cache = options.weight_cache.as_ref().filter(|_| !keep && layer.is_few());
        let packed = cache.and_then(|cache| packed_before::<B, T>(cache, layout, operands));
        let read: &[Operand] = if packed.is_some() { &BESIDE_WEIGHTS } else { &Operand::ALL };
        let copies = copies::<B, T>(operands, read, input);
        let packed = packed.or_else(|| {
            let slices = slices::<B, T>(operands, copies.as_deref(), read);
            cache.map(|cache| pack::<B, T>(cache, layout, &layer, operands, &slices))
        });
        let keep = match (keep, options.trace_budget) {
            (false, _) => Keep::Nothing,
            (true, None) => Keep::All,
            (true, Some(budget)) => Keep::Within(budget),
        };
        Self { layer, keep, options, operands, steps, copies, read, packed }
    }

    /// Runs it. The outputs are written to memory of the caller, which has checked that all of it fits.
    pub(super) fn run(
        &self,
        outputs: Shared<'_, T>,
        threads: usize,
    ) -> (FinalState<T>, Option<host_trace::Trace<T>>) {
        forward::forward_to(
            outputs,
            CellRunner { steps: self.steps, tangents: None },
            (&self.layer, &self.options.rows, self.keep),
            &slices::<B, T>(self.operands, self.copies.as_deref(), self.read),
            self.packed.clone(),
            self.layer.thread_plan::<T>(threads),
        )
    }

    /// Memory for the outputs, of the shape that the plan asks for. It is zero where rows are masked.
    pub(super) fn outputs(&self) -> Values<T> {
        let Layer { time, batch, output_row, .. } = self.layer;
        Values::new(&[time, batch, output_row], self.options.rows.mask.is_none())
    }

    /// The outputs as a tensor.
    pub(super) fn tensor_of(&self, outputs: Values<T>) -> FloatTensor<B> {
        let device = self.operands.need(Operand::Input).device();
        let Layer { time, batch, input, hidden, output, memories, .. } = self.layer;
        let sizes = Sizes { time, batch, input, hidden, output, memories };
        tensor::<B, T>(outputs, self.options.outputs_shape(&sizes), &device)
    }

    /// The final state as tensors of the operands' type.
    pub(super) fn tensors_of(
        &self,
        state: FinalState<T>,
    ) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
        let input = self.operands.need(Operand::Input);
        let (device, dtype) = (input.device(), input.dtype());
        let Layer { batch, hidden, output, memories, .. } = self.layer;
        let tensor = |values, shape: &[usize]| {
            half::narrowed::<B>(tensor::<B, T>(values, Shape::from(shape.to_vec()), &device), dtype)
        };
        let of_memory = |memory| tensor(memory, &[memories, batch, hidden]);
        (tensor(state.hidden, &[batch, output]), state.memory.map(of_memory))
    }
}

fn typed_forward<B: HostMemory, T: Float>(
    options: &PlanOptions,
    cell: (&CellLayout, &dyn CellSteps<T>),
    operands: &Operands<FloatTensor<B>>,
    keep: bool,
) -> (Results<FloatTensor<B>>, Option<HostTrace<FloatTensor<B>>>) {
    let prepared = Prepared::<B, T>::new(options, cell, operands, keep, None);
    forward::check_fits(&prepared.layer, &options.rows, prepared.keep, 1);
    let mut outputs = prepared.outputs();
    let (state, trace) = prepared.run(Shared::new(&mut outputs), threads());
    let outputs = prepared.tensor_of(outputs);
    let trace = trace.map(|trace| HostTrace { outputs: outputs.clone(), numbers: T::wrap(trace) });
    let outputs = half::narrowed::<B>(outputs, operands.need(Operand::Input).dtype());
    let (hidden, memory) = prepared.tensors_of(state);
    (Results { outputs, hidden, memory }, trace)
}

fn typed_backward<B: HostMemory, T: Float>(
    (options, threads, input): (&PlanOptions, usize, Option<&FloatTensor<B>>),
    (layout, steps): (&CellLayout, &dyn CellSteps<T>),
    operands: &Operands<FloatTensor<B>>,
    (outputs, mut trace): (FloatTensor<B>, host_trace::Trace<T>),
    (d_results, wanted): (Cotangents<FloatTensor<B>>, &Operands<()>),
) -> Operands<FloatTensor<B>> {
    let copies = copies::<B, T>(operands, &Operand::ALL, input);
    let outputs = B::contiguous::<T>(outputs);
    let Cotangents { outputs: d_outputs, hidden: d_hidden, memory: d_memory } = d_results;
    let [d_outputs, d_hidden, d_memory] =
        [d_outputs, d_hidden, d_memory].map(|d| d.map(half::widened::<B, T>));
    let layer = layer::<B, T>(options, layout, operands);
    let inputs = BackwardInputs {
        trace: &mut trace,
        outputs: B::numbers(&outputs),
        d_results: Cotangents {
            outputs: d_outputs.as_ref().map(B::numbers),
            hidden: d_hidden.as_ref().map(B::numbers),
            memory: d_memory.as_ref().map(B::numbers),
        },
        observer: options.observer.as_deref(),
    };
    let d = backward::backward(
        CellRunner { steps, tangents: None },
        &layer,
        &slices::<B, T>(operands, copies.as_deref(), &Operand::ALL),
        &options.rows,
        inputs,
        wanted,
        layer.thread_plan::<T>(threads),
    );
    gradient_tensors::<B, T>(operands, d)
}

/// Gradients as tensors of the shapes and types of their operands.
pub(super) fn gradient_tensors<B: HostMemory, T: Float>(
    operands: &Operands<FloatTensor<B>>,
    mut d: Operands<Values<T>>,
) -> Operands<FloatTensor<B>> {
    let device = operands.need(Operand::Input).device();
    let mut tensors = Operands::new();
    for operand in Operand::ALL {
        if let Some(values) = d.take(operand) {
            let like = operands.need(operand);
            let gradient = tensor::<B, T>(values, like.shape(), &device);
            tensors.set(operand, Some(half::narrowed::<B>(gradient, like.dtype())));
        }
    }
    tensors
}

pub(super) fn layer<B: HostMemory, T: Real + Element>(
    options: &PlanOptions,
    cell: &CellLayout,
    operands: &Operands<FloatTensor<B>>,
) -> Layer {
    let sizes = Sizes::of(cell, |operand| operands.need(operand).shape());
    let strides = B::rows::<T>(operands.need(Operand::Input)).map(|(_, strides)| strides);
    let strides = strides.unwrap_or([sizes.batch * sizes.input, sizes.input]);
    let projected = operands.has(Operand::WeightHr);
    let mut layer = Layer::new::<T>(cell, options, &sizes, strides, projected, Isa::detect());
    layer.heads = heads_of(operands.get(Operand::WeightHh).map(|weight| weight.shape()).as_ref());
    layer.bytes = half::bytes::<T>(operands.need(Operand::Input).dtype());
    layer
}

/// Copies, without gaps and in the type of the kernels, of the operands that the kernels cannot read in place. In
/// `f32` and `f64` there are usually none. (An input that is batch first is read in place.) If there is a copy of the
/// input already, it is used.
pub(super) fn copies<B: HostMemory, T: Real + Element>(
    operands: &Operands<FloatTensor<B>>,
    named: &[Operand],
    input: Option<&FloatTensor<B>>,
) -> Option<Box<Operands<FloatTensor<B>>>> {
    let mut copies = None;
    for &operand in named {
        let Some(tensor) = operands.get(operand) else { continue };
        let as_it_is = match operand {
            Operand::Input => B::rows::<T>(tensor).is_some(),
            _ => B::numbers_of::<T>(tensor).is_some(),
        };
        if !as_it_is {
            let there_is = input.filter(|_| operand == Operand::Input);
            let copy = there_is.unwrap_or(tensor).clone();
            let copy = half::widened::<B, T>(copy);
            copies.get_or_insert_with(Box::<Operands<_>>::default).set(operand, Some(copy));
        }
    }
    copies
}

/// The tensor that is read for an operand: its copy if there is one, otherwise the operand itself.
fn read<'a, T>(
    operands: &'a Operands<T>,
    copies: Option<&'a Operands<T>>,
    operand: Operand,
) -> Option<&'a T> {
    copies.and_then(|copies| copies.get(operand)).or_else(|| operands.get(operand))
}

/// The numbers of these operands.
pub(super) fn slices<'a, B: HostMemory, T: Real + Element>(
    operands: &'a Operands<FloatTensor<B>>,
    copies: Option<&'a Operands<FloatTensor<B>>>,
    named: &[Operand],
) -> Operands<&'a [T]> {
    let mut slices = Operands::new();
    for &operand in named {
        let Some(tensor) = read(operands, copies, operand) else { continue };
        let rows = (operand == Operand::Input).then(|| B::rows::<T>(tensor)).flatten();
        let slice = rows.map_or_else(|| B::numbers::<T>(tensor), |(slice, _)| slice);
        slices.set(operand, Some(slice));
    }
    slices
}

pub(crate) fn tensor<B: Backend, T: Float>(
    values: Values<T>,
    shape: impl Into<Shape>,
    device: &burn::backend::tensor::Device<B>,
) -> FloatTensor<B> {
    let data = TensorData::from_bytes(values.into_bytes(), shape, T::dtype());
    B::float_from_data(data, device)
}

/// The number of threads that Burn's own operations on this backend use.
pub(crate) fn threads() -> usize {
    rayon::current_num_threads()
}

/// Compiles the kernels for a backend, only once and in this crate.
macro_rules! host_backend {
    ($Backend:ty) => {
        const _: () = {
            use crate::operation::cell_layout::CellLayout;
            use crate::operation::operands::{Cotangents, Operands, Results};
            use crate::operation::plan::PlanOptions;
            use crate::recurrent::host::{self, HostBackend, HostCell};
            use crate::recurrent::trace::HostTrace;

            impl HostBackend for $Backend {
                fn host_forward(
                    options: &PlanOptions,
                    cell: &dyn HostCell,
                    operands: &Operands<FloatTensor<Self>>,
                    keep: bool,
                ) -> (Results<FloatTensor<Self>>, Option<HostTrace<FloatTensor<Self>>>) {
                    host::forward::<Self>(options, cell, operands, keep)
                }

                fn host_backward(
                    options: &PlanOptions,
                    cell: &dyn HostCell,
                    operands: &Operands<FloatTensor<Self>>,
                    trace: HostTrace<FloatTensor<Self>>,
                    d_results: Cotangents<FloatTensor<Self>>,
                    wanted: &Operands<()>,
                ) -> Operands<FloatTensor<Self>> {
                    let with = (host::threads(), None);
                    host::backward::<Self>(options, cell, operands, trace, d_results, wanted, with)
                }

                fn check_reference_fits(
                    options: &PlanOptions,
                    cell: &CellLayout,
                    operands: &Operands<FloatTensor<Self>>,
                    keep: bool,
                ) {
                    host::check_reference_fits::<Self>(options, cell, operands, keep);
                }
            }
        };
    };
}
pub(super) use host_backend;
