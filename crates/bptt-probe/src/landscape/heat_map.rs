//! A surface as a map of colours with contour lines.

use crate::landscape::color::color;
use crate::landscape::frame::{
    BOTTOM, LEFT, Scale, TOP, WIDTH, begin, escaped, left_axis, lower_axis, short,
};
use crate::landscape::plane::Surface;
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

/// A surface as a map: brighter is higher, and the scale of colours is logarithmic if the loss is positive.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap<'a> {
    /// What it shows, for readers that cannot see it.
    pub title: &'a str,
    /// The surface.
    pub surface: &'a Surface,
    /// The names of the axes.
    pub axes: [&'a str; 2],
    /// The name of the loss, with its unit.
    pub loss: &'a str,
    /// Whether a cross marks the place 0, 0.
    pub center: bool,
    /// Paths over it.
    pub paths: &'a [Path],
}

impl HeatMap<'_> {
    /// The picture.
    pub fn svg(&self) -> String {
        let height = TOP + SIDE + BOTTOM + 22.0 * self.paths.len() as f64;
        let (low, high) = self.surface.range().unwrap_or((0.0, 1.0));
        let low = if low > 0.0 { low.max(high / DECADES) } else { low };
        let scale = Scale::new([low, high], true, [TOP + SIDE, TOP]);
        let [x, y] = self.scales();
        let mut svg = begin(height, self.title);
        if !self.paths.is_empty() {
            svg.push_str(&clip());
        }
        self.cells(&mut svg, &scale, [&x, &y]);
        for k in 1..CONTOURS {
            let share = k as f64 / CONTOURS as f64;
            let lines = contour(self.surface, scale.value(share), [&x, &y]);
            // Lines are dark on bright colours, and bright on dark ones.
            let class = if share > 0.6 { "dark" } else { "bright" };
            if !lines.is_empty() {
                let _ = writeln!(svg, "<path class=\"contour {class}\" d=\"{lines}\"/>");
            }
        }
        self.draw_paths(&mut svg, [&x, &y]);
        if self.center {
            let (x, y) = (x.place(0.0), y.place(0.0));
            let (left, right, up, down) = (x - 7.0, x + 7.0, y - 7.0, y + 7.0);
            let cross = format!("M{left:.1} {y:.1}H{right:.1}M{x:.1} {up:.1}V{down:.1}");
            let _ = writeln!(
                svg,
                "<path class=\"halo\" d=\"{cross}\"/><path class=\"cross\" d=\"{cross}\"/>"
            );
        }
        let bottom = TOP + SIDE;
        lower_axis(&mut svg, &x, bottom, self.axes[0]);
        left_axis(&mut svg, &y, LEFT, self.axes[1]);
        self.bar(&mut svg, &scale);
        svg.push_str("</svg>\n");
        svg
    }

    /// The axes. They end half a cell beyond the outer points.
    fn scales(&self) -> [Scale; 2] {
        let axis = |at: &[f64], place: [f64; 2]| {
            let (first, last) =
                (at.first().copied().unwrap_or(0.0), at.last().copied().unwrap_or(1.0));
            let half = (last - first) / (2.0 * at.len().saturating_sub(1).max(1) as f64);
            Scale::new([first - half, last + half], false, place)
        };
        [axis(&self.surface.x, [LEFT, LEFT + SIDE]), axis(&self.surface.y, [TOP + SIDE, TOP])]
    }

    /// A rectangle for each point. Neighbours of one colour in a row are one rectangle.
    fn cells(&self, svg: &mut String, scale: &Scale, [x, y]: [&Scale; 2]) {
        let width = SIDE / self.surface.x.len() as f64;
        let height = SIDE / self.surface.y.len() as f64;
        svg.push_str("<g shape-rendering=\"crispEdges\">\n");
        for (at_y, row) in self.surface.y.iter().zip(&self.surface.loss) {
            let colors: Vec<_> = row
                .iter()
                .map(|loss| match loss.is_finite() {
                    true => color(scale.share(loss.max(scale.value(0.0)))),
                    false => color(f64::NAN),
                })
                .collect();
            let mut first = 0;
            for group in colors.chunk_by(|a, b| a == b) {
                let _ = writeln!(
                    svg,
                    "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{height:.2}\" fill=\"{}\"/>",
                    x.place(self.surface.x[first]) - width / 2.0,
                    y.place(*at_y) - height / 2.0,
                    width * group.len() as f64,
                    group[0],
                );
                first += group.len();
            }
        }
        svg.push_str("</g>\n");
    }

    fn draw_paths(&self, svg: &mut String, [x, y]: [&Scale; 2]) {
        for (k, path) in self.paths.iter().enumerate() {
            let mut d = String::new();
            for (n, [a, b]) in path.points.iter().enumerate() {
                // Places far beyond the plot are cut off by the clip; their numbers only have to be finite.
                let (a, b) = (x.place(*a).clamp(-1e4, 1e4), y.place(*b).clamp(-1e4, 1e4));
                let _ = write!(d, "{}{a:.1} {b:.1}", if n == 0 { 'M' } else { 'L' });
            }
            let dashed = if path.dashed { " dashed" } else { "" };
            let _ = writeln!(
                svg,
                "<g clip-path=\"url(#plot)\"><path class=\"halo\" d=\"{d}\"/>\
                 <path class=\"way{dashed}\" d=\"{d}\"/></g>"
            );
            let line = TOP + SIDE + BOTTOM + 22.0 * k as f64 + 6.0;
            let _ = writeln!(
                svg,
                "<path class=\"halo\" d=\"M{LEFT} {line}h44\"/><path class=\"way{dashed}\" d=\"M{LEFT} {line}h44\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT + 54.0,
                line + 4.0,
                escaped(&path.name),
            );
        }
    }

    /// The scale of colours.
    fn bar(&self, svg: &mut String, scale: &Scale) {
        const STEPS: usize = 64;
        let height = SIDE / STEPS as f64;
        svg.push_str("<g shape-rendering=\"crispEdges\">\n");
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
        for tick in scale.ticks() {
            let y = scale.place(tick);
            let _ = writeln!(
                svg,
                "<line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" class=\"axis\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                BAR + BAR_WIDTH,
                BAR + BAR_WIDTH + 5.0,
                BAR + BAR_WIDTH + 9.0,
                y + 4.0,
                short(tick),
            );
        }
        let _ = writeln!(
            svg,
            "<text transform=\"translate({:.1} {:.1}) rotate(-90)\" text-anchor=\"middle\" \
             class=\"name\">{}</text>",
            WIDTH - 8.0,
            TOP + SIDE / 2.0,
            escaped(self.loss),
        );
    }
}

/// What cuts off the parts of paths beyond the plot.
fn clip() -> String {
    let sizes = format!("x=\"{LEFT}\" y=\"{TOP}\" width=\"{SIDE}\" height=\"{SIDE}\"");
    format!("<clipPath id=\"plot\"><rect {sizes}/></clipPath>\n")
}

/// The line on which the surface has this height, by marching squares: a path of short pieces.
fn contour(surface: &Surface, level: f64, [x, y]: [&Scale; 2]) -> String {
    let mut d = String::new();
    for (j, rows) in surface.loss.windows(2).enumerate() {
        for i in 0..rows[0].len().saturating_sub(1) {
            // The corners, around the cell.
            let corners = [(i, 0), (i + 1, 0), (i + 1, 1), (i, 1)];
            let heights = corners.map(|(i, row)| rows[row][i]);
            if heights.iter().any(|height| !height.is_finite()) {
                continue;
            }
            let places =
                corners.map(|(i, row)| (x.place(surface.x[i]), y.place(surface.y[j + row])));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landscape::plane::surface;

    #[test]
    fn the_contour_of_a_bowl_is_a_circle() {
        let bowl = surface(&[0.0, 0.0], [&[1.0, 0.0], &[0.0, 1.0]], [1.0, 1.0], 41, &mut |at| {
            at[0] * at[0] + at[1] * at[1]
        });
        let plain = Scale::new([0.0, 1.0], false, [0.0, 1000.0]);
        let path = contour(&bowl, 0.25, [&plain, &plain]);
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
        let mut odd = surface(&[1.0], [&[1.0], &[1.0]], [1.0, 1.0], 5, &mut |at| at[0] * at[0]);
        odd.loss[1][2] = f64::NAN;
        odd.loss[2][2] = f64::INFINITY;
        let path =
            Path { name: "<way>".into(), points: vec![[0.0, 0.0], [9.0, f64::MAX]], dashed: true };
        let map = HeatMap {
            title: "a \"map\"",
            surface: &odd,
            axes: ["a", "b"],
            loss: "loss",
            center: true,
            paths: &[path],
        };
        let svg = map.svg();
        for part in ["a &quot;map&quot;", "&lt;way&gt;", "cross", "#9a9a9a", "contour", "dashed"] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf\"") && !svg.contains("<way>"));
        let flat = Surface { x: vec![0.0], y: vec![0.0], loss: vec![vec![f64::NAN]] };
        assert!(!HeatMap { surface: &flat, paths: &[], ..map }.svg().contains("NaN"));
    }
}
