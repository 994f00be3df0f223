//! What a model answers, and how good the answers are.

use crate::labelled::confusion::Confusion;
use crate::labelled::prepared::Prepared;
use crate::task::{Scores, TestScores};
use bptt::RaggedBatch;
use bptt_probe::readout::Batch;
use burn::Tensor;
use burn::tensor::Device;
use burn::tensor::activation::log_softmax;

/// The logarithms of the probabilities of the labels, one list for each sequence: `[S · C]`, where `S` is one, or the number
/// of its steps.
///
/// # Arguments
///
/// - `scores`: `[B, S, C]`; with `S > 1`, what is behind the length of a sequence has no meaning
/// - `lengths`: `[B]`
pub(crate) fn log_probabilities(scores: Tensor<3>, lengths: &[usize]) -> Vec<Vec<f64>> {
    let [_, steps, labels] = scores.dims();
    let all: Vec<f64> = log_softmax(scores, 2).into_data().iter::<f64>().collect();
    let rows = all.chunks(steps * labels).zip(lengths);
    rows.map(|(row, &length)| row[..length.min(steps) * labels].to_vec()).collect()
}

/// The label with the largest probability.
pub(crate) fn likeliest(log_probabilities: &[f64]) -> usize {
    let all = log_probabilities.iter().enumerate();
    all.fold((0, f64::NEG_INFINITY), |best, (k, &p)| if p > best.1 { (k, p) } else { best }).0
}

/// The scores of a model on some sequences: the weighted mean cross entropy in nats, and the confusion matrix.
///
/// # Arguments
///
/// - `scores`: the scores of each label by the model, `[B, T, C]`, or with `T = 1` for one answer a sequence
pub(crate) fn judged(
    data: &Prepared,
    indices: &[usize],
    device: &Device,
    scores: impl Fn(Tensor<3>, &[usize]) -> Tensor<3>,
) -> (f64, Confusion) {
    let mut confusion = Confusion::new(&data.labels);
    let (mut sum, mut total) = (0.0, 0.0);
    for batch in data.in_batches(indices) {
        let RaggedBatch { input, lengths, .. } = data.input(&batch, device);
        let answers = log_probabilities(scores(input, &lengths), &lengths);
        for (index, probabilities) in batch.into_iter().zip(answers) {
            let steps = probabilities.chunks(data.labels.len());
            for (&class, probabilities) in data.rows[index].classes.iter().zip(steps) {
                let class = class as usize;
                let weight = f64::from(data.weights[class]);
                sum -= weight * probabilities[class];
                total += weight;
                confusion.add(class, likeliest(probabilities));
            }
        }
    }
    (sum / total, confusion)
}

/// The mean of losses with a weight for each.
pub(crate) fn weighted_mean(losses: Tensor<1>, weights: &[f32]) -> Tensor<1> {
    let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    let weights = Tensor::<1>::from_data(weights, &losses.device());
    (losses * weights).sum().mul_scalar(1.0 / total)
}

/// The validation part for the probes, each batch with its share by size.
pub(crate) fn valid_batches(
    data: &Prepared,
    size: impl Fn(&[usize]) -> usize,
    batch: impl Fn(&[usize]) -> Batch,
) -> Vec<Batch> {
    let valid = &data.parts.valid;
    let all = size(valid) as f64;
    let shared = |indices: &Vec<usize>| {
        let share = size(indices) as f64 / all;
        Batch { share, ..batch(indices) }
    };
    // The longest sequences come first: the probes look at the first batch.
    data.in_batches(valid).iter().rev().map(shared).collect()
}

/// The validation scores: loss and accuracy.
pub(crate) fn scores((loss, confusion): (f64, Confusion)) -> Scores {
    Scores { loss, metric: confusion.accuracy() }
}

/// The scores on the test part.
pub(crate) fn test_scores(data: &Prepared, (loss, confusion): (f64, Confusion)) -> TestScores {
    let test = &data.parts.test;
    let scores = Scores { loss, metric: confusion.accuracy() };
    TestScores {
        test_baseline: Some(share(data, most_frequent(data), test)),
        test_macro_f1: Some(confusion.macro_f1()),
        confusion: Some(confusion),
        ..TestScores::new(test.len(), scores)
    }
}

/// The label that is the most frequent in training.
fn most_frequent(data: &Prepared) -> usize {
    let most = data.counts(&data.parts.train);
    (0..most.len()).fold(0, |best, k| if most[k] > most[best] { k } else { best })
}

/// The share of the answers that are this label.
fn share(data: &Prepared, label: usize, indices: &[usize]) -> f64 {
    let counts = data.counts(indices);
    counts[label] as f64 / counts.iter().sum::<u64>() as f64
}

/// The sentence on how good it is to say always the same label: that which is the most frequent in training.
pub(crate) fn baseline(data: &Prepared) -> String {
    let most = most_frequent(data);
    let share = share(data, most, &data.parts.valid);
    format!(
        "{} labels; always saying `{}` has accuracy {share:.4} on the validation part",
        data.labels.len(),
        data.labels[most].escape_debug(),
    )
}
