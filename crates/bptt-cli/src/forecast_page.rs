//! A page with forecasts.

use bptt_probe::picture::{Axis, Figure, Page, Plot};
use bptt_zoo::figure;
use bptt_zoo::predict::{ForecastLine, ForecastPoint, Forecasts};

/// How many pictures a page has at most.
const PICTURES: usize = 24;
/// How many forecasts beyond the last value are written out.
const WRITTEN: usize = 48;
/// The width and the height of a plot, between its axes.
const SIZE: [f64; 2] = [640.0, 300.0];

/// The page: a picture for each series and column, with the forecasts beside what is known.
pub fn forecast_page(title: &str, what: &str, forecasts: &Forecasts) -> String {
    let mut facts = vec![("forecasts".to_string(), what.to_string())];
    let ahead = match forecasts.horizon {
        1 => format!("1 step ({})", forecasts.step),
        horizon => format!("{horizon} steps ({})", forecasts.step),
    };
    facts.push(("ahead".to_string(), ahead));
    if let Some(scores) = &forecasts.scores {
        facts.push(("known values".to_string(), scores.values.to_string()));
        facts.push(("rmse".to_string(), figure(scores.rmse)));
        facts.push(("mean absolute error".to_string(), figure(scores.mae)));
        if let Some(coverage) = scores.coverage {
            let text = format!("{:.1} % of the known values", 100.0 * coverage);
            facts.push(("in the interval of 90 %".to_string(), text));
        }
    }
    let next = forecasts.lines.iter().flat_map(|line| {
        let beyond = line.forecasts.iter().filter(|point| point.at >= line.values.len());
        beyond.map(move |point| (line, point))
    });
    facts.extend(next.take(WRITTEN).map(|(line, point)| {
        let name = format!("{}{}", name(line, ": "), line.times[point.at]);
        (name, said(point, forecasts.has_quantiles))
    }));
    facts.extend(forecasts.notes.iter().map(|note| ("note".to_string(), note.clone())));
    let figures = forecasts.lines.iter().take(PICTURES);
    let page = Page {
        title: title.to_string(),
        summary: "What the model says about the next values, beside what is known.".to_string(),
        facts,
        figures: figures.map(|line| picture(line, forecasts)).collect(),
    };
    page.html()
}

/// The name of the series, if it has one.
fn name(line: &ForecastLine, end: &str) -> String {
    if line.series.is_empty() { String::new() } else { format!("{}{end}", line.series) }
}

fn said(point: &ForecastPoint, has_quantiles: bool) -> String {
    let [low, .., high] = point.quantiles;
    match has_quantiles {
        true => format!("{} ({} to {})", figure(point.forecast), figure(low), figure(high)),
        false => figure(point.forecast),
    }
}

/// The last values and forecasts of a series.
fn picture(line: &ForecastLine, forecasts: &Forecasts) -> Figure {
    let last = line.times.len().saturating_sub(1);
    let shown = (6 * forecasts.horizon).clamp(120, 400);
    let first = last.saturating_sub(shown);
    let points = || line.forecasts.iter().filter(move |point| point.at >= first);
    let x = |at: usize| at as f64;
    let known = || {
        let values = line.values.iter().enumerate().skip(first);
        values.map(|(at, value)| (x(at), value.unwrap_or(f64::NAN)))
    };
    let ends = points().flat_map(|point| {
        let [low, .., high] = point.quantiles;
        [low, high, point.forecast]
    });
    let heights = Axis::of(known().map(|(_, value)| value).chain(ends)).with_space(0.04, 0.06);
    let mut plot = Plot::with_axes(Axis::linear([x(first), x(last)]), heights, SIZE);
    if forecasts.has_quantiles {
        for window in windows(points()) {
            let of = |at: [usize; 2]| {
                let band = window.iter().map(|p| (x(p.at), p.quantiles[at[0]], p.quantiles[at[1]]));
                wide(band.collect())
            };
            plot.band(&of([0, 6]), "s2");
            plot.band(&of([2, 4]), "s2");
        }
    }
    plot.line(known(), "s1");
    for window in windows(points()) {
        plot.line(window.iter().map(|point| (x(point.at), point.forecast)), "s2 dashed");
        if window.len() == 1 {
            plot.dots_of("s2", window.iter().map(|point| (x(point.at), point.forecast)), 2.0);
        }
    }
    if line.values.len() <= last {
        plot.mark(x(line.values.len() - 1), "the last value");
    }
    plot.legend("s1", "what is known");
    plot.legend("s2 dashed", "forecast");
    if forecasts.has_quantiles {
        plot.legend_area("s2", "intervals of 50 % and 90 %");
    }
    plot.x_names(
        ticks(&line.times, first).into_iter().map(|at| (x(at), short(&line.times[at]))).collect(),
    );
    let heading = format!("{}{}", name(line, ", "), line.column);
    plot.figure(
        &heading,
        "time",
        &line.column,
        "Each dashed piece was said at once, from the values before it. Beyond the last value nothing is known yet. \
         In the pale area nine of ten values should lie, in the darker one half of them.",
    )
}

/// A band of one step is widened, so that it can be seen.
fn wide(mut band: Vec<(f64, f64, f64)>) -> Vec<(f64, f64, f64)> {
    if let [(x, low, high)] = band[..] {
        band = vec![(x - 0.5, low, high), (x + 0.5, low, high)];
    }
    band
}

/// The forecasts that were said at once.
fn windows<'a>(points: impl Iterator<Item = &'a ForecastPoint>) -> Vec<Vec<&'a ForecastPoint>> {
    let mut windows: Vec<Vec<&ForecastPoint>> = Vec::new();
    for point in points {
        match windows.last_mut().filter(|_| point.ahead > 1) {
            Some(window) => window.push(point),
            None => windows.push(vec![point]),
        }
    }
    windows
}

/// Which times have a name at the axis: about five from `first` on; beginnings of days, if there are several.
fn ticks(times: &[String], first: usize) -> Vec<usize> {
    const COUNT: usize = 5;
    let all: Vec<usize> = (first..times.len()).collect();
    let days = all.iter().copied().filter(|at| times[*at].ends_with("T00:00"));
    let days: Vec<usize> = days.collect();
    let of = if days.len() > 2 { days } else { all };
    of.iter().copied().step_by(of.len().div_ceil(COUNT).max(1)).collect()
}

/// A time without what is not needed at an axis.
fn short(time: &str) -> String {
    time.strip_suffix("T00:00").unwrap_or(time).replace('T', " ")
}
