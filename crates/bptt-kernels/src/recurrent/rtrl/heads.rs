//! Recurrent weights in heads. Their influence is carried as that of the whole matrix, whose zeros nothing reads.

use crate::operation::operands::{Operand, Operands};
use crate::operation::plan::heads_of;
use crate::reference::primitive::Primitive;
use crate::reference::recurrent_matrix::{block_diagonal, diagonal_blocks};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;

/// Replaces `U` in heads by the whole matrix. Returns how many heads it has.
pub(super) fn with_whole_matrix<B: Backend>(weights: &mut Operands<FloatTensor<B>>) -> usize {
    let heads = heads_of(weights.get(Operand::WeightHh).map(|weight| weight.shape()).as_ref());
    if heads > 1 {
        let whole = weights.take(Operand::WeightHh).map(|w| block_diagonal(&Primitive::<B>(w)).0);
        weights.set(Operand::WeightHh, whole);
    }
    heads
}

/// Replaces the gradient of the whole matrix by that of its blocks.
pub(super) fn of_blocks<B: Backend>(d: &mut Operands<FloatTensor<B>>, heads: usize) {
    if heads > 1 {
        let whole = d.take(Operand::WeightHh);
        let blocks = whole.map(|d| diagonal_blocks(&Primitive::<B>(d), heads).0);
        d.set(Operand::WeightHh, blocks);
    }
}

/// The operands' shapes, with that of the whole matrix.
pub(super) fn whole_shapes<B: Backend>(
    operands: &Operands<FloatTensor<B>>,
) -> Operands<Vec<usize>> {
    let mut shapes = operands.map_ref(|x| x.shape().to_vec());
    if let Some(shape) = shapes.take(Operand::WeightHh) {
        let heads = heads_of(Some(&Shape::from(shape.clone())));
        let whole = match heads {
            1 => shape,
            heads => shape[1..].iter().map(|size| heads.saturating_mul(*size)).collect(),
        };
        shapes.set(Operand::WeightHh, Some(whole));
    }
    shapes
}
