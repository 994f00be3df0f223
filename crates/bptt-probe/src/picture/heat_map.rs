//! A surface as a map of colours with contour lines.

use crate::picture::axis::{Axis, Scale};
use crate::picture::color::color;
use crate::picture::plot::{FULL_WIDTH, LEFT, Plot, RIGHT, TOP};
use crate::picture::text::{escaped, number};
use std::fmt::Write;

/// The side of the plot, which is a square.
const SIDE: f64 = 500.0;
/// Where the scale of colours begins, and its width.
const BAR: f64 = LEFT + SIDE + 26.0;
const BAR_WIDTH: f64 = 20.0;
/// How many contour lines there are at most.
const CONTOURS: usize = 12;
/// The largest ratio of two losses that the colours show. Above it, all that is small would have one colour.
const DECADES: f64 = 1e6;

/// A path over a surface.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Its name in the legend.
    pub name: String,
    /// The places, in the coordinates of the surface. Those beyond it are cut off.
    pub points: Vec<[f64; 2]>,
    /// Whether the line is dashed.
    pub dashed: bool,
}

/// A place on a surface, with a cross and its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Where, in the coordinates of the surface.
    pub at: [f64; 2],
    /// Its name.
    pub name: String,
}

/// A surface as a map: brighter is higher, and the scale of colours is logarithmic if all heights are positive.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap<'a> {
    /// What it shows, for readers that cannot see it.
    pub title: &'a str,
    /// The places along the first axis, evenly spaced.
    pub x: &'a [f64],
    /// The places along the second axis, evenly spaced.
    pub y: &'a [f64],
    /// The height: a row for each place of `y`, with a number for each place of `x`.
    pub height: &'a [Vec<f64>],
    /// The names of the axes.
    pub axes: [&'a str; 2],
    /// The name of the height, with its unit.
    pub height_name: &'a str,
    /// Whether a cross marks the place 0, 0.
    pub center: bool,
    /// Paths over it.
    pub paths: &'a [Path],
    /// Places on it, each with a cross and its name.
    pub places: &'a [Place],
}

impl HeatMap<'_> {
    /// The picture.
    pub fn svg(&self) -> String {
        let [low, high] = Axis::logarithmic_of(self.height.iter().flatten().copied()).range();
        let low = if low > 0.0 { low.max(high / DECADES) } else { low };
        let scale = Scale { axis: Axis::logarithmic([low, high]), from: TOP + SIDE, to: TOP };
        let [x, y] = [self.x, self.y].map(axis);
        let mut plot = Plot::with_axes(x, y, [SIDE, SIDE]);
        self.cells(&mut plot, &scale.axis);
        for k in 1..CONTOURS {
            let share = k as f64 / CONTOURS as f64;
            let lines = self.contour(scale.axis.value(share), &|x, y| plot.place(x, y));
            // Lines are dark on bright colours, and bright on dark ones.
            let class = if share > 0.6 { "dark" } else { "bright" };
            if !lines.is_empty() {
                plot.draw(&format!("<path class=\"contour {class}\" d=\"{lines}\"/>\n"));
            }
        }
        for path in self.paths {
            let class = if path.dashed { "way dashed" } else { "way" };
            let points = path.points.iter().map(|[x, y]| (*x, *y));
            plot.lines(points, &["halo", class]);
            plot.legend_of(&["halo", class], &path.name);
        }
        let center = self.center.then(|| Place { at: [0.0, 0.0], name: String::new() });
        for Place { at, name } in center.iter().chain(self.places) {
            plot.draw(&cross(plot.place(at[0], at[1]), name));
        }
        plot.beside(self.bar(&scale), FULL_WIDTH - LEFT - SIDE - RIGHT);
        plot.svg(self.title, self.axes[0], self.axes[1])
    }

    /// A rectangle for each point. Neighbours of one colour in a row are one rectangle.
    fn cells(&self, plot: &mut Plot, scale: &Axis) {
        let width = SIDE / self.x.len() as f64;
        let height = SIDE / self.y.len() as f64;
        plot.draw("<g shape-rendering=\"crispEdges\">\n");
        for (at_y, row) in self.y.iter().zip(self.height) {
            let colors: Vec<_> = row
                .iter()
                .map(|height| match height.is_finite() {
                    true => color(scale.share(height.max(scale.value(0.0)))),
                    false => color(f64::NAN),
                })
                .collect();
            let mut first = 0;
            for group in colors.chunk_by(|a, b| a == b) {
                let (x, y) = plot.place(self.x[first], *at_y);
                plot.draw(&format!(
                    "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{height:.2}\" fill=\"{}\"/>\n",
                    x - width / 2.0,
                    y - height / 2.0,
                    width * group.len() as f64,
                    group[0],
                ));
                first += group.len();
            }
        }
        plot.draw("</g>\n");
    }

    /// The scale of colours.
    fn bar(&self, scale: &Scale) -> String {
        const STEPS: usize = 64;
        let height = SIDE / STEPS as f64;
        let mut svg = String::from("<g shape-rendering=\"crispEdges\">\n");
        for k in 0..STEPS {
            let share = (k as f64 + 0.5) / STEPS as f64;
            let _ = writeln!(
                svg,
                "<rect x=\"{BAR}\" y=\"{:.2}\" width=\"{BAR_WIDTH}\" height=\"{height:.2}\" fill=\"{}\"/>",
                TOP + SIDE - (k + 1) as f64 * height,
                color(share),
            );
        }
        svg.push_str("</g>\n");
        for tick in scale.axis.ticks(6.0) {
            let y = scale.place(tick);
            let _ = writeln!(
                svg,
                "<path class=\"axis\" d=\"M{:.1} {y:.1}h5\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                BAR + BAR_WIDTH,
                BAR + BAR_WIDTH + 9.0,
                y + 4.0,
                number(tick),
            );
        }
        let _ = writeln!(
            svg,
            "<text transform=\"translate({:.1} {:.1}) rotate(-90)\" text-anchor=\"middle\" \
             class=\"name\">{}</text>",
            FULL_WIDTH - 8.0,
            TOP + SIDE / 2.0,
            escaped(self.height_name),
        );
        svg
    }

    /// The line on which the surface has this height, by marching squares: a path of short pieces.
    fn contour(&self, level: f64, place: &dyn Fn(f64, f64) -> (f64, f64)) -> String {
        let mut d = String::new();
        for (j, rows) in self.height.windows(2).enumerate() {
            for i in 0..rows[0].len().saturating_sub(1) {
                // The corners, around the cell.
                let corners = [(i, 0), (i + 1, 0), (i + 1, 1), (i, 1)];
                let heights = corners.map(|(i, row)| rows[row][i]);
                if heights.iter().any(|height| !height.is_finite()) {
                    continue;
                }
                let places = corners.map(|(i, row)| place(self.x[i], self.y[j + row]));
                let mut crossings = Vec::with_capacity(4);
                for k in 0..4 {
                    let next = (k + 1) % 4;
                    let (a, b) = (heights[k], heights[next]);
                    if (a < level) != (b < level) {
                        let share = (level - a) / (b - a);
                        let between = |a: f64, b: f64| a + share * (b - a);
                        crossings.push((
                            between(places[k].0, places[next].0),
                            between(places[k].1, places[next].1),
                        ));
                    }
                }
                // At a saddle there are four crossings, which make two pieces.
                for piece in crossings.chunks_exact(2) {
                    let ((a, b), (c, e)) = (piece[0], piece[1]);
                    let _ = write!(d, "M{a:.1} {b:.1}L{c:.1} {e:.1}");
                }
            }
        }
        d
    }
}

/// The axis of evenly spaced places: it ends half a cell beyond the outer ones.
fn axis(at: &[f64]) -> Axis {
    let (first, last) = (at.first().copied().unwrap_or(0.0), at.last().copied().unwrap_or(1.0));
    let half = (last - first) / (2.0 * at.len().saturating_sub(1).max(1) as f64);
    Axis::linear([first - half, last + half])
}

/// A cross with a name, which is white with a dark rim: the colours below it may be any.
fn cross((x, y): (f64, f64), name: &str) -> String {
    let (left, right, up, down) = (x - 7.0, x + 7.0, y - 7.0, y + 7.0);
    let cross = format!("M{left:.1} {y:.1}H{right:.1}M{x:.1} {up:.1}V{down:.1}");
    let mut svg =
        format!("<path class=\"halo\" d=\"{cross}\"/><path class=\"cross\" d=\"{cross}\"/>\n");
    if !name.is_empty() {
        // A name in the right half goes to the left of its cross.
        let (anchor, x) =
            if x > LEFT + SIDE / 2.0 { ("end", x - 10.0) } else { ("start", x + 10.0) };
        let _ = writeln!(
            svg,
            "<text class=\"on-map\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            y - 6.0,
            escaped(name),
        );
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bowl(points: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
        let at = |k: usize| 2.0 * k as f64 / (points - 1) as f64 - 1.0;
        let places: Vec<f64> = (0..points).map(at).collect();
        let row = |y: &f64| places.iter().map(|x| x * x + y * y).collect();
        let height = places.iter().map(row).collect();
        (places, height)
    }

    fn map<'a>(places: &'a [f64], height: &'a [Vec<f64>], paths: &'a [Path]) -> HeatMap<'a> {
        HeatMap {
            title: "a \"map\"",
            x: places,
            y: places,
            height,
            axes: ["a", "b"],
            height_name: "loss",
            center: true,
            paths,
            places: &[],
        }
    }

    #[test]
    fn the_contour_of_a_bowl_is_a_circle() {
        let (places, height) = bowl(41);
        let path = map(&places, &height, &[]).contour(0.25, &|x, y| (1000.0 * x, 1000.0 * y));
        let numbers: Vec<f64> =
            path.split(['M', 'L', ' ']).filter_map(|part| part.parse().ok()).collect();
        assert!(numbers.len() > 100);
        for place in numbers.chunks_exact(2) {
            let radius = place[0].hypot(place[1]);
            assert!((radius - 500.0).abs() < 2.0, "{place:?}");
        }
    }

    #[test]
    fn a_map_has_its_parts_and_bears_what_is_no_number() {
        let (places, mut odd) = bowl(5);
        odd[1][2] = f64::NAN;
        odd[2][2] = f64::INFINITY;
        let paths = [Path {
            name: "<way>".into(),
            points: vec![[0.0, 0.0], [9.0, f64::MAX]],
            dashed: true,
        }];
        let here = [Place { at: [0.5, -0.5], name: "<here>".into() }];
        let svg = HeatMap { places: &here, ..map(&places, &odd, &paths) }.svg();
        for part in [
            "&lt;here&gt;",
            "a &quot;map&quot;",
            "&lt;way&gt;",
            "cross",
            "#9a9a9a",
            "contour",
            "dashed",
        ] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf\"") && !svg.contains("<way>"));
        let none = [vec![f64::NAN]];
        assert!(!map(&[0.0], &none, &[]).svg().contains("NaN"));
    }
}
