//! How a layer is differentiated: the axis that changes nothing else.

mod autograd;
mod manual;
mod sequence;

pub use autograd::Recorded;
pub use sequence::{Sequence, SequenceResult};

use bptt_cells::Cell;
use serde::{Deserialize, Serialize};

/// How a layer is differentiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Engine {
    /// Back-propagation through time derived by hand: one node on the tape for the sequence.
    #[default]
    Manual,
    /// The same layer as tensor operations, step after step: Burn records and differentiates.
    Autograd,
    /// Real-time recurrent learning: the influence of parameters, state and input carried forwards,
    /// step by step. For each layer and direction memory is `B · N · S` numbers, for `N` parameters (and, where
    /// the gradient of the input is asked for, `T · I` inputs) and `S` numbers of state, whatever is kept
    /// for the others being kept for none; and work is about `N` times that of a forward pass. For small
    /// networks, and as a witness: no derivative that somebody wrote is reached. A stream that learns
    /// after every step is [`Rtrl`](crate::Rtrl).
    Rtrl,
}

impl Engine {
    /// All, the default first.
    pub const ALL: [Self; 3] = [Self::Manual, Self::Autograd, Self::Rtrl];

    /// Those that go back through time, and may be had for networks of any size.
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

/// Runs a sequence by the engine. No two share anything beyond the cell's `step`, the way forward and
/// the check of the operands.
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
