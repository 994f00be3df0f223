//! Axes: from numbers to places in a picture, with their ticks.

/// The extent of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Axis {
    /// An axis from `low` to `high`. One without an extent gets one.
    pub fn linear([low, high]: [f64; 2]) -> Self {
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
        Self { low, high, logarithmic: false }
    }

    /// A logarithmic axis from `low` to `high`. It is linear if `low` is not above 0.
    pub fn logarithmic([low, high]: [f64; 2]) -> Self {
        match low > 0.0 {
            true if high > low => Self { low, high, logarithmic: true },
            true => Self { low: low / 2.0, high: low * 2.0, logarithmic: true },
            false => Self::linear([low, high]),
        }
    }

    /// The linear axis that holds all numbers that are finite.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        Self::linear(ends(values))
    }

    /// The logarithmic axis that holds all numbers that are finite, if they are all above 0.
    pub fn logarithmic_of(values: impl Iterator<Item = f64>) -> Self {
        Self::logarithmic(ends(values))
    }

    /// With space below and above, as shares of the extent.
    pub fn with_space(self, below: f64, above: f64) -> Self {
        let (low, high) = (self.value(-below), self.value(1.0 + above));
        Self { low, high, ..self }
    }

    /// The ends.
    pub fn range(&self) -> [f64; 2] {
        [self.low, self.high]
    }

    /// Whether the axis is logarithmic.
    pub fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// Where a number is between the ends, from 0 to 1.
    pub fn share(&self, value: f64) -> f64 {
        match self.logarithmic {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        }
    }

    /// The number at a share.
    pub fn value(&self, share: f64) -> f64 {
        match self.logarithmic {
            true => self.low * (self.high / self.low).powf(share),
            false => self.low + share * (self.high - self.low),
        }
    }

    /// Round numbers along the axis: about `count` on a linear one.
    pub fn ticks(&self, count: f64) -> Vec<f64> {
        if !self.logarithmic {
            return linear_ticks(self.low, self.high, count);
        }
        let decades = (self.high / self.low).log10();
        let factors: &[f64] = match decades {
            ..1.5 => &[1.0, 2.0, 5.0],
            ..3.0 => &[1.0, 3.0],
            _ => &[1.0],
        };
        // Steps over decades are 1, 2, 5, 10, …
        let every = linear_step(decades.max(count + 1.0) / (count + 1.0)).round() as i32;
        let powers = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let all = powers.filter(|power| power.rem_euclid(every) == 0);
        let all = all.flat_map(|power| factors.iter().map(move |f| f * 10f64.powi(power)));
        let inside = |tick: &f64| (-1e-9..=1.0 + 1e-9).contains(&self.share(*tick));
        let ticks: Vec<_> = all.filter(inside).collect();
        // Within a part of a decade, there may be no round number.
        if ticks.len() > 1 { ticks } else { linear_ticks(self.low, self.high, count) }
    }
}

/// The smallest and the largest finite number; 0 and 1 if there is none.
fn ends(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let none = [f64::INFINITY, f64::NEG_INFINITY];
    let finite = values.filter(|value| value.is_finite());
    let [low, high] = finite.fold(none, |[low, high], x| [low.min(x), high.max(x)]);
    if low <= high { [low, high] } else { [0.0, 1.0] }
}

/// The least round number from `rough` on.
fn linear_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    steps.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power)
}

fn linear_ticks(low: f64, high: f64, count: f64) -> Vec<f64> {
    let step = linear_step((high - low) / count);
    let near = |x: f64| (x / step * (1.0 + 1e-12)) as i64;
    (near(low) - 1..=near(high) + 1)
        .map(|k| k as f64 * step)
        .filter(|tick| *tick >= low - 1e-9 * step && *tick <= high + 1e-9 * step)
        .collect()
}

/// An axis in a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) axis: Axis,
    /// The places of the ends.
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Scale {
    pub(super) fn place(&self, value: f64) -> f64 {
        self.from + self.axis.share(value) * (self.to - self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let linear = |low, high| Axis::linear([low, high]).ticks(6.0);
        let logarithmic = |low, high| Axis::logarithmic([low, high]).ticks(6.0);
        assert_eq!(linear(-1.0, 1.0), [-1.0, -0.5, 0.0, 0.5, 1.0]);
        let near: Vec<_> = linear(-0.11, 1.02).iter().map(|x| (x * 10.0).round()).collect();
        assert_eq!(near, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(logarithmic(0.01, 100.0), [0.01, 0.1, 1.0, 10.0, 100.0]);
        assert_eq!(logarithmic(1.0, 10.0), [1.0, 2.0, 5.0, 10.0]);
        assert_eq!(logarithmic(1e-30, 1.0).len(), 7, "every fifth power");
        // A part of a decade.
        let few = logarithmic(2.1, 2.9);
        assert!(few.len() > 2 && few.iter().all(|tick| (2.1..=2.9).contains(tick)), "{few:?}");
        // No extent, and none that a logarithm could show.
        assert!(!linear(3.0, 3.0).is_empty() && !logarithmic(3.0, 3.0).is_empty());
        assert_eq!(logarithmic(0.0, 1.0), linear(0.0, 1.0));
    }

    #[test]
    fn values_and_shares_are_inverse() {
        for axis in [Axis::linear([0.5, 8.0]), Axis::logarithmic([0.5, 8.0])] {
            let scale = Scale { axis, from: 100.0, to: 20.0 };
            assert_eq!((scale.place(0.5), scale.place(8.0)), (100.0, 20.0));
            assert!((axis.share(axis.value(0.3)) - 0.3).abs() < 1e-12);
            let wide = axis.with_space(0.5, 1.0);
            assert!((wide.share(0.5) - 0.2).abs() < 1e-12, "{wide:?}");
        }
    }

    #[test]
    fn an_axis_holds_what_is_finite() {
        let values = [3.0, f64::NAN, -2.0, f64::NEG_INFINITY];
        assert_eq!(Axis::of(values.into_iter()).range(), [-2.0, 3.0]);
        assert_eq!(Axis::of([f64::NAN].into_iter()).range(), [0.0, 1.0]);
        assert!(!Axis::logarithmic_of(values.into_iter()).is_logarithmic());
        assert!(Axis::logarithmic_of([1.0, 2.0].into_iter()).is_logarithmic());
    }
}
