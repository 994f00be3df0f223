//! The learning curve as a picture: training and validation loss against the step, or the metric in the validation.

use crate::error::Error;
use crate::folder_files::Point;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

const SIZE: (u32, u32) = (880, 520);
const TRAIN: RGBColor = RGBColor(120, 160, 210);
const VALID: RGBColor = RGBColor(200, 70, 30);

/// What the picture shows besides the points.
pub(crate) struct Labels<'a> {
    pub(crate) title: &'a str,
    pub(crate) loss: &'a str,
    /// The metric, if it is shown in place of the losses.
    pub(crate) metric: Option<&'a str>,
    pub(crate) logarithmic: bool,
}

/// Draws the curves as SVG.
pub(crate) fn draw(points: &[Point], labels: &Labels<'_>) -> Result<String, Error> {
    // A likelihood may have a negative logarithm.
    let negative =
        points.iter().any(|p| [p.train_loss, p.valid_loss].into_iter().flatten().any(|l| l < 0.0));
    let curve = |loss: fn(&Point) -> Option<f64>| -> Vec<(f64, f64)> {
        // A logarithmic axis cannot show zero.
        let least = if labels.logarithmic && !negative { 1e-12 } else { f64::NEG_INFINITY };
        let finite = |p: &Point| loss(p).filter(|l| l.is_finite()).map(|l| l.max(least));
        points.iter().filter_map(|p| finite(p).map(|l| (p.step as f64, l))).collect()
    };
    let (train, valid) = match labels.metric {
        Some(_) => (Vec::new(), curve(|point| point.metric)),
        None => (curve(|point| point.train_loss), curve(|point| point.valid_loss)),
    };
    let last_step = points.last().map_or(1, |point| point.step.max(1)) as f64;
    let losses = || train.iter().chain(&valid).map(|&(_, loss)| loss);
    let (low, high) = losses()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), l| (low.min(l), high.max(l)));
    let (low, high) = if low <= high { (low, high) } else { (0.5, 1.0) };

    let mut svg = String::new();
    let drawn = if labels.logarithmic && !negative {
        let range = (low / 1.3..high * 1.3).log_scale();
        plot(&mut svg, labels, 0.0..last_step, range, &[&train, &valid])
    } else {
        let margin = 0.05 * (high - low).max(1e-3);
        let range = low - margin..high + margin;
        plot(&mut svg, labels, 0.0..last_step, range, &[&train, &valid])
    };
    drawn.map_err(|error| Error::input(format!("cannot draw the learning curve: {error}")))?;
    Ok(svg)
}

fn plot<Y>(
    svg: &mut String,
    labels: &Labels<'_>,
    steps: std::ops::Range<f64>,
    losses: Y,
    curves: &[&[(f64, f64)]; 2],
) -> Result<(), Box<dyn std::error::Error>>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(labels.title, ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(steps, losses)?;
    chart
        .configure_mesh()
        .x_desc("step")
        .y_desc(labels.metric.unwrap_or(labels.loss))
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .x_label_formatter(&|step| format!("{step:.0}"))
        .y_label_formatter(&|loss| number(*loss))
        .light_line_style(WHITE.mix(0.0))
        .draw()?;
    let names = ["training", "validation"];
    let drawn = curves.iter().zip(names).zip([TRAIN, VALID]);
    for ((curve, name), color) in drawn.skip(usize::from(labels.metric.is_some())) {
        chart
            .draw_series(LineSeries::new(curve.iter().copied(), color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(3)));
    }
    // A single validation makes no line, so each validation also has a dot.
    chart.draw_series(curves[1].iter().map(|&at| Circle::new(at, 3, VALID.filled())))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(("sans-serif", 15))
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}

/// Three significant digits, without zeros at the end.
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_string();
    }
    let digits = (2 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(step: u64, train_loss: Option<f64>, valid_loss: Option<f64>) -> Point {
        Point { step, seconds: 0.0, lr: None, train_loss, valid_loss, metric: None }
    }

    #[test]
    fn both_curves_are_drawn() {
        let points = [
            point(20, Some(3.0), None),
            point(40, Some(2.0), Some(2.5)),
            point(60, Some(1.5), Some(2.0)),
        ];
        for logarithmic in [false, true] {
            let labels = Labels { title: "a run", loss: "nats", metric: None, logarithmic };
            let svg = draw(&points, &labels).unwrap();
            for part in ["<svg", "</svg>", "a run", "nats", "step", "training", "validation"] {
                assert!(svg.contains(part), "{part}");
            }
            assert_eq!(svg.matches("<polyline").count() - svg_frame_lines(&labels), 2 + 2);
        }
    }

    /// Counts the lines of the axes: all lines of a picture without points, minus the two of the legend.
    fn svg_frame_lines(labels: &Labels<'_>) -> usize {
        let points =
            [point(20, Some(3.0), None), point(40, None, None), point(60, None, Some(1.5))];
        draw(&points, labels).unwrap().matches("<polyline").count() - 4
    }

    #[test]
    fn odd_points_do_no_harm() {
        let labels = Labels { title: "t", loss: "l", metric: None, logarithmic: true };
        draw(&[], &labels).unwrap();
        draw(&[point(0, None, Some(0.0))], &labels).unwrap();
        draw(&[point(5, Some(f64::NAN), Some(1.0))], &labels).unwrap();
    }

    #[test]
    fn a_metric_takes_the_place_of_the_losses() {
        let labels = Labels { title: "t", loss: "l", metric: Some("reward"), logarithmic: false };
        let points = [(1, -3.0), (2, 5.0)].map(|(step, metric)| Point {
            metric: Some(metric),
            ..point(step, Some(1.0), Some(2.0))
        });
        let svg = draw(&points, &labels).unwrap();
        assert!(svg.contains("reward") && svg.contains("validation"));
        assert!(!svg.contains("training"));
        assert_eq!(svg.matches("<circle").count(), 2);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(0.1667), "0.167");
        assert_eq!(number(0.001), "0.001");
        assert_eq!(number(2.5), "2.5");
        assert_eq!(number(100.0), "100");
    }
}
