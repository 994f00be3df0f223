//! The sweep as an HTML page with a slider: self-contained, with a plain script; without it, and on paper, one setting.

use crate::dynamics::mean_field::tanh_network;
use crate::dynamics::sweep::panel::{Axes, Panel};
use crate::dynamics::sweep::parameter::Parameter;
use crate::dynamics::sweep::report::{CellReport, Point, SweepReport};
use crate::picture::{Axis, END, Plot, SERIES, escaped, wide_head};
use serde::Serialize;
use std::fmt::Write;

const SCRIPT: &str = include_str!("script.js");

const STYLE: &str = r#"
.control { position: sticky; top: 0; z-index: 1; background: var(--paper); padding: .5em 0; border-bottom: 1px solid var(--axis) }
.control label { font-size: 1.15em } .control output { font-weight: bold } .control input { width: 100%; height: 1.6em; margin: .2em 0; accent-color: var(--blue) }
.control .line { display: flex; gap: 1em; align-items: baseline; justify-content: space-between } .control:not(.on) .script { display: none }
.control button { font: inherit; min-width: 4.5em; padding: .1em .8em } .numbers { margin: 0; font: 13px/1.6 ui-sans-serif, "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums }
.numbers > span { white-space: nowrap; margin-left: .8em }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(225px, 1fr)); gap: .2em .8em }
.panel { break-inside: avoid } .panel p { margin: .2em 0 .1em; font-size: 14px } figcaption { max-width: none }
@media print { .control { position: static } .script { display: none } .panels { grid-template-columns: repeat(3, 1fr) } }
</style>"#;

/// The page. It says nothing of when and where it was made: the same report is the same page.
pub fn page(report: &SweepReport) -> String {
    let axes = Axes::new(report);
    // What is seen without the script.
    let middle = report.values.len() / 2;
    let rows = Rows::new(&axes, report, middle);
    let (overview, frame) = overview(report, middle);
    let title = title(report.sweep);
    let mut page = wide_head(&title).replace("</style>", STYLE.trim_start());
    let _ = writeln!(page, "<h1>{title}</h1>\n<p>{}</p>", escaped(&summary(report)));
    page.push_str(&control(report, middle));
    page.push_str(&rows.html(report, middle));
    page.push_str(&overview);
    page.push_str(&table(report));
    let embedded = Embedded::new(report, rows.frames(frame));
    let data = serde_json::to_string(&embedded).expect("numbers and names");
    let _ = writeln!(page, "<script type=\"application/json\" id=\"data\">{data}</script>");
    let _ = write!(page, "<script>\n{SCRIPT}</script>\n{END}");
    page
}

fn title(sweep: Parameter) -> String {
    let of = match sweep {
        Parameter::Gain => "gain",
        Parameter::Radius => "spectral radius",
        Parameter::ForgetBias => "forget bias",
    };
    format!("How gradients vanish and explode with the {of}")
}

/// What changes, with its sign.
fn name(sweep: Parameter) -> &'static str {
    match sweep {
        Parameter::Gain => "gain g",
        Parameter::Radius => "spectral radius ρ",
        Parameter::ForgetBias => "forget bias b",
    }
}

fn summary(report: &SweepReport) -> String {
    let SweepReport { hidden, seed, time, .. } = report;
    let names: Vec<_> = report.cells.iter().map(|cell| cell.cell).collect();
    let still: Vec<_> =
        report.cells.iter().filter(|cell| !cell.changes).map(|cell| cell.cell).collect();
    let changes = match report.sweep {
        Parameter::Gain => "The recurrent weights of every gate are drawn from N(0, g²/N); there are no biases. The \
                            random numbers behind them are the same at every gain: only their size changes."
            .to_string(),
        Parameter::Radius => "The recurrent weights of every gate are normal random numbers, the same at every setting, \
                              scaled so that their largest eigenvalue has the modulus ρ; there are no biases."
            .to_string(),
        Parameter::ForgetBias => format!(
            "The recurrent weights of every gate are drawn from N(0, g²/N) with a gain g of {}, and are the same at every \
             setting. The bias b is that of the gate that holds the memory: an LSTM's forget gate, a GRU's update gate. \
             All other biases are zero. At rest, the gate keeps σ(b) of the memory in each step.{}",
            report.gain.unwrap_or(1.0),
            match &still[..] {
                [] => String::new(),
                cells => format!(" No such gate: {}; it stays as it is.", cells.join(", ")),
            },
        ),
    };
    format!(
        "Random networks without input, of {hidden} hidden units each: {}. {changes} Seed {seed}; {time} steps were \
         measured of each, after {} in which it settled.",
        names.join(", "),
        report.transient + report.alignment,
    )
}

/// The slider. Without the script, it says which setting is shown.
fn control(report: &SweepReport, at: usize) -> String {
    let mut numbers = String::new();
    for (k, cell) in report.cells.iter().enumerate() {
        let point = &cell.points[at];
        let _ = write!(
            numbers,
            " <span><b>{}</b> <span id=\"largest-{k}\">{} ± {}</span></span>",
            cell.cell,
            number(point.lyapunov[0]),
            number(point.lyapunov_error[0]),
        );
    }
    let (name, last) = (name(report.sweep), report.values.len() - 1);
    format!(
        "<div class=\"control\" id=\"control\"><div class=\"line\"><label for=\"slider\">{name} = \
         <output id=\"value\" for=\"slider\">{}</output></label><button class=\"script\" type=\"button\" id=\"play\">Play\
         </button></div>\n<input class=\"script\" type=\"range\" id=\"slider\" min=\"0\" max=\"{last}\" step=\"1\" \
         value=\"{at}\" autocomplete=\"off\">\n<p class=\"numbers\">Largest exponent, nats per step:{numbers}</p></div>\n",
        plain(report.values[at]),
    )
}

/// The pictures that move.
struct Rows {
    norms: Vec<Panel>,
    eigenvalues: Vec<Panel>,
    spectrum: Vec<Panel>,
}

impl Rows {
    fn new(axes: &Axes, report: &SweepReport, at: usize) -> Self {
        let all = |panel: &dyn Fn(usize, &CellReport, &Point) -> Panel| {
            let cells = report.cells.iter().enumerate();
            cells.map(|(k, cell)| panel(k, cell, &cell.points[at])).collect()
        };
        Self {
            norms: all(&|k, cell, point| axes.norms(k, cell, point)),
            eigenvalues: all(&|k, cell, point| axes.eigenvalues(k, cell, point)),
            spectrum: all(&|k, cell, point| axes.spectrum(k, cell, point)),
        }
    }

    fn frames(&self, overview: [f64; 4]) -> Frames {
        Frames {
            norms: self.norms[0].frame,
            eigenvalues: self.eigenvalues[0].frame,
            spectrum: self.spectrum.iter().map(|panel| panel.frame).collect(),
            overview,
        }
    }

    fn html(&self, report: &SweepReport, at: usize) -> String {
        let row = |heading: &str,
                   panels: &[Panel],
                   note: &dyn Fn(usize, &Point) -> String,
                   reading: &str| {
            let mut html = format!("<figure><h2>{heading}</h2>\n<div class=\"panels\">\n");
            for (k, (cell, panel)) in report.cells.iter().zip(panels).enumerate() {
                let note = note(k, &cell.points[at]);
                let _ = writeln!(
                    html,
                    "<div class=\"panel\"><p><b>{}</b>{note}</p>\n{}</div>",
                    cell.cell, panel.svg
                );
            }
            let _ = writeln!(html, "</div>\n<figcaption>{reading}</figcaption></figure>");
            html
        };
        let first = |k: usize, point: &Point| {
            format!(", λ₁ = <span id=\"first-{k}\">{}</span>", number(point.lyapunov[0]))
        };
        let radius = |k: usize, point: &Point| {
            format!(
                ", spectral radius <span id=\"radius-{k}\">{}</span>",
                number(point.spectral_radius)
            )
        };
        [
            row("A gradient on its way back", &self.norms, &first, NORMS),
            row("Eigenvalues of the last Jacobian", &self.eigenvalues, &radius, EIGENVALUES),
            row("Lyapunov spectrum", &self.spectrum, &|_, _| String::new(), SPECTRUM),
        ]
        .concat()
    }
}

const NORMS: &str = "What is left of a random gradient after it flowed back over so many steps: the norm of a product of \
                     Jacobians, on a logarithmic axis. Down is a gradient that vanishes, up is one that explodes, and a \
                     straight line means that it does so exponentially. The dashed line is what the largest exponent λ₁ \
                     predicts for long times. What is below 10⁻¹² or above 10¹² is cut off. Here and below, the axes are \
                     those of the whole sweep, and are the same for all cells.";
const EIGENVALUES: &str = "The derivative of one step, at the last state. A point inside of the dashed circle of radius 1 \
                           is a mode that this step shrinks, a point outside of it one that it grows; the angle is how far \
                           it turns. As long as a network is at rest, these are the eigenvalues of its weights (of a gated \
                           cell: scaled, and moved to the right by what its gate holds), and λ₁ is the logarithm of the \
                           largest modulus. Once they cross the circle, rest is no longer stable.";
const SPECTRUM: &str = "Each point is the rate at which one direction of the state space grows or shrinks in the long run. \
                        Above the line at 0 gradients explode, far below it they vanish within a few steps; only what is \
                        near the line is remembered. Exponents below −3 are not shown: of such a direction less than 5 % is \
                        left after a step. An LSTM has two numbers for each unit, so it has twice as many exponents.";

/// The largest exponents over the whole sweep, and where the slider is.
fn overview(report: &SweepReport, at: usize) -> (String, [f64; 4]) {
    let largest = |cell: &CellReport| -> Vec<(f64, f64)> {
        cell.points.iter().map(|point| (point.value, point.lyapunov[0])).collect()
    };
    let theory: Vec<_> = match report.sweep {
        Parameter::Gain if report.cells.iter().any(|cell| cell.cell == "rnn") => {
            report.values.iter().map(|&gain| (gain, tanh_network(gain, 0.0).exponent)).collect()
        }
        _ => Vec::new(),
    };
    let all: Vec<_> = report.cells.iter().flat_map(largest).chain(theory.clone()).collect();
    let x = Axis::of(report.values.iter().copied()).with_space(0.02, 0.02);
    let y = Axis::of(all.iter().map(|point| point.1).chain([0.0])).with_space(0.04, 0.06);
    let mut plot = Plot::with_axes(x, y, [640.0, 260.0]);
    plot.level(0.0, "zero");
    plot.here("here", report.values[at]);
    for (cell, series) in report.cells.iter().zip(SERIES.into_iter().cycle()) {
        plot.line(largest(cell).into_iter(), series);
        plot.legend(series, cell.cell);
    }
    if !theory.is_empty() {
        plot.line(theory.into_iter(), "zero dashed");
        plot.legend("zero dashed", "mean field of the rnn, for N → ∞");
    }
    let reading = "The largest exponent of each cell at every setting; the vertical line is where the slider is. Where a \
                   curve crosses 0, gradients that vanish become gradients that explode, and the network goes from rest to \
                   chaos. A network that is to learn over long times should be near this line, on its lower side.";
    let both =
        ["lstm", "gru"].iter().all(|name| report.cells.iter().any(|cell| cell.cell == *name));
    let together = match report.sweep {
        Parameter::Gain | Parameter::Radius if both => {
            " As long as they are at rest, LSTM and GRU have nearly the same exponents, and one curve covers the other."
        }
        _ => "",
    };
    let frame = plot.frame();
    let figure = plot.figure(
        "The largest exponent over the sweep",
        name(report.sweep),
        "λ₁, nats per step",
        &format!("{reading}{together}"),
    );
    (figure.html(), frame)
}

/// All largest exponents as a table.
fn table(report: &SweepReport) -> String {
    let mut table = format!(
        "<h2>The same in numbers</h2>\n<p>Largest exponents with their standard errors, in nats per step.</p>\n<table>\
         <thead><tr><th class=\"n\">{}</th>",
        name(report.sweep)
    );
    for cell in &report.cells {
        let _ = write!(table, "<th class=\"n\">{}</th>", cell.cell);
    }
    table.push_str("</tr></thead><tbody>\n");
    for (k, value) in report.values.iter().enumerate() {
        let _ = write!(table, "<tr><td class=\"n\">{}</td>", plain(*value));
        for cell in &report.cells {
            let Point { lyapunov, lyapunov_error, .. } = &cell.points[k];
            let (exponent, error) = (number(lyapunov[0]), number(lyapunov_error[0]));
            let _ = write!(table, "<td class=\"n\">{exponent} ± {error}</td>");
        }
        table.push_str("</tr>\n");
    }
    table.push_str("</tbody></table>\n");
    table
}

/// A number as the script writes it, too.
fn number(x: f64) -> String {
    match rounded(x, 4).is_finite() {
        true => format!("{:.4}", rounded(x, 4)).replace('-', "−"),
        false => "−∞".to_string(),
    }
}

/// A value of the sweep.
fn plain(value: f64) -> String {
    value.to_string().replace('-', "−")
}

/// Where the numbers of each kind of picture are, see [`Panel`].
#[derive(Serialize)]
struct Frames {
    norms: [f64; 4],
    eigenvalues: [f64; 4],
    spectrum: Vec<[f64; 4]>,
    overview: [f64; 4],
}

/// What the script is given: the report, rounded to what can be seen. What is not finite is `null`.
#[derive(Serialize)]
struct Embedded<'a> {
    values: &'a [f64],
    frames: Frames,
    cells: Vec<EmbeddedCell<'a>>,
}

#[derive(Serialize)]
struct EmbeddedCell<'a> {
    cell: &'a str,
    points: Vec<EmbeddedPoint>,
}

#[derive(Serialize)]
struct EmbeddedPoint {
    /// log10
    norms: Vec<f64>,
    /// Real part, imaginary part, real part, …
    eigenvalues: Vec<f64>,
    lyapunov: Vec<f64>,
    /// Of the largest exponent.
    error: f64,
    /// The spectral radius.
    radius: f64,
}

impl<'a> Embedded<'a> {
    fn new(report: &'a SweepReport, frames: Frames) -> Self {
        let round = |numbers: &[f64], digits| numbers.iter().map(|x| rounded(*x, digits)).collect();
        let point = |point: &Point| EmbeddedPoint {
            norms: round(&point.log10_jacobian_norms, 2),
            eigenvalues: point
                .eigenvalues
                .iter()
                .flat_map(|(re, im)| [rounded(*re, 3), rounded(*im, 3)])
                .collect(),
            lyapunov: round(&point.lyapunov, 4),
            error: rounded(point.lyapunov_error[0], 4),
            radius: rounded(point.spectral_radius, 4),
        };
        let cell = |report: &'a CellReport| EmbeddedCell {
            cell: report.cell,
            points: report.points.iter().map(point).collect(),
        };
        Self { values: &report.values, frames, cells: report.cells.iter().map(cell).collect() }
    }
}

/// So many digits after the decimal point; no −0.
fn rounded(x: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (x * scale).round() / scale + 0.0
}
