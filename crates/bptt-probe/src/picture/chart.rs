//! Curves over an axis.

use crate::picture::axis::Axis;
use crate::picture::plot::{FULL_WIDTH, LEFT, Plot, RIGHT, SERIES};

const HEIGHT: f64 = 300.0;
/// The space above the curves, for the names of marks, as a share of the height.
const HEADROOM: f64 = 0.06;

/// A curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The points, from left to right. Those that are no numbers, or below the axis, make a gap.
    pub points: Vec<[f64; 2]>,
    /// Whether the area below it is filled.
    pub filled: bool,
    /// Whether the line is dashed. Several curves of a chart have other colours and dashes anyway.
    pub dashed: bool,
    /// Its name in the legend; may be empty.
    pub name: String,
}

impl Curve {
    /// A line without a name.
    pub fn new(points: Vec<[f64; 2]>) -> Self {
        Self { points, filled: false, dashed: false, name: String::new() }
    }
}

/// A place on the horizontal axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Where.
    pub at: f64,
    /// What it is; may be empty.
    pub name: String,
}

/// Curves over an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart<'a> {
    /// What it shows, for readers that cannot see it.
    pub title: &'a str,
    /// The names of the axes, with their units.
    pub axes: [&'a str; 2],
    /// The lowest place of the vertical axis; `None`: the lowest number.
    pub floor: Option<f64>,
    /// Whether each axis is logarithmic. An axis is linear if a number is not above 0; the vertical one, if there is no
    /// floor either.
    pub logarithmic: [bool; 2],
    /// The curves.
    pub curves: &'a [Curve],
    /// Places on the horizontal axis.
    pub marks: &'a [Mark],
}

impl Chart<'_> {
    /// The picture.
    pub fn svg(&self) -> String {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let marked = self.marks.iter().map(|mark| mark.at);
        let across: Vec<_> = points().map(|point| point[0]).chain(marked).collect();
        let [lowest, highest] = Axis::of(points().map(|point| point[1])).range();
        let low = self.floor.unwrap_or(lowest);
        let axis = |logarithmic: bool, range| match logarithmic {
            true => Axis::logarithmic(range),
            false => Axis::linear(range),
        };
        let x = axis(self.logarithmic[0], Axis::of(across.into_iter()).range());
        let y = axis(self.logarithmic[1], [low, highest.max(low)]).with_space(0.0, HEADROOM);
        let mut plot = Plot::with_axes(x, y, [FULL_WIDTH - LEFT - RIGHT, HEIGHT]);
        for mark in self.marks {
            plot.mark(mark.at, &mark.name);
        }
        for (curve, series) in self.curves.iter().zip(SERIES.into_iter().cycle()) {
            let class = format!("{series}{}", if curve.dashed { " dashed" } else { "" });
            for run in runs(&curve.points, low) {
                let points: Vec<_> = run.iter().map(|[x, y]| (*x, *y)).collect();
                if curve.filled {
                    plot.area(&points, &class);
                }
                plot.line(points.into_iter(), &class);
            }
            if !curve.name.is_empty() {
                plot.legend(&class, &curve.name);
            }
        }
        plot.svg(self.title, self.axes[0], self.axes[1])
    }
}

/// The parts of a curve that can be drawn.
fn runs(points: &[[f64; 2]], low: f64) -> impl Iterator<Item = &[[f64; 2]]> {
    let drawn = move |point: &[f64; 2]| point[1].is_finite() && point[1] >= low;
    points.chunk_by(move |a, b| drawn(a) == drawn(b)).filter(move |run| drawn(&run[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_cut_where_there_is_no_number_or_too_little() {
        let points: Vec<[f64; 2]> = [1.0, 2.0, f64::NAN, 3.0, 0.001, f64::INFINITY, 5.0]
            .into_iter()
            .enumerate()
            .map(|(k, y)| [k as f64, y])
            .collect();
        assert_eq!(runs(&points, 0.01).map(<[_]>::len).collect::<Vec<_>>(), [2, 1, 1]);
        let chart = Chart {
            title: "t",
            axes: ["a", "b & c"],
            floor: Some(0.01),
            logarithmic: [false, true],
            curves: &[Curve {
                filled: true,
                dashed: true,
                name: "<it>".into(),
                ..Curve::new(points)
            }],
            marks: &[
                Mark { at: 6.0, name: "<here>".into() },
                Mark { at: 1.0, name: String::new() },
            ],
        };
        let svg = chart.svg();
        assert_eq!(
            (
                svg.matches("class=\"line s1 dashed\"").count(),
                svg.matches("class=\"area s1 dashed\"").count()
            ),
            (4, 3)
        );
        assert!(
            svg.contains("&lt;here&gt;") && svg.contains("&lt;it&gt;") && svg.contains("b &amp; c")
        );
        assert_eq!(svg.matches("class=\"line mark\"").count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        let empty = Chart { curves: &[], marks: &[], floor: None, ..chart };
        assert!(!empty.svg().contains("NaN"));
    }
}
