//! Cells with their options, from which layers are made.

use crate::engine::{self, BothDirections, Engine, Sequence, SequenceResult, StackResult};
use crate::error::ConfigError;
use crate::state::{AnyState, GruState, LstmState, RecurrentState, RnnState};
use bptt_cells::{self as cells, Cell};
use bptt_kernels::CellLayout;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// A cell together with its options. A [`Recurrent`](crate::Recurrent) layer is generic over it.
///
/// Each [`Cell`] implements this trait as a cell without options. So for a cell of your own, implement
/// [`AnalyticCell`](bptt_cells::AnalyticCell) or [`Cell`]. Implement this trait only for a cell whose equations depend
/// on options that are known at run time.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a cell",
    note = "a cell of your own implements `bptt::cells::AnalyticCell` or `bptt::cells::Cell`"
)]
pub trait SequenceCell: Clone + Debug + Send + Sync + 'static {
    /// The type of the layer's state.
    type State: RecurrentState;

    /// Calls the visitor with the equations that the options choose.
    fn accept<V: CellVisitor>(&self, visitor: V) -> V::Output;

    /// Calls the visitor with the same equations and a mask on the candidate, which the cell has as its last memory;
    /// `None`, if there is no such cell. It is for recurrent dropout.
    fn accept_dropped<V: CellVisitor>(&self, visitor: V) -> Option<V::Output> {
        let _ = visitor;
        None
    }

    /// Checks the cell's own options.
    ///
    /// # Errors
    ///
    /// One line that says which option is wrong.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// What layers and kernels know of the cell besides its equations.
    fn layout(&self) -> CellLayout {
        self.accept(LayoutOf)
    }

    /// The name in tables and messages.
    fn name(&self) -> &'static str {
        self.layout().name
    }

    /// `G`, the number of gates.
    fn gates(&self) -> usize {
        self.layout().gates()
    }

    /// `M`, the number of memories beside the hidden state.
    fn memories(&self) -> usize {
        self.layout().states()
    }

    /// `V`, the number of diagonal weights.
    fn diagonal_weights(&self) -> usize {
        self.layout().diagonal_weights
    }

    /// Whether a projection may stand behind the cell.
    fn projectable(&self) -> bool {
        self.layout().projectable
    }

    /// Runs one layer in one direction. A cell of this crate says it once more, so that the kernels are compiled for it
    /// here, and not in each crate that runs a layer.
    fn run(&self, engine: Engine, sequence: Sequence) -> SequenceResult {
        self.accept(Run(engine, sequence))
    }

    /// As [`run`](Self::run), with a mask on the candidate.
    ///
    /// # Panics
    ///
    /// If there is no such cell.
    fn run_dropped(&self, engine: Engine, sequence: Sequence) -> SequenceResult {
        self.accept_dropped(Run(engine, sequence)).expect(DROPPED)
    }

    /// Runs one layer in both directions: first the one forward in time.
    fn run_both(&self, engine: Engine, sequences: [Sequence; 2]) -> BothDirections {
        self.accept(RunBoth(engine, sequences))
    }

    /// Runs a stack of layers by the manual engine, without a tape. Only the first sequence has an input.
    fn run_stack(&self, sequences: Vec<Sequence>) -> StackResult {
        self.accept(RunStack(sequences))
    }

    /// Runs two layers by the manual engine, on the tape: the second on the outputs of the first.
    fn run_pair(&self, sequences: [Sequence; 2]) -> BothDirections {
        self.accept(RunPair(sequences))
    }

    /// As [`run_both`](Self::run_both), with a mask on the candidate.
    ///
    /// # Panics
    ///
    /// If there is no such cell.
    fn run_both_dropped(&self, engine: Engine, sequences: [Sequence; 2]) -> BothDirections {
        self.accept_dropped(RunBoth(engine, sequences)).expect(DROPPED)
    }
}

/// Noise that a cell cannot have is refused when its layer is made.
pub(crate) const DROPPED: &str = "a layer with recurrent dropout has a cell with a mask";

/// A function that is generic over the cell.
pub trait CellVisitor {
    /// What it returns.
    type Output;

    /// Calls the function with a cell.
    fn visit<C: Cell>(self, cell: C) -> Self::Output;
}

/// Reads a cell's layout.
struct LayoutOf;

impl CellVisitor for LayoutOf {
    type Output = CellLayout;

    fn visit<C: Cell>(self, _: C) -> CellLayout {
        CellLayout::of::<C>()
    }
}

/// Runs one layer in one direction.
struct Run(Engine, Sequence);

impl CellVisitor for Run {
    type Output = SequenceResult;

    fn visit<C: Cell>(self, cell: C) -> SequenceResult {
        engine::run(cell, self.0, self.1)
    }
}

/// Runs one layer in both directions.
struct RunBoth(Engine, [Sequence; 2]);

impl CellVisitor for RunBoth {
    type Output = BothDirections;

    fn visit<C: Cell>(self, cell: C) -> BothDirections {
        engine::run_both(cell, self.0, self.1)
    }
}

/// Runs two layers of a stack.
struct RunPair([Sequence; 2]);

impl CellVisitor for RunPair {
    type Output = BothDirections;

    fn visit<C: Cell>(self, cell: C) -> BothDirections {
        engine::run_pair(cell, self.0)
    }
}

/// Runs a stack of layers.
struct RunStack(Vec<Sequence>);

impl CellVisitor for RunStack {
    type Output = StackResult;

    fn visit<C: Cell>(self, cell: C) -> StackResult {
        engine::run_stack(cell, self.0)
    }
}

impl<C: Cell> SequenceCell for C {
    type State = AnyState;

    fn accept<V: CellVisitor>(&self, visitor: V) -> V::Output {
        visitor.visit(*self)
    }
}

/// The function of an RNN's hidden state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
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

impl SequenceCell for RnnCell {
    type State = RnnState;

    fn accept<V: CellVisitor>(&self, visitor: V) -> V::Output {
        match self.0 {
            Nonlinearity::Tanh => visitor.visit(cells::RnnTanh),
            Nonlinearity::Relu => visitor.visit(cells::RnnRelu),
        }
    }

    fn run(&self, engine: Engine, sequence: Sequence) -> SequenceResult {
        self.accept(Run(engine, sequence))
    }

    fn run_both(&self, engine: Engine, sequences: [Sequence; 2]) -> BothDirections {
        self.accept(RunBoth(engine, sequences))
    }

    fn run_stack(&self, sequences: Vec<Sequence>) -> StackResult {
        self.accept(RunStack(sequences))
    }

    fn run_pair(&self, sequences: [Sequence; 2]) -> BothDirections {
        self.accept(RunPair(sequences))
    }
}

/// The independently recurrent cell with its nonlinearity.
#[cfg(feature = "diagonal-cells")]
#[derive(Clone, Copy, Debug, Default)]
pub struct IndRnnCell(
    /// The function of the hidden state.
    pub Nonlinearity,
);

#[cfg(feature = "diagonal-cells")]
impl SequenceCell for IndRnnCell {
    type State = AnyState;

    fn accept<V: CellVisitor>(&self, visitor: V) -> V::Output {
        match self.0 {
            Nonlinearity::Tanh => visitor.visit(cells::IndRnnTanh),
            Nonlinearity::Relu => visitor.visit(cells::IndRnnRelu),
        }
    }

    fn run(&self, engine: Engine, sequence: Sequence) -> SequenceResult {
        self.accept(Run(engine, sequence))
    }

    fn run_both(&self, engine: Engine, sequences: [Sequence; 2]) -> BothDirections {
        self.accept(RunBoth(engine, sequences))
    }

    fn run_stack(&self, sequences: Vec<Sequence>) -> StackResult {
        self.accept(RunStack(sequences))
    }

    fn run_pair(&self, sequences: [Sequence; 2]) -> BothDirections {
        self.accept(RunPair(sequences))
    }
}

/// The LSTM cell with its options.
#[derive(Clone, Copy, Debug, Default)]
pub struct LstmCell {
    /// Whether the forget gate is `1 - i`, so that there are three gates, `i g o`.
    pub input_forget: bool,
    /// Bounds the memory to `[-clip, clip]` after each step.
    pub clip: Option<f64>,
}

impl SequenceCell for LstmCell {
    type State = LstmState;

    fn accept<V: CellVisitor>(&self, visitor: V) -> V::Output {
        use cells::{Clipped, Lstm, LstmCoupled};
        match (self.input_forget, self.clip) {
            (false, None) => visitor.visit(Lstm),
            (false, Some(bound)) => visitor.visit(Clipped { cell: Lstm, bound }),
            (true, None) => visitor.visit(LstmCoupled),
            (true, Some(bound)) => visitor.visit(Clipped { cell: LstmCoupled, bound }),
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        match self.clip {
            Some(clip) if !(clip > 0.0 && clip.is_finite()) => {
                Err(ConfigError::new(format!("clip is {clip}, and has to be a positive number")))
            }
            _ => Ok(()),
        }
    }

    fn run(&self, engine: Engine, sequence: Sequence) -> SequenceResult {
        self.accept(Run(engine, sequence))
    }

    fn run_both(&self, engine: Engine, sequences: [Sequence; 2]) -> BothDirections {
        self.accept(RunBoth(engine, sequences))
    }

    fn run_stack(&self, sequences: Vec<Sequence>) -> StackResult {
        self.accept(RunStack(sequences))
    }

    fn run_pair(&self, sequences: [Sequence; 2]) -> BothDirections {
        self.accept(RunPair(sequences))
    }

    #[cfg(feature = "recurrent-dropout")]
    fn run_dropped(&self, engine: Engine, sequence: Sequence) -> SequenceResult {
        self.accept_dropped(Run(engine, sequence)).expect(DROPPED)
    }

    #[cfg(feature = "recurrent-dropout")]
    fn run_both_dropped(&self, engine: Engine, sequences: [Sequence; 2]) -> BothDirections {
        self.accept_dropped(RunBoth(engine, sequences)).expect(DROPPED)
    }

    #[cfg(feature = "recurrent-dropout")]
    fn accept_dropped<V: CellVisitor>(&self, visitor: V) -> Option<V::Output> {
        let is_plain = !self.input_forget && self.clip.is_none();
        is_plain.then(|| visitor.visit(cells::LstmDropped))
    }
}

/// The GRU cell with its form of the reset.
#[derive(Clone, Copy, Debug)]
pub struct GruCell {
    /// Whether the reset gate comes after the recurrent product (PyTorch) or before (Cho 2014).
    pub reset_after: bool,
}

impl SequenceCell for GruCell {
    type State = GruState;

    fn accept<V: CellVisitor>(&self, visitor: V) -> V::Output {
        match self.reset_after {
            true => visitor.visit(cells::GruResetAfter),
            false => visitor.visit(cells::GruResetBefore),
        }
    }

    fn run(&self, engine: Engine, sequence: Sequence) -> SequenceResult {
        self.accept(Run(engine, sequence))
    }

    fn run_both(&self, engine: Engine, sequences: [Sequence; 2]) -> BothDirections {
        self.accept(RunBoth(engine, sequences))
    }

    fn run_stack(&self, sequences: Vec<Sequence>) -> StackResult {
        self.accept(RunStack(sequences))
    }

    fn run_pair(&self, sequences: [Sequence; 2]) -> BothDirections {
        self.accept(RunPair(sequences))
    }

    #[cfg(feature = "recurrent-dropout")]
    fn run_dropped(&self, engine: Engine, sequence: Sequence) -> SequenceResult {
        self.accept_dropped(Run(engine, sequence)).expect(DROPPED)
    }

    #[cfg(feature = "recurrent-dropout")]
    fn run_both_dropped(&self, engine: Engine, sequences: [Sequence; 2]) -> BothDirections {
        self.accept_dropped(RunBoth(engine, sequences)).expect(DROPPED)
    }

    #[cfg(feature = "recurrent-dropout")]
    fn accept_dropped<V: CellVisitor>(&self, visitor: V) -> Option<V::Output> {
        Some(match self.reset_after {
            true => visitor.visit(cells::GruResetAfterDropped),
            false => visitor.visit(cells::GruResetBeforeDropped),
        })
    }
}

/// The options of cells, which are not options of every layer. The defaults are PyTorch's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CellOptions {
    pub(crate) nonlinearity: Nonlinearity,
    pub(crate) reset_after: bool,
    pub(crate) input_forget: bool,
    pub(crate) clip: Option<f64>,
}

impl Default for CellOptions {
    fn default() -> Self {
        let nonlinearity = Nonlinearity::Tanh;
        Self { nonlinearity, reset_after: true, input_forget: false, clip: None }
    }
}

impl CellOptions {
    /// The options that differ from their defaults, with name and value.
    fn changed(&self) -> impl Iterator<Item = (&'static str, String)> {
        let Self { nonlinearity, reset_after, input_forget, clip } = *self;
        let all = [
            (nonlinearity != Nonlinearity::Tanh)
                .then(|| ("nonlinearity", format!("{nonlinearity:?}"))),
            (!reset_after).then(|| ("reset_after", "false".to_string())),
            input_forget.then(|| ("input_forget", "true".to_string())),
            clip.map(|bound| ("clip", bound.to_string())),
        ];
        all.into_iter().flatten()
    }
}

/// A cell that has a [`CellKind`](crate::CellKind), and can be made from options.
pub(crate) trait NamedCell: SequenceCell {
    /// The names of those [`CellOptions`] that the cell has.
    const OPTIONS: &'static [&'static str];

    /// Makes the cell from those options that it has.
    fn of(options: &CellOptions) -> Self;

    /// Makes the cell. The error says which option it does not have.
    fn try_of(options: &CellOptions) -> Result<Self, ConfigError> {
        let cell = Self::of(options);
        match options.changed().find(|(name, _)| !Self::OPTIONS.contains(name)) {
            None => Ok(cell),
            Some((option, value)) => Err(ConfigError::new(format!(
                "{}: {option} is {value}, and this cell has no such option: expected the default",
                cell.name()
            ))),
        }
    }
}

impl NamedCell for RnnCell {
    const OPTIONS: &'static [&'static str] = &["nonlinearity"];

    fn of(options: &CellOptions) -> Self {
        Self(options.nonlinearity)
    }
}

#[cfg(feature = "diagonal-cells")]
impl NamedCell for IndRnnCell {
    const OPTIONS: &'static [&'static str] = &["nonlinearity"];

    fn of(options: &CellOptions) -> Self {
        Self(options.nonlinearity)
    }
}

impl NamedCell for LstmCell {
    const OPTIONS: &'static [&'static str] = &["input_forget", "clip"];

    fn of(options: &CellOptions) -> Self {
        Self { input_forget: options.input_forget, clip: options.clip }
    }
}

impl NamedCell for GruCell {
    const OPTIONS: &'static [&'static str] = &["reset_after"];

    fn of(options: &CellOptions) -> Self {
        Self { reset_after: options.reset_after }
    }
}

// A cell without options.
impl<C: Cell + Default> NamedCell for C {
    const OPTIONS: &'static [&'static str] = &[];

    fn of(_: &CellOptions) -> Self {
        Self::default()
    }
}
