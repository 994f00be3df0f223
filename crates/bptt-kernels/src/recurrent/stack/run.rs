//! From Burn's dispatch to the backend of the operands, and back, for a stack.

use crate::operation::operands::{Operands, StackResults};
use crate::operation::plan::PlanOptions;
use crate::recurrent::dispatch::DispatchBackend;
use crate::recurrent::host_memory::HostMemory;
use crate::recurrent::kept_cell::KeptCell;
use crate::recurrent::stack::host;
use burn::backend::DispatchTensor;

/// What a stack is run with.
pub(crate) struct StackCall<'a> {
    pub(crate) operands: Vec<Operands<DispatchTensor>>,
    pub(crate) options: Vec<PlanOptions>,
    pub(crate) cell: &'a dyn KeptCell,
}

/// Runs a stack on a backend in host memory.
pub(crate) fn run_stack<B: HostMemory + DispatchBackend>(
    call: StackCall<'_>,
) -> StackResults<DispatchTensor> {
    let convert = |operands: Operands<DispatchTensor>| operands.map(B::from_dispatch);
    let operands: Vec<_> = call.operands.into_iter().map(convert).collect();
    let mut results = None;
    call.cell.with(&mut |cell| {
        results = Some(host::forward::<B>(&call.options, cell, &operands));
    });
    let StackResults { outputs, states } = results.expect("it ran");
    let into = B::into_dispatch;
    StackResults {
        outputs: into(outputs),
        states: states
            .into_iter()
            .map(|(hidden, memory)| (into(hidden), memory.map(into)))
            .collect(),
    }
}
