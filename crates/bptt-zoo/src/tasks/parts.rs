//! What several tasks have in common.

use crate::read;
use crate::settings::Settings;
use crate::task::Scores;
use bptt::{AnyCell, AnyLayer, BiasInitializer, RecurrentLayer, RecurrentState};
use bptt_probe::readout::{Batch, Readout, Reads};
use burn::Tensor;
use burn::nn::Linear;
use burn::tensor::Int;
use burn::tensor::activation::log_softmax;

/// How many sequences a validation has, if the data has so many.
pub(crate) const VALIDATION: usize = 1024;

/// Over so many steps cells remember as they are drawn.
pub(crate) const SHORT: usize = 100;

/// The settings with the chrono initialisation for dependences of up to `longest` steps, if the cell can have it.
pub(crate) fn with_chrono(settings: Settings, longest: usize) -> Settings {
    let Ok(chrono) = format!("chrono:{longest}").parse::<BiasInitializer>() else {
        return settings;
    };
    let cell = settings.cell.cell();
    match cell.is_some_and(|cell| chrono.check(&cell.default_cell()).is_ok()) {
        true => Settings { bias_init: chrono, ..settings },
        false => settings,
    }
}

/// The description of a task's data, followed by notes on how it was read.
pub(crate) fn with_notes(mut line: String, notes: &[String], path: Option<&str>) -> String {
    let stdin = "read from standard input, where --resume will want it again";
    let stdin = path.filter(|&path| path == read::STDIN).map(|_| stdin);
    for note in notes.iter().map(String::as_str).chain(stdin) {
        line += "; ";
        line += note;
    }
    line
}

/// Implements `SequenceModel` for a model whose recurrent layers are its field `recurrent`, and whose last layer is its field `head`. What they read of an input is
/// the input itself, unless a function says otherwise.
macro_rules! sequence_model {
    ($Model:ident) => {
        crate::tasks::parts::sequence_model!($Model, |_model, input| match input {
            bptt_probe::readout::Input::Values(values) => Some(values.clone()),
            bptt_probe::readout::Input::Tokens(_) => None,
        });
    };
    ($Model:ident, |$model:ident, $input:ident| $read:expr) => {
        impl crate::task::SequenceModel for $Model<bptt::AnyLayer> {
            fn with_engine(self, engine: bptt::Engine) -> Self {
                Self {
                    recurrent: bptt::RecurrentLayer::with_engine(self.recurrent, engine),
                    ..self
                }
            }

            fn with_kernel(self, kernel: bptt::Kernel) -> Self {
                Self { recurrent: self.recurrent.with_kernel(kernel), ..self }
            }

            fn with_dtype(self, dtype: burn::tensor::DType) -> Self {
                Self { recurrent: bptt::cast(self.recurrent, dtype), ..self }
            }

            fn with_gradient_probe(self, probe: Option<bptt::GradientProbe>) -> Self {
                Self { recurrent: self.recurrent.with_gradient_probe(probe), ..self }
            }

            fn with_noise_seed(self, seed: u64) -> Self {
                Self { recurrent: self.recurrent.with_noise_seed(seed), ..self }
            }

            fn parts(&self) -> Option<(&bptt::AnyLayer, &burn::nn::Linear)> {
                Some((&self.recurrent, &self.head))
            }

            fn reads(&self, $input: &bptt_probe::readout::Input) -> Option<burn::Tensor<3>> {
                let $model = self;
                $read
            }

            fn driven(
                &self,
                input: &bptt_probe::readout::Input,
            ) -> Option<(&bptt::AnyRecurrent, burn::Tensor<3>)> {
                Some((self.recurrent.recurrent()?, self.reads(input)?))
            }
        }
    };
}
pub(crate) use sequence_model;

/// The functions of `Task` that read batches, for a task that draws them: one with `settings`, and with a function
/// `readout_batch` of a purpose, an index and a size. `$reads` is what the last layer of its model reads.
macro_rules! drawn_batches {
    ($reads:expr) => {
        fn readout(
            &self,
            model: &Self::Model,
            device: &burn::tensor::Device,
        ) -> Option<(bptt_probe::readout::Readout<bptt::AnyCell>, Vec<bptt_probe::readout::Batch>)>
        {
            let model = crate::tasks::parts::readout(&model.recurrent, &model.head, $reads)?;
            crate::tasks::parts::validation_readout(&self.settings, model, |index, batch| {
                self.readout_batch(crate::random::Purpose::Validation, index, batch, device)
            })
        }

        fn training_batch(
            &self,
            device: &burn::tensor::Device,
        ) -> Option<bptt_probe::readout::Batch> {
            let batch = self.settings.batch;
            Some(self.readout_batch(crate::random::Purpose::Training, 0, batch, device))
        }
    };
}
pub(crate) use drawn_batches;

/// Runs a layer over sequences `[B, T, I]`. Without `lengths`, all rows have the full length. The layer may have another
/// type than the rest of the model; the outputs have that of the input, and the state has that of the layer.
pub(crate) fn run<R: RecurrentLayer>(
    layer: &R,
    input: Tensor<3>,
    lengths: Option<&[usize]>,
) -> (Tensor<3>, R::State) {
    let outer = input.dtype();
    let input = input.cast(layer.dtype());
    let (outputs, state) = match lengths {
        Some(lengths) => layer.forward_lengths(input, lengths, None),
        None => layer.forward(input, None),
    };
    (outputs.cast(outer), state)
}

/// The last layer's output after the last step of each sequence, `[B, D·P]`. For a backward direction, the last step is
/// the first one of the sequence. Inputs are `[B, T, I]`.
pub(crate) fn last_hidden<R: RecurrentLayer>(
    layer: &R,
    input: Tensor<3>,
    lengths: Option<&[usize]>,
) -> Tensor<2> {
    let outer = input.dtype();
    let (outputs, state) = run(layer, input, lengths);
    if !layer.output_is_hidden() {
        return last_output(outputs, lengths, layer.is_bidirectional());
    }
    let (hidden, _) = state.into_parts();
    let [all, batch, size] = hidden.dims();
    let directions = layer.d_output() / size;
    let last = hidden.slice([all - directions..all]).swap_dims(0, 1);
    last.reshape([batch, directions * size]).cast(outer)
}

/// The same, from outputs `[B, T, D·O]`.
fn last_output(outputs: Tensor<3>, lengths: Option<&[usize]>, is_bidirectional: bool) -> Tensor<2> {
    let [batch, time, width] = outputs.dims();
    let forward = if is_bidirectional { width / 2 } else { width };
    let last = |b: usize| lengths.map_or(time, |lengths| lengths[b]).saturating_sub(1);
    let last: Vec<i32> = (0..batch).map(|b| last(b) as i32).collect();
    let last = Tensor::<1, Int>::from_data(&last[..], &outputs.device());
    let last = last.reshape([batch, 1, 1]).expand([batch, 1, forward]);
    let mut parts = vec![outputs.clone().narrow(2, 0, forward).gather(1, last)];
    if is_bidirectional {
        parts.push(outputs.narrow(2, forward, forward).narrow(1, 0, 1));
    }
    Tensor::cat(parts, 2).reshape([batch, width])
}

/// The cross entropy of each row in nats: scores `[N, C]` and labels `[N]` to `[N]`.
pub(crate) fn cross_entropy(scores: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let rows = labels.dims()[0];
    log_softmax(scores, 1).gather(1, labels.reshape([rows, 1])).neg().reshape([rows])
}

/// The same, of labels of which a share is given to all labels alike: `(1 - ε) · -log p(label) + ε · mean_c -log p(c)`.
///
/// C. Szegedy and others, "Rethinking the Inception architecture for computer vision", CVPR 2016.
pub(crate) fn smoothed_cross_entropy(
    scores: Tensor<2>,
    labels: Tensor<1, Int>,
    smoothing: f64,
) -> Tensor<1> {
    if smoothing == 0.0 {
        return cross_entropy(scores, labels);
    }
    let [rows, count] = scores.dims();
    let logs = log_softmax(scores, 1);
    let right = logs.clone().gather(1, labels.reshape([rows, 1]));
    let all = logs.sum_dim(1).mul_scalar(smoothing / count as f64);
    right.mul_scalar(1.0 - smoothing).add(all).neg().reshape([rows])
}

/// The share of rows whose label has the highest score: scores `[N, C]` and labels `[N]`.
pub(crate) fn share_right(scores: Tensor<2>, labels: Tensor<1, Int>) -> f64 {
    let rows = labels.dims()[0];
    let right = scores.argmax(1).reshape([rows]).equal(labels).int().sum();
    f64::from(right.into_scalar::<i32>()) / rows as f64
}

/// The mean over all validation sequences. `scores` takes the index and the size of a batch, and validates it.
pub(crate) fn validated(settings: &Settings, scores: impl Fn(u64, usize) -> Scores) -> Scores {
    let batches = validation_batches(settings);
    mean_scores(batches.map(|(index, batch)| (scores(index, batch), batch)))
}

/// The index and the size of each batch of the validation.
fn validation_batches(settings: &Settings) -> impl Iterator<Item = (u64, usize)> + use<> {
    let batch = settings.batch.min(VALIDATION);
    (0..VALIDATION.div_ceil(batch) as u64).map(move |index| (index, batch))
}

/// What [`Task::readout`](crate::task::Task::readout) returns for a task whose validation is [`validated`]. `of` takes
/// the index and the size of a batch.
pub(crate) fn validation_readout(
    settings: &Settings,
    model: Readout<AnyCell>,
    of: impl Fn(u64, usize) -> Batch,
) -> Option<(Readout<AnyCell>, Vec<Batch>)> {
    let share = 1.0 / validation_batches(settings).count() as f64;
    let batches = validation_batches(settings).map(|(index, batch)| of(index, batch));
    Some((model, batches.map(|batch| Batch { share, ..batch }).collect()))
}

/// Recurrent layers and a linear layer, for second derivatives; `None` if the layers run as a scan.
pub(crate) fn readout(
    recurrent: &AnyLayer,
    head: &Linear,
    reads: Reads,
) -> Option<Readout<AnyCell>> {
    Some(Readout {
        embedding: None,
        recurrent: recurrent.recurrent()?.clone(),
        weight: head.weight.val(),
        bias: head.bias.as_ref().map(|bias| bias.val()),
        reads,
    })
}

/// The mean over batches, weighted by their numbers of sequences.
pub(crate) fn mean_scores(batches: impl Iterator<Item = (Scores, usize)>) -> Scores {
    let zero = (Scores { loss: 0.0, metric: 0.0 }, 0);
    let (sum, count) = batches.fold(zero, |(sum, count), (scores, rows)| {
        let add = |sum, value| sum + value * rows as f64;
        let (loss, metric) = (add(sum.loss, scores.loss), add(sum.metric, scores.metric));
        (Scores { loss, metric }, count + rows)
    });
    Scores { loss: sum.loss / count as f64, metric: sum.metric / count as f64 }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn smoothed_labels_are_learned_as_the_distribution_that_they_are() {
        let device = Device::flex();
        let scores = [[1.0f64, -2.0, 0.5], [0.0, 3.0, 1.0]];
        let tensor = Tensor::<2>::from_floats([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], &device);
        let labels = Tensor::<1, Int>::from_ints([2, 0], &device);
        let losses = smoothed_cross_entropy(tensor, labels, 0.3).into_data();
        for ((row, label), found) in scores.iter().zip([2, 0]).zip(losses.iter::<f64>()) {
            let sum: f64 = row.iter().map(|s| s.exp()).sum();
            let share = |c: usize| 0.1 + if c == label { 0.7 } else { 0.0 };
            let loss: f64 = (0..3).map(|c| -share(c) * (row[c] - sum.ln())).sum();
            assert!((loss - found).abs() < 1e-6, "{loss} {found}");
        }
    }
}
