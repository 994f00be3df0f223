//! How a backend runs a sequence.

use crate::operation::operands::{Cotangents, Operands, Results};
use crate::operation::plan::Plan;
use crate::recurrent::trace::Trace;
use crate::reference::body;
use bptt_cells::Cell;
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

/// How a plain backend runs a whole sequence. The default is the reference body.
pub trait SequenceKernel: Backend {
    /// How many bytes are available to a caller that needs `need` bytes, if that is known.
    fn available_memory(_need: u128) -> Option<usize> {
        None
    }

    /// Runs forward; with `keep`, keeps the trace that [`sequence_backward`](Self::sequence_backward) needs.
    ///
    /// Returns what [`RecurrentBackend::recurrent`](crate::RecurrentBackend::recurrent) returns, and the trace.
    fn sequence_forward<C: Cell>(
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<Self>>,
        keep: bool,
    ) -> (Results<FloatTensor<Self>>, Option<Trace<FloatTensor<Self>>>) {
        let (results, steps) = body::forward::<Self, C>(plan, operands, keep);
        (results, steps.map(Trace::Steps))
    }

    /// Runs backward: dLoss/d(operand) for each operand that is `wanted`, from dLoss/d(result).
    fn sequence_backward<C: Cell>(
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<Self>>,
        trace: Trace<FloatTensor<Self>>,
        d_results: Cotangents<FloatTensor<Self>>,
        wanted: &Operands<()>,
    ) -> Operands<FloatTensor<Self>> {
        match trace {
            Trace::Steps(steps) => {
                body::backward::<Self, C>(plan, operands, steps, d_results, wanted)
            }
            #[cfg(feature = "host")]
            Trace::Host(_) => unreachable!("only host kernels make such a trace, and take it back"),
        }
    }
}
