//! A comparison as a page.

use crate::compare::result::{ComparedCell, Comparison};
use crate::figure::figure;
use bptt_probe::picture::{Axis, Figure, Page, Plot, SERIES};

/// The width and the height of a plot, between its axes.
const SIZE: [f64; 2] = [640.0, 300.0];
/// Gradients below this share of the largest are not drawn.
const SMALLEST: f64 = 1e-8;

impl Comparison {
    /// The comparison as a page of HTML with pictures: self-contained, without scripts, readable on paper.
    pub fn html(&self) -> String {
        let seeds = self.cells.first().map_or(0, |cell| cell.seeds.len());
        let seeds = match seeds {
            1 => "one seed".to_string(),
            count => format!("{count} seeds"),
        };
        let same = match self.equal.as_str() {
            "parameters" => "the same number of parameters, as near as a hidden size comes to it",
            "time" => "the same hidden size and the same seconds of training",
            _ => "the same hidden size",
        };
        let mut figures = vec![self.losses()];
        figures.extend(self.curves());
        figures.extend(self.forgetting());
        let mut facts = vec![("data".to_string(), self.about.clone())];
        facts.extend(self.cells.iter().map(|cell| (cell.cell.clone(), self.said(cell))));
        let page = Page {
            title: format!("Cells side by side: {}", self.task),
            summary: format!("Each cell is trained with {seeds}; all have {same}."),
            facts,
            figures,
        };
        page.html()
    }

    fn said(&self, cell: &ComparedCell) -> String {
        let spread = |values: &[f64]| {
            let (mean, deviation) = ComparedCell::mean_of(values);
            let deviation = deviation.map_or(String::new(), |d| format!(" ± {}", figure(d)));
            format!("{}{deviation}", figure(mean))
        };
        let trace =
            cell.trace_bytes.map_or(
                "no trace, it runs as a scan".to_string(),
                |bytes| match bytes {
                    0 => "no trace but the outputs".to_string(),
                    bytes => format!("a trace of {:.2} MB", bytes as f64 / 1e6),
                },
            );
        format!(
            "{} {}, {} {}; H = {}, {} parameters, {trace}, {:.2} ms a step",
            self.loss_name,
            spread(&cell.valid_loss),
            self.metric_name,
            spread(&cell.metric),
            cell.hidden,
            cell.parameters,
            cell.step_ms,
        )
    }

    /// The cells with the class of each. The second four have dashes.
    fn row(&self) -> impl Iterator<Item = (String, &ComparedCell)> {
        self.cells.iter().enumerate().map(|(k, cell)| {
            let dashed = if k / SERIES.len() % 2 == 1 { " dashed" } else { "" };
            (format!("{}{dashed}", SERIES[k % SERIES.len()]), cell)
        })
    }

    /// A dot for each seed.
    fn losses(&self) -> Figure {
        let losses = self.cells.iter().flat_map(|cell| cell.valid_loss.iter().copied());
        let count = self.cells.len().max(1) as f64;
        let across = Axis::linear([0.5, count + 0.5]);
        let mut plot = Plot::with_axes(across, vertical(losses), [SIZE[0], 200.0]);
        for (k, (class, cell)) in self.row().enumerate() {
            let x = k as f64 + 1.0;
            plot.dots_of(&class, cell.valid_loss.iter().map(|loss| (x, *loss)), 4.0);
            let (mean, _) = ComparedCell::mean_of(&cell.valid_loss);
            plot.line([(x - 0.2, mean), (x + 0.2, mean)].into_iter(), &class);
        }
        let names = self.cells.iter().enumerate();
        plot.x_names(names.map(|(k, cell)| (k as f64 + 1.0, cell.cell.clone())).collect());
        plot.figure(
            "The lowest validation loss",
            "cell",
            &self.loss_name,
            "A dot for each seed, and a short line for their mean.",
        )
    }

    /// The learning curves.
    fn curves(&self) -> Option<Figure> {
        let by_time = self.equal == "time";
        let x = |point: &crate::compare::result::CurvePoint| match by_time {
            true => point.seconds,
            false => point.step as f64,
        };
        let points = || self.cells.iter().flat_map(|cell| &cell.curve);
        let last = points().map(x).fold(0.0, f64::max);
        if last == 0.0 {
            return None;
        }
        let ends = points().flat_map(|point| [point.low, point.high]);
        let mut plot = Plot::with_axes(Axis::linear([0.0, last]), vertical(ends), SIZE);
        for (class, cell) in self.row() {
            let finite =
                |p: &&crate::compare::result::CurvePoint| p.low.is_finite() && p.high.is_finite();
            let band = cell.curve.iter().filter(finite).map(|p| (x(p), p.low, p.high));
            plot.band(&band.collect::<Vec<_>>(), &class);
        }
        for (class, cell) in self.row() {
            plot.line(cell.curve.iter().map(|point| (x(point), point.mean)), &class);
            plot.legend(&class, &cell.cell);
        }
        let across = if by_time { "seconds of training" } else { "training step" };
        let loss = format!("validation loss, {}", self.loss_name);
        Some(plot.figure(
            "Learning curves",
            across,
            &loss,
            "Lines are means over the seeds, and the pale areas reach from the lowest to the highest seed. Where a curve ends early, \
             the seeds have validated at different steps.",
        ))
    }

    /// How far back the input still matters.
    fn forgetting(&self) -> Option<Figure> {
        let curves = || {
            self.row().filter_map(|(class, cell)| Some((class, cell, cell.forgetting.as_ref()?)))
        };
        let longest = curves().map(|(_, _, curve)| curve.len()).max()?;
        let mut plot = Plot::with_axes(
            Axis::linear([0.0, longest.saturating_sub(1).max(1) as f64]),
            Axis::logarithmic([self.least().max(SMALLEST), 1.0]).with_space(0.0, 0.06),
            SIZE,
        );
        for (class, cell, curve) in curves() {
            let drawn = |norm: f64| if norm >= SMALLEST { norm } else { f64::NAN };
            plot.line(
                curve.iter().enumerate().map(|(lag, norm)| (lag as f64, drawn(*norm))),
                &class,
            );
            plot.legend(&class, &cell.cell);
        }
        Some(plot.figure(
            "How far back the input still matters",
            "steps before the last one",
            "gradient of the last loss, of the largest",
            "The norm of the gradient of the last step's loss with respect to the input so many steps before, in the trained models, on a \
             training batch. A line that falls straight forgets by a constant factor a step. A line that has a peak has learned where \
             to look. Below 1e-8 nothing is drawn.",
        ))
    }

    /// The smallest gradient that is not zero.
    fn least(&self) -> f64 {
        let all = self.cells.iter().filter_map(|cell| cell.forgetting.as_ref()).flatten();
        all.copied().filter(|norm| *norm > 0.0).fold(1e-2, f64::min)
    }
}

/// A vertical axis for losses: logarithmic, if they reach over more than a factor of three.
fn vertical(losses: impl Iterator<Item = f64>) -> Axis {
    let finite = losses.filter(|loss| loss.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), loss| {
        (low.min(loss), high.max(loss))
    });
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    match low > 0.0 && high > 3.0 * low {
        true => Axis::logarithmic([low, high]).with_space(0.04, 0.04),
        false => Axis::of([low, high].into_iter()).with_space(0.04, 0.04),
    }
}
