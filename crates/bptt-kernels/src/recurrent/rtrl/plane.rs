//! A tensor with its derivatives with respect to all columns, and functions of a cell on such tensors.

use crate::recurrent::rtrl::influence::sums;
use crate::recurrent::rtrl::tangent::Tangent;
use crate::reference::ops::{add, columns, reshape, row_mask};
use crate::reference::primitive::Primitive;
use bptt_cells::Number;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;

/// `[B, H]`, and for each block its derivatives `[B, N, H]`.
#[derive(Clone, Debug)]
pub(super) struct Plane<B: Backend> {
    pub(super) value: FloatTensor<B>,
    pub(super) d: Vec<FloatTensor<B>>,
}

/// An elementwise function of the operands and its derivative, by the chain rule: the function runs once for each
/// operand, whose tangent is one.
pub(super) fn through_cell<B: Backend>(
    operands: &[Plane<B>],
    function: impl Fn(Vec<Tangent<B>>) -> Vec<Tangent<B>>,
) -> Vec<Plane<B>> {
    let mut results: Vec<Plane<B>> = Vec::new();
    for (seeded, operand) in operands.iter().enumerate() {
        let tangent = |(i, plane): (usize, &Plane<B>)| match i == seeded {
            true => Tangent::moving(Primitive(plane.value.clone())),
            false => Tangent::still(Primitive(plane.value.clone())),
        };
        let inputs = operands.iter().enumerate().map(tangent).collect();
        for (n, Tangent { value, slope }) in function(inputs).into_iter().enumerate() {
            let [batch, width] = slope.0.shape().dims();
            let slope = reshape::<B>(slope.0, [batch, 1, width]);
            let part = operand.d.iter().map(|d| B::float_mul(d.clone(), slope.clone())).collect();
            let part = Plane { value: value.0, d: part };
            match results.get_mut(n) {
                None => results.push(part),
                Some(result) => result.d = sums::<B>(std::mem::take(&mut result.d), part.d),
            }
        }
    }
    results
}

/// The same for a function that mixes the units of a row: it runs once for each block, in rows of their own for each
/// column, whose tangents are the operands' derivatives with respect to that column.
pub(super) fn through_rows<B: Backend>(
    operands: &[Plane<B>],
    function: impl Fn(Vec<Tangent<B>>) -> Vec<Tangent<B>>,
) -> Vec<Plane<B>> {
    let [batch, width] = operands[0].value.shape().dims();
    let still = |plane: &Plane<B>| Tangent::still(Primitive(plane.value.clone()));
    let values = function(operands.iter().map(still).collect());
    let plane = |result: Tangent<B>| Plane { value: result.value.0, d: vec![] };
    let mut results: Vec<Plane<B>> = values.into_iter().map(plane).collect();
    for block in 0..operands[0].d.len() {
        let columns = operands[0].d[block].shape()[1];
        let tangent = |plane: &Plane<B>| {
            let value = reshape::<B>(plane.value.clone(), [batch, 1, width]);
            let value = B::float_expand(value, Shape::new([batch, columns, width]));
            let rows = |x| Primitive(reshape::<B>(x, [batch * columns, width]));
            Tangent { value: rows(value), slope: rows(plane.d[block].clone()) }
        };
        let tangents = function(operands.iter().map(tangent).collect());
        for (result, Tangent { slope, .. }) in results.iter_mut().zip(tangents) {
            result.d.push(reshape::<B>(slope.0, [batch, columns, width]));
        }
    }
    results
}

impl<B: Backend> Plane<B> {
    /// Gate `g` of all.
    pub(super) fn gate(&self, g: usize, size: usize) -> Self {
        let (from, to) = (g * size, (g + 1) * size);
        let cut = |d: &FloatTensor<B>| {
            let [batch, n, width] = d.shape().dims();
            let flat = reshape::<B>(d.clone(), [batch * n, width]);
            reshape::<B>(columns::<B>(&flat, from, to), [batch, n, size])
        };
        let value = columns::<B>(&self.value, from, to);
        Self { value, d: self.d.iter().map(cut).collect() }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self { value: add::<B>(self.value, other.value), d: sums::<B>(self.d, other.d) }
    }

    /// This plane times the mask of the state, `[B, P]`.
    pub(super) fn masked(self, mask: Option<&Primitive<B>>) -> Self {
        match mask {
            Some(mask) => self.times(mask),
            None => self,
        }
    }

    /// This plane with what zoneout keeps of `before`.
    pub(super) fn zoned_out(self, kept: &Option<Primitive<B>>, before: &Self) -> Self {
        match kept {
            Some(kept) => before.clone().times(kept).plus(self.times(&kept.one_minus())),
            None => self,
        }
    }

    /// This plane times constants, `[B, H]`.
    fn times(self, by: &Primitive<B>) -> Self {
        let [batch, width] = by.0.shape().dims();
        let each = reshape::<B>(by.0.clone(), [batch, 1, width]);
        Self {
            value: B::float_mul(self.value, by.0.clone()),
            d: self.d.into_iter().map(|d| B::float_mul(d, each.clone())).collect(),
        }
    }

    /// This plane in the valid rows, `then` in the masked rows.
    pub(super) fn held(self, active: &[bool], then: &Self) -> Self {
        let pick = |now: FloatTensor<B>, then: &FloatTensor<B>| {
            let shape = now.shape();
            let flat = [shape[0], shape.num_elements() / shape[0]];
            let mask = row_mask::<B>(active, flat[1], &now);
            let (now, then) = (reshape::<B>(now, flat), reshape::<B>(then.clone(), flat));
            reshape::<B>(B::float_mask_where(then, mask, now), shape)
        };
        Self {
            value: pick(self.value, &then.value),
            d: self.d.into_iter().zip(&then.d).map(|(now, then)| pick(now, then)).collect(),
        }
    }
}
