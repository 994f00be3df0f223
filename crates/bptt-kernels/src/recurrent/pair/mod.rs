//! Two layers of a stack, in one direction and on the tape, as one operation and one node. In host memory the upper layer
//! runs some steps behind the lower one where that is faster, and backward the lower one behind the upper one.

#[cfg(feature = "host")]
mod autodiff;
#[cfg(feature = "host")]
mod host;
#[cfg(feature = "host")]
pub(super) mod run;

use crate::operation::any_tensor::AnyTensor;
use crate::operation::cell_layout::CellLayout;
use crate::operation::operands::{BothResults, Operand, Operands};
use crate::operation::plan::{Plan, PlanOptions, Sizes};
use crate::recurrent::backends;
use crate::recurrent::both::BothDirections;
use crate::recurrent::stack::is_plain;
use bptt_cells::Cell;
use burn::Tensor;
use burn::tensor::{DType, Shape};

/// Whether two layers are faster as one operation: in host memory on the tape, in `f32` or `f64`, with steps so short that
/// the threads would wait for each other.
///
/// # Arguments
///
/// - `input`: of the lower layer, `[T, B, I]`
/// - `hidden`, `output`: `H` and `P` of both layers
/// - `heads`: of their recurrent weights
pub fn runs_as_pair(
    cell: &CellLayout,
    input: &Tensor<3>,
    [hidden, output]: [usize; 2],
    heads: usize,
) -> bool {
    let is_float = matches!(input.dtype(), DType::F32 | DType::F64);
    if !is_float || !input.device().is_autodiff() || !backends::in_host_memory(input) {
        return false;
    }
    #[cfg(feature = "host")]
    {
        let [time, batch, width] = input.dims();
        let of = |input| Sizes { time, batch, input, hidden, output, memories: cell.memories };
        host::pays(cell, [of(width), of(output)], heads)
    }
    #[cfg(not(feature = "host"))]
    {
        let _ = (cell, hidden, output, heads);
        false
    }
}

/// Whether an operation runs a plan.
fn is_kept(options: &PlanOptions) -> bool {
    is_plain(options) && options.trace_budget.is_none() && options.observer.is_none()
}

/// Runs two layers of one cell on the tape, the second on the outputs of the first, as one node. The results and the gradients
/// are the same bits as those of [`recurrent`](crate::recurrent), layer after layer.
///
/// # Arguments
///
/// - `operands`: of the lower and of the upper layer. Only the lower one has an [input](Operand::Input).
///
/// Returns the outputs of the upper layer and the final states of both.
///
/// # Panics
///
/// As [`recurrent`](crate::recurrent); also without a tape, for tensors that are not in host memory or of another type than
/// `f32` and `f64`, and for a plan in reverse, with masks, resets, noise, a budget, an observer or another kernel than
/// [`Kernel::Auto`](crate::Kernel).
pub fn recurrent_pair<C: Cell>(
    operands: [Operands<AnyTensor>; 2],
    plans: [Plan<C>; 2],
) -> BothDirections {
    let cell = CellLayout::of::<C>();
    let AnyTensor::Cube(input) = operands[0].need(Operand::Input) else {
        panic!("{}: the input has three dimensions", C::NAME)
    };
    let is_ours =
        matches!(input.dtype(), DType::F32 | DType::F64) && backends::in_host_memory(input);
    let are_kept = plans.iter().all(|plan| is_kept(&plan.options));
    assert!(is_ours && are_kept, "{}: such layers do not run as a pair", C::NAME);
    let [time, batch, mut width] = input.dims();
    for (operands, plan) in operands.iter().zip(&plans) {
        cell.check_types(|operand| operands.get(operand).map(AnyTensor::dtype));
        let mut shapes = operands.map_ref(AnyTensor::shape);
        shapes.set(Operand::Input, Some(Shape::new([time, batch, width])));
        plan.options.check_shapes(&cell, &shapes);
        width = Sizes::of(&cell, |operand| shapes.need(operand).clone()).output;
    }
    let operands = operands.map(|operands| operands.map(AnyTensor::into_dispatch));
    let BothResults { outputs, hidden, memory } = backends::run_pair(operands, plans);
    BothResults {
        outputs: Tensor::from_dispatch(outputs),
        hidden: hidden.map(Tensor::from_dispatch),
        memory: memory.map(|memory| memory.map(Tensor::from_dispatch)),
    }
}
