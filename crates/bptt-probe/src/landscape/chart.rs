//! Curves over an axis.

use crate::landscape::frame::{
    BOTTOM, LEFT, Scale, TOP, WIDTH, begin, escaped, left_axis, lower_axis,
};
use std::fmt::Write;

const HEIGHT: f64 = 300.0;
const RIGHT: f64 = 20.0;
/// The height of a line of the legend.
const LINE: f64 = 22.0;

/// A curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The points, from left to right. Those that are no numbers, or below the axis, make a gap.
    pub points: Vec<[f64; 2]>,
    /// Whether the area below it is filled.
    pub filled: bool,
    /// Whether the line is dashed.
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
        let points = || self.curves.iter().flat_map(|curve| &curve.points).copied();
        let ends = |values: &mut dyn Iterator<Item = f64>| {
            let finite = values.filter(|value| value.is_finite());
            finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| {
                [low.min(value), high.max(value)]
            })
        };
        let some = |[low, high]: [f64; 2]| if low <= high { [low, high] } else { [0.0, 1.0] };
        let marked = self.marks.iter().map(|mark| mark.at);
        let across = some(ends(&mut points().map(|point| point[0]).chain(marked)));
        let [lowest, highest] = some(ends(&mut points().map(|point| point[1])));
        let low = self.floor.unwrap_or(lowest);
        let bottom = TOP + HEIGHT;
        let x = Scale::new(across, self.logarithmic[0], [LEFT, WIDTH - RIGHT]);
        let y = Scale::new([low, highest.max(low)], self.logarithmic[1], [bottom, TOP + 16.0]);

        let named = self.curves.iter().filter(|curve| !curve.name.is_empty());
        let legend = LINE * named.clone().count() as f64;
        let mut svg = begin(bottom + BOTTOM + legend, self.title);
        for (k, curve) in named.enumerate() {
            let y = bottom + BOTTOM + LINE * k as f64 + 6.0;
            let _ = writeln!(
                svg,
                "<path class=\"curve{}\" d=\"M{LEFT} {y:.1}h44\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                class(curve),
                LEFT + 54.0,
                y + 4.0,
                escaped(&curve.name),
            );
        }
        for mark in self.marks {
            let place = x.place(mark.at);
            let _ = writeln!(
                svg,
                "<line class=\"mark\" x1=\"{place:.1}\" y1=\"{:.1}\" x2=\"{place:.1}\" y2=\"{bottom:.1}\"/>",
                if mark.name.is_empty() { bottom - 12.0 } else { TOP + 4.0 },
            );
            // A name near the right end goes to the left of its line.
            let (anchor, shift) =
                if x.share(mark.at) > 0.75 { ("end", -5.0) } else { ("start", 5.0) };
            if !mark.name.is_empty() {
                let _ = writeln!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                    place + shift,
                    TOP + 12.0,
                    escaped(&mark.name),
                );
            }
        }
        for curve in self.curves {
            for run in runs(&curve.points, low) {
                let place =
                    |point: &[f64; 2]| format!("{:.1} {:.1}", x.place(point[0]), y.place(point[1]));
                let line = run.iter().map(place).collect::<Vec<_>>().join("L");
                if curve.filled {
                    let (from, to) = (x.place(run[0][0]), x.place(run[run.len() - 1][0]));
                    let _ = writeln!(
                        svg,
                        "<path class=\"area\" d=\"M{from:.1} {bottom:.1}L{line}L{to:.1} {bottom:.1}Z\"/>"
                    );
                }
                let _ = writeln!(svg, "<path class=\"curve{}\" d=\"M{line}\"/>", class(curve));
            }
        }
        let _ =
            writeln!(svg, "<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{}\"/>", WIDTH - RIGHT);
        lower_axis(&mut svg, &x, bottom, self.axes[0]);
        left_axis(&mut svg, &y, LEFT, self.axes[1]);
        svg.push_str("</svg>\n");
        svg
    }
}

/// The class of a curve beside its own.
fn class(curve: &Curve) -> &'static str {
    if curve.dashed { " broken" } else { "" }
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
            (svg.matches("class=\"curve broken\"").count(), svg.matches("class=\"area\"").count()),
            (4, 3)
        );
        assert!(
            svg.contains("&lt;here&gt;") && svg.contains("&lt;it&gt;") && svg.contains("b &amp; c")
        );
        assert_eq!(svg.matches("class=\"mark\"").count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        let empty = Chart { curves: &[], marks: &[], floor: None, ..chart };
        assert!(!empty.svg().contains("NaN"));
    }
}
