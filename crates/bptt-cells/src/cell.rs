//! The traits of a cell, and what its steps take and return.

use std::fmt::Debug;

use crate::components::Components;
use crate::number::{Number, Rectify};

/// The state between two steps: the hidden state `h`, and the memories of the cell.
#[derive(Clone, Debug)]
pub struct State<N, M> {
    /// `h`, the output of the step. With a projection, the state before the next step has `W_hr h` here.
    pub hidden: N,
    /// The other values that are carried from step to step: `[c]` for an LSTM, `[]` for an RNN or a GRU.
    pub memory: M,
}

/// How the recurrent product of one gate, `U h + b_h`, enters the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiddenTerm {
    /// It is added to the input's product: the step gets the gate's pre-activation as `W x + U h`.
    Added,
    /// The step gets it as one of [`Layout::Separate`], and the gate's pre-activation as `W x`.
    Separate,
    /// It is added like [`Added`](Self::Added), but it is the product of `U` with a gated hidden state,
    /// [`Cell::gated_hidden`], in place of `h`. At most one gate can be of this kind, the last one.
    Gated,
    /// There is none: the gate's pre-activation is `W x + b`. Either all gates of a cell are of this kind, or none of
    /// them is. Such a cell has no `U` and no `b_h`; its units do not see each other within a layer.
    None,
}

/// What an open gate does with what the cell remembers. Initialisers of biases ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateRole {
    /// It keeps the memory: the forget gate of an LSTM, the update gate `z` of a GRU.
    Forget,
    /// It writes into the memory: the input gate of an LSTM.
    Input,
    /// Neither.
    Other,
}

/// What a diagonal weight is. It decides how its first values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiagonalRole {
    /// A recurrent weight, such as a peephole: it is drawn as recurrent weights are.
    Weight,
    /// The gain of a normalised value: 1 at the beginning.
    Gain,
    /// What is added behind a normalisation: 0 at the beginning. It is the bias of a gate that does this with the memory,
    /// and gets its value from an initialiser that sets such gates.
    Shift(GateRole),
}

/// The parts of a cell that are not functions: its name, its counts, and the types of its components.
pub trait Layout: Copy + Debug + Send + Sync + 'static {
    /// The name in tables and messages.
    const NAME: &'static str;

    /// How the recurrent product of each gate enters, in the order of the weights' rows.
    const HIDDEN_TERMS: &'static [HiddenTerm];

    /// What each gate does with the memory, in the order of the weights' rows. Empty if no gate holds it, as in Elman's
    /// network.
    const GATE_ROLES: &'static [GateRole] = &[];

    /// Whether the cell may have a projection after the step. With a projection, `h` has another size than the gates.
    /// So the step itself must not read the previous `h`.
    const PROJECTABLE: bool;

    /// `V`, the number of diagonal weights: parameters that are one number for each unit, such as the peepholes of an
    /// LSTM. The layer owns them, `[V, H]`, and they are the same in all rows and steps.
    ///
    /// The step gets them as the last `V` components of [`Memory`](Self::Memory), and returns them as they are. So the
    /// backward step has their gradient as it has that of a memory: what comes from the next step, plus the part of
    /// this step.
    const DIAGONAL_WEIGHTS: usize = 0;

    /// What each diagonal weight is, in their order. Empty if all are [`DiagonalRole::Weight`].
    const DIAGONAL_ROLES: &'static [DiagonalRole] = &[];

    /// Whether a step mixes the units of a row: whether it calls [`Number::mean`], as layer normalisation does. Whoever
    /// runs such a cell gives it whole rows, and never some units of a row alone. It must not have a
    /// [gated hidden state](HiddenTerm::Gated).
    const COUPLES_UNITS: bool = false;

    /// Pre-activations, one for each gate.
    type Gates<N: Number>: Components<N>;

    /// The recurrent products of the gates that are [`HiddenTerm::Separate`], one for each.
    type Separate<N: Number>: Components<N>;

    /// The memories, which are carried besides `h`. Behind them stand the [diagonal weights](Self::DIAGONAL_WEIGHTS).
    type Memory<N: Number>: Components<N> + Clone;

    /// What the backward step needs from the forward step, besides the states before and after it.
    type Saved<N: Number>: Components<N> + Clone;

    /// `G`, the number of gates.
    const GATES: usize = Self::HIDDEN_TERMS.len();
}

/// The state after a step, and what its backward step needs.
pub type Forward<C, N> = (State<N, <C as Layout>::Memory<N>>, <C as Layout>::Saved<N>);

/// The results of a backward step: `d_x` is dLoss/dx.
pub struct Backward<C: Layout, N: Number> {
    /// With respect to the pre-activations.
    pub d_gates: C::Gates<N>,
    /// With respect to the separate recurrent products.
    pub d_separate: C::Separate<N>,
    /// With respect to the previous `h`, by the direct path: the step itself reads `h`. The layer adds the part through
    /// `U h`. `None` if the step does not read `h`.
    pub d_hidden: Option<N>,
    /// With respect to the previous memory.
    pub d_memory: C::Memory<N>,
}

/// The mathematics of one step, for cells of analytic functions. Most cells implement this trait, which makes them a
/// [`Cell`].
pub trait AnalyticCell: Layout {
    /// See [`Cell::step`].
    fn step<N: Number>(
        &self,
        gates: Self::Gates<N>,
        separate: Self::Separate<N>,
        before: &State<N, Self::Memory<N>>,
    ) -> Forward<Self, N>;

    /// See [`Cell::step_backward`].
    fn step_backward<N: Number>(
        &self,
        saved: Self::Saved<N>,
        before: &State<N, Self::Memory<N>>,
        after: &State<N, Self::Memory<N>>,
        cotangent: State<N, Self::Memory<N>>,
    ) -> Backward<Self, N>;

    /// See [`Cell::gated_hidden`].
    #[inline(always)]
    fn gated_hidden<N: Number>(
        &self,
        gates: &Self::Gates<N>,
        before: &State<N, Self::Memory<N>>,
    ) -> N {
        let _ = (gates, before);
        no_gated_hidden::<Self>()
    }

    /// See [`Cell::gated_hidden_of_saved`].
    #[inline(always)]
    fn gated_hidden_of_saved<N: Number>(&self, saved: &Self::Saved<N>, hidden_before: &N) -> N {
        let _ = (saved, hidden_before);
        no_gated_hidden::<Self>()
    }

    /// See [`Cell::gated_hidden_backward`].
    #[inline(always)]
    fn gated_hidden_backward<N: Number>(
        &self,
        saved: &Self::Saved<N>,
        before: &State<N, Self::Memory<N>>,
        d_gated: N,
        so_far: Backward<Self, N>,
    ) -> Backward<Self, N> {
        let _ = (saved, before, d_gated, so_far);
        no_gated_hidden::<Self>()
    }
}

/// A function that is generic over a cell of analytic functions.
pub trait AnalyticVisitor {
    /// What it returns.
    type Output;

    /// Calls the function with a cell.
    fn visit<C: AnalyticCell>(self, cell: C) -> Self::Output;
}

/// The mathematics of one step of a recurrent cell, for any real number.
///
/// A cell of analytic functions implements [`AnalyticCell`], which makes it a `Cell`. A cell that needs [`Rectify`]
/// implements this trait.
pub trait Cell: Layout {
    /// One step forward.
    ///
    /// `gates` are the pre-activations (`W x + b`, plus `U h + b_h` where
    /// [`Layout::HIDDEN_TERMS`] says so), `separate` are the separate recurrent products. Returns the state after the
    /// step, and what the backward step needs.
    fn step<N: Rectify>(
        &self,
        gates: Self::Gates<N>,
        separate: Self::Separate<N>,
        before: &State<N, Self::Memory<N>>,
    ) -> Forward<Self, N>;

    /// One step backward: the transposed Jacobian of [`step`](Self::step), applied to the
    /// cotangent (dLoss/d`after`).
    ///
    /// `after.hidden` is the `h` of the step itself, before any projection.
    fn step_backward<N: Rectify>(
        &self,
        saved: Self::Saved<N>,
        before: &State<N, Self::Memory<N>>,
        after: &State<N, Self::Memory<N>>,
        cotangent: State<N, Self::Memory<N>>,
    ) -> Backward<Self, N>;

    /// The gated hidden state, from the other gates. In the [`HiddenTerm::Gated`] gate, `U` is multiplied with it in
    /// place of `h`.
    ///
    /// # Panics
    ///
    /// If the cell has no such gate.
    #[inline(always)]
    fn gated_hidden<N: Rectify>(
        &self,
        gates: &Self::Gates<N>,
        before: &State<N, Self::Memory<N>>,
    ) -> N {
        let _ = (gates, before);
        no_gated_hidden::<Self>()
    }

    /// The gated hidden state again, from the saved values. The gradient of `U` needs it.
    ///
    /// # Panics
    ///
    /// If the cell has no such gate.
    #[inline(always)]
    fn gated_hidden_of_saved<N: Rectify>(&self, saved: &Self::Saved<N>, hidden_before: &N) -> N {
        let _ = (saved, hidden_before);
        no_gated_hidden::<Self>()
    }

    /// Completes [`step_backward`](Self::step_backward) once the transposed product has given
    /// `d_gated`, the gradient of the gated hidden state.
    ///
    /// # Panics
    ///
    /// If the cell has no such gate.
    fn gated_hidden_backward<N: Rectify>(
        &self,
        saved: &Self::Saved<N>,
        before: &State<N, Self::Memory<N>>,
        d_gated: N,
        so_far: Backward<Self, N>,
    ) -> Backward<Self, N> {
        let _ = (saved, before, d_gated, so_far);
        no_gated_hidden::<Self>()
    }

    /// Calls the visitor with the cell as an [`AnalyticCell`]; `None` if it is not one.
    fn accept_analytic<V: AnalyticVisitor>(&self, visitor: V) -> Option<V::Output> {
        let _ = visitor;
        None
    }
}

fn no_gated_hidden<C: Layout>() -> ! {
    unreachable!("{} has no gated hidden state", C::NAME)
}

impl<C: AnalyticCell> Cell for C {
    #[inline(always)]
    fn step<N: Rectify>(
        &self,
        gates: C::Gates<N>,
        separate: C::Separate<N>,
        before: &State<N, C::Memory<N>>,
    ) -> Forward<C, N> {
        AnalyticCell::step(self, gates, separate, before)
    }

    #[inline(always)]
    fn step_backward<N: Rectify>(
        &self,
        saved: C::Saved<N>,
        before: &State<N, C::Memory<N>>,
        after: &State<N, C::Memory<N>>,
        cotangent: State<N, C::Memory<N>>,
    ) -> Backward<C, N> {
        AnalyticCell::step_backward(self, saved, before, after, cotangent)
    }

    #[inline(always)]
    fn gated_hidden<N: Rectify>(&self, gates: &C::Gates<N>, before: &State<N, C::Memory<N>>) -> N {
        AnalyticCell::gated_hidden(self, gates, before)
    }

    #[inline(always)]
    fn gated_hidden_of_saved<N: Rectify>(&self, saved: &C::Saved<N>, hidden_before: &N) -> N {
        AnalyticCell::gated_hidden_of_saved(self, saved, hidden_before)
    }

    #[inline(always)]
    fn gated_hidden_backward<N: Rectify>(
        &self,
        saved: &C::Saved<N>,
        before: &State<N, C::Memory<N>>,
        d_gated: N,
        so_far: Backward<C, N>,
    ) -> Backward<C, N> {
        AnalyticCell::gated_hidden_backward(self, saved, before, d_gated, so_far)
    }

    fn accept_analytic<V: AnalyticVisitor>(&self, visitor: V) -> Option<V::Output> {
        Some(visitor.visit(*self))
    }
}
