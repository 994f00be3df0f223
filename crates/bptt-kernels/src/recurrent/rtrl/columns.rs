//! The columns of a block of influence, and the operand to which each belongs.

use crate::operation::operands::{Operand, Operands};
use crate::reference::ops::{columns, concatenate, reshape, sum_rows, zeros_like};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, TensorData};
use std::ops::Range;

/// The operands whose influence is carried, in order, with their shapes.
#[derive(Clone, Debug)]
pub(super) struct Columns(Vec<(Operand, Vec<usize>)>);

/// Whether each row of the batch has its own part of this operand.
fn is_of_rows(operand: Operand) -> bool {
    matches!(
        operand,
        Operand::Input
            | Operand::Hidden
            | Operand::Memory
            | Operand::ResetHidden
            | Operand::ResetMemory
    )
}

/// The number of columns of an operand. For `[B, …]` and `[·, B, ·]`, only the numbers of one row count.
fn size(operand: Operand, shape: &[usize]) -> usize {
    match operand {
        Operand::Input | Operand::Memory | Operand::ResetMemory => {
            shape[0].saturating_mul(shape[2])
        }
        Operand::Hidden | Operand::ResetHidden => shape[1],
        _ => shape.iter().fold(1, |product, &size| product.saturating_mul(size)),
    }
}

impl Columns {
    pub(super) fn of(shapes: &Operands<Vec<usize>>, wanted: &Operands<()>) -> Self {
        let carried = shapes.iter().filter(|(operand, _)| wanted.has(*operand));
        Self(carried.map(|(operand, shape)| (operand, shape.clone())).collect())
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|(operand, shape)| size(*operand, shape)).fold(0, usize::saturating_add)
    }

    /// Each operand with its shape and its columns.
    fn parts(&self) -> impl Iterator<Item = (Operand, &[usize], Range<usize>)> {
        self.0.iter().scan(0, |from, (operand, shape)| {
            let range = *from..*from + size(*operand, shape);
            *from = range.end;
            Some((*operand, shape.as_slice(), range))
        })
    }

    /// The derivative of a part `value`, `[B, W]`, of the operand `of` with respect to the columns: `[B, N, W]`. It is
    /// the identity in the columns of this part, which begin at `first` within the operand, and zero in all others.
    pub(super) fn identity<B: Backend>(
        &self,
        of: Operand,
        first: usize,
        value: &FloatTensor<B>,
    ) -> FloatTensor<B> {
        let [batch, width] = value.shape().dims();
        let zeros = |n: usize| zeros_like::<B>(value, &[batch, n, width]);
        let parts = self.parts().flat_map(|(operand, _, range)| {
            if operand != of {
                return vec![zeros(range.len())];
            }
            let ones = B::float_expand(eye::<B>(width, value), Shape::new([batch, width, width]));
            vec![zeros(first), ones, zeros(range.len() - first - width)]
        });
        concatenate::<B>(parts.filter(|part| part.shape()[1] > 0).collect(), 1)
    }

    /// The direct derivative of a product `weight · x + bias`, `x` `[B, W]`, with respect to its own weight and bias,
    /// and to the step `t` of the input if `x` is this step: `[B, N, O]`, zero in all other columns.
    pub(super) fn direct<B: Backend>(
        &self,
        (weight, bias): (Operand, Option<Operand>),
        matrix: &FloatTensor<B>,
        x: &FloatTensor<B>,
        t: usize,
    ) -> FloatTensor<B> {
        let [batch, width] = x.shape().dims();
        let out = matrix.shape()[0];
        let zeros = |n: usize| zeros_like::<B>(x, &[batch, n, out]);
        let parts = self.parts().flat_map(|(operand, _, range)| {
            if operand == weight {
                // ∂(row r)/∂(weight[r, i]) = x_i
                let eye = reshape::<B>(eye::<B>(out, x), [1, out, 1, out]);
                let x = reshape::<B>(x.clone(), [batch, 1, width, 1]);
                return vec![reshape::<B>(B::float_mul(eye, x), [batch, out * width, out])];
            }
            if bias == Some(operand) {
                return vec![B::float_expand(eye::<B>(out, x), Shape::new([batch, out, out]))];
            }
            if (operand, weight) == (Operand::Input, Operand::WeightIh) {
                let slope = reshape::<B>(B::float_transpose(matrix.clone()), [1, width, out]);
                let slope = B::float_expand(slope, Shape::new([batch, width, out]));
                let before = t * width;
                return vec![zeros(before), slope, zeros(range.len() - before - width)];
            }
            vec![zeros(range.len())]
        });
        concatenate::<B>(parts.filter(|part| part.shape()[1] > 0).collect(), 1)
    }

    /// The gradient of each operand, in its shape, from the gradient of the columns, `[B, N]`.
    pub(super) fn split<B: Backend>(&self, all: &FloatTensor<B>) -> Operands<FloatTensor<B>> {
        let mut d = Operands::new();
        for (operand, shape, range) in self.parts() {
            let part = columns::<B>(all, range.start, range.end);
            let part = match shape {
                // Each row has its own numbers, but the rows are not contiguous.
                &[outer, batch, width] => {
                    let by_row = reshape::<B>(part, [batch, outer, width]);
                    B::float_swap_dims(by_row, 0, 1)
                }
                _ if is_of_rows(operand) => part,
                _ => reshape::<B>(sum_rows::<B>(part), Shape::from(shape.to_vec())),
            };
            d = d.with(operand, part);
        }
        d
    }
}

/// The identity, `[1, n, n]`, of the type and on the device of another tensor.
fn eye<B: Backend>(n: usize, like: &FloatTensor<B>) -> FloatTensor<B> {
    let entries = (0..n * n).map(|k| f32::from(u8::from(k % (n + 1) == 0))).collect();
    let data = TensorData::new::<f32, _>(entries, [1, n, n]).convert_dtype(like.dtype());
    B::float_from_data(data, &like.device())
}
