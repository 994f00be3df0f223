//! The one training loop: check, step, validate, save.

mod saving;

use crate::average::Average;
use crate::check::{GradientCheck, TOLERANCE, compare_engines};
use crate::error::Error;
use crate::folder::{AVERAGE, CARRIED, RunFolder};
use crate::folder_files::{Best, Config, Point};
use crate::gradient_log::GradientLog;
use crate::jacobian_log::JacobianLog;
use crate::learning_rates::{LearningRates, Waiting};
use crate::loss_scale::LossScale;
use crate::marker::Claim;
use crate::progress::{Progress, TrainProgress, TrainValidation};
use crate::random::{Purpose, generator};
use crate::read;
use crate::session::{Probes, RunResult, Session};
use crate::settings::Settings;
use crate::sharpness_log::SharpnessLog;
use crate::store::{Carried, load_model, numbered};
use crate::task::{Scores, SequenceModel, Task};
use crate::{memory, task_settings};
use bptt::{AnyState, RecurrentState, clip_global_norm, scale_gradients};
use bptt_probe::DType;
use burn::Tensor;
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer, OptimizerRecord};
use burn::tensor::{Device, FloatDType};
use rand::RngExt;
use std::sync::atomic::Ordering;

/// Steps between two points of the training curve.
const POINT_EVERY: u64 = 20;
/// [`RunResult::train_loss`] is the mean of this many training losses, the last ones.
const RECENT: usize = 100;

/// Makes a task from its settings and trains it. See [`train_task`].
pub(crate) fn train<T: Task>(
    settings: &Settings,
    session: Session<'_>,
) -> Result<RunResult, Error> {
    let settings = task_settings::complete_and_given::<T>(settings)?;
    // What the folder is, and how much memory the run takes, is said before data is read and gradients are
    // compared.
    RunFolder::new(&session.out).find()?;
    let size = T::sequence_size(&settings.options()?);
    if let Some(warning) = memory::check_rtrl(&settings, size)? {
        (session.say)(&warning);
    }
    train_task(&task_settings::of_session::<T>(&settings, &session)?, &settings, session)
}

/// Trains a task. It compares the engines' gradients, then trains until the limit of steps or seconds is reached or
/// [`Session::stop`] is set. It validates and saves every [`Settings::validate_every`] steps and at the end.
///
/// This is for a task whose data is in memory; [`AnyTask::train`](crate::AnyTask::train) makes the task, with the
/// data that the settings name.
///
/// # Errors
///
/// [`Error::Check`] if the engines' gradients differ or the loss becomes NaN. [`Error::Input`] if the folder cannot be
/// written, is neither empty nor a run folder, or holds nothing that can be resumed, or if another run is active in it.
pub fn train_task<T: Task>(
    task: &T,
    settings: &Settings,
    session: Session<'_>,
) -> Result<RunResult, Error> {
    let settings = &task_settings::complete::<T>(settings)?;
    let Session { device, out, resume, warm_start, stop, probes, begun, say, mut progress } =
        session;
    task_settings::check_probes::<T>(probes, settings)?;
    if !settings.dtype.works_on(&settings.device, &device) {
        let (dtype, name) = (settings.dtype.name(), &settings.device);
        return Err(Error::input(format!(
            "--dtype {dtype}: the device {name} has no such type; `bptt devices` lists them",
        )));
    }
    let folder = RunFolder::new(out);
    let claim = folder.claim_existing()?;
    task_settings::check_start(resume, warm_start.is_some())?;
    let mut run = Run::start(task, settings, device, folder, resume)?;
    if let Some(from) = warm_start {
        run.model = numbered(load_model(run.model.clone(), &RunFolder::new(from).model())?);
    }
    run.begin_logs(probes)?;

    let check = run.check();
    if check.error.is_nan() || check.error > TOLERANCE {
        return Err(Error::Check(format!("check: {check}; at most {TOLERANCE:.0e} is fine")));
    }
    say(&format!("check: {check}"));
    say(&format!(
        "{} {}, {} parameters, engine {}{}: {}",
        T::NAME,
        task_settings::cell_or_model::<T>(settings),
        run.model.num_params(),
        settings.engine.name(),
        match settings.dtype {
            DType::F32 => String::new(),
            dtype => format!(", recurrent layers in {}", dtype.name()),
        },
        task.describe(),
    ));
    begun();
    // The claim is held to the end, so that no other run writes into the folder.
    let claim = claim.map_or_else(|| run.folder.claim(), Ok)?;
    run.begin(resume, &claim)?;
    if resume && run.step == 0 {
        say("there is no checkpoint yet: the run begins anew");
    }

    let first = run.step;
    let mut clock = Progress::new(first, (settings.steps, settings.seconds), task.units());
    let mut validated = None;
    while !clock.finished(run.step) && !stop.load(Ordering::Relaxed) && !run.is_stuck() {
        run.train_step()?;
        run.seconds = run.seconds_before + clock.elapsed();
        if run.step.is_multiple_of(settings.validate_every) {
            say(&run.validate_and_save(true)?);
            validated = Some(run.step);
        } else if run.step.is_multiple_of(POINT_EVERY) {
            run.add_point(None);
        }
        if clock.is_due(progress.is_some()) {
            let at = clock.at(run.step, run.recent_loss(POINT_EVERY as usize));
            let at = TrainProgress { lr: run.lr, valid: run.last_validation(), ..at };
            match &mut progress {
                Some(draw) => draw(&at),
                None => say(&at.to_string()),
            }
        }
    }
    run.seconds = run.seconds_before + clock.elapsed();
    if validated != Some(run.step) {
        say(&run.validate_and_save(false)?);
    }
    if run.is_stuck() {
        say(&format!("{} validations without a lower loss: the run ends", run.waiting.waited));
    } else if stop.load(Ordering::Relaxed) {
        say(&format!("stopped at step {}; --resume goes on from there", run.step));
        return Ok(run.result(None));
    }
    let test = run.test()?;
    Ok(run.result(test))
}

/// A run, while it is trained.
struct Run<'a, T: Task> {
    task: &'a T,
    settings: &'a Settings,
    folder: RunFolder,
    /// Without autodiff: for validation.
    plain: Device,
    device: Device,
    model: T::Model,
    /// The average of its weights, without autodiff, if there is one yet.
    average: Option<T::Model>,
    optimizer: ModuleOptimizer,
    rates: LearningRates,
    /// The learning rate of the last step.
    lr: Option<f64>,
    /// How long the validation loss has not fallen.
    waiting: Waiting,
    /// The state that is carried from one chunk to the next.
    state: Option<AnyState>,
    loss_scale: Option<LossScale>,
    step: u64,
    seconds: f64,
    /// Seconds of training before the run was resumed.
    seconds_before: f64,
    /// The last training losses, the newest last.
    recent: Vec<f32>,
    points: Vec<Point>,
    best: Option<Best>,
    gradients: Option<GradientLog>,
    sharpness: Option<SharpnessLog>,
    jacobians: Option<JacobianLog>,
}

impl<'a, T: Task> Run<'a, T> {
    fn start(
        task: &'a T,
        settings: &'a Settings,
        plain: Device,
        folder: RunFolder,
        resume: bool,
    ) -> Result<Self, Error> {
        let device = plain.clone().autodiff();
        device.seed(settings.seed);
        let model = numbered(task.model(&device)?.with_kernel(settings.kernel).materialize());
        let optimizer =
            settings.optimizer.init(settings.recipe.momentum, settings.recipe.weight_decay, &model);
        let mut run = Self {
            task,
            settings,
            folder,
            plain,
            device,
            model,
            average: None,
            optimizer,
            rates: LearningRates::new(settings.lr, &settings.recipe)?,
            lr: None,
            waiting: Waiting::default(),
            state: None,
            loss_scale: LossScale::new(settings.dtype),
            step: 0,
            seconds: 0.0,
            seconds_before: 0.0,
            recent: Vec::new(),
            points: Vec::new(),
            best: None,
            gradients: None,
            jacobians: None,
            sharpness: None,
        };
        if resume {
            run.restore()?;
        }
        Ok(run)
    }

    /// Loads the model, optimizer and state of the folder's checkpoint.
    fn restore(&mut self) -> Result<(), Error> {
        let config = self.folder.config()?;
        task_settings::check_resume::<T>(self.settings, &self.folder)?;
        if let Some(what) = config.info.other_data(&self.task.info()) {
            let files = T::OPTIONS.iter().filter(|option| option.kind.is_path());
            let mut files = files.filter_map(|file| self.settings.options.get(file.name)?.as_str());
            let name = files.next().map_or_else(|| format!("the shipped {what}"), str::to_string);
            return Err(Error::input(format!(
                "{name}: the {what} is not the one that the run began with; give that one, or start a \
                 new run with another --out, which --warm-start {} lets begin with this one's weights",
                self.folder.path().display(),
            )));
        }
        // A run that was killed before its first checkpoint begins anew.
        let Some(checkpoint) = self.folder.checkpoint()? else { return Ok(()) };
        let part = |name| self.folder.checkpoint_part(checkpoint.step, name);
        if self.settings.recipe.average.share(checkpoint.step).is_some() {
            self.average = Some(load_model(self.model.valid(), &part(AVERAGE))?);
        }
        let waited = checkpoint.waiting.waited;
        let patience = self.settings.recipe.patience;
        if patience.is_some_and(|patience| waited >= patience) && self.is_complete(&checkpoint) {
            return Err(Error::input(format!(
                "{}: the run has ended at step {}, after {waited} validations without a lower loss; give a larger --patience",
                self.folder.path().display(),
                checkpoint.step,
            )));
        }
        let ends = |steps: u64| {
            steps < checkpoint.step || (steps == checkpoint.step && self.is_complete(&checkpoint))
        };
        if let Some(steps) = self.settings.steps.filter(|&steps| ends(steps)) {
            return Err(Error::input(format!(
                "{}: the run is at step {} already, and --steps {steps} counts from its beginning; \
                 give more steps, or --seconds",
                self.folder.path().display(),
                checkpoint.step,
            )));
        }
        let path = part("model.bpk");
        self.model = load_model(self.model.clone(), &path)?;
        let path = part("optimizer.bpk");
        let record =
            OptimizerRecord::load(&path).map_err(|error| Error::file("read", &path, error))?;
        self.optimizer = self.optimizer.clone().load_record(record);
        let path = part("state.bpk");
        if path.is_file() {
            let model = self.in_dtype(self.model.valid());
            let (_, like) = self.task.loss(&model, 0, None, &self.plain);
            let like = like.ok_or_else(|| Error::file("read", &path, "no state is carried"))?;
            self.state = Some(Carried::load(&path, like, &self.device)?);
        }
        let path = part(CARRIED);
        if path.is_file() {
            let carried = read::file(&path, read::LONGEST_JSON)?;
            self.task
                .carry_on(&String::from_utf8_lossy(&carried))
                .map_err(|why| Error::file("read", &path, why))?;
        }
        self.points = self.folder.metrics()?;
        self.points.retain(|point| point.step <= checkpoint.step);
        self.step = checkpoint.step;
        self.seconds_before = checkpoint.seconds;
        self.seconds = checkpoint.seconds;
        self.recent = checkpoint.recent;
        self.best = checkpoint.best;
        self.rates.resume(checkpoint.step, checkpoint.lowered);
        // Older checkpoints do not say how long the run has waited.
        let best = checkpoint.waiting.best.or(checkpoint.best.map(|best| best.loss));
        self.waiting = Waiting { best, ..checkpoint.waiting };
        self.loss_scale = checkpoint.loss_scale.or(self.loss_scale);
        Ok(())
    }

    /// The model that computes: its recurrent layers have the type of the settings. Their parameters depend on those of
    /// the given model, which are the ones that are trained.
    fn in_dtype(&self, model: T::Model) -> T::Model {
        match self.settings.dtype {
            DType::F32 => model,
            dtype => model.with_dtype(dtype.burn()),
        }
    }

    /// Compares the two engines on this model and the data of the next step. They are compared in `f32`: in 16 bits the
    /// rounding of the autograd engine's operations would hide an error.
    fn check(&self) -> GradientCheck {
        let wide = |state: AnyState| {
            let (hidden, memory) = state.into_parts();
            let cast = |tensor: Tensor<3>| tensor.cast(FloatDType::F32);
            AnyState::from_parts(cast(hidden), memory.map(cast))
        };
        compare_engines(&self.model, |model| {
            self.seed_dropout(self.batch_of_step(0));
            let state = self.state.clone().map(wide);
            let model = model.clone().with_noise_seed(self.noise_seed(self.batch_of_step(0)));
            self.task.loss(&model, self.batch_of_step(0), state, &self.device).0
        })
    }

    /// Begins to log what is read, behind what the folder has of the steps so far.
    fn begin_logs(&mut self, probes: Probes) -> Result<(), Error> {
        if let Some(every) = probes.gradients {
            let mut before = if self.step > 0 { self.folder.gradients()? } else { Vec::new() };
            before.retain(|point| point.step < self.step);
            self.gradients = Some(GradientLog::new(every, before));
        }
        if let Some(every) = probes.jacobians {
            let mut before = if self.step > 0 { self.folder.jacobians()? } else { Vec::new() };
            before.retain(|point| point.step < self.step);
            let (model, settings) = (self.model.valid(), self.settings);
            let log = JacobianLog::new(every, before, self.task, &model, settings, &self.plain)?;
            self.jacobians = Some(log);
        }
        if let Some(every) = probes.sharpness {
            let mut before = if self.step > 0 { self.folder.sharpness()? } else { Vec::new() };
            before.retain(|point| point.step < self.step);
            let (model, settings) = (self.model.valid(), self.settings);
            let log = SharpnessLog::new(every, before, self.task, &model, settings, &self.plain)?;
            self.sharpness = Some(log);
        }
        Ok(())
    }

    /// Writes the config of the run into its folder.
    fn begin(&self, resume: bool, claim: &Claim) -> Result<(), Error> {
        let config = Config { settings: Some(self.settings.clone()), info: self.task.info() };
        if !resume {
            return self.folder.begin(claim, &config);
        }
        self.folder.resume(claim, &config)?;
        match self.best.filter(|best| best.step == self.step) {
            Some(best) => self.folder.write_best(best.step, self.best_part()),
            None => Ok(()),
        }
    }

    /// The number of a batch of the next step, counted from the beginning of the run. All that a batch is made of depends
    /// on it.
    fn batch_of_step(&self, index: u64) -> u64 {
        self.step * self.settings.recipe.accumulate + index
    }

    /// Dropout draws its random numbers from the device. They must depend on the batch only, and not on earlier numbers.
    /// Otherwise a resumed run would differ from an uninterrupted one.
    fn seed_dropout(&self, batch: u64) {
        if self.settings.dropout > 0.0 {
            let mut random = generator(self.settings.seed, Purpose::Dropout, batch);
            self.device.seed(random.random());
        }
    }

    /// The seed of the layers' noise, which depends on the batch only, for the same reason.
    fn noise_seed(&self, batch: u64) -> u64 {
        generator(self.settings.seed, Purpose::Noise, batch).random()
    }

    fn train_step(&mut self) -> Result<(), Error> {
        let lr = self.rates.step();
        self.lr = Some(lr);
        if let Some(log) = self.jacobians.as_mut().filter(|log| log.is_due(self.step)) {
            log.read(self.step, &self.model.valid());
        }
        if let Some(log) = &mut self.sharpness {
            log.read(self.step, lr, &self.model, &self.optimizer)?;
        }
        let (value, mut gradients) = self.batches();
        let factor = self.loss_scale.as_ref().map_or(1.0, |scale| scale.factor);
        if factor != 1.0 {
            scale_gradients(&self.model, &mut gradients, 1.0 / factor);
        }
        let norm = clip_global_norm(&self.model, &mut gradients, self.settings.clip);
        if let Some(log) = &mut self.gradients {
            log.take(self.step, factor / self.settings.recipe.accumulate as f64);
        }
        let is_finite = value.is_finite() && norm.is_finite();
        // If the factor of the loss was too large, the step is left out.
        let shrunk = value.is_finite()
            && !norm.is_finite()
            && self.loss_scale.as_mut().is_some_and(LossScale::shrink);
        if !is_finite && !shrunk {
            return Err(Error::Check(format!(
                "step {}: the loss is {value} and its gradient's norm {norm}; take a smaller --lr \
                 or --clip ({} and {} now)",
                self.step + 1,
                self.settings.lr,
                self.settings.clip,
            )));
        }
        if is_finite {
            self.model = self.optimizer.step(lr, self.model.clone(), gradients);
            if let Some(scale) = &mut self.loss_scale {
                scale.grow();
            }
        }
        self.step += 1;
        let average = self.settings.recipe.average;
        if average != Average::None {
            self.average = average.after(self.step, self.average.take(), self.model.valid());
        }
        if self.recent.len() == RECENT {
            self.recent.remove(0);
        }
        self.recent.push(value);
        Ok(())
    }

    /// The mean loss of the batches of a step, and the gradients of the parameters, times the factor of the loss. The state
    /// is carried from batch to batch. Probes read the first batch.
    fn batches(&mut self) -> (f32, GradientsParams) {
        let count = self.settings.recipe.accumulate;
        let factor = self.loss_scale.as_ref().map_or(1.0, |scale| scale.factor) / count as f64;
        let (mut values, mut sum) = (0.0, GradientsAccumulator::new());
        for index in 0..count {
            let batch = self.batch_of_step(index);
            self.seed_dropout(batch);
            let mut model =
                self.in_dtype(self.model.clone()).with_noise_seed(self.noise_seed(batch));
            if let Some(probe) = self.gradients.as_ref().and_then(|log| log.probe(self.step)) {
                model = model.with_gradient_probe((index == 0).then_some(probe));
            }
            let state = self.state.take();
            let (loss, state) = self.task.loss(&model, batch, state, &self.device);
            self.state = state.map(RecurrentState::detach);
            values += loss.clone().detach().into_scalar::<f32>();
            let scaled = if factor == 1.0 { loss } else { loss.mul_scalar(factor) };
            let gradients = GradientsParams::from_grads(scaled.backward(), &self.model);
            if count == 1 {
                return (values, gradients);
            }
            sum.accumulate(&self.model, gradients);
        }
        (values / count as f32, sum.grads())
    }

    /// Whether the validation loss has not fallen for so long that the run ends.
    fn is_stuck(&self) -> bool {
        self.settings.recipe.patience.is_some_and(|patience| self.waiting.waited >= patience)
    }

    /// The last validation.
    fn last_validation(&self) -> Option<TrainValidation> {
        let validation = |point: &Point| {
            let (loss, metric) = (point.valid_loss?, point.metric?);
            Some(TrainValidation { step: point.step, loss, metric })
        };
        self.points.iter().rev().find_map(validation)
    }

    /// The mean of the last training losses, at most `count` of them.
    fn recent_loss(&self, count: usize) -> f64 {
        let recent = &self.recent[self.recent.len().saturating_sub(count)..];
        recent.iter().map(|&loss| f64::from(loss)).sum::<f64>() / recent.len() as f64
    }

    fn add_point(&mut self, scores: Option<Scores>) {
        let since = self.step - self.points.last().map_or(0, |point| point.step);
        let train_loss = (since > 0).then(|| self.recent_loss(since as usize));
        let mut point = Point {
            step: self.step,
            seconds: (self.seconds * 1e3).round() / 1e3,
            lr: self.lr,
            train_loss,
            valid_loss: scores.map(|scores| scores.loss),
            metric: scores.map(|scores| scores.metric),
        };
        // The last validation may be at a step that already has a point.
        if let Some(same) = self.points.pop_if(|last| last.step == self.step) {
            point.train_loss = same.train_loss;
            point.lr = point.lr.or(same.lr);
        }
        self.points.push(point);
    }
}
