//! The length of a season.

use crate::frame::step::Grid;

/// The longest season that is looked for, and how many values at the end of the training part are looked at.
const LONGEST: usize = 1000;
const LOOKED_AT: usize = 20_000;
/// With a smaller autocorrelation, there is no season.
const LEAST: f64 = 0.3;

/// The steps in a season of values: a usual one of the calendar, or the lag with the largest autocorrelation of what is left
/// without the trend. 1, if there is none.
pub(crate) fn season(values: &[f64], grid: Option<&Grid>) -> usize {
    let values = &values[values.len().saturating_sub(LOOKED_AT)..];
    let flat = without_trend(values);
    let largest = |values: &[f64]| values.iter().map(|value| value.abs()).fold(0.0, f64::max);
    if largest(&flat) <= 1e-9 * largest(values) {
        return 1;
    }
    let longest = LONGEST.min(values.len() / 3);
    let of = |lag: usize| correlation(&flat, lag);
    let best = |lags: &mut dyn Iterator<Item = usize>, of: &dyn Fn(usize) -> f64| {
        let all = lags.map(|lag| (of(lag), lag)).filter(|(correlation, _)| *correlation > LEAST);
        all.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, lag)| lag)
    };
    let usual = grid.map(|grid| grid.step.seasons()).unwrap_or_default();
    // Neighbours of any value are alike too: a season is above what lies half of it back.
    let is_season = |lag: &usize| *lag <= longest && of(*lag) > of(lag / 2);
    let usual = best(&mut usual.into_iter().filter(is_season), &of);
    let season = usual.or_else(|| {
        // A season is a peak of the autocorrelation: neighbours of any value are alike too.
        let all: Vec<f64> = (0..=longest + 1).map(of).collect();
        let mut peaks =
            (2..=longest).filter(|&lag| all[lag] >= all[lag - 1] && all[lag] > all[lag + 1]);
        best(&mut peaks, &|lag| all[lag])
    });
    season.unwrap_or(1)
}

/// Values without the straight line through them.
fn without_trend(values: &[f64]) -> Vec<f64> {
    let count = values.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = values.iter().map(|value| value / count).sum::<f64>();
    let (mut product, mut square) = (0.0, 0.0);
    for (t, value) in values.iter().enumerate() {
        product += (t as f64 - middle) * (value - mean);
        square += (t as f64 - middle).powi(2);
    }
    let slope = if square > 0.0 { product / square } else { 0.0 };
    values.iter().enumerate().map(|(t, value)| value - mean - slope * (t as f64 - middle)).collect()
}

/// The autocorrelation at a lag.
fn correlation(flat: &[f64], lag: usize) -> f64 {
    let all: f64 = flat.iter().map(|value| value * value).sum();
    let pairs: f64 = flat.iter().zip(flat.iter().skip(lag)).map(|(a, b)| a * b).sum();
    if all > 0.0 { pairs / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::season;
    use crate::frame::step::{Grid, TimeStep};

    #[test]
    fn seasons_are_peaks_of_the_autocorrelation() {
        // SplitMix64.
        let noise = |t: usize| {
            let mut x = (t as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((x ^ (x >> 31)) >> 40) as f64 / f64::from(1 << 24)
        };
        let wave = |t: usize| (t as f64 * std::f64::consts::TAU / 11.0).sin() * 2.0;
        let of =
            |value: &dyn Fn(usize) -> f64| season(&(0..400).map(value).collect::<Vec<_>>(), None);
        assert_eq!(of(&|t| wave(t) + noise(t) + 0.05 * t as f64), 11);
        assert_eq!(of(&noise), 1);
        assert_eq!(of(&|t| t as f64), 1);
        assert_eq!(season(&[1.0, 2.0], None), 1);
        // Half an hour is much like the hour before, and its season is the day.
        let micros = 1800 * 1_000_000;
        let grid =
            Grid { step: TimeStep::Micros(micros), number: 0.0, micros: 0, month_ends: false };
        let day = |t: usize| (t as f64 * std::f64::consts::TAU / 48.0).sin() + 0.01 * noise(t);
        assert_eq!(season(&(0..480).map(day).collect::<Vec<_>>(), Some(&grid)), 48);
    }
}
