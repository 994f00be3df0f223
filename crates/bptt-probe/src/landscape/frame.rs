//! Axes: from numbers to places in a picture, with their ticks.

use std::fmt::Write;

/// The width of every picture, in units of its SVG. On a screen it is at most that many pixels.
pub(super) const WIDTH: f64 = 720.0;
/// The space around a plot: left, top, bottom.
pub(super) const LEFT: f64 = 78.0;
pub(super) const TOP: f64 = 16.0;
pub(super) const BOTTOM: f64 = 52.0;

/// An axis of a plot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// The places of `low` and `high`.
    from: f64,
    to: f64,
}

impl Scale {
    /// An axis from `low` to `high`. It is logarithmic if that is asked for and possible.
    pub(super) fn new([low, high]: [f64; 2], logarithmic: bool, [from, to]: [f64; 2]) -> Self {
        let logarithmic = logarithmic && low > 0.0;
        // An axis without an extent gets one.
        let (low, high) = match high > low {
            true => (low, high),
            false if logarithmic => (low / 2.0, low * 2.0),
            false => (low - 0.5, low + 0.5),
        };
        Self { low, high, logarithmic, from, to }
    }

    /// Where a number is between the ends, from 0 to 1.
    pub(super) fn share(&self, value: f64) -> f64 {
        match self.logarithmic {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        }
    }

    /// The number at a share.
    pub(super) fn value(&self, share: f64) -> f64 {
        match self.logarithmic {
            true => self.low * (self.high / self.low).powf(share),
            false => self.low + share * (self.high - self.low),
        }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        self.from + self.share(value) * (self.to - self.from)
    }

    /// Round numbers along the axis.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if !self.logarithmic {
            return linear_ticks(self.low, self.high);
        }
        let decades = (self.high / self.low).log10();
        let factors: &[f64] = match decades {
            ..1.5 => &[1.0, 2.0, 5.0],
            ..3.0 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let every = (decades / 7.0).ceil().max(1.0) as i32;
        let powers = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let all = powers.filter(|power| power.rem_euclid(every) == 0);
        let all = all.flat_map(|power| factors.iter().map(move |f| f * 10f64.powi(power)));
        let inside = |tick: &f64| (-1e-9..=1.0 + 1e-9).contains(&self.share(*tick));
        let ticks: Vec<_> = all.filter(inside).collect();
        // Within a part of a decade, there may be no round number.
        if ticks.len() > 1 { ticks } else { linear_ticks(self.low, self.high) }
    }
}

fn linear_ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 6.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|f| f * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let count = |x: f64| (x / step * (1.0 + 1e-12)) as i64;
    (count(low) - 1..=count(high) + 1)
        .map(|k| k as f64 * step)
        .filter(|tick| *tick >= low - 1e-9 * step && *tick <= high + 1e-9 * step)
        .collect()
}

/// A number with three significant digits.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_string();
    }
    if !(1e-3..1e5).contains(&size) {
        let text = format!("{value:.2e}");
        // `1.00e-5` is `1e-5`.
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = match digits.contains('.') {
            true => digits.trim_end_matches('0').trim_end_matches('.'),
            false => digits,
        };
        return format!("{digits}e{power}");
    }
    let decimals = (2 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

/// The lower axis with ticks and a name, below a plot.
pub(super) fn lower_axis(svg: &mut String, scale: &Scale, bottom: f64, name: &str) {
    for tick in scale.ticks() {
        let x = scale.place(tick);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{bottom:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\" class=\"axis\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 5.0,
            bottom + 19.0,
            short(tick),
        );
    }
    let middle = (scale.from + scale.to) / 2.0;
    let _ = writeln!(
        svg,
        "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\" class=\"name\">{}</text>",
        bottom + 42.0,
        escaped(name),
    );
}

/// The left axis with ticks and a name.
pub(super) fn left_axis(svg: &mut String, scale: &Scale, left: f64, name: &str) {
    for tick in scale.ticks() {
        let y = scale.place(tick);
        let _ = writeln!(
            svg,
            "<line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{left:.1}\" y2=\"{y:.1}\" class=\"axis\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 5.0,
            left - 8.0,
            y + 4.0,
            short(tick),
        );
    }
    let middle = (scale.from + scale.to) / 2.0;
    let _ = writeln!(
        svg,
        "<text transform=\"translate(16 {middle:.1}) rotate(-90)\" text-anchor=\"middle\" \
         class=\"name\">{}</text>",
        escaped(name),
    );
}

/// The beginning of a picture.
pub(super) fn begin(height: f64, title: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n",
        escaped(title)
    )
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let all = [0.0, 1.0, -0.25, 123.4, 99_999.0, 0.00123, 1e-5, -2.5e-7, 1.5e6];
        let expected = ["0", "1", "-0.25", "123", "99999", "0.00123", "1e-5", "-2.5e-7", "1.5e6"];
        assert_eq!(all.map(short), expected);
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let ticks =
            |low, high, logarithmic| Scale::new([low, high], logarithmic, [0.0, 1.0]).ticks();
        assert_eq!(ticks(-1.0, 1.0, false), [-1.0, -0.5, 0.0, 0.5, 1.0]);
        assert_eq!(ticks(0.01, 100.0, true), [0.01, 0.1, 1.0, 10.0, 100.0]);
        assert_eq!(ticks(1.0, 10.0, true), [1.0, 2.0, 5.0, 10.0]);
        // A part of a decade.
        let few = ticks(2.1, 2.9, true);
        assert!(few.len() > 2 && few.iter().all(|tick| (2.1..=2.9).contains(tick)), "{few:?}");
        // No extent, and none that a logarithm could show.
        assert!(!ticks(3.0, 3.0, false).is_empty() && !ticks(3.0, 3.0, true).is_empty());
        assert_eq!(ticks(0.0, 1.0, true), ticks(0.0, 1.0, false));
    }

    #[test]
    fn values_and_shares_are_inverse() {
        for logarithmic in [false, true] {
            let scale = Scale::new([0.5, 8.0], logarithmic, [100.0, 20.0]);
            assert_eq!((scale.place(0.5), scale.place(8.0)), (100.0, 20.0));
            assert!((scale.share(scale.value(0.3)) - 0.3).abs() < 1e-12);
        }
    }
}
