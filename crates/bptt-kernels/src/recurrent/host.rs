//! The host kernels as the operation of a backend in host memory.

use crate::host::layout::plain_rows::Slices;
use crate::host::layout::sizes::Layer;
use crate::host::memory::reclaim::available_for;
use crate::host::memory::values::Values;
use crate::host::sequence::backward::BackwardInputs;
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
use crate::operation::weight_cache::WeightCache;
use crate::recurrent::half;
use crate::recurrent::host_memory::{Float, HostMemory};
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
pub trait HostCell {
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

/// The sequence backward, in the type of the trace.
pub(super) fn backward<B: HostMemory>(
    options: &PlanOptions,
    cell: &dyn HostCell,
    operands: &Operands<FloatTensor<B>>,
    trace: HostTrace<FloatTensor<B>>,
    d_results: Cotangents<FloatTensor<B>>,
    wanted: &Operands<()>,
) -> Operands<FloatTensor<B>> {
    let layout = cell.layout();
    let HostTrace { outputs, numbers } = trace;
    match numbers {
        Numbers::F32(trace) => {
            let cell = (&layout, cell.f32());
            typed_backward::<B, f32>(options, cell, operands, (outputs, trace), d_results, wanted)
        }
        Numbers::F64(trace) => {
            let cell = (&layout, cell.f64());
            typed_backward::<B, f64>(options, cell, operands, (outputs, trace), d_results, wanted)
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

fn typed_forward<B: HostMemory, T: Float>(
    options: &PlanOptions,
    (layout, steps): (&CellLayout, &dyn CellSteps<T>),
    operands: &Operands<FloatTensor<B>>,
    keep: bool,
) -> (Results<FloatTensor<B>>, Option<HostTrace<FloatTensor<B>>>) {
    let layer = layer::<B, T>(options, layout, operands);
    let cache = options.weight_cache.as_ref().filter(|_| !keep && layer.is_few());
    let packed = cache.and_then(|cache| packed_before::<B, T>(cache, layout, operands));
    // If the weights are packed, only the other operands are read.
    let read: &[Operand] = if packed.is_some() { &BESIDE_WEIGHTS } else { &Operand::ALL };
    let copies = copies::<B, T>(operands, read);
    let slices = slices::<B, T>(operands, copies.as_deref(), read);
    let packed = packed
        .or_else(|| cache.map(|cache| pack::<B, T>(cache, layout, &layer, operands, &slices)));
    let (results, trace) = forward::forward(
        CellRunner { steps, tangents: None },
        &layer,
        &slices,
        &options.rows,
        match (keep, options.trace_budget) {
            (false, _) => Keep::Nothing,
            (true, None) => Keep::All,
            (true, Some(budget)) => Keep::Within(budget),
        },
        packed,
        layer.thread_plan::<T>(threads()),
    );
    let device = operands.need(Operand::Input).device();
    let Layer { time, batch, input, hidden, output, memories, .. } = layer;
    let sizes = Sizes { time, batch, input, hidden, output, memories };
    let results = Results {
        outputs: tensor::<B, T>(results.outputs, options.outputs_shape(&sizes), &device),
        hidden: tensor::<B, T>(results.hidden, [batch, output], &device),
        memory: results
            .memory
            .map(|memory| tensor::<B, T>(memory, [memories, batch, hidden], &device)),
    };
    let trace = trace.map(|trace| {
        let outputs = results.outputs.clone();
        HostTrace { outputs, numbers: T::wrap(trace) }
    });
    let dtype = operands.need(Operand::Input).dtype();
    (results.map(|result| half::narrowed::<B>(result, dtype)), trace)
}

fn typed_backward<B: HostMemory, T: Float>(
    options: &PlanOptions,
    (layout, steps): (&CellLayout, &dyn CellSteps<T>),
    operands: &Operands<FloatTensor<B>>,
    (outputs, mut trace): (FloatTensor<B>, host_trace::Trace<T>),
    d_results: Cotangents<FloatTensor<B>>,
    wanted: &Operands<()>,
) -> Operands<FloatTensor<B>> {
    let copies = copies::<B, T>(operands, &Operand::ALL);
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
    let mut d = backward::backward(
        CellRunner { steps, tangents: None },
        &layer,
        &slices::<B, T>(operands, copies.as_deref(), &Operand::ALL),
        &options.rows,
        inputs,
        wanted,
        layer.thread_plan::<T>(threads()),
    );
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

/// The operands that are packed.
const WEIGHTS: [Operand; 5] =
    [Operand::WeightIh, Operand::WeightHh, Operand::BiasIh, Operand::BiasHh, Operand::WeightHr];

/// The operands that are not packed.
const BESIDE_WEIGHTS: [Operand; 5] =
    [Operand::Input, Operand::Hidden, Operand::Memory, Operand::ResetHidden, Operand::ResetMemory];

/// Packed weights, and clones of the tensors that were packed. While the clones are held, nobody can change these
/// tensors in place, and no other tensor can get their memory. So it is enough to compare memory, shape, strides and
/// type.
struct Packed<B: HostMemory, T> {
    /// The layout decides how weights are packed.
    cell: CellLayout,
    weights: Operands<FloatTensor<B>>,
    packed: Arc<PackedWeights<T>>,
}

/// The packed weights, if these operands were the last to be packed.
fn packed_before<B: HostMemory, T: Float>(
    cache: &WeightCache,
    cell: &CellLayout,
    operands: &Operands<FloatTensor<B>>,
) -> Option<Arc<PackedWeights<T>>> {
    cache.find(|entry: &Packed<B, T>| {
        let is_same = |operand| match (entry.weights.get(operand), operands.get(operand)) {
            (Some(held), Some(now)) => B::is_same(held, now),
            (None, None) => true,
            _ => false,
        };
        let are_same = entry.cell == *cell && WEIGHTS.into_iter().all(is_same);
        are_same.then(|| entry.packed.clone())
    })
}

/// Packs the weights, and keeps them for the next call.
fn pack<B: HostMemory, T: Float>(
    cache: &WeightCache,
    cell: &CellLayout,
    layer: &Layer,
    operands: &Operands<FloatTensor<B>>,
    slices: &Slices<'_, T>,
) -> Arc<PackedWeights<T>> {
    let mut weights = Operands::new();
    for operand in WEIGHTS {
        weights.set(operand, operands.get(operand).cloned());
    }
    let packed = Arc::new(PackedWeights::new(layer, slices, 1));
    cache.put(Packed::<B, T> { cell: *cell, weights, packed: packed.clone() });
    packed
}

fn layer<B: HostMemory, T: Real + Element>(
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
/// `f32` and `f64` there are usually none. (An input that is batch first is read in place.)
fn copies<B: HostMemory, T: Real + Element>(
    operands: &Operands<FloatTensor<B>>,
    named: &[Operand],
) -> Option<Box<Operands<FloatTensor<B>>>> {
    let mut copies = None;
    for &operand in named {
        let Some(tensor) = operands.get(operand) else { continue };
        let as_it_is = match operand {
            Operand::Input => B::rows::<T>(tensor).is_some(),
            _ => B::numbers_of::<T>(tensor).is_some(),
        };
        if !as_it_is {
            let copy = half::widened::<B, T>(tensor.clone());
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
fn slices<'a, B: HostMemory, T: Real + Element>(
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
                    host::backward::<Self>(options, cell, operands, trace, d_results, wanted)
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
