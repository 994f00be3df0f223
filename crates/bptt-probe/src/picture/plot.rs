//! Axes, and what is drawn between them.

use crate::picture::axis::{Axis, Scale};
use crate::picture::page::Figure;
use crate::picture::text::{escaped, number};
use std::fmt::Write;
use std::ops::RangeInclusive;

/// Classes for what is compared in one plot: colours that the colour-blind can tell apart, and lines with other dashes.
pub const SERIES: [&str; 4] = ["s1", "s2", "s3", "s4"];

/// The width of a picture with one plot, in units of its SVG. On a screen it is at most that many pixels.
pub(super) const FULL_WIDTH: f64 = 736.0;
/// The space around a plot.
pub(super) const LEFT: f64 = 78.0;
pub(super) const TOP: f64 = 14.0;
pub(super) const RIGHT: f64 = 18.0;
pub(super) const BOTTOM: f64 = 48.0;
/// The height of a line of the legend.
const LINE: f64 = 22.0;

/// Axes, and what is drawn between them. Lines and dots may go beyond the axes, and are cut off there.
#[derive(Clone, Debug)]
pub struct Plot {
    x: Scale,
    y: Scale,
    body: String,
    /// The legend: for each line a symbol as SVG, at the origin and up to 44 wide, and a name.
    legend: Vec<(String, String)>,
    /// What stands to the right of the plot, and how wide it is.
    beside: (String, f64),
    /// How far apart ticks are on a linear axis, about.
    spacing: [f64; 2],
    /// Whether the vertical axis is of rows with names, and has no numbers.
    has_rows: bool,
    /// Names along the horizontal axis; `None`: round numbers.
    x_names: Option<Vec<(f64, String)>>,
}

impl Plot {
    /// Axes that hold all these points, with some space around.
    pub fn new(points: impl Iterator<Item = (f64, f64)> + Clone, height: f64) -> Self {
        let x = Axis::of(points.clone().map(|point| point.0)).with_space(0.04, 0.04);
        let y = Axis::of(points.map(|point| point.1)).with_space(0.04, 0.04);
        Self::with_axes(x, y, [FULL_WIDTH - LEFT - RIGHT, height])
    }

    /// Axes of the same scale around the origin, up to `reach`.
    pub fn square(reach: f64, size: f64) -> Self {
        let axis = Axis::linear([-reach, reach]);
        Self::with_axes(axis, axis, [size, size])
    }

    /// These axes, and the width and height of the space between them. A page is 736 wide, of which the numbers at the
    /// axes take 96.
    pub fn with_axes(x: Axis, y: Axis, [width, height]: [f64; 2]) -> Self {
        let x = Scale { axis: x, from: LEFT, to: LEFT + width };
        let y = Scale { axis: y, from: TOP + height, to: TOP };
        let (body, legend, beside) = (String::new(), Vec::new(), (String::new(), 0.0));
        Self { x, y, body, legend, beside, spacing: [80.0, 60.0], has_rows: false, x_names: None }
    }

    /// Rows, one below the other, each of this height. The vertical axis has no numbers. The first row is between 0 and -1,
    /// the second between -1 and -2, and so on.
    pub fn rows(x: Axis, rows: usize, [width, height]: [f64; 2]) -> Self {
        let rows = rows.max(1) as f64;
        let plot = Self::with_axes(x, Axis::linear([-rows, 0.0]), [width, height * rows]);
        Self { has_rows: true, ..plot }
    }

    /// The width of the space between the axes of a small plot.
    pub const SMALL_WIDTH: f64 = 176.0;

    /// A small plot of this height, for several side by side: 256 wide with the numbers at its axes.
    pub fn small(x: Axis, y: Axis, height: f64) -> Self {
        const LEFT: f64 = 62.0;
        let mut plot = Self::with_axes(x, y, [Self::SMALL_WIDTH, height]);
        plot.x = Scale { from: LEFT, to: LEFT + Self::SMALL_WIDTH, ..plot.x };
        plot.spacing = [40.0, 40.0];
        plot
    }

    /// `[x0, dx, y0, dy]`: a point is at `x0 + dx x`, `y0 + dy y`, with the power of ten for the number on a logarithmic
    /// axis. For a script that moves what is drawn.
    pub fn frame(&self) -> [f64; 4] {
        let of = |scale: &Scale| {
            let [low, high] = scale.axis.range();
            let (low, high) = match scale.axis.is_logarithmic() {
                true => (low.log10(), high.log10()),
                false => (low, high),
            };
            let slope = (scale.to - scale.from) / (high - low);
            [scale.from - slope * low, slope]
        };
        let ([x0, dx], [y0, dy]) = (of(&self.x), of(&self.y));
        [x0, dx, y0, dy]
    }

    /// A path with a name, for a script that changes it. What is beyond the axes is cut off.
    pub fn moving(&mut self, id: &str, class: &str, path: &str) {
        let path = format!("<path id=\"{id}\" class=\"{class}\" d=\"{path}\"/>\n");
        self.within(false, &path);
    }

    /// A vertical line with a name, for a script that moves it (`translate(x 0)`).
    pub fn here(&mut self, id: &str, x: f64) {
        let (x, top, bottom) = (self.x.place(x), self.y.to, self.y.from);
        let _ = writeln!(
            self.body,
            "<path id=\"{id}\" class=\"line mark\" transform=\"translate({x:.1} 0)\" d=\"M0 {top}V{bottom}\"/>"
        );
    }

    /// The path of a line through points, see [`moving`](Self::moving).
    pub fn path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        path(points.map(|(x, y)| self.place(x, y)))
    }

    /// The path of dots at points: pieces without a length, which the class `dots` makes round.
    pub fn dots_path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let places = points.map(|(x, y)| self.place(x, y));
        let drawn = places.filter(|(x, y)| x.is_finite() && y.is_finite());
        drawn.map(|place| path([place].into_iter()) + "h0").collect()
    }

    /// Where a point is in the picture.
    pub fn place(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x.place(x), self.y.place(y))
    }

    /// A horizontal line across the picture, with a class.
    pub fn level(&mut self, y: f64, class: &str) {
        if (-1e-9..=1.0 + 1e-9).contains(&self.y.axis.share(y)) {
            let at = self.y.place(y);
            let _ = writeln!(
                self.body,
                "<path class=\"line {class}\" d=\"M{} {at:.1}H{}\"/>",
                self.x.from, self.x.to
            );
        }
    }

    /// A vertical line with a name at the top; without a name, a short one at the bottom.
    pub fn mark(&mut self, x: f64, name: &str) {
        let (place, bottom) = (self.x.place(x), self.y.from);
        let top = if name.is_empty() { bottom - 12.0 } else { self.y.to + 2.0 };
        let _ = writeln!(
            self.body,
            "<path class=\"line mark\" d=\"M{place:.1} {top:.1}V{bottom:.1}\"/>"
        );
        if !name.is_empty() {
            // A name near the right end goes to the left of its line.
            let (anchor, shift) =
                if self.x.axis.share(x) > 0.75 { ("end", -5.0) } else { ("start", 5.0) };
            self.text([place + shift, self.y.to + 12.0], anchor, name);
        }
    }

    /// Dots of what was measured.
    pub fn dots(&mut self, points: impl Iterator<Item = (f64, f64)>, radius: f64) {
        self.dots_of("data", points, radius);
    }

    /// Dots with a class.
    pub fn dots_of(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>, radius: f64) {
        for (x, y) in points {
            if !self.shows(x, y) {
                continue;
            }
            let (x, y) = self.place(x, y);
            let _ = writeln!(
                self.body,
                "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>"
            );
        }
    }

    /// Whether a point is between the axes.
    fn shows(&self, x: f64, y: f64) -> bool {
        let inside = |axis: &Axis, value| (-1e-6..=1.0 + 1e-6).contains(&axis.share(value));
        inside(&self.x.axis, x) && inside(&self.y.axis, y)
    }

    /// A vertical bar, of a width of one line.
    pub fn bar(&mut self, x: f64, y: RangeInclusive<f64>) {
        if y.start().is_finite() && y.end().is_finite() {
            let (x, low, high) =
                (self.x.place(x), self.y.place(*y.start()), self.y.place(*y.end()));
            let path = format!("<path class=\"bar data\" d=\"M{x:.1} {low:.1}V{high:.1}\"/>\n");
            let inside = self.shows(self.x.axis.range()[0], *y.start())
                && self.shows(self.x.axis.range()[0], *y.end());
            self.within(inside, &path);
        }
    }

    /// A line through points, with a class. Where there is no number, it has a gap.
    pub fn line(&mut self, points: impl Iterator<Item = (f64, f64)>, class: &str) {
        self.lines(points, &[&format!("line {class}")]);
    }

    /// A line with these classes, one over the other.
    pub(super) fn lines(&mut self, points: impl Iterator<Item = (f64, f64)>, classes: &[&str]) {
        let points: Vec<_> = points.map(|(x, y)| (self.place(x, y), self.shows(x, y))).collect();
        let path = path(points.iter().map(|(point, _)| *point));
        let hidden =
            |((x, y), shown): &((f64, f64), bool)| x.is_finite() && y.is_finite() && !shown;
        let inside = !points.iter().any(hidden);
        for class in classes {
            self.within(inside, &format!("<path class=\"{class}\" d=\"{path}\"/>\n"));
        }
    }

    /// The area between a line without gaps and the horizontal axis, with a class.
    pub fn area(&mut self, points: &[(f64, f64)], class: &str) {
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
        let line = path(points.iter().map(|(x, y)| self.place(*x, *y)));
        let (from, to, bottom) = (self.x.place(first.0), self.x.place(last.0), self.y.from);
        let inside = points.iter().all(|(x, y)| self.shows(*x, *y));
        self.within(
            inside,
            &format!(
                "<path class=\"area {class}\" d=\"{line}L{to:.1} {bottom:.1}H{from:.1}Z\"/>\n"
            ),
        );
    }

    /// The area between two lines without gaps, `(x, low, high)`, with a class.
    pub fn band(&mut self, points: &[(f64, f64, f64)], class: &str) {
        let upper = points.iter().map(|(x, _, high)| (*x, *high));
        let lower = points.iter().rev().map(|(x, low, _)| (*x, *low));
        let outline: Vec<_> = upper.chain(lower).collect();
        let inside = outline.iter().all(|(x, y)| self.shows(*x, *y));
        let outline = path(outline.iter().map(|(x, y)| self.place(*x, *y)));
        self.within(inside, &format!("<path class=\"area {class}\" d=\"{outline}Z\"/>\n"));
    }

    /// Names at places of the horizontal axis, in place of round numbers.
    pub fn x_names(&mut self, names: Vec<(f64, String)>) {
        self.x_names = Some(names);
    }

    /// A line of the legend for an area of a class.
    pub fn legend_area(&mut self, class: &str, name: &str) {
        let block = format!("<path class=\"area {class}\" d=\"M0 -6h44v12h-44z\"/>");
        self.legend_symbol(block, name);
    }

    /// The circle of radius 1 around the origin. Both axes have the same scale.
    pub fn unit_circle(&mut self) {
        let (x, y) = self.place(0.0, 0.0);
        let radius = self.x.place(1.0) - x;
        let circle = format!(
            "<circle class=\"line theory\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>\n"
        );
        let inside = self.shows(1.0, 1.0) && self.shows(-1.0, -1.0);
        self.within(inside, &circle);
    }

    /// A line of the legend below the plot: what a class stands for.
    pub fn legend(&mut self, class: &str, name: &str) {
        self.legend_of(&[&format!("line {class}")], name);
    }

    /// A line of the legend with these classes, one over the other.
    pub(super) fn legend_of(&mut self, classes: &[&str], name: &str) {
        let path = |class: &&str| format!("<path class=\"{class}\" d=\"M0 0h44\"/>");
        self.legend_symbol(classes.iter().map(path).collect(), name);
    }

    /// A line of the legend with a symbol that is SVG already, at the origin and up to 44 wide.
    pub(super) fn legend_symbol(&mut self, symbol: String, name: &str) {
        self.legend.push((symbol, name.to_string()));
    }

    /// A line of the legend for dots of a class.
    pub fn legend_dots(&mut self, class: &str, name: &str) {
        let dots =
            [12, 22, 32].map(|x| format!("<circle class=\"dot {class}\" cx=\"{x}\" r=\"3\"/>"));
        self.legend_symbol(dots.concat(), name);
    }

    /// A line of the legend for blocks of a class.
    pub fn legend_block(&mut self, class: &str, name: &str) {
        let block = format!("<path class=\"column {class}\" d=\"M0 -5h44v10h-44z\"/>");
        self.legend_symbol(block, name);
    }

    /// A filled block between two numbers of each axis, with a class.
    pub fn block(&mut self, [left, right]: [f64; 2], [low, high]: [f64; 2], class: &str) {
        let ((left, bottom), (right, top)) = (self.place(left, low), self.place(right, high));
        let _ = writeln!(
            self.body,
            "<path class=\"column {class}\" d=\"M{left:.1} {bottom:.1}H{right:.1}V{top:.1}H{left:.1}Z\"/>"
        );
    }

    /// A name that begins at a point.
    pub fn name(&mut self, x: f64, y: f64, name: &str) {
        let (x, y) = self.place(x, y);
        self.text([x, y], "start", name);
    }

    /// Text at a place of the picture.
    fn text(&mut self, [x, y]: [f64; 2], anchor: &str, text: &str) {
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escaped(text)
        );
    }

    /// Draws what is SVG already.
    pub(super) fn draw(&mut self, svg: &str) {
        self.body.push_str(svg);
    }

    /// Draws what is SVG already, and cuts off what is not between the axes.
    pub(super) fn within(&mut self, inside: bool, svg: &str) {
        if inside {
            return self.draw(svg);
        }
        // Plots of the same size have the same clip, so its name may occur on a page more than once.
        let (width, height) = (self.x.to - self.x.from, self.y.from - self.y.to);
        let id = format!("plot-{width:.0}-{height:.0}");
        if !self.body.contains(&format!("<clipPath id=\"{id}\"")) {
            let (x, y) = (self.x.from, self.y.to);
            let _ = writeln!(
                self.body,
                "<clipPath id=\"{id}\"><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/></clipPath>"
            );
        }
        let _ = write!(self.body, "<g clip-path=\"url(#{id})\">{svg}</g>");
    }

    /// What stands to the right of the plot, and how wide that is.
    pub(super) fn beside(&mut self, svg: String, width: f64) {
        self.beside = (svg, width);
    }

    /// The picture: what it shows for readers that cannot see it, and what its axes are.
    pub fn svg(&self, title: &str, x: &str, y: &str) -> String {
        let (width, bottom) = (self.x.to + RIGHT + self.beside.1, self.y.from);
        let height = bottom + BOTTOM + LINE * self.legend.len() as f64;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {width} {height}\" style=\"max-width:{width}px\" role=\"img\" aria-label=\"{}\">\n",
            escaped(title)
        );
        let (left, right, top) = (self.x.from, self.x.to, self.y.to);
        let (mut grid, mut numbers) = (String::new(), String::new());
        let ticks = match &self.x_names {
            Some(names) => names.clone(),
            None => {
                let ticks = self.x.axis.ticks((right - left) / self.spacing[0]);
                ticks.into_iter().map(|tick| (tick, number(tick))).collect()
            }
        };
        for (tick, name) in ticks {
            let at = self.x.place(tick);
            let _ = write!(grid, "M{at:.1} {top}V{bottom}");
            let _ = writeln!(
                numbers,
                "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                escaped(&name)
            );
        }
        let ticks = match self.has_rows {
            true => Vec::new(),
            false => self.y.axis.ticks((bottom - top) / self.spacing[1]),
        };
        for tick in ticks {
            let at = self.y.place(tick);
            let _ = write!(grid, "M{left} {at:.1}H{right}");
            let _ = writeln!(
                numbers,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 8.0,
                at + 4.5,
                number(tick)
            );
        }
        let _ = writeln!(svg, "<path class=\"grid\" d=\"{grid}\"/>");
        svg.push_str(&self.body);
        let _ = writeln!(svg, "<path class=\"axis\" d=\"M{left} {top}V{bottom}H{right}\"/>");
        svg.push_str(&numbers);
        let (middle, side) = ((left + right) / 2.0, (top + bottom) / 2.0);
        let _ = writeln!(
            svg,
            "<text class=\"name\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text class=\"name\" transform=\"translate(15 {side}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            bottom + 40.0,
            escaped(x),
            escaped(y),
        );
        for (k, (symbol, name)) in self.legend.iter().enumerate() {
            let at = bottom + BOTTOM + LINE * k as f64 + 8.0;
            let _ = writeln!(
                svg,
                "<g transform=\"translate({left} {at:.1})\">{symbol}</g><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                left + 54.0,
                at + 4.0,
                escaped(name)
            );
        }
        svg.push_str(&self.beside.0);
        svg.push_str("</svg>\n");
        svg
    }

    /// The picture with a heading, what its axes are, and a text on how to read it.
    pub fn figure(self, heading: &str, x: &str, y: &str, reading: &str) -> Figure {
        let svg = self.svg(heading, x, y);
        Figure { heading: heading.to_string(), svg, reading: reading.to_string() }
    }
}

/// A path through places, with gaps where there is none.
fn path(places: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    let mut joined = false;
    for (x, y) in places {
        let drawn = x.is_finite() && y.is_finite();
        if drawn {
            // Numbers far beyond the plot are cut off; they only have to be numbers that a renderer can bear.
            let (x, y) = (x.clamp(-1e4, 1e4), y.clamp(-1e4, 1e4));
            let _ = write!(path, "{}{x:.1} {y:.1}", if joined { 'L' } else { 'M' });
        }
        joined = drawn;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_lies_between_the_axes() {
        let points = [(0.0, -1.0), (10.0, 3.0)];
        let plot = Plot::new(points.into_iter(), 300.0);
        for (x, y) in points {
            let (x, y) = plot.place(x, y);
            assert!((LEFT..FULL_WIDTH - RIGHT).contains(&x) && (TOP..TOP + 300.0).contains(&y));
        }
        assert!(plot.place(0.0, 3.0).1 < plot.place(0.0, -1.0).1, "up is more");
        assert!(plot.svg("t", "x", "y").starts_with("<svg viewBox=\"0 0 736 362\""));
    }

    #[test]
    fn what_is_beyond_the_axes_is_cut_off_and_what_is_no_number_left_out() {
        let axis = Axis::linear([0.0, 1.0]);
        let mut plot = Plot::with_axes(axis, axis, [100.0, 100.0]);
        plot.line([(0.0, 0.5), (0.5, f64::NAN), (0.7, 0.5), (1.0, 1.0)].into_iter(), "s3");
        plot.dots([(0.5, 0.5), (0.5, 7.0), (f64::INFINITY, 0.0)].into_iter(), 2.0);
        plot.level(1.5, "zero");
        let svg = plot.svg("a \"b\"", "<x>", "y");
        assert!(!svg.contains("clipPath") && !svg.contains("NaN") && !svg.contains("zero"));
        assert_eq!((svg.matches("<circle").count(), svg.matches('L').count()), (1, 1));
        assert!(svg.contains("a &quot;b&quot;") && svg.contains("&lt;x&gt;"));
        plot.line([(0.0, 0.5), (1.0, 1e300)].into_iter(), "s4");
        plot.line([(0.0, 0.5), (1.0, -2.0)].into_iter(), "s4");
        let svg = plot.svg("t", "x", "y");
        assert_eq!((svg.matches("<clipPath").count(), svg.matches("url(#").count()), (1, 2));
        assert!(!svg.contains("00000"), "no endless number");
    }

    #[test]
    fn a_frame_places_points_as_the_plot_does() {
        let mut plot =
            Plot::small(Axis::linear([-2.0, 5.0]), Axis::logarithmic([1e-4, 10.0]), 150.0);
        let [x0, dx, y0, dy] = plot.frame();
        let (x, y) = plot.place(3.0, 0.01);
        assert!((x0 + dx * 3.0 - x).abs() < 1e-9 && (y0 + dy * -2.0 - y).abs() < 1e-9);
        let dots = plot.dots_path([(3.0, 0.01), (1.0, f64::NAN)].into_iter());
        assert_eq!(dots, format!("M{x:.1} {y:.1}h0"));
        plot.moving("it", "dots data", &dots);
        assert!(
            plot.svg("t", "x", "y")
                .contains(&format!("id=\"it\" class=\"dots data\" d=\"{dots}\""))
        );
    }

    #[test]
    fn every_class_of_the_legend_has_a_line() {
        let axis = Axis::linear([0.0, 1.0]);
        let mut plot = Plot::with_axes(axis, axis, [100.0, 100.0]);
        SERIES.iter().for_each(|class| plot.legend(class, "a < b"));
        let svg = plot.svg("t", "x", "y");
        assert_eq!(svg.matches("a &lt; b").count(), SERIES.len());
        let style = crate::picture::head("t");
        for class in SERIES.into_iter().chain(["data", "theory", "zero", "mark"]) {
            let is = |rule: &str| style.contains(&format!(".{class}{rule}"));
            assert!(is(" { --c:") || is(", .s"), "{class} has a colour");
        }
    }
}
