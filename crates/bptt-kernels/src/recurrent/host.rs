//! The host kernels as the operation of a backend in host memory.

use super::trace::{HostTrace, Numbers};
use super::{Kernel, Operand, Operands, Plan, Sizes, Trace, reference};
use crate::host::{self, Isa, Layer, Real};
use bptt_cells::Cell;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, Element, Shape, TensorData};

/// A backend whose tensors lie in host memory.
pub(crate) trait HostMemory: Backend {
    /// The same tensor, row after row without a gap.
    fn contiguous<T: Real + Element>(tensor: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The numbers of such a tensor, whose type is `T`.
    fn numbers<T: Real + Element>(tensor: &FloatTensor<Self>) -> &[T];
}

/// A float type of the kernels, and its variant of the trace.
trait Float: Real + Element {
    fn wrap(trace: host::Trace<Self>) -> Numbers;
    fn unwrap(numbers: &mut Numbers) -> &mut host::Trace<Self>;
}

macro_rules! float {
    ($($T:ty, $Variant:ident;)*) => {$(
        impl Float for $T {
            fn wrap(trace: host::Trace<Self>) -> Numbers {
                Numbers::$Variant(trace)
            }

            fn unwrap(numbers: &mut Numbers) -> &mut host::Trace<Self> {
                match numbers {
                    Numbers::$Variant(trace) => trace,
                    _ => unreachable!("forward and backward are of one type"),
                }
            }
        }
    )*};
}
float! {
    f32, F32;
    f64, F64;
}

/// The sequence forward, by the kernel that the plan asks for.
pub(crate) fn forward<B: HostMemory, C: Cell>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
    keep: bool,
) -> (FloatTensor<B>, Option<Trace<FloatTensor<B>>>) {
    match (plan.kernel, operands.need(Operand::Input).dtype()) {
        (Kernel::Auto, DType::F32) => typed_forward::<B, C, f32>(plan, operands, keep),
        (Kernel::Auto, DType::F64) => typed_forward::<B, C, f64>(plan, operands, keep),
        _ => {
            let (packed, steps) = reference::forward::<B, C>(plan, operands, keep);
            (packed, steps.map(Trace::Steps))
        }
    }
}

/// The sequence backward, by the kernel that made the trace.
pub(crate) fn backward<B: HostMemory, C: Cell>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
    trace: Trace<FloatTensor<B>>,
    d_packed: FloatTensor<B>,
    wanted: &Operands<()>,
) -> Operands<FloatTensor<B>> {
    match trace {
        Trace::Steps(steps) => {
            reference::backward::<B, C>(plan, operands, steps, d_packed, wanted)
        }
        Trace::Host(trace) => match trace.numbers {
            Numbers::F32(_) => typed_backward::<B, C, f32>(plan, operands, trace, d_packed, wanted),
            Numbers::F64(_) => typed_backward::<B, C, f64>(plan, operands, trace, d_packed, wanted),
        },
    }
}

fn typed_forward<B: HostMemory, C: Cell, T: Float>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
    keep: bool,
) -> (FloatTensor<B>, Option<Trace<FloatTensor<B>>>) {
    let held = operands.clone().map(B::contiguous::<T>);
    let layer = layer::<B, C, T>(plan, operands);
    let (packed, trace) = host::forward(
        &plan.cell,
        &layer,
        &slices::<B, T>(&held),
        plan.lengths.as_deref(),
        keep,
        layer.schedule::<T>(threads()),
    );
    let device = operands.need(Operand::Input).device();
    let shape = [packed.len()];
    let packed = tensor::<B, T>(packed, shape, &device);
    let trace = trace.map(|trace| {
        Trace::Host(HostTrace { packed: packed.clone(), numbers: T::wrap(trace) })
    });
    (packed, trace)
}

fn typed_backward<B: HostMemory, C: Cell, T: Float>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
    mut trace: HostTrace<FloatTensor<B>>,
    d_packed: FloatTensor<B>,
    wanted: &Operands<()>,
) -> Operands<FloatTensor<B>> {
    let held = operands.clone().map(B::contiguous::<T>);
    let packed = B::contiguous::<T>(trace.packed);
    let d_packed = B::contiguous::<T>(d_packed);
    let layer = layer::<B, C, T>(plan, operands);
    let given = host::Given {
        trace: T::unwrap(&mut trace.numbers),
        packed: B::numbers(&packed),
        d_packed: B::numbers(&d_packed),
    };
    let mut d = host::backward(
        &plan.cell,
        &layer,
        &slices::<B, T>(&held),
        plan.lengths.as_deref(),
        given,
        wanted,
        layer.schedule::<T>(threads()),
    );
    let device = operands.need(Operand::Input).device();
    let mut tensors = Operands::new();
    for operand in Operand::ALL {
        if let Some(values) = d.take(operand) {
            let shape = operands.need(operand).shape();
            tensors = tensors.with(operand, tensor::<B, T>(values, shape, &device));
        }
    }
    tensors
}

fn layer<B: HostMemory, C: Cell, T: Real>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
) -> Layer {
    let sizes = Sizes::of::<C>(|operand| operands.need(operand).shape().to_vec());
    Layer::new::<C, T>(plan, &sizes, operands.has(Operand::WeightHr), Isa::detect())
}

fn slices<B: HostMemory, T: Real + Element>(
    held: &Operands<FloatTensor<B>>,
) -> Operands<&[T]> {
    let mut slices = Operands::new();
    for (operand, tensor) in held.iter() {
        slices = slices.with(operand, B::numbers::<T>(tensor));
    }
    slices
}

fn tensor<B: Backend, T: Element>(
    values: Vec<T>,
    shape: impl Into<Shape>,
    device: &burn::backend::tensor::Device<B>,
) -> FloatTensor<B> {
    B::float_from_data(TensorData::new(values, shape.into()), device)
}

/// As many threads as Burn's own operations on this backend take.
fn threads() -> usize {
    rayon::current_num_threads()
}
