//! Series of numbers: a column of a CSV file, and how its numbers become those of a network.

use crate::{Error, read};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A column of a CSV file.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// One value for each row from the first that there is to the last; gaps are filled by straight
    /// lines.
    pub values: Vec<f64>,
    /// Which of them were in the file.
    pub known: Vec<bool>,
    /// A hash of the values (FNV-1a), to know them again.
    pub fingerprint: u64,
}

impl Series {
    /// Reads a column. The first line has the columns' names; an empty field is a gap.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no CSV, has no such column or more than one, or if a field of it
    /// is no finite number; with the line.
    pub fn load(path: &Path, column: &str) -> Result<Self, Error> {
        let bytes = read::data(path)?;
        Self::parse(&bytes, read::data_name(&path.display().to_string()), column)
    }

    /// The same from bytes; `name` is for messages.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn parse(bytes: &[u8], name: &str, column: &str) -> Result<Self, Error> {
        let wrong =
            |line: u64, why: String| Err(Error::input(format!("{name}, line {line}: {why}")));
        let not_csv = |error: csv::Error| {
            let why = match (error.position(), error.kind()) {
                (Some(at), csv::ErrorKind::UnequalLengths { expected_len, len, .. }) => {
                    format!(", line {}: {len} fields, expected {expected_len}", line_of(bytes, at))
                }
                (_, kind) => format!(": {kind:?}"),
            };
            Error::input(format!("{name}{why}"))
        };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
        let names = reader.byte_headers().map_err(not_csv)?.clone();
        let plain = |field: &[u8]| String::from_utf8_lossy(field).escape_debug().to_string();
        let mut places = (0..names.len()).filter(|&place| &names[place] == column.as_bytes());
        let place = match (places.next(), places.next()) {
            (Some(place), None) => place,
            (Some(_), Some(_)) => {
                return wrong(1, format!("more than one column is called `{column}`"));
            }
            (None, _) => {
                let names: Vec<_> = names.iter().take(20).map(plain).collect();
                return wrong(1, format!("no column `{column}`; there are: {}", names.join(", ")));
            }
        };
        let mut values = Vec::new();
        for record in reader.byte_records() {
            let record = record.map_err(not_csv)?;
            let field = &record[place];
            let number = std::str::from_utf8(field).ok().and_then(|text| text.parse::<f64>().ok());
            match number.filter(|number| number.is_finite()) {
                Some(number) => values.push(Some(number)),
                None if field.is_empty() => values.push(None),
                None => {
                    let line = record.position().map_or(0, |at| line_of(bytes, at));
                    let field: String = plain(field).chars().take(40).collect();
                    return wrong(line, format!("`{column}` is `{field}`, expected a number"));
                }
            }
        }
        let first = values.iter().position(Option::is_some);
        let last = values.iter().rposition(Option::is_some);
        let (Some(first), Some(last)) = (first, last) else {
            return Err(Error::input(format!("{name}: the column `{column}` has no number")));
        };
        Ok(Self::filled(&values[first..=last]))
    }

    /// The first value and the last have to be there.
    fn filled(values: &[Option<f64>]) -> Self {
        let known: Vec<bool> = values.iter().map(Option::is_some).collect();
        let mut filled: Vec<f64> = Vec::with_capacity(values.len());
        for (t, value) in values.iter().enumerate() {
            filled.push(value.unwrap_or_else(|| {
                // On the line from the value before, which is filled already, to the next known one.
                let next = values[t..].iter().position(Option::is_some).unwrap_or(0);
                let before = filled[t - 1];
                before + (values[t + next].unwrap_or(before) - before) / (next + 1) as f64
            }));
        }
        let bytes = filled.iter().flat_map(|value| value.to_bits().to_le_bytes());
        let fingerprint = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { values: filled, known, fingerprint }
    }

    /// How many gaps were filled.
    pub fn gaps(&self) -> usize {
        self.known.iter().filter(|known| !**known).count()
    }
}

/// The line that a record is on: it begins, as `csv` counts, where the record before ends, and empty
/// lines may come in between.
fn line_of(bytes: &[u8], record: &csv::Position) -> u64 {
    let rest = bytes.get(record.byte() as usize..).unwrap_or(&[]);
    let empty = rest.iter().take_while(|byte| b"\r\n".contains(byte));
    record.line() + empty.filter(|&&byte| byte == b'\n').count() as u64
}

/// How the numbers of a series become those of a network, and back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standard {
    /// The mean of the values.
    pub mean: f32,
    /// Their standard deviation.
    pub deviation: f32,
    /// The root mean square of the changes from one value to the next.
    pub change: f32,
}

impl Standard {
    /// Of some values; `None` if they do not change, or for numbers that f32 does not have.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mean_of =
            |of: &mut dyn Iterator<Item = f64>, count: usize| of.sum::<f64>() / count as f64;
        let mean = mean_of(&mut values.iter().copied(), values.len());
        let squares = &mut values.iter().map(|value| (value - mean).powi(2));
        let deviation = mean_of(squares, values.len()).sqrt();
        let changes = &mut values.windows(2).map(|pair| (pair[1] - pair[0]).powi(2));
        let change = mean_of(changes, values.len().saturating_sub(1)).sqrt();
        // As f32, whose decimals come back exactly out of every JSON reader.
        let [mean, deviation, change] = [mean, deviation, change].map(|x| x as f32);
        Some(Self { mean, deviation, change }).filter(Self::is_sound)
    }

    /// Whether one can divide by it.
    pub(crate) fn is_sound(&self) -> bool {
        let scale = |scale: f32| scale.is_finite() && scale > 0.0;
        self.mean.is_finite() && scale(self.deviation) && scale(self.change)
    }

    /// What a network reads of a window, `[T, 2]`: each value, standardised, and its change from the
    /// one before, in units of the usual change.
    pub(crate) fn encode(&self, window: &[f64]) -> Vec<f32> {
        let [mean, deviation, unit] = [self.mean, self.deviation, self.change].map(f64::from);
        let step = |t: usize| {
            let change = if t == 0 { 0.0 } else { window[t] - window[t - 1] };
            [(window[t] - mean) / deviation, change / unit].map(|x| x as f32)
        };
        (0..window.len()).flat_map(step).collect()
    }
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

    #[test]
    fn standardised_numbers_have_mean_zero_and_deviation_one() {
        let values = [1.0, 3.0, 2.0, 6.0];
        let standard = Standard::of(&values).unwrap();
        assert_eq!(standard.mean, 3.0);
        let numbers = standard.encode(&values);
        let of = |k: usize| numbers.iter().skip(k).step_by(2).map(|&x| f64::from(x));
        assert!(of(0).sum::<f64>().abs() < 1e-6);
        assert!((of(0).map(|x| x * x).sum::<f64>() / 4.0 - 1.0).abs() < 1e-6);
        // The first change is not known; the mean square of the others is one.
        assert!((of(1).map(|x| x * x).sum::<f64>() / 3.0 - 1.0).abs() < 1e-6);
        for constant in [&[2.0; 5][..], &[2.0], &[]] {
            assert_eq!(Standard::of(constant), None);
        }
        // Its JSON is itself.
        let json = serde_json::to_string(&standard).unwrap();
        assert_eq!(serde_json::from_str::<Standard>(&json).unwrap(), standard);
    }
}
