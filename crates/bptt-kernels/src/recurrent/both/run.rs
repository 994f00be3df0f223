//! From Burn's dispatch to the backend of the operands, and back, for both directions.

use crate::operation::operands::{BothResults, Operands};
use crate::operation::plan::PlanOptions;
use crate::recurrent::both::{autodiff, host};
use crate::recurrent::dispatch::{DispatchBackend, differentiable, into_dispatch};
use crate::recurrent::host_memory::HostMemory;
use crate::recurrent::kept_cell::KeptCell;
use burn::backend::autodiff::checkpoint::strategy::{BalancedCheckpointing, NoCheckpointing};
use burn::backend::{
    Autodiff, DispatchAutodiffContext, DispatchKindConversion, DispatchTensor,
    GradientCheckpointingStrategy,
};
use std::sync::Arc;

/// What both directions are run with.
pub(crate) struct Call {
    pub(crate) operands: [Operands<DispatchTensor>; 2],
    pub(crate) options: [PlanOptions; 2],
    pub(crate) cell: Arc<dyn KeptCell>,
}

/// Runs both directions on a backend in host memory.
pub(crate) fn run_both<B: HostMemory + DispatchBackend>(call: Call) -> BothResults<DispatchTensor>
where
    DispatchTensor: DispatchKindConversion<B>
        + DispatchKindConversion<Autodiff<B, NoCheckpointing>>
        + DispatchKindConversion<Autodiff<B, BalancedCheckpointing>>,
{
    let Call { operands, mut options, cell } = call;
    for (side, options) in options.iter_mut().enumerate() {
        options.side = Some(side);
    }
    let all = operands.iter().flat_map(|operands| operands.iter());
    let context =
        all.fold(DispatchAutodiffContext::Disabled, |all, (_, tensor)| all.merge(tensor.autodiff));
    match context {
        DispatchAutodiffContext::Disabled => {
            let operands = operands.map(|operands| operands.map(B::from_dispatch));
            let mut results = None;
            cell.with(&mut |cell| {
                results = Some(host::forward::<B>(&options, cell, &operands, [false; 2]).0);
            });
            results.expect("it ran").map(B::into_dispatch)
        }
        DispatchAutodiffContext::Enabled(GradientCheckpointingStrategy::Balanced) => {
            let convert = differentiable::<B, BalancedCheckpointing>;
            let operands = operands.map(|operands| operands.map(convert));
            autodiff::recurrent::<B, BalancedCheckpointing>(operands, options, cell)
                .map(into_dispatch::<B, BalancedCheckpointing>)
        }
        DispatchAutodiffContext::Enabled(GradientCheckpointingStrategy::Disabled) => {
            let convert = differentiable::<B, NoCheckpointing>;
            let operands = operands.map(|operands| operands.map(convert));
            autodiff::recurrent::<B, NoCheckpointing>(operands, options, cell)
                .map(into_dispatch::<B, NoCheckpointing>)
        }
    }
}
