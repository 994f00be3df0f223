//! The loss of a batch of targets.

use crate::attention::padding_mask;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// The mean cross entropy of a batch of targets in nats per symbol, over the symbols within the lengths; NaN if there are
/// none.
///
/// # Arguments
///
/// - `scores`: `[B, Tt, V]`
/// - `target`: `[B, Tt]`; past a row's length any symbols of the vocabulary
/// - `lengths`: how many symbols each row has, with the one that ends it; `None`: all rows have the full length
///
/// # Panics
///
/// If shapes or lengths do not fit.
pub fn cross_entropy(
    scores: Tensor<3>,
    target: Tensor<2, Int>,
    lengths: Option<&[usize]>,
) -> Tensor<1> {
    let [batch, time] = target.dims();
    let losses = log_softmax(scores, 2).gather(2, target.unsqueeze_dim(2)).neg();
    let losses: Tensor<2> = losses.squeeze_dim(2);
    let Some(lengths) = lengths else { return losses.mean() };
    assert!(
        lengths.len() == batch,
        "seq2seq: {} lengths for a target of shape [{batch}, {time}] ([B, Tt]): expected {batch}",
        lengths.len(),
    );
    let padding = padding_mask(lengths, time, &losses.device());
    losses.mask_fill(padding, 0.0).sum() / lengths.iter().sum::<usize>() as f64
}
