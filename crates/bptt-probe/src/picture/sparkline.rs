//! A picture for a terminal.

/// How many signs there are at most.
const WIDTH: usize = 40;

/// Numbers as a line of bars, of at most 40 signs: the lowest number is `▁`, and the highest `█`. What is not finite is
/// `▁`, and so are all if they are the same.
///
/// ```
/// assert_eq!(bptt_probe::picture::sparkline(&[0.0, 3.5, 7.0]), "▁▅█");
/// ```
pub fn sparkline(numbers: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let width = numbers.len().min(WIDTH);
    let at = |k: usize| numbers[k * (numbers.len() - 1) / (width - 1).max(1)];
    let finite = || numbers.iter().copied().filter(|x| x.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min);
    let range = finite().fold(f64::NEG_INFINITY, f64::max) - low;
    let bar = |x: f64| match range > 0.0 && x.is_finite() {
        true => BARS[((x - low) / range * 7.0).round() as usize],
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
    }
}
