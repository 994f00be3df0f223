//! What a run writes into its folder.

use super::{RECENT, Run};
use crate::curve::{self, Labels};
use crate::error::Error;
use crate::figure::figure;
use crate::folder::{AVERAGE, CARRIED, CURVE, MODEL};
use crate::folder_files::{Best, Checkpoint};
use crate::session::RunResult;
use crate::store::{Carried, bytes, load_model, optimizer_bytes};
use crate::task::{Scores, Task, TestScores};
use crate::task_settings;
use burn::module::Module;
use burn::tensor::Bytes;

impl<T: Task> Run<'_, T> {
    /// Validates, keeps the model if it is the best so far, and writes everything.
    ///
    /// # Arguments
    ///
    /// - `is_due`: whether it is a validation that every run has at this step. Only these count for the patience and for
    ///   the learning rate, so that an interruption changes neither.
    pub(super) fn validate_and_save(&mut self, is_due: bool) -> Result<String, Error> {
        let weights = self.model.valid();
        let scores = self.task.validate(self.average.as_ref().unwrap_or(&weights), &self.plain);
        let Scores { loss, metric } = scores;
        self.add_point(Some(scores));
        if is_due {
            self.waiting.take(loss);
            self.rates.validated(loss);
        }
        let better = self.best.is_none_or(|best| loss < best.loss);
        let model = bytes(self.model.clone().into_record())?;
        if better {
            self.best = Some(Best { step: self.step, loss, metric });
        }
        self.save(model)?;
        // Behind the checkpoint: a run that is killed before this line is resumed from the checkpoint, which has the model.
        if better {
            self.folder.write_best(self.step, self.best_part())?;
        }
        let best = if better { ", the best so far" } else { "" };
        Ok(format!(
            "step {}  validation loss {}, {} {}{best}",
            self.step,
            figure(loss),
            T::METRIC,
            figure(metric),
        ))
    }

    fn save(&self, model: Bytes) -> Result<(), Error> {
        let optimizer = optimizer_bytes(self.optimizer.to_record()).map_err(|error| {
            Error::file("write", &self.folder.path().join("optimizer.bpk"), error)
        })?;
        let mut parts = vec![("model.bpk", model), ("optimizer.bpk", optimizer)];
        if let Some(average) = &self.average {
            parts.push((AVERAGE, bytes(average.clone().into_record())?));
        }
        if let Some(state) = &self.state {
            parts.push(("state.bpk", bytes(Carried::new(state.clone()).into_record())?));
        }
        if let Some(carried) = self.task.carried(self.batch_of_step(0)) {
            parts.push((CARRIED, Bytes::from_bytes_vec(carried.into_bytes())));
        }
        let checkpoint = Checkpoint {
            step: self.step,
            seconds: self.seconds,
            recent: self.recent.clone(),
            best: self.best,
            loss_scale: self.loss_scale,
            waiting: self.waiting,
            lowered: self.rates.lowered(),
        };
        self.folder.write_metrics(&self.points)?;
        if let Some(log) = &self.gradients {
            self.folder.write_gradients(log.points())?;
        }
        if let Some(log) = &self.jacobians {
            self.folder.write_jacobians(log.points())?;
        }
        if let Some(log) = &self.sharpness {
            self.folder.write_sharpness(log.points())?;
        }
        let settings = self.settings;
        let title = format!(
            "{}: {} {} x {}, engine {}",
            T::NAME,
            task_settings::cell_or_model::<T>(settings),
            settings.layers,
            settings.hidden,
            settings.engine.name(),
        );
        let loss = task_settings::loss_name::<T>(settings);
        let metric = T::CURVE_OF_METRIC.then_some(T::METRIC);
        let labels = Labels { title: &title, loss, metric, logarithmic: T::LOGARITHMIC };
        self.folder.write(CURVE, curve::draw(&self.points, &labels)?.as_bytes())?;
        self.folder.write_checkpoint(&checkpoint, parts)
    }

    /// The part of a checkpoint whose model is validated: the average of the weights, if there is one.
    pub(super) fn best_part(&self) -> &'static str {
        if self.average.is_some() { AVERAGE } else { MODEL }
    }

    /// Whether a run at the step of this checkpoint has written everything.
    pub(super) fn is_complete(&self, checkpoint: &Checkpoint) -> bool {
        let tested = !T::HAS_TEST || self.folder.holds_test();
        tested && self.folder.holds_best(checkpoint, self.best_part())
    }

    /// The scores of the best model on the test part, if there is one.
    pub(super) fn test(&self) -> Result<Option<TestScores>, Error> {
        if !T::HAS_TEST || self.best.is_none() {
            return Ok(None);
        }
        let model = load_model(self.model.valid(), &self.folder.model())?;
        let test = self.task.test(&model, &self.plain);
        test.iter().try_for_each(|test| self.folder.write_test(test))?;
        Ok(test)
    }

    pub(super) fn result(&self, test: Option<TestScores>) -> RunResult {
        let best = self.best.unwrap_or(Best { step: 0, loss: f64::NAN, metric: f64::NAN });
        RunResult {
            task: T::NAME,
            cell: task_settings::cell_or_model::<T>(self.settings),
            engine: self.settings.engine.name(),
            device: self.settings.device.clone(),
            steps: self.step,
            seconds: self.seconds,
            train_loss: self.recent_loss(RECENT),
            valid_loss: best.loss,
            metric: best.metric,
            metric_name: T::METRIC,
            parameters: self.model.num_params(),
            best_step: best.step,
            out: self.folder.path().display().to_string(),
            test,
            folds: Vec::new(),
        }
    }
}
