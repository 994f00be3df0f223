//! How a model is trained, besides its optimiser, its learning rate and its clipping.

use crate::average::Average;
use crate::error::Error;
use crate::optimizer::OptimizerKind;
use crate::schedule::Schedule;
use serde::{Deserialize, Serialize};

/// How a model is trained, besides the optimiser, the learning rate and the clipping of
/// [`Settings`](crate::Settings), of which it is a part. The fields have the names of the options of `bptt train`. The default is none of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// The share of the last step that is in the next one, for the optimisers sgd, rmsprop and muon; `None`: 0, and 0.95
    /// for muon.
    pub momentum: Option<f64>,
    /// Weight decay of the matrices; `None`: 0.01 for adamw, and else none.
    pub weight_decay: Option<f64>,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// In how many steps the learning rate rises to [`Settings::lr`](crate::Settings::lr).
    pub warmup: u64,
    /// Where the learning rate ends; `None`: the schedule's own.
    pub final_lr: Option<f64>,
    /// After how many steps it ends there, the warm-up included; `None`: after [`Settings::steps`](crate::Settings::steps).
    pub schedule_steps: Option<u64>,
    /// After how many validations without a lower loss the run ends; `None`: it does not.
    pub patience: Option<u64>,
    /// Over how many batches the gradients of a step are averaged.
    pub accumulate: u64,
    /// The share of the right label that is given to all labels alike, in the training loss.
    pub label_smoothing: f64,
    /// Which average of the weights is validated and kept.
    pub average: Average,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            momentum: None,
            weight_decay: None,
            schedule: Schedule::Constant,
            warmup: 0,
            final_lr: None,
            schedule_steps: None,
            patience: None,
            accumulate: 1,
            label_smoothing: 0.0,
            average: Average::None,
        }
    }
}

impl Recipe {
    /// Checks that it makes sense with the optimiser, the learning rate and the steps of the settings.
    ///
    /// # Errors
    ///
    /// The first setting that is wrong, by the name of its option.
    pub(crate) fn check(
        &self,
        optimizer: OptimizerKind,
        lr: f64,
        steps: Option<u64>,
    ) -> Result<(), Error> {
        let Self { momentum, weight_decay, label_smoothing, accumulate, .. } = *self;
        if let Some(momentum) = momentum {
            if optimizer.usual_momentum().is_none() {
                let named = |kind: &OptimizerKind| kind.usual_momentum().map(|_| kind.name());
                let names: Vec<_> = OptimizerKind::ALL.iter().filter_map(named).collect();
                return wrong(format!(
                    "--momentum {momentum}: {} has no such choice; leave it out, or take one of {}",
                    optimizer.name(),
                    names.join(", "),
                ));
            }
            if !(0.0..1.0).contains(&momentum) {
                return wrong(format!("--momentum {momentum}: has to be in [0, 1)"));
            }
        }
        let ranges = [
            ("weight-decay", weight_decay.unwrap_or(0.0), 10.0),
            ("label-smoothing", label_smoothing, 0.999),
        ];
        for (name, value, most) in ranges {
            if !(0.0..=most).contains(&value) {
                return wrong(format!("--{name} {value}: has to be 0 to {most}"));
            }
        }
        if !(1..=1 << 16).contains(&accumulate) {
            return wrong(format!("--accumulate {accumulate}: has to be 1 to {}", 1 << 16));
        }
        if self.patience == Some(0) {
            return wrong("--patience 0: has to be at least 1".to_string());
        }
        self.check_average(steps)?;
        self.check_schedule(lr, steps)
    }

    fn check_average(&self, steps: Option<u64>) -> Result<(), Error> {
        let average = self.average;
        match (average, steps) {
            (Average::Swa(first), Some(steps)) if first > steps => wrong(format!(
                "--average {average}: the run ends at step {steps} and would have no average; take an earlier step"
            )),
            _ => Ok(()),
        }
    }

    fn check_schedule(&self, lr: f64, steps: Option<u64>) -> Result<(), Error> {
        let Self { schedule, warmup, final_lr, schedule_steps, .. } = *self;
        schedule.check().or_else(|why| wrong(format!("--schedule {schedule}: {why}")))?;
        if !schedule.has_end() {
            let needless = [
                ("final-lr", final_lr.map(|lr| lr.to_string())),
                ("schedule-steps", schedule_steps.map(|steps| steps.to_string())),
            ];
            if let Some((name, Some(value))) = needless.iter().find(|(_, value)| value.is_some()) {
                return wrong(format!(
                    "--{name} {value}: the schedule {schedule} does not end at a rate; leave it out, or take --schedule linear, \
                     cosine, exponential or one-cycle"
                ));
            }
            return match schedule == Schedule::Noam && warmup == 0 {
                true => wrong(
                    "--schedule noam: needs --warmup N, after which its rate falls".to_string(),
                ),
                false => Ok(()),
            };
        }
        let least = if schedule == Schedule::Exponential { f64::MIN_POSITIVE } else { 0.0 };
        if let Some(rate) = final_lr.filter(|rate| !(least..=lr).contains(rate)) {
            let from = if least > 0.0 { "above 0" } else { "at least 0" };
            return wrong(format!(
                "--final-lr {rate}: has to be {from} and at most the learning rate, {lr}",
            ));
        }
        let Some(steps) = schedule_steps.or(steps) else {
            return wrong(format!(
                "--schedule {schedule}: the steps of a run by --seconds are not known; give --steps in its place, or --schedule-steps"
            ));
        };
        match warmup < steps {
            true => Ok(()),
            false => wrong(format!(
                "--warmup {warmup}: the schedule {schedule} ends at step {steps}, and has to begin before; take a shorter warm-up"
            )),
        }
    }

    /// The same with all that follows from the other settings: a resumed run may take more steps, and keeps its schedule.
    pub(crate) fn complete(mut self, steps: Option<u64>) -> Self {
        if self.schedule.has_end() {
            self.schedule_steps = self.schedule_steps.or(steps);
        }
        self
    }
}

fn wrong(message: String) -> Result<(), Error> {
    Err(Error::Input(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use serde_json::json;

    fn complaint(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = Settings::new("mine", &json!({}));
        change(&mut settings);
        let message = settings.check().expect_err("should not pass").to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let momentum = |s: &mut Settings| s.recipe.momentum = Some(0.9);
        let message = complaint(momentum);
        assert!(message.starts_with("--momentum 0.9: adam has no such choice"), "{message}");
        assert!(message.ends_with("sgd, rmsprop, muon"), "{message}");
        let too_large =
            |s: &mut Settings| (s.optimizer, s.recipe.momentum) = (OptimizerKind::Sgd, Some(1.0));
        assert!(complaint(too_large).starts_with("--momentum 1: has to be in"));
        assert!(complaint(|s| s.recipe.weight_decay = Some(-1.0)).starts_with("--weight-decay -1"));
        assert!(complaint(|s| s.recipe.label_smoothing = 1.0).starts_with("--label-smoothing 1"));
        assert!(complaint(|s| s.recipe.accumulate = 0).starts_with("--accumulate 0"));
        assert!(complaint(|s| s.recipe.patience = Some(0)).starts_with("--patience 0"));
        let swa = |s: &mut Settings| s.recipe.average = Average::Swa(1501);
        assert!(complaint(swa).starts_with("--average swa:1501: the run ends at step 1500"));
        assert!(
            complaint(|s| s.recipe.final_lr = Some(0.0)).starts_with("--final-lr 0: the schedule")
        );
        let needless = |s: &mut Settings| {
            (s.recipe.schedule, s.recipe.schedule_steps) = (Schedule::Noam, Some(3));
        };
        assert!(complaint(needless).starts_with("--schedule-steps 3: the schedule noam"));
        assert!(complaint(|s| s.recipe.schedule = Schedule::Noam).contains("needs --warmup N"));
        let cosine = |s: &mut Settings| s.recipe.schedule = Schedule::Cosine;
        let rises = |s: &mut Settings| (cosine(s), s.recipe.final_lr = Some(0.1)).0;
        assert!(complaint(rises).starts_with("--final-lr 0.1: has to be at least 0 and at most"));
        let endless = |s: &mut Settings| (cosine(s), s.steps = None, s.seconds = Some(3.0)).0;
        assert!(
            complaint(endless).starts_with("--schedule cosine: the steps of a run by --seconds")
        );
        let late = |s: &mut Settings| (cosine(s), s.recipe.warmup = 1500).0;
        assert!(
            complaint(late).starts_with("--warmup 1500: the schedule cosine ends at step 1500")
        );
    }

    #[test]
    fn a_schedule_keeps_its_length() {
        let cosine = Recipe { schedule: Schedule::Cosine, ..Recipe::default() };
        let first = cosine.complete(Some(500));
        assert_eq!(first.schedule_steps, Some(500));
        assert_eq!(first.clone().complete(Some(900)), first);
        assert_eq!(Recipe::default().complete(Some(500)), Recipe::default());
    }
}
