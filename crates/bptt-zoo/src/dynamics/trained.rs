//! A trained run, loaded: what every section measures.

use crate::error::Error;
use crate::folder::RunFolder;
use crate::settings::Settings;
use crate::task::{Scores, Task};
use crate::task_settings::{check_data, stored};
use bptt::AnyCell;
use bptt_probe::dynamics::Network;
use bptt_probe::readout::{Batch, Input, Readout};
use burn::Tensor;
use burn::tensor::{DType, Device};

/// A trained model with its validation data, in f64. It is the same for every task.
pub(super) struct Trained {
    /// The run folder.
    pub(super) run: String,
    pub(super) task: &'static str,
    pub(super) loss_name: &'static str,
    pub(super) metric_name: &'static str,
    pub(super) settings: Settings,
    /// The validation scores.
    pub(super) scores: Scores,
    /// The recurrent layers, the linear layer and the loss.
    pub(super) readout: Readout<AnyCell>,
    /// The validation data.
    pub(super) batches: Vec<Batch>,
    pub(super) device: Device,
}

impl Trained {
    /// Loads the best model of a run, and the data with which it was validated.
    pub(super) fn load<T: Task>(folder: &RunFolder, device: &Device) -> Result<Self, Error> {
        let settings = stored::<T>(folder)?;
        let refused = |why: &str| Err(Error::input(format!("{}: {why}", folder.path().display())));
        if settings.bidirectional {
            return refused(
                "its layers have a backward direction: that is no dynamical system, because the \
                 state at a step depends on later inputs",
            );
        }
        let task = T::new(&settings)?;
        check_data(folder, &task)?;
        let model = folder.with_weights(task.model(device)?)?;
        let scores = task.validate(&model, device);
        let Some((readout, batches)) = task.readout(&model, device) else {
            return refused(&format!(
                "the models of `{}` are not recurrent layers with one linear layer",
                T::NAME
            ));
        };
        Ok(Self {
            run: folder.path().display().to_string(),
            task: T::NAME,
            loss_name: T::LOSS,
            metric_name: T::METRIC,
            settings,
            scores,
            readout: readout.cast(DType::F64),
            batches: batches.into_iter().map(|batch| batch.cast(DType::F64)).collect(),
            device: device.clone(),
        })
    }

    /// The recurrent layers, driven by an input `[T, I]`, or without input.
    pub(super) fn network(&self, input: Option<Tensor<2>>) -> Result<Network, Error> {
        Network::new(&self.readout.recurrent, input, &self.device).map_err(Error::input)
    }

    /// What the first recurrent layer reads, `[B, T, I]`.
    pub(super) fn input(&self, batch: &Batch) -> Tensor<3> {
        match (&batch.input, &self.readout.embedding) {
            (Input::Values(values), _) => values.clone(),
            (Input::Tokens(tokens), Some(table)) => {
                let [rows, time] = tokens.dims();
                let [_, width] = table.dims();
                let flat = tokens.clone().reshape([rows * time]);
                table.clone().select(0, flat).reshape([rows, time, width])
            }
            (Input::Tokens(_), None) => unreachable!("tokens have an embedding"),
        }
    }

    /// The inputs of single sequences, `[T, I]` each, without padding, in the order in which they follow one another:
    /// where the state is carried from batch to batch, a sequence is what a row reads in all batches.
    pub(super) fn sequences(&self) -> impl Iterator<Item = Tensor<2>> + '_ {
        let carried = self.batches.iter().any(|batch| batch.hidden.is_some());
        let whole: Vec<_> = match carried {
            true => vec![self.batches.iter().collect::<Vec<_>>()],
            false => self.batches.iter().map(|batch| vec![batch]).collect(),
        };
        whole.into_iter().flat_map(move |batches| {
            let inputs: Vec<_> = batches.iter().map(|batch| self.input(batch)).collect();
            let rows = inputs[0].dims()[0];
            (0..rows).map(move |row| {
                let part = |(input, batch): (&Tensor<3>, &&Batch)| {
                    let [_, time, width] = input.dims();
                    let length = batch.lengths.as_ref().map_or(time, |lengths| lengths[row]);
                    let part = input.clone().slice([row..row + 1, 0..length, 0..width]);
                    part.reshape([length, width])
                };
                Tensor::cat(inputs.iter().zip(&batches).map(part).collect(), 0)
            })
        })
    }

    /// `[steps, I]`: the validation sequences one after the other, and from the first one again if they are too few.
    pub(super) fn drive(&self, steps: usize) -> Tensor<2> {
        let mut parts = Vec::new();
        let mut count = 0;
        while count < steps {
            let before = count;
            for part in self.sequences() {
                count += part.dims()[0];
                parts.push(part);
                if count >= steps {
                    break;
                }
            }
            assert!(count > before, "a sequence has a step");
        }
        let all = Tensor::cat(parts, 0);
        let [_, width] = all.dims();
        all.slice([0..steps, 0..width])
    }
}
