//! Pictures of the sharpness along the training.

use crate::sharpness_log::SharpnessPoint;
use bptt_probe::picture::{Chart, Curve, Figure};

/// The sharpness with its bound, and for Adam the preconditioned sharpness with its own. None without points.
pub(super) fn figures(points: &[SharpnessPoint]) -> Vec<Figure> {
    let curve = |name: &str, dashed: bool, of: &dyn Fn(&SharpnessPoint) -> Option<f64>| {
        let at = |point: &SharpnessPoint| Some([point.step as f64, of(point)?]);
        let points = points.iter().filter_map(at).collect();
        Curve { points, filled: false, dashed, name: name.to_string() }
    };
    let chart = |title: &str, curves: &[Curve]| {
        let axes = ["training step", "largest eigenvalue (logarithmic)"];
        let chart =
            Chart { title, axes, floor: None, logarithmic: [false, true], curves, marks: &[] };
        chart.svg()
    };
    let mut figures = Vec::new();
    if points.is_empty() {
        return figures;
    }
    let plain = [
        curve("largest eigenvalue of the Hessian", false, &|p| Some(p.sharpness)),
        curve("2 / learning rate", true, &|p| Some(p.two_over_lr)),
    ];
    figures.push(Figure {
        heading: "Sharpness along the training".to_string(),
        svg: chart("The sharpness along the training", &plain),
        reading: "The largest eigenvalue of the Hessian, always of the same training batch. Plain gradient descent cannot \
                  settle where it is above the dashed line: each step along its direction would overshoot by more than the \
                  step before. With full batches it typically rises to that line and stays there, at the edge of \
                  stability. With small batches it stays below, and for Adam the line is no bound."
            .to_string(),
    });
    if points.iter().any(|point| point.preconditioned.is_some()) {
        let preconditioned = [
            curve("largest eigenvalue of the preconditioned Hessian", false, &|p| p.preconditioned),
            curve("38 / learning rate", true, &|p| p.preconditioned_bound),
        ];
        figures.push(Figure {
            heading: "Sharpness as Adam sees it".to_string(),
            svg: chart("The preconditioned sharpness along the training", &preconditioned),
            reading: "Adam divides the gradient by the root of its mean square. This is the largest eigenvalue of the Hessian \
                      that is divided in the same way, and the dashed line is where Adam becomes unstable on a quadratic."
                .to_string(),
        });
    }
    figures
}
