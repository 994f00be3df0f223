//! Series of numbers: a column of a CSV file, and how its numbers are scaled for a network.

use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::frame::format::TableFormat;
use crate::frame::{Columns, Frame, FrameSeries};
use crate::read;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A column of a CSV file.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// One value for each row, from the first known value to the last. Gaps are filled by linear interpolation.
    pub values: Vec<f64>,
    /// Which of the values were in the file.
    pub known: Vec<bool>,
    /// A hash of the values (FNV-1a), by which a resumed run recognises them.
    pub fingerprint: u64,
    /// What a person should know about how the file was read.
    pub notes: Vec<String>,
}

impl Series {
    /// Reads a column of a file, or of standard input for `-`. The first line has the names of the columns. An empty
    /// field is a gap. If there is only one column, a blank line is a gap too.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not a regular file, or has more than 4 GiB (1 GiB from standard input). Also,
    /// with the line: if it is not CSV, if it has no such column or more than one, if a field of the column is not a
    /// finite number, if a quote is not closed, or if a row sums up other rows.
    pub fn load(path: &Path, column: &str) -> Result<Self, Error> {
        let bytes = read::table(path)?;
        Self::parse(&bytes, read::data_name(&path.display().to_string()), column)
    }

    /// The same from bytes; `name` is for messages.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn parse(bytes: &[u8], name: &str, column: &str) -> Result<Self, Error> {
        let columns = Columns { targets: vec![column.to_string()], ..Columns::default() };
        let frame = Frame::parse(bytes, name, &columns, &TableFormat::default(), None)?;
        let column_of = |series: &FrameSeries| {
            let values = &series.columns[0];
            let first = values.iter().position(Option::is_some)?;
            let last = values.iter().rposition(Option::is_some)?;
            Self::of_column(&values[first..=last])
        };
        let series =
            frame.series.first().and_then(column_of).ok_or_else(|| {
                Error::input(format!("{name}: the column `{column}` has no number"))
            })?;
        Ok(Self { notes: frame.notes, ..series })
    }

    /// The series of a column. Gaps at its ends hold the nearest value. `None`: there is no value.
    pub(crate) fn of_column(values: &[Option<f64>]) -> Option<Self> {
        let first = values.iter().position(Option::is_some)?;
        let last = values.iter().rposition(Option::is_some)?;
        let inner = Self::filled(&values[first..=last]);
        if (first, last + 1) == (0, values.len()) {
            return Some(inner);
        }
        let ends = |at: usize| inner.values[at.clamp(first, last) - first];
        let known = values.iter().map(Option::is_some).collect();
        Some(Self::new((0..values.len()).map(ends).collect(), known))
    }

    /// The first value and the last must be known.
    fn filled(values: &[Option<f64>]) -> Self {
        let known: Vec<bool> = values.iter().map(Option::is_some).collect();
        let mut filled: Vec<f64> = Vec::with_capacity(values.len());
        // The index of the next known value. It is searched once for each gap, so the loop stays linear.
        let mut next = 0;
        for (t, value) in values.iter().enumerate() {
            filled.push(value.unwrap_or_else(|| {
                if next < t {
                    next = t + values[t..].iter().position(Option::is_some).unwrap_or(0);
                }
                // The value on the straight line from the value before, which is known or filled, to the next known
                // value.
                let before = filled[t - 1];
                before + (values[next].unwrap_or(before) - before) / (next - t + 1) as f64
            }));
        }
        Self::new(filled, known)
    }

    fn new(values: Vec<f64>, known: Vec<bool>) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_bits().to_le_bytes());
        let fingerprint = Fingerprint::of(bytes);
        Self { values, known, fingerprint, notes: Vec::new() }
    }

    /// How many gaps were filled.
    pub fn gaps(&self) -> usize {
        self.known.iter().filter(|known| !**known).count()
    }
}

/// How the numbers of a series are scaled for a network, and back.
///
/// The scaling is in double precision, because a series may have small changes far from zero. Only the scaled numbers,
/// which are near zero, are rounded to `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standardization {
    /// The mean of the values.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// The root mean square of the changes from one value to the next.
    pub change: f64,
}

impl Standardization {
    /// The scaling for these values. `None` if they do not change, or if their differences are too large for `f64`.
    pub fn of(values: &[f64]) -> Option<Self> {
        let &first = values.first()?;
        // The sums are relative to the first value, so that no digits are lost if the values are far from zero.
        let count = values.len() as f64;
        let mean = first + values.iter().map(|value| (value - first) / count).sum::<f64>();
        let deviation = root_mean_square(values.iter().map(|value| value - mean));
        let change = root_mean_square(values.windows(2).map(|pair| pair[1] - pair[0]));
        let [mean, deviation, change] = [mean, deviation, change].map(of_json);
        Some(Self { mean, deviation, change }).filter(Self::is_sound)
    }

    /// Whether its numbers are finite and can be used as divisors.
    pub(crate) fn is_sound(&self) -> bool {
        let scale = |scale: f64| scale.is_finite() && scale > 0.0;
        self.mean.is_finite() && scale(self.deviation) && scale(self.change)
    }

    /// The input of a network for a window, `[T, 2]`: each value, standardised, and its change from the one before, in
    /// units of the usual change.
    pub(crate) fn encode(&self, window: &[f64]) -> Vec<f32> {
        let Self { mean, deviation, change: unit } = *self;
        let step = |t: usize| {
            let change = if t == 0 { 0.0 } else { window[t] - window[t - 1] };
            [(window[t] - mean) / deviation, change / unit].map(|x| x as f32)
        };
        (0..window.len()).flat_map(step).collect()
    }
}

/// The root mean square. The values are scaled first, so that no square is too large or too small.
pub(crate) fn root_mean_square(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().map(f64::abs).fold(0.0, f64::max);
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    let (sum, count) =
        values.fold((0.0, 0.0), |(sum, count), x| (sum + (x / largest).powi(2), count + 1.0));
    largest * (sum / count).sqrt()
}

/// The number, or one close to it, that every JSON reader reads exactly. With 17 digits, fast readers may get the last
/// bit wrong, but not with fewer digits.
pub(crate) fn of_json(number: f64) -> f64 {
    let digits =
        (0..17).rev().map(|digits| format!("{number:.digits$e}").parse().unwrap_or(number));
    let back = |number: &f64| -> Option<f64> {
        serde_json::from_str(&serde_json::to_string(number).ok()?).ok()
    };
    let mut exact = digits.filter(|number| back(number) == Some(*number));
    exact.next().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Series, Error> {
        Series::parse(text.as_bytes(), "f.csv", "x")
    }

    #[test]
    fn a_column_is_found_by_name() {
        let text = "\u{feff}when,\"x\",note\r\n1,2.5,\"a, b\"\r\n2, -3e1 ,\"\"\"\"\r\n\r\n";
        let series = parse(text).unwrap();
        assert_eq!(series.values, [2.5, -30.0]);
        assert_eq!(series.gaps(), 0);
        assert_ne!(series.fingerprint, parse("x\n2.5\n-30.5\n").unwrap().fingerprint);
    }

    #[test]
    fn gaps_are_straight_lines_and_ends_without_values_are_none() {
        let series = parse("t,x\n0,\n1,1\n2,\n3,\n4,\n5,3\n6,4\n7,\n").unwrap();
        assert_eq!(series.values, [1.0, 1.5, 2.0, 2.5, 3.0, 4.0]);
        assert_eq!(series.known, [true, false, false, false, true, true]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let wrong = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(wrong("a,b\n1,2\n"), "f.csv, line 1: no column `x`; there are: a, b");
        assert_eq!(wrong("x,x\n1,2\n"), "f.csv, line 1: more than one column is called `x`");
        assert_eq!(
            wrong("t,x\n1,2\n\n3,four\n"),
            "f.csv, line 4: `x` is `four`, expected a number"
        );
        assert_eq!(wrong("t,x\n1,inf\n"), "f.csv, line 2: `x` is `inf`, expected a number");
        assert_eq!(wrong("t,x\n1,2\n1\n"), "f.csv, line 3: 1 fields, expected 2");
        assert_eq!(wrong("t,x\n1,\n"), "f.csv: the column `x` has no number");
        assert!(wrong("").starts_with("f.csv, line 1: no column `x`"));
        let message = Series::parse(b"x\n\xff\xfe\n", "f.csv", "x").unwrap_err().to_string();
        assert!(message.starts_with("f.csv, line 2: `x` is "), "{message}");
    }

    /// The standardisation in existing run folders must stay valid.
    #[test]
    fn the_fingerprint_of_a_series_stays() {
        let series = parse("x\n1\n\n\n2.5\n").unwrap();
        assert_eq!(series.values, [1.0, 1.5, 2.0, 2.5]);
        let bytes = series.values.iter().flat_map(|value| value.to_le_bytes());
        let fingerprint = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        assert_eq!(series.fingerprint, fingerprint);
    }

    #[test]
    fn far_from_zero_the_same_numbers_are_read() {
        let wave = |t: usize| (0.2 * t as f64).sin() / 128.0;
        // Rounded to multiples of a power of two, so that adding a level rounds nothing.
        let wave = |t: usize| (wave(t) * f64::powi(2.0, 28)).round() / f64::powi(2.0, 28);
        let near: Vec<f64> = (0..180).map(wave).collect();
        let numbers = |level: f64| {
            let values: Vec<f64> = near.iter().map(|value| value + level).collect();
            Standardization::of(&values).unwrap().encode(&values)
        };
        let deviation = Standardization::of(&near).unwrap().deviation;
        for level in [1e3, 1e7, -1e7_f64] {
            // The mean is rounded to the precision of `f64` at this level.
            let tolerance = (1e-6 + 1e-15 * level.abs() / deviation) as f32;
            for (a, b) in numbers(0.0).iter().zip(numbers(level)) {
                assert!((a - b).abs() < tolerance, "at {level}: {a}, {b}");
            }
        }
        // Series in very small and very large units.
        for unit in [1e-290, 1e-30, 1e30, 1e290] {
            let values: Vec<f64> = near.iter().map(|value| value * unit).collect();
            let standard = Standardization::of(&values).unwrap();
            for (a, b) in numbers(0.0).iter().zip(standard.encode(&values)) {
                assert!((a - b).abs() < 1e-6, "in {unit}: {a}, {b}");
            }
            let json = serde_json::to_string(&standard).unwrap();
            assert_eq!(serde_json::from_str::<Standardization>(&json).unwrap(), standard);
        }
    }

    #[test]
    fn standardised_numbers_have_mean_zero_and_deviation_one() {
        let values = [1.0, 3.0, 2.0, 6.0];
        let standard = Standardization::of(&values).unwrap();
        assert_eq!(standard.mean, 3.0);
        let numbers = standard.encode(&values);
        let of = |k: usize| numbers.iter().skip(k).step_by(2).map(|&x| f64::from(x));
        assert!(of(0).sum::<f64>().abs() < 1e-6);
        assert!((of(0).map(|x| x * x).sum::<f64>() / 4.0 - 1.0).abs() < 1e-6);
        // The first change is not known. The mean square of the others is one.
        assert!((of(1).map(|x| x * x).sum::<f64>() / 3.0 - 1.0).abs() < 1e-6);
        for constant in [&[2.0; 5][..], &[2.0], &[]] {
            assert_eq!(Standardization::of(constant), None);
        }
        // Its JSON is read back exactly.
        let json = serde_json::to_string(&standard).unwrap();
        assert_eq!(serde_json::from_str::<Standardization>(&json).unwrap(), standard);
    }
}
