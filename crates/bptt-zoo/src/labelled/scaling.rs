//! How the numbers of steps are scaled for a network.

use crate::series::{of_json, root_mean_square};
use serde::{Deserialize, Serialize};

/// For each number of a step, what is subtracted from it and by what it is divided. This is computed in double precision;
/// only the scaled numbers are rounded to `f32`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// The means.
    pub mean: Vec<f64>,
    /// The standard deviations; 1 for a number that never changes.
    pub deviation: Vec<f64>,
}

impl Scaling {
    /// The scaling for the steps of these sequences, `[T · I]` each; and which numbers never change.
    ///
    /// # Errors
    ///
    /// The index of a number whose differences are too large for `f64`.
    pub(crate) fn of(sequences: &[&[f64]], width: usize) -> Result<(Self, Vec<usize>), usize> {
        let (mut mean, mut deviation, mut constant) = (Vec::new(), Vec::new(), Vec::new());
        for k in 0..width {
            let column = sequences.iter().flat_map(|values| values.iter().skip(k).step_by(width));
            let column: Vec<f64> = column.copied().collect();
            let first = column.first().copied().unwrap_or(0.0);
            let count = column.len() as f64;
            // Relative to the first value, so that no digits are lost far from zero.
            let middle = first + column.iter().map(|value| (value - first) / count).sum::<f64>();
            let spread = root_mean_square(column.iter().map(|value| value - middle));
            if !(middle.is_finite() && spread.is_finite()) {
                return Err(k);
            }
            let changes = column.iter().any(|value| *value != first) && spread > 0.0;
            if !changes {
                constant.push(k);
            }
            mean.push(of_json(middle));
            deviation.push(if changes { of_json(spread) } else { 1.0 });
        }
        Ok((Self { mean, deviation }, constant))
    }

    /// The scaling that changes nothing.
    pub(crate) fn none(width: usize) -> Self {
        Self { mean: vec![0.0; width], deviation: vec![1.0; width] }
    }

    /// Whether it fits steps of this width, and its numbers can be used.
    pub(crate) fn is_sound(&self, width: usize) -> bool {
        self.mean.len() == width
            && self.deviation.len() == width
            && self.mean.iter().all(|mean| mean.is_finite())
            && self.deviation.iter().all(|scale| scale.is_finite() && *scale > 0.0)
    }

    /// The scaled numbers of a sequence, `[T · I]`.
    pub(crate) fn apply(&self, values: &[f64]) -> Vec<f32> {
        let scales = self.mean.iter().zip(&self.deviation).cycle();
        // A number far beyond the training data stays finite.
        let most = f64::from(f32::MAX) / 2.0;
        let scaled = |(value, (mean, deviation)): (&f64, (&f64, &f64))| {
            ((value - mean) / deviation).clamp(-most, most) as f32
        };
        values.iter().zip(scales).map(scaled).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_numbers_have_mean_zero_and_deviation_one() {
        let rows: [&[f64]; 2] = [&[1e9, 5.0, 1e9 + 2.0, 5.0], &[1e9 + 1.0, 5.0]];
        let (scaling, constant) = Scaling::of(&rows, 2).unwrap();
        assert_eq!((scaling.mean[1], scaling.deviation[1], constant), (5.0, 1.0, vec![1]));
        assert!(scaling.is_sound(2) && !scaling.is_sound(3));
        let all: Vec<f64> =
            rows.iter().flat_map(|row| scaling.apply(row)).step_by(2).map(f64::from).collect();
        assert!(all.iter().sum::<f64>().abs() < 1e-6, "{all:?}");
        assert!((all.iter().map(|x| x * x).sum::<f64>() / 3.0 - 1.0).abs() < 1e-6, "{all:?}");
        assert_eq!(Scaling::of(&[&[1.0, f64::MAX, 1.0, f64::MIN]], 2), Err(1));
        let json = serde_json::to_string(&scaling).unwrap();
        assert_eq!(serde_json::from_str::<Scaling>(&json).unwrap(), scaling);
    }
}
