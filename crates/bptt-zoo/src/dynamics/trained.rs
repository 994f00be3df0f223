//! A trained run, loaded: what every section measures.

use crate::error::Error;
use crate::folder::RunFolder;
use crate::settings::Settings;
use crate::task::{Scores, Task};
use crate::task_settings::{loss_name, of_run, stored};
use bptt::{AnyCell, SequenceCell};
use bptt_probe::dynamics::{Matrix, Network};
use bptt_probe::readout::{Batch, Input, Readout};
use burn::Tensor;
use burn::tensor::{DType, Device, TensorData};

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

/// A validation sequence from which gradients flow back.
pub(super) struct Case {
    /// `[T, I]`
    pub(super) input: Matrix,
    /// The state before it, of all layers.
    pub(super) state: Vec<f64>,
    /// The derivative of the sequence's own loss with respect to each output of the last layer, `[T, P]`. The loss is the
    /// mean over the answers of this sequence.
    pub(super) d_outputs: Matrix,
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
        if settings.noise.has_zoneout() {
            return refused(
                "its layers have zoneout, so the map of their state is not the cell's alone",
            );
        }
        let task: T = of_run(folder, &settings)?;
        let model = folder.with_weights(task.model(device)?)?;
        let scores = task.validate(&model, device);
        let Some((readout, batches)) = task.readout(&model, device) else {
            let why = match settings.cell.cell() {
                Some(_) => format!("the models of `{}`", T::NAME),
                None => format!("its layers of {}, which run as a scan,", settings.cell.name()),
            };
            return refused(&format!("{why} are not recurrent layers with one linear layer"));
        };
        Ok(Self {
            run: folder.path().display().to_string(),
            task: T::NAME,
            loss_name: loss_name::<T>(&settings),
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

    /// An input of one step, `[1, I]`.
    pub(super) fn row(&self, values: Vec<f64>) -> Tensor<2> {
        let shape = [1, values.len()];
        Tensor::from_data(TensorData::new(values, shape), (&self.device, DType::F64))
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
    pub(super) fn drive(&self, steps: usize) -> Matrix {
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
        Matrix::from_tensor(all.slice([0..steps, 0..width]))
    }

    /// The first validation sequences, at most so many, each with the state before it.
    pub(super) fn cases(&self, most: usize) -> Vec<Case> {
        let mut cases = Vec::new();
        for batch in &self.batches {
            if cases.len() >= most {
                break;
            }
            let input = self.input(batch);
            let [_, _, width] = input.dims();
            let d_outputs = self.readout.output_gradients(batch);
            for (row, d_outputs) in d_outputs.into_iter().enumerate().take(most - cases.len()) {
                let time = d_outputs.rows();
                let input = input.clone().slice([row..row + 1, 0..time, 0..width]);
                let input = Matrix::from_tensor(input.reshape([time, width]));
                cases.push(Case { input, state: self.state(batch, row), d_outputs });
            }
        }
        cases
    }

    /// The state before a row of a batch: for each layer `h`, then the memories.
    fn state(&self, batch: &Batch, row: usize) -> Vec<f64> {
        let recurrent = &self.readout.recurrent;
        let layers = recurrent.num_layers();
        let memories = recurrent.cell().memories();
        let planes = |all: &Option<Tensor<3>>, count: usize, width: usize| match all {
            None => vec![0.0; layers * count * width],
            Some(all) => {
                let [planes, _, width] = all.dims();
                let of_row = all.clone().slice([0..planes, row..row + 1, 0..width]);
                Matrix::from_tensor(of_row.reshape([planes, width])).values().to_vec()
            }
        };
        let width = recurrent.d_output();
        let hidden = planes(&batch.hidden, 1, width);
        let memory = planes(&batch.memory, memories, recurrent.d_hidden());
        let each = memory.len() / layers;
        let of_layer = |layer: usize| {
            let hidden = &hidden[layer * width..(layer + 1) * width];
            hidden.iter().chain(&memory[layer * each..(layer + 1) * each]).copied()
        };
        (0..layers).flat_map(of_layer).collect()
    }
}
