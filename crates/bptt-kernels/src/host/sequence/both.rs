//! Both directions of a layer.

use crate::host::layout::sizes::Layer;
use crate::host::simd::real::Real;
use crate::host::threads::team::side_by_side;

/// Runs both directions of a layer, each with the number of threads that it is given: at the same time where that pays,
/// and otherwise one after the other.
pub(crate) fn both<T: Real, R: Send>(
    layer: &Layer,
    threads: usize,
    first: impl FnOnce(usize) -> R + Send,
    second: impl FnOnce(usize) -> R + Send,
) -> [R; 2] {
    match layer.beside::<T>(threads) {
        Some(each) => side_by_side(|| first(each), || second(threads - each)),
        None => [first(threads), second(threads)],
    }
}
