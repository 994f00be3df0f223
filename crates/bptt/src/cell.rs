//! Cells with their options, as layers choose them.

use crate::engine::{self, Engine, Sequence, SequenceResult};
use crate::state::{AnyState, GruState, LstmState, RecurrentState, RnnState};
use bptt_cells::{self as cells, Cell, Components};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// A cell together with its options: what a [`Recurrent`](crate::Recurrent) layer is made of.
///
/// For a cell of your own, implement [`bptt_cells::Cell`] and wrap it in [`CustomCell`].
pub trait SequenceCell: Clone + Debug + Send + Sync + 'static {
    /// The type of the layer's state.
    type State: RecurrentState;

    /// The name in tables and messages.
    fn name(&self) -> &'static str;

    /// `G`, the number of gates.
    fn gates(&self) -> usize;

    /// `M`, the number of memories beside the hidden state.
    fn memories(&self) -> usize;

    /// Whether a projection may stand behind the cell.
    fn projectable(&self) -> bool;

    /// Checks the cell's own options.
    ///
    /// # Errors
    ///
    /// One line that says which option is wrong.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Runs one layer in one direction.
    fn run(&self, engine: Engine, sequence: Sequence) -> SequenceResult;

    /// Calls the visitor with the cell itself, for callers that run its equations without an engine.
    fn accept<V: CellVisitor>(&self, visitor: V) -> V::Output;
}

/// A function that is generic over the cell.
pub trait CellVisitor {
    /// What it returns.
    type Output;

    /// Calls the function with a cell.
    fn visit<C: Cell>(self, cell: C) -> Self::Output;
}

macro_rules! delegate {
    (|$this:ident| $cell:expr) => {
        fn name(&self) -> &'static str {
            fn name<C: Cell>(_: C) -> &'static str {
                C::NAME
            }
            let $this = self;
            each!($cell, name)
        }

        fn gates(&self) -> usize {
            fn gates<C: Cell>(_: C) -> usize {
                C::GATES
            }
            let $this = self;
            each!($cell, gates)
        }

        fn memories(&self) -> usize {
            fn memories<C: Cell>(_: C) -> usize {
                C::Memory::<f64>::LEN
            }
            let $this = self;
            each!($cell, memories)
        }

        fn projectable(&self) -> bool {
            fn projectable<C: Cell>(_: C) -> bool {
                C::PROJECTABLE
            }
            let $this = self;
            each!($cell, projectable)
        }

        fn run(&self, engine: Engine, sequence: Sequence) -> SequenceResult {
            let $this = self;
            each!($cell, engine::run, engine, sequence)
        }

        fn accept<V: CellVisitor>(&self, visitor: V) -> V::Output {
            fn accept<C: Cell, V: CellVisitor>(cell: C, visitor: V) -> V::Output {
                visitor.visit(cell)
            }
            let $this = self;
            each!($cell, accept, visitor)
        }
    };
}

/// Calls a function that is generic over the cell, with the cell that `choice` names.
macro_rules! each {
    ($choice:expr, $function:expr $(, $argument:expr)*) => {
        match $choice {
            Choice::RnnTanh => $function(cells::RnnTanh $(, $argument)*),
            Choice::RnnRelu => $function(cells::RnnRelu $(, $argument)*),
            Choice::Lstm => $function(cells::Lstm $(, $argument)*),
            Choice::LstmClipped(bound) => {
                $function(cells::Clipped { cell: cells::Lstm, bound } $(, $argument)*)
            }
            Choice::LstmCoupled => $function(cells::LstmCoupled $(, $argument)*),
            Choice::LstmCoupledClipped(bound) => {
                $function(cells::Clipped { cell: cells::LstmCoupled, bound } $(, $argument)*)
            }
            Choice::GruResetAfter => $function(cells::GruResetAfter $(, $argument)*),
            Choice::GruResetBefore => $function(cells::GruResetBefore $(, $argument)*),
        }
    };
}

/// The cells of this project, by name.
enum Choice {
    RnnTanh,
    RnnRelu,
    Lstm,
    LstmClipped(f64),
    LstmCoupled,
    LstmCoupledClipped(f64),
    GruResetAfter,
    GruResetBefore,
}

/// The function of an RNN's hidden state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nonlinearity {
    /// The hyperbolic tangent.
    #[default]
    Tanh,
    /// The rectifier, `max(x, 0)`.
    Relu,
}

/// The cell of Elman's network with its nonlinearity.
#[derive(Clone, Copy, Debug, Default)]
pub struct RnnCell(
    /// The function of the hidden state.
    pub Nonlinearity,
);

/// The LSTM cell with its options.
#[derive(Clone, Copy, Debug, Default)]
pub struct LstmCell {
    /// Whether the forget gate is `1 - i`, so that there are three gates, `i g o`.
    pub input_forget: bool,
    /// Bounds the memory to `[-clip, clip]` after each step.
    pub clip: Option<f64>,
}

/// The GRU cell with its form of the reset.
#[derive(Clone, Copy, Debug)]
pub struct GruCell {
    /// Whether the reset gate comes after the recurrent product (PyTorch) or before (Cho 2014).
    pub reset_after: bool,
}

/// Any of this project's cells, chosen at run time.
#[derive(Clone, Copy, Debug)]
pub enum AnyCell {
    /// Elman's.
    Rnn(RnnCell),
    /// Long short-term memory.
    Lstm(LstmCell),
    /// Gated recurrent unit.
    Gru(GruCell),
}

impl RnnCell {
    fn choice(&self) -> Choice {
        match self.0 {
            Nonlinearity::Tanh => Choice::RnnTanh,
            Nonlinearity::Relu => Choice::RnnRelu,
        }
    }
}

impl LstmCell {
    fn choice(&self) -> Choice {
        match (self.input_forget, self.clip) {
            (false, None) => Choice::Lstm,
            (false, Some(bound)) => Choice::LstmClipped(bound),
            (true, None) => Choice::LstmCoupled,
            (true, Some(bound)) => Choice::LstmCoupledClipped(bound),
        }
    }
}

impl GruCell {
    fn choice(&self) -> Choice {
        if self.reset_after { Choice::GruResetAfter } else { Choice::GruResetBefore }
    }
}

impl SequenceCell for RnnCell {
    type State = RnnState;
    delegate!(|this| this.choice());
}

impl SequenceCell for LstmCell {
    type State = LstmState;
    delegate!(|this| this.choice());

    fn check(&self) -> Result<(), String> {
        match self.clip {
            Some(clip) if !(clip > 0.0 && clip.is_finite()) => {
                Err(format!("clip is {clip}, and has to be a positive number"))
            }
            _ => Ok(()),
        }
    }
}

impl SequenceCell for GruCell {
    type State = GruState;
    delegate!(|this| this.choice());
}

impl SequenceCell for AnyCell {
    type State = AnyState;
    delegate!(|this| match this {
        AnyCell::Rnn(cell) => cell.choice(),
        AnyCell::Lstm(cell) => cell.choice(),
        AnyCell::Gru(cell) => cell.choice(),
    });

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Lstm(cell) => cell.check(),
            Self::Rnn(_) | Self::Gru(_) => Ok(()),
        }
    }
}

/// A cell that somebody else wrote: it gets both engines and everything around them.
#[derive(Clone, Copy, Debug, Default)]
pub struct CustomCell<C>(
    /// The cell.
    pub C,
);

impl<C: Cell> SequenceCell for CustomCell<C> {
    type State = AnyState;

    fn name(&self) -> &'static str {
        C::NAME
    }

    fn gates(&self) -> usize {
        C::GATES
    }

    fn memories(&self) -> usize {
        C::Memory::<f64>::LEN
    }

    fn projectable(&self) -> bool {
        C::PROJECTABLE
    }

    fn run(&self, engine: Engine, sequence: Sequence) -> SequenceResult {
        engine::run(self.0, engine, sequence)
    }

    fn accept<V: CellVisitor>(&self, visitor: V) -> V::Output {
        visitor.visit(self.0)
    }
}
