//! What is looked at in a trained model.

use crate::error::Error;
use crate::folder::RunFolder;
use crate::noise_settings::NoiseSettings;
use crate::settings::Settings;
use crate::store::load_model;
use crate::task::{SequenceModel, Task};
use crate::task_settings;
use crate::tasks::parts::cross_entropy;
use bptt::{AnyLayer, RecurrentLayer};
use bptt_probe::readout::{Batch, Target};
use burn::Tensor;
use burn::module::Module;
use burn::nn::Linear;
#[cfg(any(feature = "flex", feature = "ndarray"))]
use burn::tensor::DType;
use burn::tensor::{Device, Int};

/// What a model costs and remembers.
pub(crate) struct ModelFacts {
    /// What the manual engine keeps of a training batch, in bytes.
    pub(crate) trace_bytes: Option<u64>,
    /// The norm of the gradient of the last step's loss with respect to the input `k` steps before.
    pub(crate) forgetting: Option<Vec<f64>>,
}

/// The parameters of the model that these settings make.
pub(crate) fn parameters_of<T: Task>(settings: &Settings, device: &Device) -> Result<usize, Error> {
    let settings = task_settings::complete_and_given::<T>(settings)?;
    Ok(T::new(&settings)?.model(device)?.num_params())
}

/// The facts of the best model of a run.
pub(crate) fn facts_of<T: Task>(folder: &RunFolder, device: &Device) -> Result<ModelFacts, Error> {
    let stored = task_settings::stored::<T>(folder)?;
    // Nothing is dropped, although the device records gradients.
    let settings = Settings { dropout: 0.0, noise: NoiseSettings::default(), ..stored };
    let task = task_settings::of_run::<T>(folder, &settings)?;
    let device = device.clone().autodiff();
    let model = load_model(task.model(&device)?, &folder.model())?;
    let none = ModelFacts { trace_bytes: None, forgetting: None };
    let (Some(batch), Some((layers, head))) = (task.training_batch(&device), model.parts()) else {
        return Ok(none);
    };
    let Some(input) = model.reads(&batch.input) else { return Ok(none) };
    // What a trace takes is known of the kernels for host memory.
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    let trace_bytes = layers.recurrent().and_then(|layers| {
        let [rows, time, _] = input.dims();
        layers.trace_cost(rows, time, DType::F32).ok().map(|cost| cost.bytes as u64)
    });
    #[cfg(not(any(feature = "flex", feature = "ndarray")))]
    let trace_bytes = None;
    Ok(ModelFacts { trace_bytes, forgetting: forgetting(layers, head, input, &batch) })
}

/// How large the gradient of the last step's loss with respect to the input is, by the number of steps between the two: the
/// root mean square over the sequences that are so long. `None`: the head answers with something else.
///
/// # Arguments
///
/// - `input`: what the layers read, `[B, T, I]`
fn forgetting(
    layers: &AnyLayer,
    head: &Linear,
    input: Tensor<3>,
    batch: &Batch,
) -> Option<Vec<f64>> {
    let [rows, time, width] = input.dims();
    let lengths = batch.lengths.clone().unwrap_or_else(|| vec![time; rows]);
    // Rows without a step have no last one.
    if lengths.contains(&0) || layers.is_bidirectional() {
        return None;
    }
    let input = input.detach().require_grad();
    let (outputs, _) = layers.forward_lengths(input.clone(), &lengths, None);
    let [_, _, size] = outputs.dims();
    let last: Vec<i32> = lengths.iter().map(|&length| length as i32 - 1).collect();
    let last = Tensor::<1, Int>::from_data(&last[..], &outputs.device());
    let at = last.clone().reshape([rows, 1, 1]).expand([rows, 1, size]);
    let answers = head.forward(outputs.gather(1, at).reshape([rows, size]));
    let [_, count] = answers.dims();
    // The place of the last answer of each row among all answers, if each step has one.
    let every = |targets: usize| {
        (targets == rows * time).then(|| {
            let first = (0..rows).map(|row| (row * time) as i32).collect::<Vec<_>>();
            last.clone() + Tensor::<1, Int>::from_data(&first[..], &last.device())
        })
    };
    let loss = match &batch.target {
        Target::Classes(labels) => {
            let labels = match every(labels.dims()[0]) {
                Some(at) => labels.clone().gather(0, at),
                None if labels.dims()[0] == rows => labels.clone(),
                None => return None,
            };
            cross_entropy(answers, labels).sum()
        }
        Target::Values(values) => {
            let values = match every(values.dims()[0]) {
                Some(at) => values.clone().select(0, at),
                None if values.dims()[0] == rows => values.clone(),
                None => return None,
            };
            if values.dims() != [rows, count] {
                return None;
            }
            (answers - values).powi_scalar(2).sum()
        }
    };
    let gradient = input.grad(&loss.backward())?.into_data();
    let gradient: Vec<f64> = gradient.iter::<f64>().collect();
    let square = |row: usize, step: usize| -> f64 {
        let from = (row * time + step) * width;
        gradient[from..from + width].iter().map(|x| x * x).sum()
    };
    let longest = lengths.iter().copied().max()?;
    let at_lag = |lag: usize| {
        let reached = (0..rows).filter(|&row| lengths[row] > lag);
        let squares: Vec<_> = reached.map(|row| square(row, lengths[row] - 1 - lag)).collect();
        (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
    };
    Some((0..longest).map(at_lag).collect())
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use bptt::{AnyLayerConfig, CellKind, LayerKind};
    use bptt_probe::readout::Input;
    use burn::nn::LinearConfig;
    use burn::tensor::Distribution;

    /// The loss of the last step, in numbers.
    fn loss(
        layers: &AnyLayer,
        head: &Linear,
        input: Tensor<3>,
        lengths: &[usize],
        answer: f64,
    ) -> f64 {
        let (outputs, _) = layers.forward_lengths(input, lengths, None);
        let answers = head.forward(outputs);
        let of = |(row, length): (usize, &usize)| {
            let found = answers.clone().slice([row..row + 1, length - 1..*length, 0..1]);
            (f64::from(found.into_scalar::<f32>()) - answer).powi(2)
        };
        lengths.iter().enumerate().map(of).sum()
    }

    /// Beside central differences, for sequences of different lengths.
    #[test]
    fn the_gradient_at_each_lag_is_that_of_the_last_loss() {
        let device = Device::flex().autodiff();
        device.seed(3);
        let kind = LayerKind::from(CellKind::Gru);
        let layers = AnyLayerConfig::new(kind, 1, 5).init(&device);
        let head = LinearConfig::new(5, 1).init(&device);
        let input = Tensor::<3>::random([2, 4, 1], Distribution::Normal(0.0, 1.0), &device);
        let lengths = [4, 2];
        let target = Target::Values(Tensor::from_floats([[0.5], [0.5]], &device));
        let batch = Batch::new(Input::Values(input.clone()), target);
        let batch = Batch { lengths: Some(lengths.to_vec()), ..batch };
        let found = forgetting(&layers, &head, input.clone(), &batch).unwrap();
        let slope = |row: usize, step: usize| {
            let moved = |by: f64| {
                let place = [row..row + 1, step..step + 1, 0..1];
                let value = input.clone().slice(place.clone()) + by;
                loss(&layers, &head, input.clone().slice_assign(place, value), &lengths, 0.5)
            };
            (moved(1e-2) - moved(-1e-2)) / 2e-2
        };
        let mean = |a: f64, b: f64| ((a * a + b * b) / 2.0).sqrt();
        let expected = [
            mean(slope(0, 3), slope(1, 1)),
            mean(slope(0, 2), slope(1, 0)),
            slope(0, 1).abs(),
            slope(0, 0).abs(),
        ];
        assert_eq!(found.len(), 4);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 2e-3 * (1.0 + expected), "{found}, {expected}");
        }
    }
}
