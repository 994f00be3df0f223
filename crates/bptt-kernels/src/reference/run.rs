//! The reference body on a backend's tensors, and on dual numbers.

use crate::operation::any_tensor::AnyTensor;
use crate::operation::operands::{Cotangents, Operands, Results};
use crate::operation::plan::Plan;
use crate::reference::body::{self, StepTrace};
use crate::reference::primitive::Primitive;
use bptt_cells::{Cell, Dual};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch};

/// Runs the sequence forward. Returns the results and, with `keep`, the trace.
pub(crate) fn forward<B: Backend, C: Cell>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
    keep: bool,
) -> (Results<FloatTensor<B>>, Option<Vec<StepTrace<FloatTensor<B>>>>) {
    let (results, trace) =
        body::forward(&plan.cell, &plan.options, &primitives::<B>(operands), keep);
    let trace =
        trace.map(|steps| steps.into_iter().map(|s| s.map(|x: Primitive<B>| x.0)).collect());
    (results.map(|x| x.0), trace)
}

/// Runs the sequence backward: dLoss/d(operand) for each wanted operand.
pub(crate) fn backward<B: Backend, C: Cell>(
    plan: &Plan<C>,
    operands: &Operands<FloatTensor<B>>,
    trace: Vec<StepTrace<FloatTensor<B>>>,
    d_results: Cotangents<FloatTensor<B>>,
    wanted: &Operands<()>,
) -> Operands<FloatTensor<B>> {
    let operands = primitives::<B>(operands);
    let trace = trace.into_iter().map(|step| step.map(Primitive)).collect();
    let d_results = d_results.map(Primitive);
    body::backward(&plan.cell, &plan.options, &operands, trace, d_results, wanted).map(|x| x.0)
}

fn primitives<B: Backend>(operands: &Operands<FloatTensor<B>>) -> Operands<Primitive<B>> {
    operands.map_ref(|x| Primitive(x.clone()))
}

/// A dual number of tensors, on any backend.
type DualTensor = Dual<Primitive<Dispatch>>;

/// A layer that has run forward in dual numbers, by the reference body, with what its backward pass needs.
pub struct ReferenceRun<C> {
    plan: Plan<C>,
    operands: Operands<DualTensor>,
    trace: Vec<StepTrace<DualTensor>>,
}

/// Runs one layer in one direction forward in dual numbers, by the reference body: on any backend, and in any
/// float type. [`ReferenceRun::backward`] then runs it backward. A tangent that is absent is zero.
///
/// Operands and results have the shapes of [`Operand`](crate::Operand) and [`Results`]. The plan's kernel and
/// trace budget are ignored, and the whole trace is kept. The operands are on no tape.
///
/// [`in_duals`](crate::in_duals) does the same by the kernels for host memory, which are faster.
///
/// # Panics
///
/// If the operands do not fit each other.
pub fn reference_in_duals<C: Cell>(
    plan: &Plan<C>,
    operands: Operands<Dual<AnyTensor>>,
) -> (Results<Dual<AnyTensor>>, ReferenceRun<C>) {
    plan.check(&operands.map_ref(|x| x.value.clone()));
    let operands = operands.map(dispatched);
    let (results, trace) = body::forward(&plan.cell, &plan.options, &operands, true);
    let trace = trace.expect("it was asked for");
    (results.map(any), ReferenceRun { plan: plan.clone(), operands, trace })
}

impl<C: Cell> ReferenceRun<C> {
    /// Runs backward: dLoss/d(operand) for each operand, in dual numbers and in its shape. A gradient of a result
    /// that is absent counts as zero.
    pub fn backward(self, d_results: Cotangents<Dual<AnyTensor>>) -> Operands<Dual<AnyTensor>> {
        let Self { plan, operands, trace } = self;
        let wanted = operands.map_ref(|_| ());
        let d_results = d_results.map(dispatched);
        body::backward(&plan.cell, &plan.options, &operands, trace, d_results, &wanted).map(any)
    }
}

fn dispatched(x: Dual<AnyTensor>) -> DualTensor {
    let primitive = |x: AnyTensor| Primitive(x.into_dispatch());
    Dual { value: primitive(x.value), tangent: x.tangent.map(primitive) }
}

fn any(x: DualTensor) -> Dual<AnyTensor> {
    x.linear(|x| AnyTensor::from_dispatch(x.0.clone()))
}
