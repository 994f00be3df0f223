//! Pictures as inline SVG.

use std::fmt::Write;
use std::ops::RangeInclusive;

/// The size of the drawing, without the axes' texts.
const WIDTH: f64 = 640.0;
const LEFT: f64 = 82.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;

/// Axes, and what is drawn between them.
pub(crate) struct Plot {
    x: [f64; 2],
    y: [f64; 2],
    width: f64,
    height: f64,
    body: String,
}

impl Plot {
    /// Axes that hold all these points, with some space around.
    pub(crate) fn new(points: impl Iterator<Item = (f64, f64)> + Clone, height: f64) -> Self {
        let range = |values: &mut dyn Iterator<Item = f64>| {
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            for x in values.filter(|x| x.is_finite()) {
                (low, high) = (low.min(x), high.max(x));
            }
            let space = if high > low { 0.04 * (high - low) } else { 0.5 };
            [low - space, high + space]
        };
        let x = range(&mut points.clone().map(|point| point.0));
        let y = range(&mut points.map(|point| point.1));
        let mut plot = Self { x, y, width: WIDTH, height, body: String::new() };
        plot.axes();
        plot
    }

    /// Axes of the same scale around the origin, up to `reach`.
    pub(crate) fn square(reach: f64, size: f64) -> Self {
        let range = [-reach, reach];
        let mut plot = Self { x: range, y: range, width: size, height: size, body: String::new() };
        plot.axes();
        plot
    }

    fn x_of(&self, x: f64) -> f64 {
        LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * self.width
    }

    fn y_of(&self, y: f64) -> f64 {
        TOP + (self.y[1] - y) / (self.y[1] - self.y[0]) * self.height
    }

    fn axes(&mut self) {
        let (right, bottom) = (LEFT + self.width, TOP + self.height);
        for x in ticks(self.x) {
            let at = self.x_of(x);
            let _ = writeln!(
                self.body,
                "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 17.0,
                number(x),
            );
        }
        for y in ticks(self.y) {
            let at = self.y_of(y);
            let _ = writeln!(
                self.body,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                at + 4.5,
                number(y),
            );
        }
    }

    /// A horizontal line across the picture, with a class.
    pub(crate) fn level(&mut self, y: f64, class: &str) {
        if (self.y[0]..=self.y[1]).contains(&y) {
            let (at, right) = (self.y_of(y), LEFT + self.width);
            let _ = writeln!(self.body, "<path class=\"{class}\" d=\"M{LEFT} {at:.1}H{right}\"/>");
        }
    }

    /// Dots.
    pub(crate) fn dots(&mut self, points: impl Iterator<Item = (f64, f64)>, radius: f64) {
        for (x, y) in points.filter(|(x, y)| x.is_finite() && y.is_finite()) {
            let (x, y) = (self.x_of(x), self.y_of(y));
            let _ = writeln!(
                self.body,
                "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>"
            );
        }
    }

    /// A vertical bar.
    pub(crate) fn bar(&mut self, x: f64, y: RangeInclusive<f64>) {
        if y.start().is_finite() && y.end().is_finite() {
            let (x, low, high) = (self.x_of(x), self.y_of(*y.start()), self.y_of(*y.end()));
            let _ = writeln!(self.body, "<path class=\"bar\" d=\"M{x:.1} {low:.1}V{high:.1}\"/>");
        }
    }

    /// A line through points, with a class.
    pub(crate) fn line(&mut self, points: impl Iterator<Item = (f64, f64)>, class: &str) {
        let mut path = String::new();
        for (x, y) in points.take_while(|(_, y)| y.is_finite()) {
            let sign = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{sign}{:.1} {:.1}", self.x_of(x), self.y_of(y));
        }
        let _ = writeln!(self.body, "<path class=\"{class}\" d=\"{path}\"/>");
    }

    /// The circle of radius 1 around the origin.
    pub(crate) fn unit_circle(&mut self) {
        let (x, y, radius) = (self.x_of(0.0), self.y_of(0.0), self.x_of(1.0) - self.x_of(0.0));
        let _ = writeln!(
            self.body,
            "<circle class=\"theory\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>"
        );
    }

    /// The picture, with what its axes are, and a text on how to read it.
    pub(crate) fn figure(self, title: &str, x: &str, y: &str, how_to_read: &str) -> String {
        let Self { width, height, body, .. } = self;
        let (full_width, full_height) = (LEFT + width + 12.0, TOP + height + BOTTOM);
        let (middle, label_y) = (LEFT + width / 2.0, TOP + height + 39.0);
        let side = TOP + height / 2.0;
        format!(
            "<figure><h2>{title}</h2>\n<svg viewBox=\"0 0 {full_width} {full_height}\" \
             style=\"max-width:{full_width}px\" role=\"img\" aria-label=\"{title}\">\n{body}\
             <text x=\"{middle}\" y=\"{label_y}\" text-anchor=\"middle\">{x}</text>\
             <text transform=\"translate(14 {side}) rotate(-90)\" text-anchor=\"middle\">{y}</text>\n\
             </svg>\n<figcaption>{how_to_read}</figcaption></figure>\n"
        )
    }
}

/// Round numbers within a range, about six.
fn ticks([low, high]: [f64; 2]) -> Vec<f64> {
    let rough = (high - low) / 6.0;
    let power = 10.0_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().find(|k| k * power >= rough).unwrap_or(10.0) * power;
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last).map(|k| k as f64 * step).collect()
}

/// A tick's number, without digits that only rounding made.
fn number(x: f64) -> String {
    let text = format!("{x:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text {
        "-0" | "" => "0".into(),
        _ if x != 0.0 && x.abs() < 1e-4 => format!("{x:.0e}"),
        _ => text.replace('-', "−"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        assert_eq!(
            ticks([-0.11, 1.02]).iter().map(|x| number(*x)).collect::<Vec<_>>(),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(number(-2.5), "−2.5");
        assert_eq!(number(2e-5), "2e-5");
    }

    #[test]
    fn what_is_drawn_lies_between_the_axes() {
        let points = [(0.0, -1.0), (10.0, 3.0)];
        let plot = Plot::new(points.into_iter(), 300.0);
        for (x, y) in points {
            assert!((LEFT..LEFT + WIDTH).contains(&plot.x_of(x)));
            assert!((TOP..TOP + 300.0).contains(&plot.y_of(y)));
        }
        assert!(plot.y_of(3.0) < plot.y_of(-1.0), "up is more");
    }
}
