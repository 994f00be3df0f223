//! From Burn's dispatch to the backend of the operands, and back, for two layers.

use crate::operation::operands::BothResults;
use crate::recurrent::both::run::Call;
use crate::recurrent::dispatch::{DispatchBackend, differentiable, into_dispatch};
use crate::recurrent::host_memory::HostMemory;
use crate::recurrent::pair::autodiff;
use burn::backend::autodiff::checkpoint::strategy::{BalancedCheckpointing, NoCheckpointing};
use burn::backend::{
    Autodiff, DispatchAutodiffContext, DispatchKindConversion, DispatchTensor,
    GradientCheckpointingStrategy,
};

/// Runs two layers on a backend in host memory with a tape.
///
/// # Panics
///
/// Without a tape.
pub(crate) fn run_pair<B: HostMemory + DispatchBackend>(call: Call) -> BothResults<DispatchTensor>
where
    DispatchTensor: DispatchKindConversion<B>
        + DispatchKindConversion<Autodiff<B, NoCheckpointing>>
        + DispatchKindConversion<Autodiff<B, BalancedCheckpointing>>,
{
    let Call { operands, options, cell } = call;
    let all = operands.iter().flat_map(|operands| operands.iter());
    let context =
        all.fold(DispatchAutodiffContext::Disabled, |all, (_, tensor)| all.merge(tensor.autodiff));
    match context {
        DispatchAutodiffContext::Disabled => panic!("a pair of layers is for tensors on a tape"),
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
