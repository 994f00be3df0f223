//! Padding: where it is, and how it gets the weight zero.

use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Tensor, TensorData};

/// Where the padding of a batch is: `[B, T]`, true at and behind a row's length.
///
/// Burn's own attention modules take this mask, for example
/// [`MhaInput::mask_pad`](burn::nn::attention::MhaInput::mask_pad).
///
/// # Arguments
///
/// - `lengths`: one for each row, `0 ..= T`
/// - `time`: `T`
///
/// # Panics
///
/// If a length is larger than `time`.
pub fn padding_mask(lengths: &[usize], time: usize, device: &Device) -> Tensor<2, Bool> {
    if let Some(row) = lengths.iter().position(|&length| length > time) {
        panic!(
            "attention: row {row} has length {}, and the sequence has {time} steps",
            lengths[row]
        );
    }
    let of_row = |&length: &usize| (0..time).map(move |t| t >= length);
    let flags: Vec<bool> = lengths.iter().flat_map(of_row).collect();
    Tensor::from_data(TensorData::new(flags, [lengths.len(), time]), device)
}

/// States with zeros in place of their padding, and where the padding is; `None` if there is none.
///
/// The padding is replaced before anything is computed with it: a NaN times the weight zero would still be a NaN.
///
/// # Arguments
///
/// - `states`: `[B, T, K]`
/// - `lengths`: one for each row; `None`: all rows have the full length
pub(super) fn without_padding(
    states: Tensor<3>,
    lengths: Option<&[usize]>,
) -> (Tensor<3>, Option<Tensor<2, Bool>>) {
    let [batch, time, _] = states.dims();
    let Some(lengths) = lengths else { return (states, None) };
    assert!(
        lengths.len() == batch,
        "attention: {} lengths for states of shape {:?} ([B, T, K]): expected {batch}",
        lengths.len(),
        states.dims(),
    );
    let mask = padding_mask(lengths, time, &states.device());
    if lengths.iter().all(|&length| length == time) {
        return (states, None);
    }
    let states = states.mask_fill(mask.clone().reshape([batch, time, 1]), 0.0);
    (states, Some(mask))
}

/// The softmax of scores `[B, Tq, Tk]` over the keys that are no padding; zeros for a row that has only padding.
pub(super) fn masked_softmax(scores: Tensor<3>, padding: Option<&Tensor<2, Bool>>) -> Tensor<3> {
    let Some(padding) = padding else { return softmax(scores, 2) };
    let [batch, time] = padding.dims();
    let padding = padding.clone().reshape([batch, 1, time]);
    // The lowest finite number and not an infinity: a row with infinities only would have a NaN, and the NaN would be
    // in the gradients even where the weights are replaced by zeros.
    let lowest = scores.dtype().finfo().expect("scores are floats").min;
    softmax(scores.mask_fill(padding.clone(), lowest), 2).mask_fill(padding, 0.0)
}
