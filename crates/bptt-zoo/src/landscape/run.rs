//! Computes the landscape of a run.

use crate::error::Error;
use crate::folder::RunFolder;
use crate::landscape::options::{LandscapeOptions, PlaneKind};
use crate::landscape::other::other_model;
use crate::landscape::result::{DensityCurve, Landscape, LineBetween, PlanePoint};
use crate::landscape::work::{Kind, Work};
use crate::random::{Purpose, generator};
use crate::settings::Settings;
use crate::task::Task;
use crate::task_settings::{loss_name, of_run, stored};
use crate::vector::{parameters, with_parameters};
use bptt::{AnyCell, available_memory};
use bptt_probe::landscape::{
    Surface, ThroughPoints, filter_normalized, line, surface, surface_within, through_points,
};
use bptt_probe::readout::{Batch, Derivatives, Readout};
use bptt_probe::spectrum::{Density, EndOptions, Ends, alignment, density, ends};
use burn::tensor::Device;
use rand::RngExt;

/// How many of the largest eigenvalues are reported.
const TOP: usize = 10;
/// From which relative residual on an eigenvalue is known, and no matter of the random probes.
const KNOWN: f64 = 1e-6;
/// How many places the curve of the density has.
const PLACES: usize = 401;
/// How wide an eigenvalue is in the curve, as a share of the whole spectrum.
const WIDTH: f64 = 0.01;
/// How far apart the task's loss in f32 and the curvature's may be, relatively.
const SAME_LOSS: f64 = 1e-3;

/// Where random numbers are used.
#[derive(Clone, Copy)]
enum Draw {
    Plane = 0,
    Start = 1,
    Probes = 2,
}

/// Computes the landscape of the run in a folder. See [`landscape`](crate::landscape()).
pub(crate) fn landscape_of<T: Task>(
    folder: &RunFolder,
    options: &LandscapeOptions,
    device: &Device,
    say: &mut dyn FnMut(&str),
) -> Result<Landscape, Error> {
    options.check()?;
    let settings = stored::<T>(folder)?;
    let task: T = of_run(folder, &settings)?;
    let model = folder.with_weights(task.model(device)?)?;
    let others = options.to.iter().chain(&options.through);
    let others = others.map(|path| other_model(path, &settings, &task, device));
    let others = others.collect::<Result<Vec<_>, _>>()?;
    let at = Center::new(folder, &task, model, options, device)?;
    let through = at.plane_through(options, &others)?;
    let mut work = Work::new(say);
    at.landscape(&settings, options, (others, through), &mut work, device)
}

/// The trained model, with what its derivatives need.
struct Center<'a, T: Task> {
    folder: &'a RunFolder,
    task: &'a T,
    model: T::Model,
    /// Its parameters.
    at: Vec<f64>,
    readout: Readout<AnyCell>,
    batches: Vec<Batch>,
    /// The share of the validation data in the batches.
    share: f64,
}

impl<'a, T: Task> Center<'a, T> {
    fn new(
        folder: &'a RunFolder,
        task: &'a T,
        model: T::Model,
        options: &LandscapeOptions,
        device: &Device,
    ) -> Result<Self, Error> {
        let Some((readout, batches)) = task.readout(&model, device) else {
            return Err(Error::input(format!(
                "{}: no second derivatives for the models of `{}`, which are not recurrent layers with one \
                 linear layer",
                folder.path().display(),
                T::NAME,
            )));
        };
        let readout = readout.cast(options.dtype);
        let at = parameters(&model);
        if readout.parameters() != at {
            return Err(Error::input(format!(
                "{}: `Task::readout` has not the parameters of the model in their order",
                T::NAME
            )));
        }
        check_memory(at.len(), options.steps)?;
        let all = batches.len();
        let (batches, share) = Batch::first(batches, options.batches.unwrap_or(all));
        let batches = batches.into_iter().map(|batch| batch.cast(options.dtype)).collect();
        Ok(Self { folder, task, model, at, readout, batches, share })
    }

    fn landscape(
        &self,
        settings: &Settings,
        options: &LandscapeOptions,
        (others, through): (Vec<Vec<f64>>, Option<ThroughPoints>),
        work: &mut Work<'_>,
        device: &Device,
    ) -> Result<Landscape, Error> {
        let products = options.steps * (1 + options.probes);
        let losses = match options.plane {
            PlaneKind::Runs => options.points,
            _ => options.points.pow(2),
        } + others.len();
        work.plan("the loss", Kind::Loss, losses + 1);
        let loss_at = |values: &[f64], work: &mut Work<'_>| {
            let model = with_parameters(self.model.clone(), values);
            work.run(Kind::Loss, || self.task.validate(&model, device).loss)
        };
        let loss = loss_at(&self.at, work);
        work.plan("the gradient", Kind::Product, products + 1);
        let here = work.run(Kind::Product, || self.readout.any_derivatives(&self.batches, None));
        self.check_loss(loss, &here, options)?;
        let ends = self.ends(options, work);
        let density = (options.probes > 0).then(|| self.density(options, &ends, work));
        let products = work.done(Kind::Product) - 1;

        work.plan("the loss around it", Kind::Loss, losses);
        let mut loss_at = |values: &[f64]| loss_at(values, work);
        let (mut surface, mut between, mut points) = (None, None, None);
        match (through, others.as_slice()) {
            (Some(plane), others) => {
                points = Some(self.points(options, &plane, loss, others, &mut loss_at));
                let [x, y] = &plane.axes;
                let count = options.points;
                surface = Some(surface_within(&self.at, [x, y], plane.ranges, count, &mut loss_at));
            }
            (None, [other]) => between = Some(self.line(options, loss, other, &mut loss_at)),
            (None, _) => surface = Some(self.surface(options, &here, &ends, &mut loss_at)),
        }
        let values =
            |of: fn(&bptt_probe::spectrum::Eigenpair) -> f64| ends.top.iter().map(of).collect();
        Ok(Landscape {
            run: self.folder.path().display().to_string(),
            task: T::NAME,
            cell: settings.cell.name(),
            parameters: self.at.len(),
            seed: options.seed,
            loss_name: loss_name::<T>(settings),
            loss,
            share: self.share,
            curvature_loss: here.loss,
            gradient_norm: here.gradient.iter().map(|g| g * g).sum::<f64>().sqrt(),
            hessian_max: ends.top[0].value,
            hessian_max_error: ends.top[0].residual,
            hessian_min: ends.bottom.value,
            hessian_min_error: ends.bottom.residual,
            converged: ends.converged,
            condition: ends.condition,
            trace: density.as_ref().map(|density| density.trace.value),
            trace_error: density.as_ref().map(|density| density.trace.error),
            top_eigenvalues: values(|pair| pair.value),
            top_errors: values(|pair| pair.residual),
            gradient_alignment: alignment(&here.gradient, &ends.top),
            density: density.map(|density| curve(density, options)),
            lr: settings.lr,
            two_over_lr: 2.0 / settings.lr,
            products,
            plane: options.plane.name(),
            surface,
            points,
            line: between,
            sharpness: self.folder.sharpness()?,
        })
    }

    /// The derivatives have to be those of the task's own loss.
    fn check_loss(
        &self,
        loss: f64,
        here: &Derivatives,
        options: &LandscapeOptions,
    ) -> Result<(), Error> {
        if !here.loss.is_finite() || here.gradient.iter().any(|g| !g.is_finite()) {
            return Err(Error::Check(format!(
                "the loss is {}, or its gradient is not finite",
                here.loss
            )));
        }
        let differs = (here.loss - loss).abs() > SAME_LOSS * loss.abs();
        if options.batches.is_none() && differs {
            return Err(Error::Check(format!(
                "the loss of `Task::readout` is {}, and that of the task {loss}",
                here.loss
            )));
        }
        Ok(())
    }

    fn product(&self, v: &[f64], work: &mut Work<'_>) -> Vec<f64> {
        work.run(Kind::Product, || self.readout.any_derivatives(&self.batches, Some(v)).product)
    }

    fn ends(&self, options: &LandscapeOptions, work: &mut Work<'_>) -> Ends {
        let later = options.steps * options.probes;
        work.plan("the ends of the spectrum", Kind::Product, options.steps + later);
        let mut random = random(options, Draw::Start);
        let start: Vec<f64> = (0..self.at.len()).map(|_| random.random_range(-1.0..1.0)).collect();
        let how = EndOptions { steps: options.steps, top: TOP, ..EndOptions::default() };
        ends(&start, &mut |v| self.product(v, work), &how)
    }

    fn density(&self, options: &LandscapeOptions, ends: &Ends, work: &mut Work<'_>) -> Density {
        let LandscapeOptions { probes, steps, .. } = *options;
        work.plan("the spectral density", Kind::Product, probes * steps);
        let mut random = random(options, Draw::Probes);
        let product = &mut |v: &[f64]| self.product(v, work);
        density(self.at.len(), product, &ends.known(KNOWN), probes, steps, &mut random)
    }

    fn surface(
        &self,
        options: &LandscapeOptions,
        here: &Derivatives,
        ends: &Ends,
        loss_at: &mut dyn FnMut(&[f64]) -> f64,
    ) -> Surface {
        let (axes, span) = match options.plane {
            PlaneKind::Eigenvectors => {
                let vector = |k: usize| ends.top[k.min(ends.top.len() - 1)].vector.clone();
                // Here the quadratic has twice the loss of the center.
                let doubled = (2.0 * here.loss / ends.top[0].value).sqrt();
                let far = if doubled.is_finite() && doubled > 0.0 { 4.0 * doubled } else { 1.0 };
                ([vector(0), vector(1)], far)
            }
            PlaneKind::Random | PlaneKind::Runs | PlaneKind::Through => {
                let (blocks, mut random) = (self.readout.blocks(), random(options, Draw::Plane));
                let mut direction = || filter_normalized(&self.at, &blocks, &mut random);
                ([direction(), direction()], 1.0)
            }
        };
        let span = options.span.unwrap_or(span);
        surface(&self.at, [&axes[0], &axes[1]], [span, span], options.points, loss_at)
    }

    /// The plane through this model and two others, for [`PlaneKind::Through`].
    fn plane_through(
        &self,
        options: &LandscapeOptions,
        others: &[Vec<f64>],
    ) -> Result<Option<ThroughPoints>, Error> {
        let (PlaneKind::Through, [second, third]) = (options.plane, others) else {
            return Ok(None);
        };
        let found = through_points([&self.at, second, third]);
        found.map(Some).ok_or_else(|| {
            Error::input(format!(
                "--through: {}, {} and {} are on one line, or two of them are the same: give three models that make a plane",
                self.folder.path().display(),
                options.through[0].display(),
                options.through[1].display(),
            ))
        })
    }

    /// The three points of a plane, with the loss at each.
    fn points(
        &self,
        options: &LandscapeOptions,
        plane: &ThroughPoints,
        loss: f64,
        others: &[Vec<f64>],
        loss_at: &mut dyn FnMut(&[f64]) -> f64,
    ) -> Vec<PlanePoint> {
        let names = std::iter::once(self.folder.path())
            .chain(options.through.iter().map(|path| path.as_path()));
        let mut losses = vec![loss];
        losses.extend(others.iter().map(|other| loss_at(other)));
        let point = |((name, [x, y]), loss): ((&std::path::Path, &[f64; 2]), f64)| PlanePoint {
            run: name.display().to_string(),
            x: *x,
            y: *y,
            loss,
        };
        names.zip(&plane.places).zip(losses).map(point).collect()
    }

    fn line(
        &self,
        options: &LandscapeOptions,
        loss: f64,
        other: &[f64],
        loss_at: &mut dyn FnMut(&[f64]) -> f64,
    ) -> LineBetween {
        let to_loss = loss_at(other);
        let found = line([&self.at, other], [-0.5, 1.5], options.points, loss_at);
        let squares = self.at.iter().zip(other).map(|(a, b)| (a - b).powi(2));
        let to = options.to.as_ref().map(|to| to.display().to_string());
        LineBetween {
            to: to.unwrap_or_default(),
            to_loss,
            distance: squares.sum::<f64>().sqrt(),
            barrier: found.barrier([loss, to_loss]),
            t: found.t,
            loss: found.loss,
        }
    }
}

fn random(options: &LandscapeOptions, draw: Draw) -> rand::rngs::StdRng {
    generator(options.seed, Purpose::Landscape, draw as u64)
}

/// The vectors of all steps are kept. Checks that they fit.
fn check_memory(parameters: usize, steps: usize) -> Result<(), Error> {
    let bytes = (parameters * 8) as u128 * (steps + 2 * TOP) as u128;
    match available_memory(bytes) {
        Some(there) if (there as u128) < bytes => Err(Error::input(format!(
            "--steps {steps}: takes {:.1} GB for {parameters} parameters, and {:.1} GB are there: take fewer",
            bytes as f64 / 1e9,
            there as f64 / 1e9,
        ))),
        _ => Ok(()),
    }
}

/// The density as a curve over the whole spectrum.
fn curve(density: Density, options: &LandscapeOptions) -> DensityCurve {
    let (low, high) = (density.points[0], density.points[density.points.len() - 1]);
    // A spectrum of one value has no extent.
    let extent = (high - low).max(1e-6 * low.abs().max(high.abs())).max(f64::MIN_POSITIVE);
    let sigma = WIDTH * extent;
    let (from, to) = (low - 4.0 * sigma, high + 4.0 * sigma);
    let place = |k: usize| from + (to - from) * k as f64 / (PLACES - 1) as f64;
    let eigenvalue: Vec<f64> = (0..PLACES).map(place).collect();
    DensityCurve {
        density: density.smooth(&eigenvalue, sigma),
        eigenvalue,
        points: density.points,
        weights: density.weights,
        sigma,
        probes: options.probes,
        steps: options.steps,
    }
}
