//! The recurrent weights as the kernels read them.

use crate::cube::step::LANES;
use crate::operation::operands::{Operand, Operands};
use crate::reference::primitive::Primitive;
use crate::reference::tensor_number::TensorNumber;
use burn::backend::ops::FloatTensorOps;
use burn_cubecl::CubeBackend;

type Tensor = Primitive<CubeBackend>;

/// The width of a head: `H`, without heads.
pub(super) fn head_width(operands: &Operands<Tensor>, hidden: usize) -> usize {
    match operands.get(Operand::WeightHh).map(TensorNumber::shape) {
        Some(shape) if shape.num_dims() == 3 => shape[2],
        _ => hidden,
    }
}

/// `U` for the forward kernels, `[G, head / 4, H, 4]`: what neighbouring units read are neighbours.
pub(super) fn forward(operands: &Operands<Tensor>, hidden: usize) -> Option<Tensor> {
    let (weight, [heads, gates, head]) = blocks(operands, hidden)?;
    // [heads, G, unit of the head, k], k in groups, to [G, group, heads, unit of the head, k of the group].
    let groups = head.div_ceil(LANES);
    let weight = padded(weight, 3).reshape([heads, gates, head, groups, LANES]);
    Some(permuted(weight, &[1, 3, 0, 2, 4]))
}

/// The same for the backward kernels, which sum over a gate's units, `k`.
pub(super) fn backward(operands: &Operands<Tensor>, hidden: usize) -> Option<Tensor> {
    let (weight, [heads, gates, head]) = blocks(operands, hidden)?;
    // [heads, G, k, unit of the head], k in groups, to [G, group, heads, unit of the head, k of the group].
    let groups = head.div_ceil(LANES);
    let weight = padded(weight, 2).reshape([heads, gates, groups, LANES, head]);
    Some(permuted(weight, &[1, 2, 0, 4, 3]))
}

/// `U` as `[heads, G, head, head]`, and the first three of these; `None` if there is no `U`.
fn blocks(operands: &Operands<Tensor>, hidden: usize) -> Option<(Tensor, [usize; 3])> {
    let weight = operands.get(Operand::WeightHh)?.clone();
    let head = head_width(operands, hidden);
    let shape = weight.shape();
    let rows: usize = shape[..shape.num_dims() - 1].iter().product();
    let [heads, gates] = [hidden / head, rows / hidden];
    Some((weight.reshape([heads, gates, head, head]), [heads, gates, head]))
}

/// With zeros behind a dimension, up to a multiple of [`LANES`].
fn padded(weight: Tensor, dim: usize) -> Tensor {
    let mut shape = weight.shape();
    let missing = shape[dim].next_multiple_of(LANES) - shape[dim];
    if missing == 0 {
        return weight;
    }
    shape[dim] = missing;
    let zeros = weight.zeros(shape);
    Tensor::concatenate(vec![weight, zeros], dim)
}

fn permuted(weight: Tensor, axes: &[usize]) -> Tensor {
    Primitive(CubeBackend::float_permute(weight.0, axes))
}
