//! `bptt landscape`

use crate::failure::Failure;
use crate::output;
use bptt_probe::device;
use bptt_zoo::{Landscape, LandscapeOptions, PlaneKind, PlanePoint, RunFolder, figure, landscape};
use burn::tensor::DType;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// The points along each axis of a plane, and along a line.
const ON_A_PLANE: usize = 31;
const ON_A_LINE: usize = 101;

/// Arguments of `bptt landscape`.
#[derive(Args)]
// So that `-3` is a bad number, and not an unknown option.
#[command(allow_negative_numbers = true)]
pub struct LandscapeArgs {
    /// The run folder of a `bptt train`
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Where the loss is evaluated [default: random; with --to: runs; with --through: through]
    #[arg(long, value_enum)]
    plane: Option<PlaneArg>,
    /// The folder of another run of the same task and sizes: the loss along the line between the two
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Twice: the folders of two other runs of the same task and sizes, or of their checkpoints: the loss on the plane
    /// through the three models
    #[arg(long, value_name = "DIR")]
    through: Vec<PathBuf>,
    /// Points along each axis of the plane [default: 31], or along the line [default: 101]
    #[arg(long, value_name = "N")]
    points: Option<usize>,
    /// How far the plane goes on either side [default: 1 for random directions, which is as far as the
    /// weights are long; as far as there is something to see for eigenvectors, whose unit is the
    /// Euclidean distance]
    #[arg(long, value_name = "S")]
    span: Option<f64>,
    /// Steps of Lanczos' method: at most so many for the ends of the spectrum, and so many for each
    /// probe; each step is one Hessian-vector product
    #[arg(long, value_name = "N", default_value_t = LandscapeOptions::default().steps)]
    steps: usize,
    /// Random probes for the spectral density and the trace; 0: neither
    #[arg(long, value_name = "N", default_value_t = LandscapeOptions::default().probes)]
    probes: usize,
    /// Take only the first N batches of the validation data for the curvature [default: all]
    #[arg(long, value_name = "N")]
    batches: Option<usize>,
    /// Fixes all that is random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where to run, see `bptt devices` [default: the first of this build]
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// Write all numbers as JSON to FILE (`-`: standard output, and nothing else there)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with pictures to FILE: self-contained, readable on paper
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum PlaneArg {
    /// Two random directions, whose filters are as long as those of the weights
    Random,
    /// The eigenvectors of the Hessian with the two largest eigenvalues
    Eigenvectors,
    /// The line to the run of --to
    Runs,
    /// The plane through the run and the two of --through
    Through,
}

impl LandscapeArgs {
    fn options(&self, dtype: DType) -> LandscapeOptions {
        let plane = match (self.plane, &self.to) {
            (None, None) if !self.through.is_empty() => PlaneKind::Through,
            (Some(PlaneArg::Random), _) | (None, None) => PlaneKind::Random,
            (Some(PlaneArg::Eigenvectors), _) => PlaneKind::Eigenvectors,
            (Some(PlaneArg::Runs), _) | (None, Some(_)) => PlaneKind::Runs,
            (Some(PlaneArg::Through), _) => PlaneKind::Through,
        };
        let points = if plane == PlaneKind::Runs { ON_A_LINE } else { ON_A_PLANE };
        LandscapeOptions {
            plane,
            to: self.to.clone(),
            through: self.through.clone(),
            points: self.points.unwrap_or(points),
            span: self.span,
            steps: self.steps,
            probes: self.probes,
            batches: self.batches,
            seed: self.seed,
            dtype,
        }
    }
}

/// Computes the loss around a run and its curvature, and prints a summary.
pub fn run(args: LandscapeArgs) -> Result<(), Failure> {
    let json = args.json.as_ref();
    output::check(&[json, args.html.as_ref()])?;
    let name = args.device.as_deref().unwrap_or_else(|| device::default_name());
    let dtype = if device::is_host(name) { DType::F64 } else { DType::F32 };
    let options = args.options(dtype);
    options.check()?;
    let device = device::open(name).map_err(Failure::usage)?;
    let folder = RunFolder::new(&args.run);
    let found = landscape(&folder, &options, &device, &mut |line| output::note(line))?;
    output::say(json, &summary(&found));
    if let Some(path) = &args.html {
        bptt_zoo::write_whole(path, found.html().as_bytes())?;
    }
    json.map_or(Ok(()), |path| output::write_json(path, &found))
}

fn summary(found: &Landscape) -> String {
    let Landscape { run, task, cell, parameters, loss, loss_name, .. } = found;
    let mut lines = vec![format!(
        "{run}: {task} {cell}, {parameters} parameters, validation loss {} {loss_name}",
        figure(*loss)
    )];
    if found.share < 1.0 {
        lines.push(format!(
            "curvature of {:.0} % of the validation data, with loss {}",
            100.0 * found.share,
            figure(found.curvature_loss)
        ));
    }
    lines.push(format!(
        "eigenvalues of the Hessian from {} (± {:.0e}) to {} (± {:.0e}){}",
        figure(found.hessian_min),
        found.hessian_min_error,
        figure(found.hessian_max),
        found.hessian_max_error,
        if found.converged { "" } else { ", not converged: take more --steps" },
    ));
    let stable = if found.hessian_max < found.two_over_lr { "below" } else { "above" };
    lines.push(format!(
        "condition number at least {:.1e}; the largest eigenvalue is {stable} 2 / lr = {}",
        found.condition,
        figure(found.two_over_lr)
    ));
    if let (Some(trace), Some(error)) = (found.trace, found.trace_error) {
        lines.push(format!("trace {} ± {}", figure(trace), figure(error)));
    }
    lines.push(format!(
        "gradient norm {}, {:.1} % of its square along the top {} eigenvectors",
        figure(found.gradient_norm),
        100.0 * found.gradient_alignment.iter().sum::<f64>(),
        found.gradient_alignment.len(),
    ));
    if let Some((low, high)) = found.surface.as_ref().and_then(|surface| surface.range()) {
        let plane = found.plane;
        lines.push(format!("loss on the plane ({plane}): {} to {}", figure(low), figure(high)));
    }
    for point in found.points.iter().flatten() {
        let PlanePoint { run, x, y, loss } = point;
        let [x, y, loss] = [x, y, loss].map(|number| figure(*number));
        lines.push(format!("{run} at {x}, {y}: loss {loss}"));
    }
    if let Some(last) = found.sharpness.last() {
        lines.push(format!(
            "sharpness along the training: {} at step {}, and 2 / lr = {}",
            figure(last.sharpness),
            last.step,
            figure(last.two_over_lr)
        ));
    }
    if let Some(line) = &found.line {
        lines.push(format!(
            "line to {}: loss {} there, {} away, with a barrier of {}",
            line.to,
            figure(line.to_loss),
            figure(line.distance),
            figure(line.barrier),
        ));
    }
    lines.join("\n")
}
