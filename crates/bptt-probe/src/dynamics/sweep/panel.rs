//! The pictures that move: a panel for each cell, with axes that stay as they are over the whole sweep.

use crate::dynamics::sweep::report::{CellReport, Point, SweepReport};
use crate::picture::{Axis, Plot};
use std::f64::consts::LN_10;

/// Norms of gradients beyond `10^±DECADES` are cut off.
const DECADES: f64 = 12.0;
/// So are exponents below this: of such a direction, less than a twentieth is left after one step.
const LEAST: f64 = -3.0;
const HEIGHT: f64 = 176.0;

/// The axes of all cells. They hold the whole sweep, so that what moves is seen to move.
pub(super) struct Axes {
    norms: Axis,
    eigenvalues: Axis,
    exponents: Axis,
}

impl Axes {
    pub(super) fn new(report: &SweepReport) -> Self {
        let points = || report.cells.iter().flat_map(|cell| &cell.points);
        let norms = points().flat_map(|point| &point.log10_jacobian_norms).copied().chain([0.0]);
        let [low, high] = Axis::of(norms.map(|x| x.clamp(-DECADES, DECADES))).range();
        let power = |x: f64| 10f64.powf(x);
        let reach = 1.1 * points().map(|point| point.spectral_radius).fold(1.0, f64::max);
        let exponents = points().flat_map(|point| &point.lyapunov).copied();
        let exponents = exponents.map(|x| x.max(LEAST)).chain([0.0]);
        Self {
            norms: Axis::logarithmic([power(low), power(high)]).with_space(0.02, 0.04),
            eigenvalues: Axis::linear([-reach, reach]),
            exponents: Axis::of(exponents).with_space(0.02, 0.08),
        }
    }

    /// The norm of a gradient on its way back, and what the largest exponent predicts.
    pub(super) fn norms(&self, k: usize, cell: &CellReport, point: &Point) -> Panel {
        let steps = (point.log10_jacobian_norms.len() - 1) as f64;
        let mut plot = Plot::small(Axis::linear([0.0, steps]), self.norms, HEIGHT);
        plot.level(1.0, "zero");
        // A power of ten that a number can hold.
        let power = |x: f64| if x.is_finite() { 10f64.powf(x.clamp(-300.0, 300.0)) } else { x };
        let norms = point.log10_jacobian_norms.iter().map(|x| power(*x));
        let slope = point.lyapunov[0] / LN_10;
        let line = [0.0, steps].map(|t| (t, power(slope * t)));
        let path = if slope.is_finite() { plot.path(line.into_iter()) } else { String::new() };
        plot.moving(&format!("slope-{k}"), "line theory", &path);
        let path = plot.path((0..).map(f64::from).zip(norms));
        plot.moving(&format!("norms-{k}"), "line data", &path);
        let title = format!("Norm of a gradient on its way back, {}", cell.cell);
        Panel::new(&plot, &title, "steps back", "norm")
    }

    /// The eigenvalues of the last Jacobian in the plane.
    pub(super) fn eigenvalues(&self, k: usize, cell: &CellReport, point: &Point) -> Panel {
        let mut plot = Plot::small(self.eigenvalues, self.eigenvalues, Plot::SMALL_WIDTH);
        plot.unit_circle();
        let path = plot.dots_path(point.eigenvalues.iter().copied());
        plot.moving(&format!("eigenvalues-{k}"), "dots data", &path);
        let title = format!("Eigenvalues of the last Jacobian, {}", cell.cell);
        Panel::new(&plot, &title, "real part", "imaginary part")
    }

    /// The Lyapunov spectrum.
    pub(super) fn spectrum(&self, k: usize, cell: &CellReport, point: &Point) -> Panel {
        let ranks = Axis::linear([1.0, (cell.exponents as f64).max(2.0)]).with_space(0.04, 0.04);
        let mut plot = Plot::small(ranks, self.exponents, HEIGHT);
        plot.level(0.0, "zero");
        let path = plot.dots_path((1..).map(f64::from).zip(point.lyapunov.iter().copied()));
        plot.moving(&format!("spectrum-{k}"), "dots data", &path);
        let title = format!("Lyapunov spectrum, {}", cell.cell);
        Panel::new(&plot, &title, "exponent, by rank", "λ, nats per step")
    }
}

/// A picture, and where its numbers are: `x0 + dx x` and `y0 + dy y`, of the power of ten on a logarithmic axis.
pub(super) struct Panel {
    pub(super) svg: String,
    pub(super) frame: [f64; 4],
}

impl Panel {
    pub(super) fn new(plot: &Plot, title: &str, x: &str, y: &str) -> Self {
        Self { svg: plot.svg(title, x, y), frame: plot.frame() }
    }
}
