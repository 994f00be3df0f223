//! A cell as the reference body sees it: its values are lists of tensors.

use crate::operation::cell_layout::CellLayout;
use crate::reference::tensor_number::TensorNumber;
use bptt_cells::{Backward, Cell, Components, State};

/// A state, or the gradient of one: `[B, P]`, and a list of `[B, H]`.
pub(crate) type ListedState<N> = State<N, Vec<N>>;

/// What a step backward returns, see [`Backward`].
pub(crate) struct ListedBackward<N> {
    pub(crate) d_gates: Vec<N>,
    pub(crate) d_separate: Vec<N>,
    pub(crate) d_hidden: Option<N>,
    pub(crate) d_memory: Vec<N>,
}

/// The equations of a [`Cell`] for one type of tensor, whose functions are named and explained there.
///
/// The body over the sequence takes a `dyn TensorCell`. So it is compiled once for each type of tensor, and not for each
/// cell. A step is some dozens of tensor operations, beside which a virtual call costs nothing.
pub(crate) trait TensorCell<N> {
    fn layout(&self) -> CellLayout;

    /// Returns the state after the step, and what is saved.
    fn step(
        &self,
        gates: Vec<N>,
        separate: Vec<N>,
        before: &ListedState<N>,
    ) -> (ListedState<N>, Vec<N>);

    fn step_backward(
        &self,
        saved: Vec<N>,
        before: &ListedState<N>,
        after: &ListedState<N>,
        cotangent: ListedState<N>,
    ) -> ListedBackward<N>;

    fn gated_hidden(&self, gates: &[N], before: &ListedState<N>) -> N;

    fn gated_hidden_of_saved(&self, saved: &[N], hidden_before: &N) -> N;

    fn gated_hidden_backward(
        &self,
        saved: &[N],
        before: &ListedState<N>,
        d_gated: N,
        so_far: ListedBackward<N>,
    ) -> ListedBackward<N>;
}

impl<N: TensorNumber, C: Cell> TensorCell<N> for C {
    fn layout(&self) -> CellLayout {
        CellLayout::of::<C>()
    }

    fn step(
        &self,
        gates: Vec<N>,
        separate: Vec<N>,
        before: &ListedState<N>,
    ) -> (ListedState<N>, Vec<N>) {
        let gates = C::Gates::from_vec(gates);
        let separate = C::Separate::from_vec(separate);
        let (after, saved) = Cell::step(self, gates, separate, &unlisted::<N, C>(before.clone()));
        (State { hidden: after.hidden, memory: after.memory.into_vec() }, saved.into_vec())
    }

    fn step_backward(
        &self,
        saved: Vec<N>,
        before: &ListedState<N>,
        after: &ListedState<N>,
        cotangent: ListedState<N>,
    ) -> ListedBackward<N> {
        listed(Cell::step_backward(
            self,
            C::Saved::from_vec(saved),
            &unlisted::<N, C>(before.clone()),
            &unlisted::<N, C>(after.clone()),
            unlisted::<N, C>(cotangent),
        ))
    }

    fn gated_hidden(&self, gates: &[N], before: &ListedState<N>) -> N {
        let gates = C::Gates::from_vec(gates.to_vec());
        Cell::gated_hidden(self, &gates, &unlisted::<N, C>(before.clone()))
    }

    fn gated_hidden_of_saved(&self, saved: &[N], hidden_before: &N) -> N {
        Cell::gated_hidden_of_saved(self, &C::Saved::from_vec(saved.to_vec()), hidden_before)
    }

    fn gated_hidden_backward(
        &self,
        saved: &[N],
        before: &ListedState<N>,
        d_gated: N,
        so_far: ListedBackward<N>,
    ) -> ListedBackward<N> {
        let ListedBackward { d_gates, d_separate, d_hidden, d_memory } = so_far;
        let so_far = Backward {
            d_gates: C::Gates::from_vec(d_gates),
            d_separate: C::Separate::from_vec(d_separate),
            d_hidden,
            d_memory: C::Memory::from_vec(d_memory),
        };
        let saved = C::Saved::from_vec(saved.to_vec());
        listed(Cell::gated_hidden_backward(
            self,
            &saved,
            &unlisted::<N, C>(before.clone()),
            d_gated,
            so_far,
        ))
    }
}

fn unlisted<N: TensorNumber, C: Cell>(state: ListedState<N>) -> State<N, C::Memory<N>> {
    State { hidden: state.hidden, memory: C::Memory::from_vec(state.memory) }
}

fn listed<N: TensorNumber, C: Cell>(back: Backward<C, N>) -> ListedBackward<N> {
    ListedBackward {
        d_gates: back.d_gates.into_vec(),
        d_separate: back.d_separate.into_vec(),
        d_hidden: back.d_hidden,
        d_memory: back.d_memory.into_vec(),
    }
}
