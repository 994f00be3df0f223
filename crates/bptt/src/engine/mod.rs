//! How a layer is differentiated. This choice does not change the outputs.

mod autograd;
mod manual;
mod sequence;

#[cfg(feature = "attention")]
pub(crate) use autograd::steps as time_steps;
pub use bptt_kernels::{BothDirections, Recorded, SequenceResult, StackResult};
pub use sequence::Sequence;
use sequence::memory_without_added;
pub(crate) use sequence::without_added;

use bptt_cells::Cell;
use bptt_kernels::CellLayout;
use serde::{Deserialize, Serialize};

/// How a layer is differentiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Engine {
    /// Back-propagation through time derived by hand: one node on the tape for the sequence.
    #[default]
    Manual,
    /// The same layer as tensor operations, step after step. Burn records and differentiates them.
    Autograd,
    /// Real-time recurrent learning: the influence of parameters, state and input is carried forwards, step by step.
    /// Each layer and direction takes `B · N · S` numbers of memory, for `N` parameters (and `T · I` inputs, if the
    /// gradient of the input is wanted) and `S` numbers of state, and keeps no trace. The work is about `N` times that
    /// of a forward pass. It is for small networks. It is also a witness, because it uses no hand-written derivative.
    /// For a stream that learns after every step, see [`Rtrl`](crate::Rtrl).
    Rtrl,
}

impl Engine {
    /// All engines, the default first.
    pub const ALL: [Self; 3] = [Self::Manual, Self::Autograd, Self::Rtrl];

    /// The engines that go back through time. They are suitable for networks of any size.
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

/// Runs a sequence by the engine. Engines share only the cell's `step`, the forward pass and the check of the operands.
///
/// # Panics
///
/// If the operands do not fit each other, with any engine: see [`Plan::check`](bptt_kernels::Plan::check).
pub(crate) fn run<C: Cell>(cell: C, engine: Engine, mut sequence: Sequence) -> SequenceResult {
    let layout = CellLayout::of::<C>();
    let has_candidate_mask = sequence.has_candidate_mask();
    sequence.add_memories(&layout);
    let result = match engine {
        Engine::Manual => manual::run(cell, sequence, false),
        Engine::Autograd => {
            let (operands, plan) = sequence.clone().into_operands(cell);
            plan.check(&operands);
            autograd::run(cell, sequence)
        }
        Engine::Rtrl => manual::run(cell, sequence, true),
    };
    without_added(result, &layout, has_candidate_mask)
}

/// Runs both directions of a layer by the engine. The manual engine runs them as one operation.
///
/// # Panics
///
/// As [`run`].
pub(crate) fn run_both<C: Cell>(
    cell: C,
    engine: Engine,
    mut sequences: [Sequence; 2],
) -> BothDirections {
    if engine != Engine::Manual {
        return BothDirections::of(sequences.map(|sequence| run(cell, engine, sequence)));
    }
    let layout = CellLayout::of::<C>();
    let has_candidate_mask = sequences[0].has_candidate_mask();
    for sequence in &mut sequences {
        sequence.add_memories(&layout);
    }
    let mut results = manual::run_both(cell, sequences);
    for memory in &mut results.memory {
        *memory = memory_without_added(memory.take(), &layout, has_candidate_mask);
    }
    results
}

/// Runs two layers of a stack by the manual engine, on the tape: the second on the outputs of the first.
///
/// # Panics
///
/// As [`run`], and as [`recurrent_pair`](bptt_kernels::recurrent_pair) says.
pub(crate) fn run_pair<C: Cell>(cell: C, mut sequences: [Sequence; 2]) -> BothDirections {
    let layout = CellLayout::of::<C>();
    for sequence in &mut sequences {
        sequence.add_memories(&layout);
    }
    let mut results = manual::run_pair(cell, sequences);
    for memory in &mut results.memory {
        *memory = memory_without_added(memory.take(), &layout, false);
    }
    results
}

/// Runs a stack of layers by the manual engine, without a tape.
///
/// # Panics
///
/// As [`run`], and as [`recurrent_stack`](bptt_kernels::recurrent_stack) says.
pub(crate) fn run_stack<C: Cell>(cell: C, mut sequences: Vec<Sequence>) -> StackResult {
    let layout = CellLayout::of::<C>();
    for sequence in &mut sequences {
        sequence.add_memories(&layout);
    }
    let mut results = manual::run_stack(cell, sequences);
    for (_, memory) in &mut results.states {
        *memory = memory_without_added(memory.take(), &layout, false);
    }
    results
}
