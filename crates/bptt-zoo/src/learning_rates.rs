//! The learning rate of each step.
//!
//! Each schedule is made of Burn's schedulers, one after the other, as a factor of `--lr`. Only the plateau is ours, because
//! Burn has none: it follows the validation loss.

use crate::error::Error;
use crate::recipe::Recipe;
use crate::schedule::Schedule;
use burn::lr_scheduler::LrSchedulerConfig;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::lr_scheduler::exponential::ExponentialLrSchedulerConfig;
use burn::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::lr_scheduler::noam::NoamLrSchedulerConfig;
use burn::lr_scheduler::sequential::SequentialLrSchedulerConfig;
use burn::lr_scheduler::step::StepLrSchedulerConfig;
use serde::{Deserialize, Serialize};

/// Where the rate of a schedule ends, if no rate is given: a fraction of the first one.
const EXPONENTIAL_END: f64 = 0.01;
const ONE_CYCLE_START: f64 = 1.0 / 25.0;
const ONE_CYCLE_END: f64 = ONE_CYCLE_START / 1e4;
/// The share of the steps in which the rate of one cycle rises, if no number of steps is given.
const ONE_CYCLE_RISE: f64 = 0.3;

/// The lowest of some losses, and how many came after it without a lower one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// `None` before the first loss.
    pub(crate) best: Option<f64>,
    pub(crate) waited: u64,
}

impl Waiting {
    /// After a validation. A loss that is no number is not lower.
    pub(crate) fn take(&mut self, loss: f64) {
        if self.best.is_none_or(|best| loss < best) && !loss.is_nan() {
            *self = Self { best: Some(loss), waited: 0 };
        } else {
            self.waited += 1;
        }
    }
}

/// What a plateau has come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lowered {
    waiting: Waiting,
    /// What the rate is multiplied by.
    factor: f64,
}

/// The learning rate of a run, step by step.
pub(crate) struct LearningRates {
    lr: f64,
    factors: ModuleLrScheduler,
    schedule: Schedule,
    lowered: Option<Lowered>,
}

impl LearningRates {
    /// The rates of a run from its first step on. The recipe is checked.
    pub(crate) fn new(lr: f64, recipe: &Recipe) -> Result<Self, Error> {
        let schedule = recipe.schedule;
        let first = Lowered { waiting: Waiting::default(), factor: 1.0 };
        let lowered = matches!(schedule, Schedule::Plateau { .. }).then_some(first);
        let factors = factors(lr, recipe)
            .map_err(|why| Error::input(format!("--schedule {schedule}: {why}")))?;
        Ok(Self { lr, factors, schedule, lowered })
    }

    /// Goes on after so many steps. What Burn's schedulers have come to depends on the number of steps alone, so they take
    /// them again.
    pub(crate) fn resume(&mut self, steps: u64, lowered: Option<Lowered>) {
        (0..steps).for_each(|_| drop(self.factors.step()));
        self.lowered = lowered.or(self.lowered);
    }

    /// The rate of the next step. Each call is a step.
    pub(crate) fn step(&mut self) -> f64 {
        self.lr * self.factors.step().base() * self.lowered.map_or(1.0, |lowered| lowered.factor)
    }

    /// After a validation.
    pub(crate) fn validated(&mut self, loss: f64) {
        let (Some(lowered), Schedule::Plateau { patience, factor }) =
            (&mut self.lowered, self.schedule)
        else {
            return;
        };
        lowered.waiting.take(loss);
        if lowered.waiting.waited >= patience {
            lowered.factor *= factor;
            lowered.waiting.waited = 0;
        }
    }

    /// What the plateau has come to, if it is one.
    pub(crate) fn lowered(&self) -> Option<Lowered> {
        self.lowered
    }
}

/// Burn's schedulers, one after the other. Each has the number of its steps; the last one has no end.
fn factors(lr: f64, recipe: &Recipe) -> Result<ModuleLrScheduler, String> {
    let (warmup, all) = (recipe.warmup as usize, recipe.schedule_steps.unwrap_or(1) as usize);
    let end = |usual: f64| recipe.final_lr.map_or(usual, |last| last / lr);
    let mut parts = Vec::new();
    // A straight line from this factor to 1, in so many steps, the last of which has the factor 1.
    let rise = |from: f64, steps: usize| -> Vec<(LrSchedulerConfig, usize)> {
        match steps {
            0 => vec![],
            1 => vec![(LrSchedulerConfig::Constant(1.0), 1)],
            _ => vec![(LinearLrSchedulerConfig::new(from, 1.0, steps - 1).into(), steps)],
        }
    };
    if !matches!(recipe.schedule, Schedule::Noam | Schedule::OneCycle) {
        parts.extend(rise(1.0 / warmup.max(1) as f64, warmup));
    }
    let left = all.saturating_sub(warmup).max(1);
    let constant = |factor: f64| (LrSchedulerConfig::Constant(factor), usize::MAX);
    let cosine = |end: f64, steps: usize| {
        let config = CosineAnnealingLrSchedulerConfig::new(1.0, steps).with_min_lr(end);
        (LrSchedulerConfig::from(config), steps)
    };
    match recipe.schedule {
        Schedule::Constant | Schedule::Plateau { .. } => parts.push(constant(1.0)),
        Schedule::Linear => {
            let config = LinearLrSchedulerConfig::new(1.0, end(0.0), left);
            parts.extend([(config.into(), left), constant(end(0.0))]);
        }
        Schedule::Cosine => parts.extend([cosine(end(0.0), left), constant(end(0.0))]),
        Schedule::Exponential => {
            let end = end(EXPONENTIAL_END);
            let config = ExponentialLrSchedulerConfig::new(1.0, end.powf(1.0 / left as f64));
            parts.extend([(config.into(), left), constant(end)]);
        }
        Schedule::Step { every, factor } => {
            let config = StepLrSchedulerConfig::new(1.0, every as usize).with_gamma(factor);
            parts.push((config.into(), usize::MAX));
        }
        Schedule::Noam => {
            // Its own largest rate is 1 / √warmup, at the end of the warm-up.
            let config = NoamLrSchedulerConfig::new((warmup as f64).sqrt());
            let config = config.with_warmup_steps(warmup).with_model_size(1);
            parts.push((config.into(), usize::MAX));
        }
        Schedule::OneCycle => {
            let usual = ((ONE_CYCLE_RISE * all as f64).round() as usize).max(1);
            let up = if warmup > 0 { warmup } else { usual };
            let end = end(ONE_CYCLE_END);
            parts.extend(rise(ONE_CYCLE_START, up));
            parts.extend([cosine(end, all.saturating_sub(up).max(1)), constant(end)]);
        }
    }
    let ends = parts.iter().scan(0usize, |at, (_, steps)| {
        *at = at.saturating_add(*steps);
        Some(*at)
    });
    let milestones = ends.take(parts.len() - 1).collect();
    let configs = parts.into_iter().map(|(config, _)| config).collect();
    SequentialLrSchedulerConfig::new(configs, milestones).init()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: &str, warmup: u64, final_lr: Option<f64>, steps: usize) -> Vec<f64> {
        let schedule = schedule.parse().unwrap();
        let schedule_steps = Some(10);
        let recipe = Recipe { schedule, warmup, final_lr, schedule_steps, ..Recipe::default() };
        let mut rates = LearningRates::new(0.5, &recipe).unwrap();
        (0..steps).map(|_| rates.step()).collect()
    }

    fn assert_near(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-12, "{found:?}, not {expected:?}");
        }
    }

    #[test]
    fn the_rates_are_those_of_the_closed_forms() {
        assert_eq!(rates("constant", 0, None, 3), [0.5; 3]);
        assert_near(&rates("constant", 4, None, 6), &[0.125, 0.25, 0.375, 0.5, 0.5, 0.5]);
        let line: Vec<f64> = (0..12).map(|t| 0.5 * (1.0 - t.min(10) as f64 / 10.0)).collect();
        assert_near(&rates("linear", 0, None, 12), &line);
        let wave = |t: usize| 0.1 + 0.2 * (1.0 + (std::f64::consts::PI * t as f64 / 8.0).cos());
        let wave = (0..8).map(wave).chain([0.1, 0.1, 0.1]);
        let expected: Vec<f64> = [0.25, 0.5].into_iter().chain(wave).collect();
        assert_near(&rates("cosine", 2, Some(0.1), 13), &expected);
        let falling: Vec<f64> =
            (0..12).map(|t| 0.5 * 0.01f64.powf(t.min(10) as f64 / 10.0)).collect();
        assert_near(&rates("exponential", 0, None, 12), &falling);
        let stairs = [0.5, 0.5, 0.5, 0.5, 0.125, 0.125, 0.125, 0.03125];
        assert_near(&rates("step:3:0.25", 1, None, 8), &stairs);
        let noam = |t: usize| 0.5 * (t as f64 / 4.0).min((4.0 / t as f64).sqrt());
        assert_near(&rates("noam", 4, None, 20), &(1..=20).map(noam).collect::<Vec<_>>());
        let up = (0..3).map(|t| 0.02 + 0.24 * t as f64);
        let down = |t: usize| 0.25 * (1.0 + (std::f64::consts::PI * t as f64 / 7.0).cos());
        let down = (0..7).map(|t| down(t) + 4e-6 * (0.5 - down(t)));
        let cycle: Vec<f64> = up.chain(down).chain([2e-6, 2e-6]).collect();
        assert_near(&rates("one-cycle", 0, None, 12), &cycle);
    }

    #[test]
    fn a_plateau_is_lowered_after_its_patience() {
        let recipe = Recipe { schedule: "plateau:2:0.1".parse().unwrap(), ..Recipe::default() };
        let mut rates = LearningRates::new(0.5, &recipe).unwrap();
        let mut found = Vec::new();
        for loss in [3.0, 2.0, 2.5, f64::NAN, 1.0, 1.0, 1.0, 1.5] {
            rates.validated(loss);
            found.push(rates.step());
        }
        assert_near(&found, &[0.5, 0.5, 0.5, 0.05, 0.05, 0.05, 0.005, 0.005]);
        // Whoever goes on from there has the same rates.
        let mut other = LearningRates::new(0.5, &recipe).unwrap();
        other.resume(8, rates.lowered());
        for loss in [1.5, 0.9] {
            rates.validated(loss);
            other.validated(loss);
            assert_eq!(rates.step(), other.step());
        }
        assert_eq!(rates.lowered().unwrap().waiting, Waiting { best: Some(0.9), waited: 0 });
    }
}
