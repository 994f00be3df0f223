//! How a layer is differentiated: the axis that changes nothing else.

mod autograd;
mod manual;
mod sequence;

pub use autograd::Recorded;
pub use bptt_kernels::SequenceResult;
pub use sequence::Sequence;

use bptt_cells::Cell;
use serde::{Deserialize, Serialize};

/// How a layer is differentiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Engine {
    /// Back-propagation through time derived by hand: one node on the tape for the sequence.
    #[default]
    Manual,
    /// The same layer as tensor operations, step after step: Burn records and differentiates.
    Autograd,
    /// Real-time recurrent learning: the influence of parameters, state and input is carried forwards, step by
    /// step. Each layer and direction takes `B · N · S` numbers of memory, for `N` parameters (and `T · I` inputs,
    /// if the gradient of the input is wanted) and `S` numbers of state, and keeps no trace. The work is about
    /// `N` times that of a forward pass. It is for small networks, and it is a witness, because it reaches no
    /// hand-written derivative. For a stream that learns after every step, see [`Rtrl`](crate::Rtrl).
    Rtrl,
}

impl Engine {
    /// All, the default first.
    pub const ALL: [Self; 3] = [Self::Manual, Self::Autograd, Self::Rtrl];

    /// The engines that go back through time, which suit networks of any size.
    pub const BACKWARD: [Self; 2] = [Self::Manual, Self::Autograd];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Autograd => "autograd",
            Self::Rtrl => "rtrl",
        }
    }
}

/// Runs a sequence by the engine. Engines share the cell's `step`, the forward pass and the check of the operands,
/// and nothing else.
///
/// # Panics
///
/// If the operands do not fit each other, whichever the engine: see [`Plan::check`](bptt_kernels::Plan::check).
pub(crate) fn run<C: Cell>(cell: C, engine: Engine, sequence: Sequence) -> SequenceResult {
    match engine {
        Engine::Manual => manual::run(cell, sequence, false),
        Engine::Autograd => {
            let (operands, plan) = sequence.clone().into_operands(cell);
            plan.check(&operands);
            autograd::run(cell, sequence)
        }
        Engine::Rtrl => manual::run(cell, sequence, true),
    }
}
