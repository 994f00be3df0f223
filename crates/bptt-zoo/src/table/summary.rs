//! Rows that do not belong to the series, because they sum up the others: a total, a mean.

use crate::table::field::{Wrong, number, shown};
use csv::ByteRecord;

/// Words that mark such a row.
const WORDS: [&str; 18] = [
    "total",
    "totals",
    "totale",
    "totales",
    "totaux",
    "subtotal",
    "sum",
    "sums",
    "average",
    "avg",
    "mean",
    "median",
    "summe",
    "gesamt",
    "mittelwert",
    "durchschnitt",
    "somme",
    "promedio",
];

/// Words that may occur together with them, as in `Grand total:` and `Sum of all years`.
const BESIDE: [&str; 12] = [
    "grand", "sub", "overall", "of", "the", "all", "for", "year", "years", "annual", "monthly",
    "rows",
];

/// Unless they come last, such rows are refused only if at most one row in this many is one. A file in which every
/// third row is a mean has these rows on purpose.
const RARE: usize = 5;

/// With fewer rows than this, it is not known what is usual in the file.
const FEW: usize = 3;

/// Looks for summary rows while a file is read.
pub(crate) struct Summaries {
    /// The column of the series.
    place: usize,
    /// The first of the other columns, which is usually the label of a row.
    label: Option<usize>,
    rows: usize,
    /// How many rows have a label, and how many of the labels are a number or a date.
    labelled: usize,
    typed: usize,
    /// Rows with a word for a summary: the first such row, how many there are, and how many of them are at the end.
    first: Option<Wrong>,
    count: usize,
    trailing: usize,
    last: Last,
    /// The sum of all values but the last one, and the sum of their absolute values.
    sum: f64,
    size: f64,
    values: usize,
}

/// The last row so far.
#[derive(Default)]
struct Last {
    start: usize,
    value: Option<f64>,
    label: Vec<u8>,
    /// Whether the row has other fields, and all of them are empty.
    bare: bool,
}

impl Summaries {
    pub(crate) fn new(place: usize) -> Self {
        Self {
            place,
            label: None,
            rows: 0,
            labelled: 0,
            typed: 0,
            first: None,
            count: 0,
            trailing: 0,
            last: Last::default(),
            sum: 0.0,
            size: 0.0,
            values: 0,
        }
    }

    /// Looks at the next row.
    pub(crate) fn look(&mut self, record: &ByteRecord, start: usize, value: Option<f64>) {
        self.count_last();
        self.rows += 1;
        let others = || record.iter().enumerate().filter(|(place, _)| *place != self.place);
        self.label = others().next().map(|(place, _)| place);
        self.last.start = start;
        self.last.value = value;
        self.last.label.clear();
        if let Some(label) = self.label {
            self.last.label.extend_from_slice(record[label].trim_ascii());
        }
        self.last.bare =
            self.label.is_some() && others().all(|(_, field)| field.trim_ascii().is_empty());
        let word = value.and_then(|_| others().find(|(_, field)| is_word(field)));
        self.trailing = if word.is_some() { self.trailing + 1 } else { 0 };
        if let Some((_, field)) = word {
            let why =
                format!("`{}` looks like a row that sums up others: take it out", shown(field));
            self.first.get_or_insert((start, why));
            self.count += 1;
        }
    }

    /// Counts the row that was the last one so far.
    fn count_last(&mut self) {
        if self.rows > 0 {
            self.labelled += usize::from(!self.last.label.is_empty());
            self.typed += usize::from(is_typed(&self.last.label));
        }
        if let Some(value) = self.last.value {
            self.sum += value;
            self.size += value.abs();
            self.values += 1;
        }
    }

    /// Refuses the file if one of its rows is not part of the series.
    pub(crate) fn refuse(&mut self) -> Result<(), Wrong> {
        let before = self.rows.saturating_sub(1);
        let at_the_end = self.trailing == self.count && self.count < self.rows.min(FEW + 1);
        let few = at_the_end || self.count * RARE <= self.rows;
        if let Some(first) = self.first.take_if(|_| few) {
            return Err(first);
        }
        if self.last.value.is_none() || before < FEW {
            return Ok(());
        }
        let label = &self.last.label;
        let why =
            if self.typed == before && !label.is_empty() && !label.iter().any(u8::is_ascii_digit) {
                format!("`{}`, where all rows before have a number or a date", shown(label))
            } else if self.last.bare && self.labelled == before {
                "nothing but a value, where all rows before say more".to_string()
            } else {
                return Ok(());
            };
        Err((self.last.start, format!("{why}: if it sums up the others, take it out")))
    }

    /// The place of the last value, if it is the sum of all values before it.
    pub(crate) fn last_is_sum(&self) -> Option<usize> {
        let value = self.last.value?;
        let same = (value - self.sum).abs() <= 1e-12 * self.size;
        (self.values >= 2 * FEW && self.size > 0.0 && same).then_some(self.last.start)
    }
}

/// Whether a field says that its row sums up other rows.
fn is_word(field: &[u8]) -> bool {
    let is_in = |words: &[&str], part: &[u8]| {
        words.iter().any(|word| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    let parts = || {
        let parts = field.split(|byte| byte.is_ascii() && !byte.is_ascii_alphabetic());
        parts.filter(|part| !part.is_empty())
    };
    parts().any(|part| is_in(&WORDS, part))
        && parts().all(|part| is_in(&WORDS, part) || is_in(&BESIDE, part))
}

/// Whether a field is a number or a date.
fn is_typed(field: &[u8]) -> bool {
    let date = |&byte: &u8| byte.is_ascii_digit() || b"-/:. TZ+".contains(&byte);
    number(field).is_some()
        || (field.first().is_some_and(u8::is_ascii_digit) && field.iter().all(date))
}
