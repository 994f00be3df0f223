//! A cell's equations on tensors with tangents.

use crate::operation::cell_layout::CellLayout;
use crate::recurrent::rtrl::tangent::Tangent;
use crate::reference::primitive::Primitive;
use bptt_cells::{Cell, Components, State};
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

/// A cell whose step runs on tensors with tangents. The inputs of a step are one list: the pre-activations of the
/// gates, the separate products, the hidden state (if the cell reads it), and the memories.
pub(super) trait TangentCell<B: Backend> {
    fn layout(&self) -> CellLayout;

    /// The hidden state and the memories after a step. `hidden` is a placeholder for cells that do not read `h`.
    fn step(&self, inputs: Vec<Tangent<B>>, hidden: &FloatTensor<B>) -> Vec<Tangent<B>>;

    /// The gated hidden state.
    fn gated_hidden(&self, inputs: Vec<Tangent<B>>, hidden: &FloatTensor<B>) -> Tangent<B>;
}

impl<B: Backend, C: Cell> TangentCell<B> for C {
    fn layout(&self) -> CellLayout {
        CellLayout::of::<C>()
    }

    fn step(&self, inputs: Vec<Tangent<B>>, hidden: &FloatTensor<B>) -> Vec<Tangent<B>> {
        let CellInputs { gates, separate, before } = CellInputs::<B, C>::of(inputs, hidden);
        let (after, _saved) = Cell::step(self, gates, separate, &before);
        [after.hidden].into_iter().chain(after.memory.into_vec()).collect()
    }

    fn gated_hidden(&self, inputs: Vec<Tangent<B>>, hidden: &FloatTensor<B>) -> Tangent<B> {
        let CellInputs { gates, before, .. } = CellInputs::<B, C>::of(inputs, hidden);
        Cell::gated_hidden(self, &gates, &before)
    }
}

struct CellInputs<B: Backend, C: Cell> {
    gates: C::Gates<Tangent<B>>,
    separate: C::Separate<Tangent<B>>,
    before: State<Tangent<B>, C::Memory<Tangent<B>>>,
}

impl<B: Backend, C: Cell> CellInputs<B, C> {
    fn of(mut all: Vec<Tangent<B>>, hidden: &FloatTensor<B>) -> Self {
        let mut separate = all.split_off(C::GATES);
        let mut rest = separate.split_off(C::Separate::<f64>::LEN);
        let hidden = match C::PROJECTABLE {
            true => Tangent::still(Primitive(hidden.clone())),
            false => rest.remove(0),
        };
        Self {
            gates: C::Gates::from_vec(all),
            separate: C::Separate::from_vec(separate),
            before: State { hidden, memory: C::Memory::from_vec(rest) },
        }
    }
}
