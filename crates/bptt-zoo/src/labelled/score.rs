//! What a model answers, and how good the answers are.

use crate::labelled::confusion::Confusion;
use crate::labelled::prepared::Prepared;
use crate::task::{Scores, TestScores};
use burn::Tensor;
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

/// The scores of answers: the weighted mean cross entropy in nats, and the confusion matrix.
///
/// # Arguments
///
/// - `answered`: indices of sequences, and the logarithms of the probabilities for each
pub(crate) fn judged(
    data: &Prepared,
    answered: impl Iterator<Item = (usize, Vec<f64>)>,
) -> (f64, Confusion) {
    let mut confusion = Confusion::new(&data.labels);
    let (mut sum, mut total) = (0.0, 0.0);
    for (index, probabilities) in answered {
        let steps = probabilities.chunks(data.labels.len());
        for (&class, probabilities) in data.rows[index].classes.iter().zip(steps) {
            let class = class as usize;
            let weight = f64::from(data.weights[class]);
            sum -= weight * probabilities[class];
            total += weight;
            confusion.add(class, likeliest(probabilities));
        }
    }
    (sum / total, confusion)
}

/// The validation scores: loss and accuracy.
pub(crate) fn scores((loss, confusion): (f64, Confusion)) -> Scores {
    Scores { loss, metric: confusion.accuracy() }
}

/// The scores on the test part.
pub(crate) fn test_scores(sequences: usize, (loss, confusion): (f64, Confusion)) -> TestScores {
    TestScores {
        test_sequences: sequences,
        test_loss: loss,
        test_metric: confusion.accuracy(),
        test_macro_f1: Some(confusion.macro_f1()),
        confusion: Some(confusion),
    }
}

/// The sentence on how good it is to say always the same label: that which is the most frequent in training.
pub(crate) fn baseline(data: &Prepared) -> String {
    let most = data.counts(&data.parts.train);
    let most = (0..most.len()).fold(0, |best, k| if most[k] > most[best] { k } else { best });
    let valid = data.counts(&data.parts.valid);
    let share = valid[most] as f64 / valid.iter().sum::<u64>() as f64;
    format!(
        "{} labels; always saying `{}` has accuracy {share:.4} on the validation part",
        data.labels.len(),
        data.labels[most].escape_debug(),
    )
}
