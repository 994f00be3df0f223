//! Packed weights that a layer keeps from one short call to the next.

use crate::host::layout::plain_rows::Slices;
use crate::host::layout::sizes::Layer;
use crate::host::sequence::packed_weights::PackedWeights;
use crate::operation::cell_layout::CellLayout;
use crate::operation::operands::{Operand, Operands};
use crate::operation::weight_cache::WeightCache;
use crate::recurrent::host_memory::{Float, HostMemory};
use burn::backend::tensor::FloatTensor;
use std::sync::Arc;

/// The operands that are packed.
const WEIGHTS: [Operand; 5] =
    [Operand::WeightIh, Operand::WeightHh, Operand::BiasIh, Operand::BiasHh, Operand::WeightHr];

/// The operands that are not packed.
pub(super) const BESIDE_WEIGHTS: [Operand; 5] =
    [Operand::Input, Operand::Hidden, Operand::Memory, Operand::ResetHidden, Operand::ResetMemory];

/// Packed weights, and clones of the tensors that were packed. While the clones are held, nobody can change these
/// tensors in place, and no other tensor can get their memory. So it is enough to compare memory, shape, strides and
/// type.
struct Packed<B: HostMemory, T> {
    /// The layout decides how weights are packed.
    cell: CellLayout,
    weights: Operands<FloatTensor<B>>,
    packed: Arc<PackedWeights<T>>,
}

/// The packed weights, if these operands were the last to be packed.
pub(super) fn packed_before<B: HostMemory, T: Float>(
    cache: &WeightCache,
    cell: &CellLayout,
    operands: &Operands<FloatTensor<B>>,
) -> Option<Arc<PackedWeights<T>>> {
    cache.find(|entry: &Packed<B, T>| {
        let is_same = |operand| match (entry.weights.get(operand), operands.get(operand)) {
            (Some(held), Some(now)) => B::is_same(held, now),
            (None, None) => true,
            _ => false,
        };
        let are_same = entry.cell == *cell && WEIGHTS.into_iter().all(is_same);
        are_same.then(|| entry.packed.clone())
    })
}

/// Packs the weights, and keeps them for the next call.
pub(super) fn pack<B: HostMemory, T: Float>(
    cache: &WeightCache,
    cell: &CellLayout,
    layer: &Layer,
    operands: &Operands<FloatTensor<B>>,
    slices: &Slices<'_, T>,
) -> Arc<PackedWeights<T>> {
    let mut weights = Operands::new();
    for operand in WEIGHTS {
        weights.set(operand, operands.get(operand).cloned());
    }
    let packed = Arc::new(PackedWeights::new(layer, slices, 1));
    cache.put(Packed::<B, T> { cell: *cell, weights, packed: packed.clone() });
    packed
}
