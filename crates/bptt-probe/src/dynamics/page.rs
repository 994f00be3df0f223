//! The report as an HTML page: self-contained, without scripts, readable when printed.

use crate::dynamics::random::Report;
use crate::picture::{Figure, Page, Plot};
use std::f64::consts::LN_10;

/// The page. It says nothing of when and where it was made: the same report is the same page.
pub fn page(report: &Report) -> String {
    let Report { cell, hidden, gain, seed, time, .. } = report;
    let facts = figures(report).into_iter();
    let page = Page {
        title: "The dynamics of a random network".to_string(),
        summary: format!(
            "{cell}, {hidden} hidden units, a state of {} numbers. The recurrent weights of every gate are drawn from \
             N(0, g²/N) with a gain g of {gain}; no biases, no input; seed {seed}. {time} steps were measured, after {} \
             in which the network settled.",
            report.state_size,
            report.transient + report.alignment,
        ),
        facts: facts.map(|(name, value)| (name.to_string(), value.replace("-inf", "−∞"))).collect(),
        figures: [
            Some(spectrum(report)),
            Some(norms(report)),
            eigenvalues(report),
            Some(convergence(report)),
        ]
        .into_iter()
        .flatten()
        .collect(),
    };
    page.html()
}

/// The numbers at the top.
fn figures(report: &Report) -> Vec<(&'static str, String)> {
    let known = |number: Option<f64>, unit: &str| match number {
        Some(number) => format!("{number:.4}{unit}"),
        None => format!("unknown from {} exponents", report.exponents),
    };
    let mut all = vec![
        (
            "largest exponent",
            format!("{:.4} ± {:.4} nats per step", report.lyapunov[0], report.lyapunov_error[0]),
        ),
        ("entropy rate", known(report.entropy_rate, " nats per step")),
        ("Kaplan-Yorke dimension", known(report.kaplan_yorke, "")),
    ];
    if let Some(exponent) = report.mean_field {
        all.insert(1, ("mean field, N → ∞", format!("{exponent:.4} nats per step")));
    }
    if let Some(det) = report.sum_log_det {
        let sum: f64 = report.lyapunov.iter().sum();
        all.push(("sum of all exponents", format!("{sum:.6} nats per step")));
        all.push(("mean of ln |det J|", format!("{det:.6} nats per step")));
    }
    if let (Some(radius), Some(singular)) = (report.spectral_radius, &report.singular_values) {
        all.push(("spectral radius", format!("{radius:.4}, of the last Jacobian")));
        all.push(("largest singular value", format!("{:.4}, of the last Jacobian", singular[0])));
    }
    if let Some(bound) = report.jacobian_bound {
        all.push((
            "its bound by the weights",
            format!("{bound:.4}, γ σ_max(U) of Pascanu et al. (2013)"),
        ));
    }
    all
}

fn spectrum(report: &Report) -> Figure {
    let points = || (1..).map(f64::from).zip(report.lyapunov.iter().copied());
    let zero = [(1.0, 0.0)];
    let mut plot = Plot::new(points().chain(zero), 300.0);
    plot.level(0.0, "zero");
    for ((x, y), error) in points().zip(&report.lyapunov_error) {
        plot.bar(x, y - 2.0 * error..=y + 2.0 * error);
    }
    plot.dots(points(), if report.exponents > 60 { 2.0 } else { 3.0 });
    plot.figure(
        "Lyapunov spectrum",
        "exponent, by rank",
        "λ, nats per step",
        "Each point is the rate at which one direction of the state space grows or shrinks, in the long run; the bars \
         are two standard errors. Where a point is above the line at 0, small differences grow: the network is \
         chaotic, and gradients explode along that direction. Far below the line gradients vanish within a few steps. \
         Only what is near the line is remembered: a direction with λ = −0.01 keeps its gradient for about 100 steps.",
    )
}

fn norms(report: &Report) -> Figure {
    let points = || (0..).map(f64::from).zip(report.log10_jacobian_norms.iter().copied());
    let slope = report.lyapunov[0] / LN_10;
    let steps = (report.log10_jacobian_norms.len() - 1) as f64;
    let theory = || [0.0, steps].into_iter().map(|t| (t, slope * t));
    let mut plot = Plot::new(points().chain(theory()), 260.0);
    plot.level(0.0, "zero");
    plot.line(theory(), "theory");
    plot.line(points(), "data");
    plot.figure(
        "A gradient on its way back",
        "steps that it flowed back over",
        "log₁₀ of its norm",
        "The norm of a product of Jacobians, which is what a random gradient is multiplied with on its way back. The \
         dashed line is what the largest exponent predicts for long times. Up is an exploding gradient, down a \
         vanishing one; −2 is a hundredth. In the first steps the singular values count, and the two lines differ.",
    )
}

fn eigenvalues(report: &Report) -> Option<Figure> {
    let eigenvalues = report.eigenvalues.as_ref()?;
    let reach = 1.1 * report.spectral_radius.unwrap_or(1.0).max(1.0);
    let mut plot = Plot::square(reach, 420.0);
    plot.unit_circle();
    plot.dots(eigenvalues.iter().copied(), 2.0);
    Some(plot.figure(
        "Eigenvalues of the last Jacobian",
        "real part",
        "imaginary part",
        "The derivative of one step, at the last state. A point inside of the dashed circle of radius 1 is a mode that \
         this step shrinks, a point outside of it one that it grows; the angle is how far it turns. At a fixed point \
         these moduli are the exponents, ln |z|. Elsewhere each step has other eigenvectors, and the exponents are not \
         those of any one step.",
    ))
}

fn convergence(report: &Report) -> Figure {
    let blocks = report.convergence.len();
    let points = |k: usize| {
        let steps = |n: usize| ((n + 1) * report.time / blocks) as f64;
        report.convergence.iter().enumerate().map(move |(n, means)| (steps(n), means[k]))
    };
    let count = report.convergence[0].len();
    let theory = report.mean_field.map(|exponent| (report.time as f64, exponent));
    let all: Vec<_> = (0..count).flat_map(points).chain(theory).collect();
    let mut plot = Plot::new(all.into_iter(), 220.0);
    for k in 0..count {
        plot.line(points(k), "data");
    }
    if let Some((_, exponent)) = theory {
        plot.level(exponent, "theory");
    }
    plot.figure(
        "Convergence",
        "measured steps",
        "λ, nats per step",
        "The first exponents, had the measurement ended earlier. Lines that are still rising or falling on the right \
         say that more steps are needed. If there is a dashed line, it is the largest exponent \
         that mean field gives for large networks.",
    )
}
