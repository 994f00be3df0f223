//! A stack of layers as one operation, in one direction and without a tape: for inference in host memory.

#[cfg(feature = "host")]
mod host;
#[cfg(feature = "host")]
pub(super) mod run;

use crate::operation::any_tensor::AnyTensor;
use crate::operation::cell_layout::CellLayout;
use crate::operation::operands::{Operand, Operands, StackResults};
use crate::operation::plan::{Kernel, Plan, PlanOptions, Sizes};
use crate::operation::sequence_rows::SequenceRows;
use crate::recurrent::backends;
use bptt_cells::Cell;
use burn::Tensor;
use burn::backend::DispatchTensor;
use burn::tensor::{DType, Shape};

/// What [`recurrent_stack`] returns.
pub type StackResult = StackResults<Tensor<3>, Tensor<2>, Tensor<3>>;

/// Whether [`recurrent_stack`] runs such an input: in host memory without a tape, in `f32` or `f64`, and of more than a few
/// rows, because the operation keeps no packed weights from one call to the next.
pub fn runs_as_stack(input: &Tensor<3>) -> bool {
    let [time, batch, _] = input.dims();
    let is_float = matches!(input.dtype(), DType::F32 | DType::F64);
    let is_long = time >= 2 && time * batch > 128;
    is_float && is_long && !input.device().is_autodiff() && backends::in_host_memory(input)
}

/// Whether a stack runs a plan: all steps are valid and run forward in time, by the kernels.
pub(super) fn is_plain(options: &PlanOptions) -> bool {
    let SequenceRows { mask, resets, noise } = &options.rows;
    let are_plain = mask.is_none() && resets.is_none() && noise.is_none();
    are_plain && !options.reverse && options.kernel == Kernel::Auto && !options.real_time
}

/// Runs a stack of layers of one cell forward, without a tape: some steps of each layer, then the next steps. The outputs of
/// the inner layers are there for some steps only. The results are the same bits as those of
/// [`recurrent`](crate::recurrent), layer after layer.
///
/// # Arguments
///
/// - `layers`: the operands and the plan of each layer. The first has an [input](Operand::Input); the input of every other
///   layer is the outputs of the one below.
///
/// # Panics
///
/// As [`recurrent`](crate::recurrent); also for an input that [does not run as a stack](runs_as_stack), a tensor on the
/// tape, and a plan in reverse, with masks, resets, noise or another kernel than [`Kernel::Auto`].
pub fn recurrent_stack<C: Cell>(layers: Vec<(Operands<AnyTensor>, Plan<C>)>) -> StackResult {
    let cell = CellLayout::of::<C>();
    let AnyTensor::Cube(input) = layers[0].0.need(Operand::Input) else {
        panic!("{}: the input has three dimensions", C::NAME)
    };
    let [time, batch, mut width] = input.dims();
    for (operands, plan) in &layers {
        let is_ours = runs_as_stack(input) && is_plain(&plan.options);
        assert!(is_ours, "{}: such a sequence does not run as a stack", C::NAME);
        cell.check_types(|operand| operands.get(operand).map(AnyTensor::dtype));
        let mut shapes = operands.map_ref(AnyTensor::shape);
        shapes.set(Operand::Input, Some(Shape::new([time, batch, width])));
        plan.options.check_shapes(&cell, &shapes);
        width = Sizes::of(&cell, |operand| shapes.need(operand).clone()).output;
    }
    let StackResults { outputs, states } = backends::run_stack(layers);
    let of_memory = |memory: DispatchTensor| Tensor::from_dispatch(memory);
    StackResult {
        outputs: Tensor::from_dispatch(outputs),
        states: states
            .into_iter()
            .map(|(hidden, memory)| (Tensor::from_dispatch(hidden), memory.map(of_memory)))
            .collect(),
    }
}
