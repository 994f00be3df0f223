//! A picture for a terminal.

use std::ops::RangeInclusive;

/// How many signs there are at most.
const WIDTH: usize = 40;

/// Numbers as a line of bars, of at most 40 signs: the lowest number is `▁`, and the highest `█`. What is not finite is
/// `▁`, and so are all if they are the same.
///
/// ```
/// assert_eq!(bptt_probe::picture::sparkline(&[0.0, 3.5, 7.0]), "▁▅█");
/// ```
pub fn sparkline(numbers: &[f64]) -> String {
    let finite = || numbers.iter().copied().filter(|x| x.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min);
    sparkline_between(numbers, low..=finite().fold(f64::NEG_INFINITY, f64::max))
}

/// As [`sparkline`], with the numbers of the lowest and the highest bar, so that several lines can be compared. Numbers
/// beyond them have the same bars.
pub fn sparkline_between(numbers: &[f64], range: RangeInclusive<f64>) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let width = numbers.len().min(WIDTH);
    let at = |k: usize| numbers[k * (numbers.len() - 1) / (width - 1).max(1)];
    let (low, extent) = (*range.start(), range.end() - range.start());
    let bar = |x: f64| match extent > 0.0 && x.is_finite() {
        true => BARS[((x - low) / extent * 7.0).round().clamp(0.0, 7.0) as usize],
        false => BARS[0],
    };
    (0..width).map(|k| bar(at(k))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_bars_goes_from_the_first_number_to_the_last() {
        assert_eq!(sparkline(&[0.0, 7.0, f64::NEG_INFINITY, 3.0]), "▁█▁▄");
        let many: Vec<_> = (0..1000).map(f64::from).collect();
        let line = sparkline(&many);
        assert_eq!(line.chars().count(), WIDTH);
        assert!(line.starts_with('▁') && line.ends_with('█'));
        assert_eq!(sparkline(&[2.0]), "▁");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline_between(&[-9.0, 0.0, 3.5, 7.0, 9.0], 0.0..=7.0), "▁▁▅██");
    }
}
