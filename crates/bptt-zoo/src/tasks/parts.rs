//! What the models of several tasks have in common.

use crate::error::Error;
use crate::read;
use crate::settings::Settings;
use crate::tasks::{Scores, VALIDATION};
use bptt::{AnyRecurrent, AnyRecurrentConfig, RecurrentLayer, RecurrentState};
use burn::Tensor;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int};

/// A task's line, with what a person should know of how its data was read, and from where.
pub(crate) fn with_notes(mut line: String, notes: &[String], path: Option<&str>) -> String {
    let stdin = "read from standard input, where --resume will want it again";
    let stdin = path.filter(|&path| path == read::STDIN).map(|_| stdin);
    for note in notes.iter().map(String::as_str).chain(stdin) {
        line += "; ";
        line += note;
    }
    line
}

/// Recurrent layers, and a linear one that fits behind them.
pub(crate) fn with_head(
    config: &AnyRecurrentConfig,
    outputs: usize,
    device: &Device,
) -> Result<(AnyRecurrent, Linear), Error> {
    if !config.batch_first {
        return Err(Error::input("batch_first is false, and inputs here are [B, T, I]"));
    }
    let recurrent = config.try_init(device).map_err(|error| Error::input(error.to_string()))?;
    let head = LinearConfig::new(recurrent.d_output(), outputs).init(device);
    Ok((recurrent, head))
}

/// Runs a layer over sequences `[B, T, I]`, each as long as its row or as `lengths` says.
pub(crate) fn run<R: RecurrentLayer>(
    layer: &R,
    input: Tensor<3>,
    lengths: Option<&[usize]>,
) -> (Tensor<3>, R::State) {
    match lengths {
        Some(lengths) => layer.forward_lengths(input, lengths, None),
        None => layer.forward(input, None),
    }
}

/// What the last layer remembers after each sequence's own last step, `[B, D·P]`; its backward
/// direction's last step is the sequence's first.
pub(crate) fn last_hidden<R: RecurrentLayer>(
    layer: &R,
    input: Tensor<3>,
    lengths: Option<&[usize]>,
) -> Tensor<2> {
    let (hidden, _) = run(layer, input, lengths).1.into_parts();
    let [all, batch, size] = hidden.dims();
    let directions = layer.d_output() / size;
    let last = hidden.slice([all - directions..all]).swap_dims(0, 1);
    last.reshape([batch, directions * size])
}

/// The cross entropy of each row in nats: scores `[N, C]` and labels `[N]` to `[N]`.
pub(crate) fn cross_entropy(scores: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let rows = labels.dims()[0];
    log_softmax(scores, 1).gather(1, labels.reshape([rows, 1])).neg().reshape([rows])
}

/// Which of the labels have the highest score: scores `[N, C]` and labels `[N]`.
pub(crate) fn share_right(scores: Tensor<2>, labels: Tensor<1, Int>) -> f64 {
    let rows = labels.dims()[0];
    let right = scores.argmax(1).reshape([rows]).equal(labels).int().sum();
    f64::from(right.into_scalar::<i32>()) / rows as f64
}

/// The mean over all validation sequences, in batches: the scores of one, by its index and how many
/// sequences it has.
pub(crate) fn validated(settings: &Settings, scores: impl Fn(u64, usize) -> Scores) -> Scores {
    let batch = settings.batch.min(VALIDATION);
    let batches = 0..VALIDATION.div_ceil(batch) as u64;
    mean_scores(batches.map(|index| (scores(index, batch), batch)))
}

/// The mean over batches, each of which counts by how many sequences it has.
pub(crate) fn mean_scores(batches: impl Iterator<Item = (Scores, usize)>) -> Scores {
    let zero = (Scores { loss: 0.0, metric: 0.0 }, 0);
    let (sum, count) = batches.fold(zero, |(sum, count), (scores, rows)| {
        let add = |sum, value| sum + value * rows as f64;
        let (loss, metric) = (add(sum.loss, scores.loss), add(sum.metric, scores.metric));
        (Scores { loss, metric }, count + rows)
    });
    Scores { loss: sum.loss / count as f64, metric: sum.metric / count as f64 }
}
