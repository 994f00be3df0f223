//! The host kernels as the operation of a backend in host memory.

use crate::host::layout::plain_rows::Slices;
use crate::host::layout::sizes::Layer;
use crate::host::memory::reclaim::available_for;
use crate::host::memory::values::Values;
use crate::host::sequence::backward::BackwardInputs;
use crate::host::sequence::limits::Keeper;
use crate::host::sequence::packed_weights::PackedWeights;
use crate::host::sequence::trace_segment::Keep;
use crate::host::sequence::{backward, forward, limits};
use crate::host::simd::isa::Isa;
use crate::host::simd::real::Real;
use crate::host::step::gates::CellRunner;
use crate::operation::operands::{Cotangents, Operand, Operands, Results};
use crate::operation::plan::{Kernel, Plan, Sizes};
use crate::operation::weight_cache::WeightCache;
use crate::recurrent::host_memory::{Float, HostMemory};
use crate::recurrent::trace::{HostTrace, Numbers, Trace};
use crate::reference::body;
use bptt_cells::Cell;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, Element, Shape, TensorData};
use std::marker::PhantomData;
use std::sync::Arc;

/// The sequence forward, by the kernel that the plan asks for.
pub(crate) fn forward<B: HostMemory, C: Cell>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
    keep: bool,
) -> (Results<FloatTensor<B>>, Option<Trace<FloatTensor<B>>>) {
    match (plan.kernel, operands.need(Operand::Input).dtype()) {
        (Kernel::Auto, DType::F32) => typed_forward::<B, C, f32>(plan, operands, keep),
        (Kernel::Auto, DType::F64) => typed_forward::<B, C, f64>(plan, operands, keep),
        (_, dtype) => {
            match dtype {
                DType::F32 => refuse_what_cannot_fit::<B, C, f32>(plan, operands, keep),
                DType::F64 => refuse_what_cannot_fit::<B, C, f64>(plan, operands, keep),
                _ => {}
            }
            let (results, steps) = body::forward::<B, C>(plan, operands, keep);
            (results, steps.map(Trace::Steps))
        }
    }
}

/// Checks that the trace of the reference body fits, before it begins.
///
/// # Panics
///
/// If it does not fit the memory that is available.
fn refuse_what_cannot_fit<B: HostMemory, C: Cell, T: Float>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
    keep: bool,
) {
    let keep = if keep { Keep::All } else { Keep::Nothing };
    let layer = layer::<B, C, T>(plan, operands);
    let worked = layer.time.saturating_mul(layer.batch);
    let keeper = Keeper::Reference;
    let fits = limits::check::<T>(C::NAME, &layer, worked, keep, keeper, available_for);
    fits.unwrap_or_else(|error| panic!("{error}"));
}

/// The sequence backward, by the kernel that made the trace.
pub(crate) fn backward<B: HostMemory, C: Cell>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
    trace: Trace<FloatTensor<B>>,
    d_results: Cotangents<FloatTensor<B>>,
    wanted: &Operands<()>,
) -> Operands<FloatTensor<B>> {
    match trace {
        Trace::Steps(steps) => body::backward::<B, C>(plan, operands, steps, d_results, wanted),
        Trace::Host(trace) => match trace.numbers {
            Numbers::F32(_) => {
                typed_backward::<B, C, f32>(plan, operands, trace, d_results, wanted)
            }
            Numbers::F64(_) => {
                typed_backward::<B, C, f64>(plan, operands, trace, d_results, wanted)
            }
        },
    }
}

fn typed_forward<B: HostMemory, C: Cell, T: Float>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
    keep: bool,
) -> (Results<FloatTensor<B>>, Option<Trace<FloatTensor<B>>>) {
    let layer = layer::<B, C, T>(plan, operands);
    let cache = plan.weight_cache.as_ref().filter(|_| !keep && layer.is_few());
    let packed = cache.and_then(|cache| packed_before::<B, C, T>(cache, operands));
    // Of these operands only the packed form is read.
    let read: &[Operand] = if packed.is_some() { &BESIDE_WEIGHTS } else { &Operand::ALL };
    let copies = copies::<B, T>(operands, read);
    let slices = slices::<B, T>(operands, copies.as_deref(), read);
    let packed =
        packed.or_else(|| cache.map(|cache| pack::<B, C, T>(cache, &layer, operands, &slices)));
    let (results, trace) = forward::forward(
        CellRunner::plain(&plan.cell),
        &layer,
        &slices,
        plan.mask.as_ref(),
        match (keep, plan.trace_budget) {
            (false, _) => Keep::Nothing,
            (true, None) => Keep::All,
            (true, Some(budget)) => Keep::Within(budget),
        },
        packed,
        layer.thread_plan::<T>(threads()),
    );
    let device = operands.need(Operand::Input).device();
    let Layer { batch, hidden, output, memories, .. } = layer;
    let outputs = plan.outputs_shape([layer.time, batch, output]);
    let results = Results {
        outputs: tensor::<B, T>(results.outputs, outputs, &device),
        hidden: tensor::<B, T>(results.hidden, [batch, output], &device),
        memory: results
            .memory
            .map(|memory| tensor::<B, T>(memory, [memories, batch, hidden], &device)),
    };
    let trace = trace.map(|trace| {
        let outputs = results.outputs.clone();
        Trace::Host(HostTrace { outputs, numbers: T::wrap(trace) })
    });
    (results, trace)
}

fn typed_backward<B: HostMemory, C: Cell, T: Float>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
    mut trace: HostTrace<FloatTensor<B>>,
    d_results: Cotangents<FloatTensor<B>>,
    wanted: &Operands<()>,
) -> Operands<FloatTensor<B>> {
    let copies = copies::<B, T>(operands, &Operand::ALL);
    let outputs = B::contiguous::<T>(trace.outputs);
    let Cotangents { outputs: d_outputs, hidden: d_hidden, memory: d_memory } = d_results;
    let [d_outputs, d_hidden, d_memory] =
        [d_outputs, d_hidden, d_memory].map(|d| d.map(B::contiguous::<T>));
    let layer = layer::<B, C, T>(plan, operands);
    let inputs = BackwardInputs {
        trace: T::unwrap(&mut trace.numbers),
        outputs: B::numbers(&outputs),
        d_results: Cotangents {
            outputs: d_outputs.as_ref().map(B::numbers),
            hidden: d_hidden.as_ref().map(B::numbers),
            memory: d_memory.as_ref().map(B::numbers),
        },
    };
    let mut d = backward::backward(
        CellRunner::plain(&plan.cell),
        &layer,
        &slices::<B, T>(operands, copies.as_deref(), &Operand::ALL),
        plan.mask.as_ref(),
        inputs,
        wanted,
        layer.thread_plan::<T>(threads()),
    );
    let device = operands.need(Operand::Input).device();
    let mut tensors = Operands::new();
    for operand in Operand::ALL {
        if let Some(values) = d.take(operand) {
            let shape = operands.need(operand).shape();
            tensors.set(operand, Some(tensor::<B, T>(values, shape, &device)));
        }
    }
    tensors
}

/// The operands that are packed,
const WEIGHTS: [Operand; 5] =
    [Operand::WeightIh, Operand::WeightHh, Operand::BiasIh, Operand::BiasHh, Operand::WeightHr];

/// and those that are not.
const BESIDE_WEIGHTS: [Operand; 3] = [Operand::Input, Operand::Hidden, Operand::Memory];

/// Packed weights, and clones of the tensors that were packed. While the clones are held, nobody can change
/// these tensors in place, and no other tensor can get their memory; so comparing them is enough.
struct Packed<B: HostMemory, C, T> {
    weights: Operands<FloatTensor<B>>,
    packed: Arc<PackedWeights<T>>,
    /// The cell decides how weights are packed.
    cell: PhantomData<fn() -> C>,
}

/// The packed weights, if these operands were the last to be packed.
fn packed_before<B: HostMemory, C: Cell, T: Float>(
    cache: &WeightCache,
    operands: &Operands<FloatTensor<B>>,
) -> Option<Arc<PackedWeights<T>>> {
    cache.find(|entry: &Packed<B, C, T>| {
        let is_same = |operand| match (entry.weights.get(operand), operands.get(operand)) {
            (Some(held), Some(now)) => B::is_same(held, now),
            (None, None) => true,
            _ => false,
        };
        WEIGHTS.into_iter().all(is_same).then(|| entry.packed.clone())
    })
}

/// Packs the weights, and keeps them for the next call.
fn pack<B: HostMemory, C: Cell, T: Float>(
    cache: &WeightCache,
    layer: &Layer,
    operands: &Operands<FloatTensor<B>>,
    slices: &Slices<'_, T>,
) -> Arc<PackedWeights<T>> {
    let mut weights = Operands::new();
    for operand in WEIGHTS {
        weights.set(operand, operands.get(operand).cloned());
    }
    let packed = Arc::new(PackedWeights::new(layer, slices, 1));
    cache.put(Packed::<B, C, T> { weights, packed: packed.clone(), cell: PhantomData });
    packed
}

fn layer<B: HostMemory, C: Cell, T: Real + Element>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
) -> Layer {
    let sizes = Sizes::of::<C>(|operand| operands.need(operand).shape());
    let strides = B::rows::<T>(operands.need(Operand::Input)).map(|(_, strides)| strides);
    let strides = strides.unwrap_or([sizes.batch * sizes.input, sizes.input]);
    Layer::new::<C, T>(plan, &sizes, strides, operands.has(Operand::WeightHr), Isa::detect())
}

/// Copies, without gaps, of those operands that the kernels cannot read in place. Mostly there are none. (The
/// input may be batch first.)
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
            let copy = B::contiguous::<T>(tensor.clone());
            copies.get_or_insert_with(Box::<Operands<_>>::default).set(operand, Some(copy));
        }
    }
    copies
}

/// The tensor that is read for an operand: its copy if there is one, else itself.
fn read<'a, T>(
    operands: &'a Operands<T>,
    copies: Option<&'a Operands<T>>,
    operand: Operand,
) -> Option<&'a T> {
    copies.and_then(|copies| copies.get(operand)).or_else(|| operands.get(operand))
}

/// The numbers of the operands named.
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

fn tensor<B: Backend, T: Float>(
    values: Values<T>,
    shape: impl Into<Shape>,
    device: &burn::backend::tensor::Device<B>,
) -> FloatTensor<B> {
    let data = TensorData::from_bytes(values.into_bytes(), shape, T::dtype());
    B::float_from_data(data, device)
}

/// The number of threads that Burn's own operations on this backend use.
pub(super) fn threads() -> usize {
    rayon::current_num_threads()
}
