//! The runs of a comparison.

use crate::any_task::AnyTask;
use crate::compare::facts::ModelFacts;
use crate::compare::options::{CompareOptions, Equal};
use crate::compare::result::{ComparedCell, Comparison, CurvePoint};
use crate::error::Error;
use crate::folder::RunFolder;
use crate::median::median;
use crate::progress::TrainProgress;
use crate::session::{Probes, RunResult, Session};
use crate::settings::Settings;
use bptt::LayerKind;
use burn::tensor::Device;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// How far a comparison is. As text, it is a line for the user.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareProgress {
    /// The cell that is trained.
    pub cell: &'static str,
    /// Its seed.
    pub seed: u64,
    /// The number of this run, from 1 on, and how many there are.
    pub run: (usize, usize),
    /// How far the run is.
    pub train: TrainProgress,
}

impl CompareProgress {
    /// The share of the whole work that is done.
    pub fn share(&self) -> f64 {
        (self.run.0 as f64 - 1.0 + self.train.share) / self.run.1 as f64
    }
}

impl std::fmt::Display for CompareProgress {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cell, seed, run: (run, runs), train } = self;
        write!(out, "run {run} of {runs}, {cell} seed {seed}: {train}")
    }
}

/// Trains the cells, one after the other, each into a run folder `CELL-SEED` below `out`.
///
/// # Arguments
///
/// - `stop`: another thread sets this to end after the current step; the cells of which all runs are complete are in the
///   result
/// - `begun`: is called once, before the first run
/// - `progress`: is told often how far the work is
///
/// # Errors
///
/// If the options make no sense, and as [`AnyTask::train`].
pub fn compare(
    options: &CompareOptions,
    device: &Device,
    out: &Path,
    stop: &AtomicBool,
    begun: &mut dyn FnMut(),
    progress: &mut dyn FnMut(&CompareProgress),
) -> Result<Comparison, Error> {
    options.check()?;
    let task = crate::tasks::find(&options.settings.task)?;
    if let Some(model) = task.model_name(&options.settings) {
        return Err(Error::input(format!(
            "--model {model}: is not made of layers of one cell, and has none to compare; leave it out"
        )));
    }
    let sized = sized(task, options, device)?;
    let count = options.seeds as usize * sized.len();
    let (mut cells, mut about, mut number) = (Vec::new(), String::new(), 0);
    let mut seconds = options.settings.seconds;
    begun();
    for settings in &sized {
        let mut results = Vec::new();
        for seed in (0..options.seeds).map(|k| options.settings.seed + k) {
            number += 1;
            let cell = settings.cell.name();
            let folder = out.join(format!("{cell}-{seed}"));
            let mut settings = Settings { seed, ..settings.clone() };
            if let (Equal::Time, Some(seconds)) = (options.equal, seconds) {
                (settings.steps, settings.seconds) = (None, Some(seconds));
            }
            let mut told = |train: &TrainProgress| {
                progress(&CompareProgress { cell, seed, run: (number, count), train: *train });
            };
            let mut lines = Vec::new();
            let session = Session {
                device: device.clone(),
                out: folder.clone(),
                resume: false,
                warm_start: None,
                stop,
                probes: Probes::default(),
                begun: &mut || {},
                say: &mut |line| lines.push(line.to_string()),
                progress: Some(&mut told),
            };
            let result = task.train(&settings, session)?;
            if stop.load(Ordering::Relaxed) {
                break;
            }
            // The others have as many seconds as the first run.
            seconds = seconds.or(Some(result.seconds));
            let described = lines.iter().find(|line| line.starts_with(task.name));
            let described = described.and_then(|line| line.split_once(": "));
            about = described.map_or(about, |(_, about)| about.to_string());
            results.push((seed, result, RunFolder::new(folder)));
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        cells.push(compared(task, settings, results, device)?);
    }
    Ok(Comparison {
        task: task.name.to_string(),
        loss_name: task.loss_name(&options.settings).to_string(),
        metric_name: task.metric.to_string(),
        equal: options.equal.name().to_string(),
        about,
        cells,
    })
}

/// The settings of each cell.
fn sized(
    task: &AnyTask,
    options: &CompareOptions,
    device: &Device,
) -> Result<Vec<Settings>, Error> {
    let named = |cell: LayerKind| {
        let settings = Settings { cell, ..options.settings.clone() };
        let checked = task.check(&settings);
        checked.map_err(|why| Error::input(format!("{}: {why}", cell.name())))?;
        Ok::<_, Error>(settings)
    };
    let all = options.cells.iter().map(|cell| named(*cell)).collect::<Result<Vec<_>, _>>()?;
    if options.equal != Equal::Parameters {
        return Ok(all);
    }
    let wanted = task.parameters(&all[0], device)?;
    let fit = |settings: &Settings| {
        let heads = settings.heads;
        let count = |blocks: usize| {
            let hidden = blocks * heads;
            task.parameters(&Settings { hidden, ..settings.clone() }, device)
        };
        let hidden = heads * closest(wanted, &count)?;
        Ok::<_, Error>(Settings { hidden, ..settings.clone() })
    };
    let others = all[1..].iter().map(fit).collect::<Result<Vec<_>, Error>>()?;
    Ok([vec![all[0].clone()], others].concat())
}

/// The size whose count is closest to the wanted one. Counts grow with the size.
fn closest(wanted: usize, count: &impl Fn(usize) -> Result<usize, Error>) -> Result<usize, Error> {
    let mut high = 2;
    while count(high)? < wanted {
        high *= 2;
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = (low + high) / 2;
        match count(middle)? < wanted {
            true => low = middle,
            false => high = middle,
        }
    }
    let [below, above] = [count(low)?, count(high)?];
    Ok(if wanted.abs_diff(below) <= wanted.abs_diff(above) { low } else { high })
}

/// What the runs of one cell have found.
fn compared(
    task: &AnyTask,
    settings: &Settings,
    results: Vec<(u64, RunResult, RunFolder)>,
    device: &Device,
) -> Result<ComparedCell, Error> {
    let facts = results.iter().map(|(_, _, folder)| task.facts(folder, device));
    let facts = facts.collect::<Result<Vec<ModelFacts>, _>>()?;
    let curves = results.iter().map(|(_, _, folder)| validations(folder));
    let curves = curves.collect::<Result<Vec<_>, _>>()?;
    let results = || results.iter().map(|(_, result, _)| result);
    let per_step = results().map(|result| 1e3 * result.seconds / result.steps.max(1) as f64);
    Ok(ComparedCell {
        cell: settings.cell.name().to_string(),
        hidden: settings.hidden,
        parameters: results().map(|result| result.parameters).next().unwrap_or(0),
        trace_bytes: facts.first().and_then(|facts| facts.trace_bytes),
        step_ms: median(per_step),
        seeds: (0..curves.len() as u64).map(|k| settings.seed + k).collect(),
        steps: results().map(|result| result.steps).collect(),
        valid_loss: results().map(|result| result.valid_loss).collect(),
        metric: results().map(|result| result.metric).collect(),
        curve: spread(&curves),
        forgetting: mean_forgetting(&facts),
    })
}

/// The validations of a run: step, seconds and loss.
fn validations(folder: &RunFolder) -> Result<Vec<(u64, f64, f64)>, Error> {
    let points = folder.metrics()?;
    let of = points.iter().filter_map(|p| Some((p.step, p.seconds, p.valid_loss?)));
    Ok(of.collect())
}

/// The curves of all seeds as one, at the steps that all have.
fn spread(curves: &[Vec<(u64, f64, f64)>]) -> Vec<CurvePoint> {
    let Some(first) = curves.first() else { return Vec::new() };
    let at = |step: u64| -> Option<CurvePoint> {
        let find = |curve: &Vec<(u64, f64, f64)>| curve.iter().find(|(s, ..)| *s == step).copied();
        let all = curves.iter().map(find).collect::<Option<Vec<_>>>()?;
        let count = all.len() as f64;
        let losses = || all.iter().map(|(_, _, loss)| *loss);
        Some(CurvePoint {
            step,
            seconds: all.iter().map(|(_, seconds, _)| seconds).sum::<f64>() / count,
            mean: losses().sum::<f64>() / count,
            low: losses().fold(f64::INFINITY, f64::min),
            high: losses().fold(f64::NEG_INFINITY, f64::max),
        })
    };
    first.iter().filter_map(|(step, ..)| at(*step)).collect()
}

/// The geometric mean of the curves, each relative to its largest entry. A gradient of 0 stays 0.
fn mean_forgetting(facts: &[ModelFacts]) -> Option<Vec<f64>> {
    let curves: Option<Vec<&Vec<f64>>> = facts.iter().map(|f| f.forgetting.as_ref()).collect();
    let curves = curves.filter(|curves| !curves.is_empty())?;
    let relative = |curve: &&Vec<f64>, lag: usize| {
        let largest = curve.iter().copied().fold(0.0, f64::max);
        curve.get(lag).map(|norm| norm / largest)
    };
    let longest = curves.iter().map(|curve| curve.len()).max()?;
    let mean = |lag: usize| {
        let logs: Vec<f64> =
            curves.iter().filter_map(|curve| relative(curve, lag)).map(f64::ln).collect();
        (logs.iter().sum::<f64>() / logs.len() as f64).exp()
    };
    Some((0..longest).map(mean).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_size_is_found() {
        // The parameters of a cell with one gate and one input: H (H + 3).
        let count = |hidden: usize| Ok(hidden * (hidden + 3));
        for wanted in 1..400 {
            let found = closest(wanted, &count).unwrap();
            let far = |hidden: usize| wanted.abs_diff(hidden * (hidden + 3));
            let best = (1..40).min_by_key(|&hidden| far(hidden)).unwrap();
            assert_eq!(far(found), far(best), "{wanted}");
        }
    }

    #[test]
    fn curves_and_forgetting_are_means_over_the_seeds() {
        let curves = [vec![(5, 1.0, 0.5), (10, 2.0, 0.3)], vec![(5, 2.0, 0.7)]];
        let found = spread(&curves);
        let expected = CurvePoint { step: 5, seconds: 1.5, mean: 0.6, low: 0.5, high: 0.7 };
        assert_eq!(found, [expected]);
        let facts =
            |norms: &[f64]| ModelFacts { trace_bytes: None, forgetting: Some(norms.to_vec()) };
        let found = mean_forgetting(&[facts(&[2.0, 0.5, 0.0]), facts(&[1.0, 0.25 / 4.0])]).unwrap();
        for (found, expected) in found.iter().zip([1.0, 0.125, 0.0]) {
            assert!((found - expected).abs() < 1e-12, "{found}");
        }
    }
}
