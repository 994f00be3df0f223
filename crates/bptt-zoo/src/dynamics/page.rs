//! The report as a page.

use crate::dynamics::result::RunDynamics;
use crate::dynamics::section::Section;
use crate::figure::figure;
use bptt_probe::picture::{Figure, Page};
use std::path::Path;

/// The dynamics of one or several runs as a page of HTML with pictures: self-contained, without scripts, readable on
/// paper. Several runs are drawn with the same axes.
pub fn dynamics_page(runs: &[RunDynamics]) -> String {
    let names: Vec<_> = runs.iter().map(name).collect();
    let mut figures = sections(runs, &names, |run| Some(&run.gradients));
    figures.extend(sections(runs, &names, |run| Some(&run.holding)));
    figures.extend(sections(runs, &names, |run| run.jacobians.as_ref()));
    figures.extend(sections(runs, &names, |run| Some(&run.spectrum)));
    figures.extend(sections(runs, &names, |run| run.curvature.as_ref()));
    figures.extend(sections(runs, &names, |run| run.fixed_points.as_ref()));
    figures.extend(sections(runs, &names, |run| run.truncation.as_ref()));
    let one = |(run, name): (&RunDynamics, &String)| {
        let text = format!(
            "{} {}, {} x {} units: validation {} {}, {} {:.3}",
            run.task,
            run.cell,
            run.layers,
            run.hidden,
            run.loss_name,
            figure(run.loss),
            run.metric_name,
            run.metric
        );
        (name.clone(), text)
    };
    let page = Page {
        title: match runs {
            [run] => format!("The dynamics of a trained {}", run.cell),
            _ => "The dynamics of trained networks".to_string(),
        },
        summary: "How gradients flow through trained networks on their own validation data.".into(),
        facts: runs.iter().zip(&names).map(one).collect(),
        figures,
    };
    page.html()
}

/// The pictures of one section of all runs that have it.
fn sections<S: Section>(
    runs: &[RunDynamics],
    names: &[String],
    of: impl Fn(&RunDynamics) -> Option<&S>,
) -> Vec<Figure> {
    let named = runs.iter().zip(names).filter_map(|(run, name)| Some((name.as_str(), of(run)?)));
    let named: Vec<_> = named.collect();
    if named.is_empty() { Vec::new() } else { S::figures(&named) }
}

/// The name of a run in the pictures: its cell, and the last part of its path.
fn name(run: &RunDynamics) -> String {
    let last = Path::new(&run.run).file_name().unwrap_or(run.run.as_ref());
    format!("{} ({})", run.cell, last.to_string_lossy())
}
