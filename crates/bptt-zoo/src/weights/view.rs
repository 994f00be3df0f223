//! Copies the numbers of a tensor out of their storage.

use crate::weights::array::Array;
use crate::weights::pickle::value::View;

/// A tensor with more dimensions than this is refused.
const MOST_DIMENSIONS: usize = 16;

/// The elements of a view, in order.
///
/// A view of `n` elements needs a storage of at least `n`. Otherwise the view would have some elements more than once,
/// and a small file could need any amount of memory.
pub(super) fn materialize(view: &View, data: &[u8], left: &mut usize) -> Result<Array, String> {
    let View { storage, element, offset, shape, stride } = view;
    let width = element.width();
    if storage.elements.checked_mul(width) != Some(data.len()) {
        return Err(format!(
            "its storage claims {} elements of {} bytes, and has {} bytes",
            storage.elements,
            width,
            data.len()
        ));
    }
    if shape.len() > MOST_DIMENSIONS || shape.len() != stride.len() {
        return Err(format!("{} dimensions with {} strides", shape.len(), stride.len()));
    }
    let outside = || format!("shape {shape:?} with stride {stride:?} lies outside of its storage");
    // The step of a dimension of size 1 is never used, so it may have any value.
    let steps = shape.iter().zip(stride).map(|(&size, &step)| if size == 1 { 0 } else { step });
    let stride: Vec<usize> = steps.collect();
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    let count = count.ok_or_else(outside)?;
    if count > storage.elements {
        return Err(outside());
    }
    let size = count * width;
    *left = left.checked_sub(size).ok_or("the tensors take far more than the file is long")?;
    if count == 0 {
        return Array::new(*element, shape.clone(), Vec::new());
    }
    let last = shape
        .iter()
        .zip(&stride)
        .try_fold(*offset, |at, (&size, &step)| at.checked_add((size - 1).checked_mul(step)?));
    if last.is_none_or(|last| last >= storage.elements) {
        return Err(outside());
    }
    let mut bytes = Vec::with_capacity(size);
    let mut index = vec![0; shape.len()];
    let mut at = *offset;
    loop {
        bytes.extend_from_slice(&data[at * width..(at + 1) * width]);
        // Go to the next index, the last dimension fastest.
        let mut dimension = shape.len();
        loop {
            if dimension == 0 {
                return Array::new(*element, shape.clone(), bytes);
            }
            dimension -= 1;
            index[dimension] += 1;
            at += stride[dimension];
            if index[dimension] < shape[dimension] {
                break;
            }
            at -= stride[dimension] * shape[dimension];
            index[dimension] = 0;
        }
    }
}
